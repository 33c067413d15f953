"""Counting what a backend asks of its store, each kind in the store's own words."""

import contextlib
import re
import sys
from collections import Counter
from typing import ClassVar

import redis

from holdover.regions.backends.sql_seats import Wire

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.listdir", "os.scandir"}
FORBIDDEN = re.compile(
    r"scan|^keys$|flush|^DELETE FROM \w+$|^SELECT .* FROM \w+$|TRUNCATE|os\.(list|scan)"
)
_audited = []  # the counters that listen; an audit hook cannot be taken back


def _audit(event, arguments):
    for folder, counts in _audited:
        if event in FILE_EVENTS and folder in str(arguments[0]):
            counts[event] += 1


sys.addaudithook(_audit)


@contextlib.contextmanager
def counting_files(folder):
    """Count what is done to files below a folder."""
    counts = Counter()
    _audited.append((str(folder), counts))
    try:
        yield counts
    finally:
        _audited.remove((str(folder), counts))


@contextlib.contextmanager
def counting_calls(_):
    """Count the functions that are called, as there is nothing else to ask."""
    counts = Counter()

    def note(frame, event, _):
        if event in ("call", "c_call"):
            counts["calls"] += 1

    sys.setprofile(note)
    try:
        yield counts
    finally:
        sys.setprofile(None)


class CountingWire(Wire):
    """A connection to a database that counts its statements."""

    __slots__ = ()
    counts: ClassVar[Counter] = Counter()  # of whoever counts right now

    def __init__(self, raw, cursor):
        super().__init__(raw, cursor)
        really = cursor.execute

        def execute(sql, *given):
            text = sql.decode() if isinstance(sql, bytes) else str(sql)
            CountingWire.counts[" ".join(text.split())] += 1
            return really(sql, *given)

        self.execute = execute


@contextlib.contextmanager
def counting_statements(_):
    """Count the statements of connections that were made as `CountingWire`."""
    CountingWire.counts = Counter()
    yield CountingWire.counts


@contextlib.contextmanager
def counting_redis(url):
    """Count the commands that a Redis server carries out, those in scripts too."""
    counts = Counter()
    with redis.Redis.from_url(url) as client:
        client.config_resetstat()
        yield counts
        for name, one in client.info("commandstats").items():
            if name.partition("|")[0] not in ("cmdstat_info", "cmdstat_config"):
                counts[name.removeprefix("cmdstat_")] += one["calls"]


@contextlib.contextmanager
def counting_memcached(servers):
    """Count what memcached servers were asked, all together."""
    counts = Counter()

    def read():
        total = Counter()
        for server in servers:
            for line in server.ask("stats", b"END\r\n")[:-1]:
                _, name, value = line.split(maxsplit=2)
                if re.match(r"cmd_|(delete|cas)_", name):
                    total[name] += int(value)
        return total

    before = read()
    yield counts
    counts.update(read() - before)
