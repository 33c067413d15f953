"""Replays: neither a queue nor a wire gives anybody what is not for him."""

import ctypes
import gc
import signal
import socket
import threading
from functools import partial
from importlib import import_module

import pytest
from cve_catalogue import replay
from servers import MEMCACHED_CLIENTS
from test_interrupts import struck_at

from holdover import LeaseTerms, make_region
from holdover.regions.worker import carry_out
from holdover.testing import ToxicProxy

# What strikes a finalizer is told of and swallowed by the interpreter itself.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

SOON = 20
TERMS = LeaseTerms(ttl=0.05, wait=SOON)  # what an interrupted one leaves passes soon
called = []


def whatever(*args):
    """Stand for ``os.system``, which nobody has registered."""
    called.append(args)


region = make_region("cve-links").configure("holdover.memory", 60)


@region.cache_on_arguments()
def price_of(article):
    """Make a value, as its author meant it to be made."""
    return article * 2


def message(**changes):
    """Give what could lie in a queue."""
    honest = {
        "version": 1,
        "region": "cve-links",
        "function": f"{__name__}:price_of",
        "args": [17],
        "kwargs": {},
        "key": price_of.key_for(17),
        "token": "guessed",
        "clock": 0,
        "not_after": 4e9,
    }
    return {**honest, **changes}


@replay(
    "CVE-2021-23727",
    where="Celery",
    fault="Data from a result backend name a module and a class in it, which is called "
    "with arguments that stand beside it.",
    ours="A message names one of the functions that were registered; its arguments "
    "must make its key, and it must know the token of the key's lease.",
)
@pytest.mark.parametrize(
    "changes",
    [
        {"function": f"{__name__}:whatever"},
        {"function": "os:system", "args": ["true"]},
        {"function": f"{__name__}:called.append", "args": ["x"]},
        {"function": f"{__name__}:price_of.__wrapped__"},
        {"region": "other", "function": f"{__name__}:price_of"},
        {"context": {f"{__name__}:whatever": 1}},
        {"exc_module": __name__, "exc_type": "whatever", "exc_message": ["x"]},
        {"args": [{"__class__": f"{__name__}:whatever"}]},
        {},
    ],
    ids=str,
)
def test_names_in_data(changes):
    """No name in a message is imported, and nothing that it names is called."""

    def naive(data):
        found = getattr(import_module(data["exc_module"]), data["exc_type"])
        return found(*data["exc_message"])

    naive({"exc_module": __name__, "exc_type": "whatever", "exc_message": ["evil"]})
    assert called.pop() == ("evil",)

    price_of.set("stored", 17)
    outcome = carry_out(message(**changes))
    assert not outcome.done
    assert price_of(17) == "stored"
    assert called == []


class NaiveRedis:
    """A client that keeps its connection whatever has happened to a command."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._replies = self._socket.makefile("rb")

    def get(self, *keys):
        """Give values; all commands are sent in one write, as by a pipeline."""
        self._socket.sendall(b"".join(b"GET %b\r\n" % key.encode() for key in keys))
        found = []
        for _ in keys:
            length = int(self._replies.readline()[1:])
            found.append(self._replies.read(length).decode())
            self._replies.readline()
        return found

    def close(self):
        """Hang up."""
        self._replies.close()
        self._socket.close()


class Interrupt(BaseException):
    """What a signal's handler raises, or somebody else in this thread."""


struck = threading.Event()


def in_a_signal(thread):
    """Have a signal's handler raise in the main thread, which waits for a reply."""
    while not struck.is_set():  # a signal just before the wait does not end that
        signal.pthread_kill(thread, signal.SIGUSR1)
        struck.wait(0.01)


def from_another_thread(thread):
    """Raise in a thread as time limits do: when it has come back from waiting."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(Interrupt)
    )


@pytest.fixture
def _signals():
    """Have SIGUSR1 raise, once."""

    def strike(*_):
        if not struck.is_set():
            struck.set()
            raise Interrupt

    before = signal.signal(signal.SIGUSR1, strike)
    gc.disable()  # in the end of an object it would be swallowed
    yield
    gc.enable()
    signal.signal(signal.SIGUSR1, before)


def interrupted(wire, work, interrupt):
    """Do *work*, and interrupt it when its request is under way; then let it pass."""
    arrived, passes = threading.Event(), threading.Event()
    struck.clear()
    me = threading.get_ident()

    def hold_back(stream, data):
        arrived.set()
        passes.wait(SOON)
        return (data,)

    def strike():
        arrived.wait(SOON)
        interrupt(me)
        passes.set()

    wire.requests = hold_back
    striker = threading.Thread(target=strike)
    striker.start()
    with pytest.raises(Interrupt):
        work()
    striker.join()
    wire.heal()


def bob_gets_anns(server, *keys):
    """Say so of a client that was interrupted while it waited for these keys."""
    with ToxicProxy(server.port) as wire:
        naive = NaiveRedis(wire.port)
        interrupted(wire, partial(naive.get, *keys), in_a_signal)
        found = naive.get("bob")
        naive.close()
    return found == ["ann's"]


LINKS = {"a thread's own": "", "shared": "?max_connections=1"}
WORKS = {
    "get": lambda region: region.get("ann"),
    "get_multi": lambda region: region.get_multi(["ann", "cid"]),
    "set": lambda region: region.set("ann", "new"),
    "set_multi": lambda region: region.set_multi({"ann": "new", "dan": "new"}),
    "delete": lambda region: region.delete("ann"),
    "invalidate": lambda region: region.invalidate(tags=["ann"]),
    "create": lambda region: region.get_or_create("dan", lambda: "new"),
}


def our_region(backend, arguments):
    """Give a region that has a page for each of three visitors."""
    made = make_region("pages").configure(
        backend, 600, arguments, codec="json", lease=TERMS
    )
    made.set_multi({name: f"{name}'s" for name in ("ann", "bob", "cid")})
    return made


@replay(
    "CVE-2023-28858",
    "CVE-2023-28859",
    where="redis-py's asyncio client",
    fault="A connection stays in use when a command on it, or a pipeline, was "
    "interrupted: the next one to ask gets the reply to that.",
    ours="A command takes the connection along: whatever interrupts it, the connection "
    "is closed. And an envelope names its key.",
)
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("interrupt", [in_a_signal, from_another_thread])
@pytest.mark.parametrize("work", WORKS)
@pytest.mark.usefixtures("_signals")
def test_replies_that_nobody_waits_for(redis_server, work, interrupt, link):
    """The same thread asks again, and gets what it has asked for."""
    with redis_server.client() as client:
        client.mset({"ann": "ann's", "bob": "bob's", "cid": "cid's"})
    assert bob_gets_anns(redis_server, "ann")
    assert bob_gets_anns(redis_server, "ann", "cid")

    with ToxicProxy(redis_server.port) as wire:
        url = wire.through(redis_server.url) + LINKS[link]
        region = our_region("holdover.redis", {"url": url})
        interrupted(wire, partial(WORKS[work], region), interrupt)
        assert region.get("bob") == "bob's"
        assert region.get_multi(["cid", "bob"]) == ["cid's", "bob's"]


def struck_everywhere(region, work):
    """Interrupt *work* at each place in turn; bob gets his page after each."""
    work(region)
    places = 0
    while struck_at(places + 1, partial(work, region)):
        places += 1
        assert region.get("bob") == "bob's"
        assert region.get_multi(["cid", "bob"]) == ["cid's", "bob's"]
    return places


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("work", WORKS)
def test_wherever_a_command_is_interrupted(redis_server, work, link):
    """At each place of the way to the server and back, one after the other."""
    region = our_region("holdover.redis", {"url": redis_server.url + LINKS[link]})
    assert struck_everywhere(region, WORKS[work]) > 30


@pytest.mark.parametrize("client", MEMCACHED_CLIENTS)
@pytest.mark.parametrize("work", WORKS)
def test_wherever_a_command_to_memcached_is(memcached_server, work, client):
    """It is no matter of one client library."""
    arguments = {"url": [memcached_server.url], "client": client}
    region = our_region("holdover.memcached", arguments)
    assert struck_everywhere(region, WORKS[work]) > 30
