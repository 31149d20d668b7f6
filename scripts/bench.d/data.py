"""The data: a log of 1 GB, small logs, a dump of 600 MB in one gzip member, 130 procedures. Made once, logs once a day."""

import datetime
import glob
import itertools
import os
import random
import re
import shutil
import subprocess

DAY = datetime.timedelta(days=1)
LOG_BYTES = 1_000_000_000
DUMP_BYTES = 600_000_000
# The share of a dump that is written anew; gzip looks back only 32 KiB, so repeating 75 MB costs it nothing.
FRESH_BYTES = 75_000_000
PROCEDURES = 130

SYLLABLES = ("za gło sze nie sys tem ser wer dru kar ka ha sło kon to u żyt ko wnik pro blem sieć do stęp ra port mo ni tor "
             "lo go wa po czta pli ki ba da nych pia pa so wis ak tu ali cja in sta la łą cze bra wy mia na").split()


def words(rnd):
    """Words and how often each comes: a few often, most of them seldom, as in a text."""
    vocabulary = ["".join(rnd.choices(SYLLABLES, k=rnd.randint(1, 4))) for _ in range(6000)]
    return vocabulary, list(itertools.accumulate(1 / (place + 3) for place in range(len(vocabulary))))


def once(path, make):
    """Makes `path` unless it is there; half a file never gets the name."""
    if os.path.exists(path):
        return path
    print(f"  making {os.path.basename(path)} ...", flush=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    make(f"{path}.new")
    os.rename(f"{path}.new", path)
    return path


def application_log(path, size, days, every):
    """Django's log, evenly over the last `days`; one line in `every` is an error."""
    rnd = random.Random(1)
    vocabulary, weights = words(rnd)
    pages = [f"/{a}/{b}/" for a in ("tickets", "api/v1/tickets", "admin/crm", "reports") for b in ("list", "edit", "stats")]

    def message():
        number, user = rnd.randint(1, 100_000), f"user{rnd.randint(1, 5000)}"
        return rnd.choice([
            f"INFO django.request 2011 GET {rnd.choice(pages)}{number} 200 {rnd.randint(300, 90_000)}B user={user} ip=10.0.{number % 255}.9",
            f"INFO crm.tickets 2012 ticket {number} changed by {user} ({' '.join(rnd.choices(vocabulary, cum_weights=weights, k=2))})",
            "DEBUG django.db.backends 2013 (0.002) SELECT crm_ticket.id, crm_ticket.title FROM crm_ticket "
            f"WHERE crm_ticket.assigned_to_id = {rnd.randint(1, 5000)} ORDER BY created_at DESC LIMIT 25",
            f"INFO accounts.auth 2014 login ok {user} 2fa=totp",
        ])

    messages = [message() for _ in range(20_000)]
    errors = itertools.cycle([
        "ERROR django.request 2011 Internal Server Error: /api/v1/tickets/7/export",
        "ERROR crm.mail 2014 SMTP connection to 127.0.0.1:25 refused",
    ])
    lines = int(size / (25 + sum(map(len, messages)) / len(messages)))
    begin = datetime.datetime.now() - days * DAY
    step = days * DAY / lines
    second, stamp = None, ""
    with open(path, "w", encoding="utf-8") as file:
        for line in range(lines):
            passed = int(line * step.total_seconds() * 1000)
            if passed // 1000 != second:
                second = passed // 1000
                stamp = (begin + datetime.timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S,")
            text = next(errors) if line % every == every - 7 else messages[line * 7919 % len(messages)]
            file.write(f"{stamp}{passed % 1000:03d} {text}\n")


def apache_log(path):
    """Apache's error log of a week, without an error."""
    begin = datetime.datetime.now() - 7 * DAY
    with open(path, "w", encoding="utf-8") as file:
        for line in range(10_000):
            stamp = (begin + line * 7 * DAY / 10_000).strftime("%a %b %d %H:%M:%S.%f %Y")
            file.write(f"[{stamp}] [wsgi:info] [pid {2000 + line % 40}:tid {line % 97}] mod_wsgi: request took {line % 900} ms\n")


def dump(path, copies=DUMP_BYTES // FRESH_BYTES, fresh_bytes=FRESH_BYTES):
    """A dump as mariadb-dump writes it: header, a table, rows with text, and the last line that says it is whole."""
    rnd = random.Random(2)
    vocabulary, weights = words(rnd)
    table = ("CREATE TABLE `crm_ticket` (`id` int NOT NULL, `title` varchar(255), `description` text, `status` varchar(20), "
             "`created_at` datetime, PRIMARY KEY (`id`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n")
    head = f"-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n-- Host: localhost    Database: helpdesk\nDROP TABLE IF EXISTS `crm_ticket`;\n{table}"
    rows, number, size = [], 0, 0
    while size < fresh_bytes:
        values = []
        for _ in range(100):
            number += 1
            text = " ".join(rnd.choices(vocabulary, cum_weights=weights, k=rnd.randint(20, 110)))
            status = rnd.choice(("new", "waiting", "resolved", "closed"))
            day = f"2026-{rnd.randint(1, 12):02d}-{rnd.randint(1, 28):02d} {rnd.randint(0, 23):02d}:{rnd.randint(0, 59):02d}:07"
            values.append(f"({number},'{text[:50]}','{text}','{status}','{day}')")
        rows.append(f"INSERT INTO `crm_ticket` VALUES {','.join(values)};\n")
        size += len(rows[-1].encode())
    fresh = "".join(rows).encode()
    with open(path, "wb") as file:
        gzip = subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=file)
        gzip.stdin.write(head.encode())
        for _ in range(copies):
            gzip.stdin.write(fresh)
        gzip.stdin.write(b"-- Dump completed on 2026-01-01  1:30:00\n")
        gzip.stdin.close()
        if gzip.wait() != 0:
            raise SystemExit("gzip failed")


def damaged(whole, path):
    """A copy with one flipped bit in the middle: who does not read it all does not see it."""
    shutil.copyfile(whole, path)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def procedures(folder, shipped):
    """The shipped procedures of the helpdesk, and copies of them under other names and titles, in ten groups."""
    shutil.copytree(shipped, folder)
    sources = sorted(path for path in glob.glob(f"{shipped}/*/*.yaml") if not path.endswith(".test.yaml"))
    for number in range(len(sources), PROCEDURES):
        group = os.path.join(folder, f"group-{number % 10}")
        os.makedirs(group, exist_ok=True)
        with open(sources[number % len(sources)], encoding="utf-8") as file:
            text = re.sub("^title: .*$", f"title: Procedure {number}", file.read(), count=1, flags=re.MULTILINE)
        with open(os.path.join(group, f"procedure-{number}.yaml"), "w", encoding="utf-8") as file:
            file.write(text)


def make(folder, shipped):
    """All of it under `folder`; the paths by name."""
    today = datetime.date.today()
    yesterday = today - DAY
    logs = os.path.join(folder, f"logs-{today}")
    for name in os.listdir(folder):
        if name.startswith("logs-") and name != f"logs-{today}":
            shutil.rmtree(os.path.join(folder, name))
    backup = os.path.join(folder, "backups", f"backup_{yesterday:%Y%m%d}.sql.gz")
    big = once(os.path.join(folder, "dump.sql.gz"), dump)
    pack = os.path.join(folder, "many")
    shutil.rmtree(pack, ignore_errors=True)
    procedures(pack, shipped)
    return {
        "big_log": once(os.path.join(logs, "django-1GB.log"), lambda path: application_log(path, LOG_BYTES, 5, 400_000)),
        "django_log": once(os.path.join(logs, "django.log"), lambda path: application_log(path, 2_000_000, 7, 1 << 40)),
        "apache_log": once(os.path.join(logs, "apache-error.log"), apache_log),
        "backup": once(backup, lambda path: dump(path, copies=1, fresh_bytes=12_000_000)),
        "dump": big,
        "damaged": once(os.path.join(folder, "damaged.sql.gz"), lambda path: damaged(big, path)),
        "many": pack,
    }
