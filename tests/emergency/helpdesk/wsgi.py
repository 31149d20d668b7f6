"""A small helpdesk behind Apache: its page counts the open tickets, and needs the database and the cache for it."""

import datetime
import subprocess
import traceback
from wsgiref.simple_server import make_server

DATABASE = ["mariadb", "--defaults-file=/srv/helpdesk/database.cnf", "--batch", "--skip-column-names", "--execute"]
CACHE = ["redis-cli", "-e"]
OPEN = "SELECT COUNT(*) FROM crm_ticket WHERE status IN ('new', 'in_progress')"


def ask(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())
    return done.stdout.strip()


def open_tickets():
    known = ask([*CACHE, "GET", "helpdesk:open_tickets"])
    if not known:
        known = ask([*DATABASE, OPEN])
        ask([*CACHE, "SET", "helpdesk:open_tickets", known])
    users = ask([*DATABASE, "SELECT COUNT(*) FROM auth_user"])
    return f"{known} open tickets, {users} users"


def log(level, message):
    now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    with open("/var/log/django.log", "a", encoding="utf-8") as file:
        file.write(f"{level} {now} views 1 1 {message}\n")


def application(environ, start_response):
    try:
        status, text = "200 OK", f"<h1>Helpdesk</h1><p>{open_tickets()}</p>"
    except Exception:
        log("ERROR", "Internal Server Error: /\n" + traceback.format_exc().strip())
        status, text = "500 Internal Server Error", "<h1>Server Error (500)</h1>"
    start_response(status, [("Content-Type", "text/html; charset=utf-8")])
    return [text.encode()]


if __name__ == "__main__":
    make_server("127.0.0.1", 8000, application).serve_forever()
