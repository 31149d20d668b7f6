"""Runs commands in turn (A B C A B C ...), whole processes seen from outside, and compares them pair by pair."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field


@dataclass
class Program:
    name: str
    command: list
    # What it must end with: a quick wrong answer is worth nothing.
    exits: int = 0
    prints: str = ""
    wall: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    peak: float = 0.0

    def ms(self):
        return statistics.median(self.wall) * 1000

    def ratio(self, other):
        """The median of the ratios of neighbouring runs, which a busy machine slows down alike."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.wall, other.wall))


def busy_share(seconds):
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            times = [int(word) for word in file.readline().split()[1:9]]
        return sum(times) - times[3] - times[4], sum(times)
    busy, total = read()
    time.sleep(seconds)
    later_busy, later_total = read()
    return (later_busy - busy) / max(1, later_total - total)


class Rest:
    """Waits for a machine that is at rest: the work of others is not to be measured. Others are the programs on it, and
    the machines that share the processors with a virtual one, of which only the pace of the processors tells: a piece
    of work that is always the same then takes up to two and a half times as long."""

    SLOWER = 1.15

    def __init__(self, patience):
        self.patience = patience
        self.rounds = self.disturbed = 0
        self.best = min(self.pace() for _ in range(50))

    @staticmethod
    def pace():
        """The time that the slowest of the processors takes for some milliseconds' work."""
        def work(processor):
            os.sched_setaffinity(0, {processor})
            begin = time.perf_counter()
            for _ in range(100_000):
                pass
            return time.perf_counter() - begin
        processors = os.sched_getaffinity(0)
        try:
            return max(work(processor) for processor in processors)
        finally:
            os.sched_setaffinity(0, processors)

    def found(self):
        if busy_share(0.2) > 0.1:
            return False
        pace = self.pace()
        self.best = min(self.best, pace)
        return pace <= self.best * self.SLOWER

    def wait(self):
        """At most as long as patience lasts; what is measured without rest is counted."""
        deadline = time.monotonic() + self.patience
        self.rounds += 1
        while not self.found():
            if time.monotonic() > deadline:
                self.disturbed += 1
                return


def once(meas, program, scratch):
    output = os.path.join(scratch, "output")
    done = subprocess.run([meas, output, *program.command], capture_output=True, text=True, check=True)
    wall, cpu, peak, status = done.stdout.split()
    with open(output, encoding="utf-8", errors="replace") as file:
        printed = file.read()
    if int(status) != program.exits or program.prints not in printed:
        raise SystemExit(f"{program.name} ended with {status}, expected {program.exits} and {program.prints!r}; it printed:\n{printed[-2000:]}")
    return float(wall), float(cpu), int(peak) / 1024


def compare(meas, programs, runs, scratch, rest):
    """Fills the programs' times; the first round, which warms the caches, does not count."""
    for program in programs:
        once(meas, program, scratch)
    for number in range(runs):
        rest.wait()
        # Whoever comes first finds a machine that has gone to sleep: each of them in turn, and none that is alone.
        if len(programs) == 1:
            once(meas, programs[0], scratch)
        first = number % len(programs)
        for program in programs[first:] + programs[:first]:
            wall, cpu, peak = once(meas, program, scratch)
            program.wall.append(wall)
            program.cpu.append(cpu)
            program.peak = max(program.peak, peak)
    return programs
