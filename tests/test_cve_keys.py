"""Replays: what users choose ends up in keys; neither wire, disk nor memory suffers."""

import functools
import os
import socket
import stat

import pytest
from cve_catalogue import replay
from memory import taken_memory

from holdover import NO_VALUE, make_region

HOSTILE_KEYS = [
    "her page",
    "x" * 251,
    "k\r\nset planted 0 0 4\r\nevil",
    "k\x00",
    "k\x7f",
    "k\n",
    "",
    "\u2028" * 100,
    "\ud800",
    "k 0 0 1\r\n",
]


class NaiveMemcached:
    """A client that writes keys into its commands as they come."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._replies = self._socket.makefile("rb")

    def set(self, key, value):
        """Store a value; the reply is one line."""
        self._socket.sendall(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value))
        return self._replies.readline()

    def get(self, key):
        """Give a value, or None: what is no value ends the reply."""
        self._socket.sendall(b"get %b\r\n" % key)
        if not self._replies.readline().startswith(b"VALUE"):
            return None
        value = self._replies.readline().strip()
        self._replies.readline()  # END
        return value

    def close(self):
        """Hang up."""
        self._replies.close()
        self._socket.close()


@replay(
    "CVE-2020-13254",
    where="Django's memcached cache",
    fault="A key that the protocol does not allow has two replies in place of one, and "
    "from then on everybody gets his predecessor's value.",
    ours="What is no memcached key is sent as a digest; and an envelope names its key, "
    "which is checked when it is read.",
)
@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=ascii)
def test_keys_that_a_protocol_does_not_allow(memcached_server, key):
    """After any key, everybody still gets what is his."""
    naive = NaiveMemcached(memcached_server.port)
    naive.set(b"ann", b"ann's")
    naive.set(b"bob", b"bob's")
    naive.set(b"her page", b"x")  # is refused, and then its value as well
    naive.get(b"ann")
    assert naive.get(b"bob") == b"ann's"
    naive.close()

    region = make_region("shop").configure(
        "holdover.memcached", 60, {"url": [memcached_server.url]}, codec="json"
    )
    region.set_multi({"ann": "ann's", "bob": "bob's"})
    region.set(key, "odd")
    assert region.get(key) == "odd"
    assert [region.get(one) for one in ("ann", "bob", key)] == ["ann's", "bob's", "odd"]
    assert region.get_multi([key, "bob", "ann"]) == ["odd", "bob's", "ann's"]
    region.delete(key)
    assert region.get("planted") is region.get(key) is NO_VALUE
    assert [region.get("bob"), region.get("ann")] == ["bob's", "ann's"]


def modes_below(folder):
    """Give the permissions of all directories and files, by path."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
    }


@pytest.fixture
def lax_umask():
    """What keeps nothing from other users."""
    before = os.umask(0)
    yield
    os.umask(before)


@replay(
    "CVE-2020-24583",
    "CVE-2020-24584",
    where="Django's uploads and file cache",
    fault="Of the directories on the way to a file, only the last has the permissions "
    "that it should.",
    ours="Every directory that is made on the way is 0700, and every file 0600, "
    "whatever the umask.",
)
@pytest.mark.parametrize(
    ("backend", "argument"), [("holdover.file", "path"), ("holdover.dbm", "filename")]
)
@pytest.mark.usefixtures("lax_umask")
def test_directories_on_the_way(tmp_path, backend, argument):
    """Nobody else can read, list or plant anything on any level."""
    (tmp_path / "naive/ab/cd").mkdir(mode=0o700, parents=True)
    assert modes_below(tmp_path)["naive/ab"] == 0o777

    place = {argument: tmp_path / "ours/deep/cache"}
    region = make_region("shop").configure(backend, 60, place)
    for number in range(20):
        region.set(f"k{number}", "v", tags=["t"])
    region.invalidate(tags=["t"])
    modes = modes_below(tmp_path / "ours")
    assert len(modes) > 3
    assert {mode & ~0o700 for mode in modes.values()} == {0}
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == 0o700


ASKED, LENGTH = 100, 100_000  # by strangers, in characters
ENTRY = 3_000  # bytes that an entry may take, with all that is known of it


@replay(
    "CVE-2026-77050",
    where="Django's language lookup",
    fault="A cache in the process is bounded by the number of its entries, and keeps "
    "keys as long as strangers make them.",
    ours="A key of more than 512 characters is shortened to a digest before anything "
    "looks for it or keeps it.",
)
@pytest.mark.parametrize("settings", [{}, {"near_ttl": 60.0}], ids=["memory", "near"])
def test_keys_as_long_as_strangers_like(tmp_path, settings):
    """What stays of each is what an entry takes."""

    @functools.lru_cache(maxsize=1000)
    def naive(language):
        return language[:2]

    def ask_all(function):
        with taken_memory() as taken:
            for number in range(ASKED):
                function(f"{number:x<{LENGTH}}")
        return taken.left

    assert ask_all(naive) > ASKED * LENGTH

    url = f"file://{tmp_path}/far" if settings else "memory://"
    region = make_region("shop").configure(url, 60, **settings)
    ours = region.cache_on_arguments()(lambda language: language[:2])
    by_hand = functools.partial(region.get_or_create, creator=lambda: "v")
    for function in (ours, by_hand, region.get, region.delete):
        function("warm")
        assert ask_all(function) < ASKED * ENTRY
