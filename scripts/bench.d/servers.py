"""Apache and MariaDB on free loopback ports, in a temporary folder; they end with this program, however it ends."""

import os
import socket
import subprocess
import time

PAGE = "<!doctype html><title>Helpdesk</title><h1>Helpdesk</h1>" + "<p>A ticket that waits for an answer.</p>" * 100
PASSWORD = "bench-only"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(command, user=None):
    """As root a server gives up its rights, and with them the order to die with its parent; so it starts without them."""
    rights = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user and os.geteuid() == 0 else []
    return subprocess.Popen(["setpriv", *rights, "--pdeathsig=KILL", "--", *command],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until(what, ready):
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not start within a minute")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def application():
    """The process that stands for the helpdesk's own: opsctl does not count those that started it, such as this one."""
    return start(["python3", "-c", "import time; time.sleep(86400)"])


def apache(folder):
    """The server's process and its URL."""
    port = free_port()
    os.mkdir(f"{folder}/pages")
    with open(f"{folder}/pages/index.html", "w", encoding="utf-8") as page:
        page.write(PAGE)
    modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in ("mpm_event", "authz_core", "dir", "mime"))
    with open(f"{folder}/apache.conf", "w", encoding="utf-8") as file:
        file.write(f"{modules}ServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/apache.pid\nErrorLog {folder}/apache.log\n"
                   f"DefaultRuntimeDir {folder}\nTypesConfig /etc/mime.types\nDocumentRoot {folder}/pages\nDirectoryIndex index.html\n")
    os.chmod(folder, 0o777)
    server = start(["apache2", "-X", "-f", f"{folder}/apache.conf"], user="www-data")
    wait_until("Apache", lambda: listens(port))
    return server, f"http://127.0.0.1:{port}/"


def mariadb(folder):
    """The server's process, its port, and a file with the options of the command line client."""
    port, data, sock = free_port(), f"{folder}/data", f"{folder}/sock"
    me = f"--user={'root' if os.geteuid() == 0 else os.environ['USER']}"
    subprocess.run(["mariadb-install-db", "--no-defaults", me, f"--datadir={data}", "--auth-root-authentication-method=normal",
                    "--skip-test-db", "--skip-name-resolve"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = start(["mariadbd", "--no-defaults", me, f"--datadir={data}", f"--socket={sock}", f"--port={port}", "--bind-address=127.0.0.1",
                    "--skip-name-resolve", f"--pid-file={folder}/mariadb.pid", f"--log-error={folder}/mariadb.log"])
    make = f"CREATE DATABASE helpdesk; CREATE USER opsctl@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON helpdesk.* TO opsctl@'127.0.0.1';"
    ask = ["mariadb", "--no-defaults", "-uroot", f"--socket={sock}", "-e"]
    wait_until("MariaDB", lambda: subprocess.run([*ask, "SELECT 1"], capture_output=True).returncode == 0)
    subprocess.run([*ask, make], check=True)
    options = f"{folder}/client.cnf"
    with open(options, "w", encoding="utf-8") as file:
        file.write(f"[client]\nhost=127.0.0.1\nport={port}\nuser=opsctl\npassword={PASSWORD}\ndatabase=helpdesk\n")
    return server, port, options
