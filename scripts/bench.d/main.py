"""The measurements, and the table that comes of them. Started by scripts/bench."""

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import data
import servers
from measure import Program, Rest, compare

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ["OPSCTL_BENCH"]
RUNS = int(os.environ.get("RUNS", "15"))
PATIENCE = float(os.environ.get("PATIENCE", "10"))
PARTS = ("quick", "start", "procedures", "log", "gzip")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class Bench:
    def __init__(self, opsctl, scratch):
        self.scratch = scratch
        # As it is used: what the linker has written lies in the page cache in small pieces, and costs more at each fault.
        self.opsctl = os.path.join(scratch, "opsctl")
        subprocess.run(["install", opsctl, self.opsctl], check=True)
        self.rows, self.missed = [], []
        self.rest = Rest(PATIENCE)
        self.data = data.make(CACHE, os.path.join(ROOT, "procedures", "helpdesk"))

    def site(self, name, packs, **variables):
        """Writes a site file; its path."""
        path = os.path.join(self.scratch, f"{name}.yaml")
        lines = [f"site: {name}", f"packs: [{', '.join(packs)}]", f"journal: {name}.db",
                 "databases: { helpdesk: { url: { env: OPSCTL_BENCH_DATABASE } } }",
                 "roles: { system-administrator: {}, it-team: {}, management: {}, security-administrator: {}, security-team: {}, users: {} }", "vars:"]
        lines += [f"  {key}: {value}" for key, value in {"site_url": "http://127.0.0.1/", **variables}.items()]
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def ours(self, site, *words, name="opsctl", **expected):
        return Program(name, [self.opsctl, *words, "--site", site], **expected)

    def run(self, what, programs, goals=(), runs=RUNS):
        """One table row for each program; `goals` are (other program, greatest ratio), `None` for the time in ms."""
        print(f"{what} ...", flush=True)
        compare(os.path.join(CACHE, "meas"), programs, runs, self.scratch, self.rest)
        first, goals = programs[0], dict(goals)
        for program in programs:
            ratio = "" if program is first else f"{first.ratio(program):.3f}"
            goal, reached = "", ""
            if program is first and None in goals:
                goal, reached = f"under {goals[None]} ms", first.ms() < goals[None]
            elif program.name in goals:
                goal, reached = f"at most {goals[program.name]:.3g}", first.ratio(program) <= goals[program.name]
            if reached is False:
                self.missed.append(f"{what}: {program.name}: {goal}")
            mark = {True: " ✓", False: " ✗", "": ""}[reached]
            spread = f"{min(program.wall) * 1000:.1f}-{max(program.wall) * 1000:.1f}"
            self.rows.append(f"| {what if program is first else ''} | {program.name} | {program.ms():.1f} | {spread} "
                             f"| {program.peak:.1f} | {ratio} | {goal}{mark} |")
            print("  " + self.rows[-1], flush=True)

    def limit_memory(self, what, program, most=25):
        if program.peak > most:
            self.missed.append(f"{what}: {program.peak:.1f} MB of memory, at most {most}")

    def start(self):
        programs = [Program("opsctl --version", [self.opsctl, "--version"], prints="opsctl"), Program("true", ["/bin/true"]),
                    Program("bash -c :", ["bash", "-c", ":"]), Program("rg --version", ["rg", "--version"]),
                    Program("curl --version", ["curl", "--version"])]
        self.run("start", programs, {None: 5}, runs=RUNS * 2)

    def procedures(self):
        many = self.site("many", [self.data["many"]])
        lint = self.ours(many, "lint", name="opsctl lint", prints=f"{data.PROCEDURES} procedures")
        self.run(f"read and vet {data.PROCEDURES} procedures", [lint], {None: 15})
        # A broken file in another group shows that it is not read.
        packs = [f"{HERE}/one", self.data["many"], f"{HERE}/broken"]
        among = self.ours(self.site("among", packs), "one", "check", name=f"among {data.PROCEDURES + 2}")
        alone = self.ours(self.site("alone", packs[:1]), "one", "check", name="alone")
        self.run("a group of one procedure", [among, alone], {"alone": 1.25})

    def quick(self):
        apache, url = servers.apache(tempfile.mkdtemp(dir=self.scratch))
        mariadb, port, client = servers.mariadb(tempfile.mkdtemp(dir=self.scratch))
        application = servers.application()
        backup = self.data["backup"]
        os.environ.update(URL=url, CLIENT=client, BACKUP=backup, APACHE_LOG=self.data["apache_log"], DJANGO_LOG=self.data["django_log"],
                          OPSCTL_BENCH_DATABASE=f"mysql://opsctl:{servers.PASSWORD}@127.0.0.1:{port}/helpdesk")
        site = self.site("quick", [f"{HERE}/pack"], site_url=url, apache_log=self.data["apache_log"],
                         django_log=self.data["django_log"], backup_folder=os.path.dirname(backup))
        programs = [self.ours(site, "quick", "check", name="opsctl quick check"), Program("the shell script", [f"{HERE}/daily.sh"], prints="PASS")]
        if os.path.isdir("/usr/lib/nagios/plugins"):
            programs.append(Program("monitoring plugins", [f"{HERE}/plugins.sh"], prints="OK"))
        if shutil.which("goss"):
            programs.append(Program("goss", ["goss", "-g", self.gossfile(url, client, backup), "validate"]))
        if shutil.which("hurl"):
            page = os.path.join(self.scratch, "page.hurl")
            with open(page, "w", encoding="utf-8") as file:
                file.write(f"GET {url}\nHTTP 200\n")
            programs.append(Program("hurl, the home page alone", ["hurl", page]))
        try:
            self.run("quick daily check", programs, {"the shell script": 1 / 8, "goss": 1 / 3})
        finally:
            for server in (apache, mariadb, application):
                server.kill()
                server.wait()

    def gossfile(self, url, client, backup):
        path = os.path.join(self.scratch, "goss.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""http: {{ "{url}": {{ status: 200 }} }}
command:
  "mysql --defaults-file={client} -Nse 'SELECT 1'": {{ exit-status: 0, stdout: ["1"] }}
  "sh -c 'tail -n 100 $APACHE_LOG $DJANGO_LOG | grep -ci error'": {{ exit-status: {{ or: [0, 1] }} }}
mount: {{ /: {{ exists: true, usage: {{ lt: 98 }} }} }}
process: {{ apache2: {{ running: true }}, mariadbd: {{ running: true }}, python3: {{ running: true }} }}
file: {{ {backup}: {{ exists: true, size: {{ and: [{{ gt: 1000000 }}, {{ lt: 1000000000 }}] }} }} }}
""")
        return path

    def log(self):
        big = self.data["big_log"]
        errors = output("rg", "-ci", "error", big)
        cut = (datetime.datetime.now() - data.DAY).strftime("%Y-%m-%d %H:%M:%S")
        recent = sum(line >= cut for line in output("rg", "-i", "error", big).splitlines())
        site = self.site("log", [f"{HERE}/pack"], big_log=big)
        whole = self.ours(site, "whole", "check", "--set", f"errors={errors}", name="opsctl whole check")
        rg, nomap = Program("rg -ci error", ["rg", "-ci", "error", big], prints=errors), Program("rg --no-mmap", ["rg", "-ci", "--no-mmap", "error", big], prints=errors)
        grep = Program("grep -ci error", ["grep", "-ci", "error", big], prints=errors)
        self.run("1 GB of log, every line", [whole, rg, nomap, grep], {"rg -ci error": 1})
        # While this runs, the window moves on, and at most one error leaves it.
        window = self.ours(site, "recent", "check", "--set", f"errors={recent - 1}..{recent}", name="opsctl recent check")
        script = f"grep -i error {big} | awk -v c='{cut}' 'substr($0, 1, 19) >= c' | wc -l"
        self.run("1 GB of log, the last 24 hours", [window, Program("grep, then awk", ["sh", "-c", script], prints=str(recent))], {None: 50})
        self.limit_memory("whole log", whole)
        self.limit_memory("24 hours of log", window)

    def gzip(self):
        dump = self.data["dump"]
        site = self.site("gzip", [f"{HERE}/pack"], dump=dump, damaged=self.data["damaged"])
        ours = self.ours(site, "gzip", "check", name="opsctl gzip check")
        programs = [ours, Program("gzip -t", ["gzip", "-t", dump])]
        programs += [Program(f"{tool} -t", [tool, "-t", dump]) for tool in ("pigz", "igzip") if shutil.which(tool)]
        self.run(f"gzip of {os.path.getsize(dump) / 1e6:.0f} MB is whole", programs, {"gzip -t": 0.4}, runs=max(5, RUNS // 3))
        self.limit_memory("gzip", ours)
        found = subprocess.run(self.ours(site, "damaged", "check").command, capture_output=True, check=False).returncode
        if found != 2:
            raise SystemExit(f"a flipped bit was not found: exit status {found}")

    def table(self):
        head = ["| what | program | ms | from-to | peak MB | opsctl takes | goal |", "|---|---|--:|--:|--:|--:|---|"]
        return "\n".join(head + self.rows)


def machine(rest):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    versions = [output("rg", "--version").split("\n")[0], output("bash", "--version").split("(")[0].split(",")[0].replace("GNU bash", "bash")]
    versions += [tool for tool in (output("gzip", "--version").split("\n")[0], output("rustc", "--version")) if tool]
    load = os.getloadavg()[0]
    return (f"{datetime.date.today()}, {os.cpu_count()} cores ({model.group(1) if model else platform.machine()}), Linux {platform.release()}, "
            f"load {load:.1f}, medians of {RUNS} runs (start: twice as many, gzip: a third, at least 5), {rest.disturbed} of {rest.rounds} rounds without rest. {', '.join(versions)}.")


def write(page, text):
    """Replaces what stands between the marks."""
    with open(page, encoding="utf-8") as file:
        before, _, rest = file.read().partition("<!-- scripts/bench -->\n")
        _, _, after = rest.partition("<!-- end -->")
    with open(page, "w", encoding="utf-8") as file:
        file.write(f"{before}<!-- scripts/bench -->\n{text}\n<!-- end -->{after}")


def main():
    opsctl, *parts = sys.argv[1:]
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise SystemExit(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="opsctl-bench-") as scratch:
        os.chmod(scratch, 0o755)
        bench = Bench(opsctl, scratch)
        for part in parts or PARTS:
            getattr(bench, part)()
    print(f"\n{machine(bench.rest)}\n\n{bench.table()}\n")
    if not parts:
        write(os.path.join(ROOT, "docs", "performance.md"), f"{machine(bench.rest)}\n\n{bench.table()}")
    for missed in bench.missed:
        print(f"missed: {missed}")
    return 2 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
