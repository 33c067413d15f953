"""Private database servers for tests: in folders of their own, on free ports."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pymysql
from servers import HasEnded, free_port, program, start_somewhere
from waiting import wait_until

_PATIENCE = 60.0
RUNNING = {"R", "S", "D"}


class DatabaseServer:
    """A server that keeps its files in a folder of its own, until the end.

    Servers refuse to run as root, so that root lets their own user run them.
    """

    user = ""

    def __init__(self):
        self.take_port()
        self._is_root = os.geteuid() == 0
        self._folder = Path(tempfile.mkdtemp(prefix="holdover-"))
        self._log = (self._folder / "log").open("wb")
        self._process = None

    def take_port(self):
        """Choose where to listen."""
        self.port = free_port()

    def __enter__(self):
        if self._is_root:
            shutil.chown(self._folder, self.user, self.user)
        try:
            self._make()
            start_somewhere(self)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self):
        """Start it, with what it had, and wait until it answers."""
        self._process = self._run(*self._command())
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise HasEnded(f"{self._command()[0]} has ended: {self._said()}")
            try:
                self.connect().close()
            except (psycopg.Error, pymysql.Error) as error:
                problem = error
            else:
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self._command()[0]} did not start: {problem}")

    def stop(self):
        """Kill it, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def freeze(self):
        """Let it hang: connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # it is not at once
        for child in _children(self._process.pid):
            wait_until(lambda pid=child: _state(pid) not in RUNNING, "a process's stop")

    def thaw(self):
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def run(self, statement):
        """Run a statement by a connection of its own; give its rows, if any."""
        with (
            contextlib.closing(self.connect()) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def empty(self):
        """Remove every row of ours. Making the table anew would take longer."""
        with contextlib.suppress(
            psycopg.errors.UndefinedTable, pymysql.ProgrammingError
        ):
            self.run("DELETE FROM holdover_cache")

    def _signal(self, number):
        for pid in [self._process.pid, *_children(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, *command, **options):
        if self._is_root:
            home = pwd.getpwnam(self.user)
            options.update(user=home.pw_uid, group=home.pw_gid, extra_groups=[])
        # Two MariaDB servers name their temporary files alike, and remove each
        # other's where they share a folder for them.
        return subprocess.Popen(
            command,
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            env={**os.environ, "TMPDIR": str(self._folder)},
            **options,
        )

    def _set_up(self, *command):
        """Run what makes the server's files, to its end."""
        if self._run(*command).wait(60) != 0:
            raise RuntimeError(f"{command[0]} failed: {self._said()}")

    def _said(self):
        return Path(self._log.name).read_text(errors="replace")


class PostgresServer(DatabaseServer):
    """A PostgreSQL server."""

    user = "postgres"

    @property
    def url(self):
        """Its database."""
        return f"postgresql://holdover@127.0.0.1:{self.port}/postgres"

    def connect(self):
        """Give a new connection that commits by itself."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=20)

    def _make(self):
        command = [_postgres("initdb"), "-D", "data", "-U", "holdover", "-A", "trust"]
        self._set_up(*command, "-N", "-E", "UTF8", "--locale=C")

    def _command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",  # a killed server loses nothing by it
            "max_connections": "300",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        return [_postgres("postgres"), "-D", "data", "-p", str(self.port), *options]


class Pgbouncer(DatabaseServer):
    """A pooler that gives each transaction any of two sessions of a PostgreSQL server.

    Args:
        behind: The server's port.
    """

    user = "postgres"

    def __init__(self, behind):
        super().__init__()
        self._behind = behind

    @property
    def url(self):
        """Its database."""
        return f"postgresql://holdover@127.0.0.1:{self.port}/postgres"

    def connect(self):
        """Give a new connection that commits by itself."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=20)

    def _make(self):
        (self._folder / "users").write_text('"holdover" ""\n')

    def _command(self):
        (self._folder / "ini").write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={self._behind} user=holdover\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self._folder}/users\n"
            "pool_mode = transaction\ndefault_pool_size = 2\n"
        )
        return [program("pgbouncer", "pgbouncer"), "-q", f"{self._folder}/ini"]


class MariaServer(DatabaseServer):
    """A MariaDB server."""

    user = "mysql"

    @property
    def url(self):
        """Its database."""
        return f"mariadb://holdover@127.0.0.1:{self.port}/test"

    def connect(self):
        """Give a new connection that commits by itself."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="holdover",
            database="test",
            autocommit=True,
            connect_timeout=20,
        )

    def _make(self):
        install = program("mariadb-install-db", "mariadb-server")
        options = ["--no-defaults", f"--datadir={self._folder}/data"]
        self._set_up(install, *options, "--skip-test-db")
        (self._folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS test;\n"
            "CREATE USER IF NOT EXISTS holdover@'127.0.0.1';\n"
            "GRANT ALL ON *.* TO holdover@'127.0.0.1';\n"
        )
        (self._folder / "init.sql").chmod(0o644)

    def _command(self):
        return [
            program("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--datadir={self._folder}/data",
            f"--socket={self._folder}/socket",
            f"--pid-file={self._folder}/pid",
            f"--init-file={self._folder}/init.sql",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-connections=300",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=64M",
        ]


def _postgres(name):
    """Find a program that Debian keeps where nobody's PATH looks."""
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    found = max(versions, default=None, key=lambda path: int(path.parts[-3]))
    return str(found) if found else program(name, "postgresql")


def _state(pid):
    """Give the letter of a process's state; none if it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _children(parent):
    """Give the processes that a process has started."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(status.parent.name)
