"""What can be done to each kind of store, for the contract's tests."""

import contextlib
import fcntl
import os
import resource
import shutil
from pathlib import Path

import psycopg
import pymysql
import redis
import sqlalchemy

from holdover.testing import Troubles

NOBODY = 65534


@contextlib.contextmanager
def no_file_larger_than(size):
    """Let writes fail as on a full disk; Python ignores the signal."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class MemoryTroubles(Troubles):
    """A dictionary can only be full of others' entries.

    Args:
        backend: One with a small max_entries.
    """

    def __init__(self, backend):
        self._backend = backend

    def evict(self):
        """Write more than it holds."""
        for number in range(2 * self._backend._max_entries):
            self._backend.write(f"filler{number}", b"", ttl=None)


class FolderTroubles(Troubles):
    """Files in a folder.

    Args:
        folder: What may be taken away.
        locks: A pattern for its lock files.
    """

    def __init__(self, folder, locks):
        self._folder = Path(folder)
        self._locks = locks

    def restart(self):
        """Do nothing: nobody keeps what a file does not."""

    def evict(self):
        """Remove it all."""
        shutil.rmtree(self._folder)

    @contextlib.contextmanager
    def down(self):
        """Put a file in its place."""
        away = self._folder.with_name("away")
        self._folder.rename(away)
        self._folder.write_bytes(b"")
        try:
            yield
        finally:
            self._folder.unlink()
            away.rename(self._folder)

    @contextlib.contextmanager
    def hung(self):
        """Hold every lock, as a stopped process would."""
        with contextlib.ExitStack() as stack:
            for path in self._folder.glob(self._locks):
                held = stack.enter_context(path.open("rb"))
                fcntl.flock(held, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def full(self):
        """Have room for a page in each file."""
        with no_file_larger_than(4096):
            yield

    @contextlib.contextmanager
    def readonly(self):
        """Take the rights from its user, who must not be root."""
        everything = [self._folder, *self._folder.rglob("*")]
        modes = {path: path.stat().st_mode & 0o777 for path in everything}
        user = os.geteuid()
        for path, mode in modes.items():
            path.chmod(mode & 0o500)
            os.chown(path, NOBODY if user == 0 else -1, -1)
        os.seteuid(NOBODY if user == 0 else user)
        try:
            yield
        finally:
            os.seteuid(user)
            for path, mode in modes.items():
                os.chown(path, user, -1)
                path.chmod(mode)


class ServerTroubles(Troubles):
    """A server that a test may kill and freeze."""

    def __init__(self, server):
        self._server = server

    def restart(self):
        """Kill it, and start it empty."""
        self._server.kill()
        self._server.start()

    @contextlib.contextmanager
    def down(self):
        """Kill it for a while."""
        self._server.kill()
        try:
            yield
        finally:
            self._server.start()

    @contextlib.contextmanager
    def hung(self):
        """Freeze it for a while."""
        self._server.freeze()
        try:
            yield
        finally:
            self._server.thaw()


class RedisTroubles(ServerTroubles):
    def evict(self):
        """Drop everything."""
        self._server.ask("FLUSHALL")

    @contextlib.contextmanager
    def full(self):
        """Have no memory to spare."""
        with redis.Redis.from_url(self._server.url) as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", max(1, used - 1_000_000))
            try:
                yield
            finally:
                client.config_set("maxmemory", 0)

    @contextlib.contextmanager
    def readonly(self):
        """Be the replica of a server that is away."""
        self._server.ask("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            self._server.ask("REPLICAOF", "NO", "ONE")


class MemcachedTroubles(ServerTroubles):
    def evict(self):
        """Drop everything."""
        self._server.ask("flush_all")

    @contextlib.contextmanager
    def full(self):
        """Take no further item of that size: it is started so as to evict nothing."""
        fillers = 0
        while self._server.ask(f"set filler{fillers} 0 0 50200\r\n{'x' * 50_200}") == [
            "STORED"
        ]:
            fillers += 1
        try:
            yield
        finally:
            for number in range(fillers):
                self._server.ask(f"delete filler{number}")


class DatabaseTroubles(ServerTroubles):
    def restart(self):
        """Kill it, and start it with what it had."""
        self._server.stop()
        self._server.start()

    @contextlib.contextmanager
    def down(self):
        """Kill it for a while."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.start()

    def evict(self):
        """Empty the table."""
        self._server.run("DELETE FROM holdover_cache")


class PostgresTroubles(DatabaseTroubles):
    @contextlib.contextmanager
    def readonly(self):
        """Let new sessions only read, and end the old ones."""
        switch = "ALTER DATABASE postgres SET default_transaction_read_only = {}"
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = 'holdover' AND pid <> pg_backend_pid()"
        )
        self._server.run(switch.format("on"))
        self._server.run(end)
        try:
            yield
        finally:
            options = "-c default_transaction_read_only=off"
            with psycopg.connect(
                self._server.url, autocommit=True, options=options
            ) as connection:
                connection.execute(switch.format("off"))
            self._server.run(end)


class MariaTroubles(DatabaseTroubles):
    @contextlib.contextmanager
    def readonly(self):
        """Hold the lock under which a backup is made."""
        with contextlib.closing(self._server.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("FLUSH TABLES WITH READ LOCK")
            yield
            with contextlib.suppress(pymysql.Error):
                cursor.execute("UNLOCK TABLES")


class SqliteTroubles(FolderTroubles):
    """A database file; who has it open goes on, though it be renamed."""

    def __init__(self, path):
        super().__init__(Path(path).parent, "")
        self._url = f"sqlite:///{path}"

    def evict(self):
        """Empty the table."""
        engine = sqlalchemy.create_engine(self._url)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DELETE FROM holdover_cache"))
        engine.dispose()

    @contextlib.contextmanager
    def hung(self):
        """Hold its write lock, as a transaction that does not end."""
        engine = sqlalchemy.create_engine(self._url)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
        engine.dispose()
