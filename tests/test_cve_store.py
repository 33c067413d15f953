"""Replays: whoever can write to the store has no code run by those who read it."""

import json
import pickle

import pytest
import redis
from cve_catalogue import replay

from holdover import NO_VALUE, errors, events, make_region
from holdover.regions.backends.file import FileBackend
from holdover.regions.codecs import JsonCodec, PickleCodec
from holdover.regions.codecs_msgpack import MsgpackCodec
from holdover.regions.envelope import Entry, seal
from holdover.wsgi import PageCodec, Sessions

SECRET = "s" * 32
explosions = []


class Bomb:
    """A value whose pickle runs code of the attacker's choice where it is read."""

    def __reduce__(self):
        return explode, ()


def explode():
    """Stand for whatever he likes."""
    explosions.append("!")


@pytest.fixture(autouse=True)
def _no_explosions():
    explosions.clear()


def planted(key, codec=None):
    """Give what he stores: an envelope for *key* that is right in every respect."""
    return seal(Entry(Bomb(), created_at=1e9), key, codec or PickleCodec())


def replace_all(server):
    """Put the bomb in the place of every value that a Redis server has."""
    with redis.Redis.from_url(server.url) as client:
        names = client.keys()
        for name in names:
            client.set(name, planted(name.decode()))
    assert names


def is_dangerous(url):
    """Say whether a region that believes pickles, as told to, runs what he planted."""
    region = make_region("believer").configure(url, 60, unsigned_pickle=True)
    region.set("k", "good")
    region.backend.write("believer:k", planted("believer:k"), ttl=60.0)
    region.get("k")
    return bool(explosions)


@replay(
    "CVE-2013-7489",
    where="Beaker",
    fault="Sessions are unpickled from a store that others may write to.",
    ours="Sessions are JSON or MessagePack; a region that pickles is refused for them.",
)
def test_pickled_sessions(redis_server):
    """What lies where a session was is no session."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("session:ann", pickle.dumps({"user": "ann"}))
        client.set("session:ann", pickle.dumps(Bomb()))
        pickle.loads(client.get("session:ann"))  # as each of her requests does
        assert explosions.pop() == "!"
        client.flushall()
    assert is_dangerous(redis_server.url)
    explosions.clear()

    sessions = Sessions({"store": redis_server.url})
    session = sessions.open()
    session["user"] = "ann"
    session.save()
    cookie = session.set_cookie.partition(";")[0]
    assert dict(sessions.open(cookie)) == {"user": "ann"}
    replace_all(redis_server)
    assert dict(sessions.open(cookie)) == {}
    pickling = make_region().configure("holdover.memory", codec="pickle")
    with pytest.raises(errors.ConfigurationError, match="codec"):
        Sessions({"store": pickling})
    assert explosions == []


@replay(
    "CVE-2025-69872",
    where="diskcache",
    fault="Files of a cache directory are unpickled, whoever has put them there.",
    ours="The directory is 0700 and others' are refused; with a secret, what the "
    "application has not signed is a miss.",
)
def test_a_directory_that_others_write_to(tmp_path):
    """Neither the directory is used nor what was planted there."""
    file = tmp_path / "theirs"
    file.write_bytes(pickle.dumps(Bomb()))
    pickle.loads(file.read_bytes())
    assert explosions.pop() == "!"
    assert is_dangerous(f"file://{tmp_path}/believer")
    explosions.clear()

    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(errors.InsecureDirectory):
        make_region().configure("holdover.file", 60, {"path": shared})

    path = {"path": tmp_path / "ours"}
    region = make_region("shop").configure("holdover.file", 60, path, secret=SECRET)
    region.set("k", "good")
    FileBackend(path).write("shop:k", planted("shop:k"), ttl=60.0)
    assert region.get_or_create("k", lambda: "made") == "made"
    assert explosions == []


@replay(
    "CVE-2021-33026",
    where="Flask-Caching",
    fault="Values from Redis or memcached are unpickled, and nothing tells users.",
    ours="A region that does so without a secret warns when it is configured; with a "
    "secret, what the application has not signed is a miss.",
)
def test_pickles_from_a_server(redis_server):
    """Whoever may write there can make a value go, and nothing else."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("view//", pickle.dumps(Bomb()))
        pickle.loads(client.get("view//"))
        assert explosions.pop() == "!"
        client.flushall()
    assert is_dangerous(redis_server.url)
    explosions.clear()

    with pytest.warns(errors.UnsignedPickleWarning, match="can run code"):
        make_region("loud").configure(redis_server.url, 60)
    region = make_region("shop").configure(redis_server.url, 60, secret=SECRET)
    region.set("k", "good")
    replace_all(redis_server)
    assert region.get_or_create("k", lambda: "made") == "made"
    assert region.get_multi(["k"]) == ["made"]
    assert explosions == []


class Posing(PickleCodec):
    """Writes pickles, and says that another codec has."""

    def __init__(self, tag):
        self.tag = tag


@replay(
    "CVE-2026-27794",
    where="langgraph-checkpoint",
    fault="What the safe format cannot decode is tried as a pickle.",
    ours="A region reads what its own codec has written, by that codec; nothing else "
    "is tried.",
)
@pytest.mark.parametrize(
    "codec",
    [JsonCodec(), MsgpackCodec(), PageCodec()],
    ids=lambda codec: codec.tag.decode(),
)
def test_a_second_decoder(tmp_path, codec):
    """Bytes that the codec cannot decode are a miss, whoever they say wrote them."""

    def loads_somehow(data):
        try:
            return json.loads(data)
        except ValueError:
            return pickle.loads(data)

    loads_somehow(pickle.dumps(Bomb()))
    assert explosions.pop() == "!"
    assert is_dangerous(f"file://{tmp_path}/believer")
    explosions.clear()

    url = f"file://{tmp_path}/ours"
    region = make_region("shop").configure(url, 60, codec=codec)
    told = []
    region.listen(told.append)
    for writer in (PickleCodec(), Posing(codec.tag)):
        region.backend.write("shop:k", planted("shop:k", writer), ttl=60.0)
        assert region.get("k") is NO_VALUE
    assert [type(one) for one in told].count(events.Unreadable) == 2
    assert explosions == []
