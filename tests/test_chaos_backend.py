"""A backend that fails by chance, and regions over it, which keep their promises."""

import contextlib
import random
import re
import tempfile
import threading
from dataclasses import replace

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_clock import AgingServer
from waiting import PATIENCE, wait_until

from holdover import NO_VALUE, KeyedBackend, LeaseTerms, make_region
from holdover.errors import BackendError, ConfigurationError, ValueTooLarge
from holdover.events import PushLost
from holdover.regions.backends.base import Backend
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.grants import Busy
from holdover.regions.backends.memory import MemoryBackend
from holdover.regions.backends.null import NullBackend
from holdover.regions.backends.redis import RedisBackend
from holdover.regions.redelivery import Redelivery
from holdover.testing import (
    BackendContract,
    ChaosBackend,
    FakeClock,
    Findings,
    Oracle,
    hammer,
)
from holdover.testing.contract_leases import REGION, sealed, won

KEYS = 4
FATES = ("failing", "unanswered", "hanging", "slow", "refusing", "forgetting")


# -- calm, it is the backend behind it -----------------------------------------


class TestOverMemory(BackendContract):
    @pytest.fixture
    def backend(self, clock):
        return ChaosBackend(MemoryBackend({"time_source": clock}))


class TestOverFiles(BackendContract):
    @pytest.fixture
    def make(self, tmp_path, clock):
        given = {"path": tmp_path / "cache", "time_source": clock, "lock_timeout": 10.0}
        return lambda: ChaosBackend(FileBackend(given), **dict.fromkeys(FATES, 0.0))

    @pytest.fixture
    def backend(self, make):
        return make()

    @pytest.fixture
    def peer(self, make):
        return make()


class TestOverRedis(BackendContract):
    expires_by_itself = True

    @pytest.fixture
    def clock(self, redis_server):
        with redis.Redis.from_url(redis_server.url) as client:
            yield AgingServer(client)

    @pytest.fixture
    def backend(self, redis_server):
        made = ChaosBackend(RedisBackend({"url": redis_server.url}), failing=1.0)
        made.calm()
        return made


# -- what befalls each call ----------------------------------------------------


@pytest.fixture
def memory(clock):
    """A backend on the fake clock, with a value and a lease of each kind of use."""
    memory = MemoryBackend({"time_source": clock})
    memory.write("k", sealed("old", fence=1), ttl=None)
    return memory


@pytest.fixture
def chaos(memory, clock):
    """What stands before it."""
    return ChaosBackend(memory, hang=3.0, delay=2.0, time_source=clock)


NEW = sealed("new", fence=2)
# By the name of each verb, how it is called; each has its lease, which is won before.
VERBS = {
    "read": lambda b, lease: b.read("k", REGION),
    "read, again and again": lambda b, lease: b.reader("k", REGION)(),
    "read, many": lambda b, lease: b.read_multi(["k"], REGION),
    "write": lambda b, lease: b.write("k", NEW, ttl=None),
    "write, at a tick": lambda b, lease: b.write_at(
        "k", NEW, REGION, tick=lease.clock, ttl=None
    ),
    "write, many": lambda b, lease: b.write_multi({"k": NEW}, ttl=None),
    "remove": lambda b, lease: b.remove("k"),
    "remove, many": lambda b, lease: b.remove_multi(["k"]),
    "compare_and_set": lambda b, lease: b.compare_and_set("k", NEW, seen=1, ttl=None),
    "acquire": lambda b, lease: b.acquire("free", REGION, ttl=5.0, seen=None),
    "acquire, many": lambda b, lease: b.acquire_multi({"free": None}, REGION, ttl=5.0),
    "renew": lambda b, lease: b.renew(lease, ttl=50.0),
    "adopt": lambda b, lease: b.adopt("k", REGION, lease.token, ttl=5.0),
    "commit": lambda b, lease: b.commit(lease, NEW, REGION, ttl=None),
    "commit, many": lambda b, lease: b.commit_multi([(lease, NEW, None)], REGION),
    "release": lambda b, lease: b.release(lease),
    "back_off": lambda b, lease: b.back_off(lease, ttl=5.0, reason="x"),
    "leased": lambda b, lease: b.leased("k"),
    "clock": lambda b, lease: b.clock(REGION),
    "clock, its tick": lambda b, lease: b.tick(REGION),
    "advance": lambda b, lease: b.advance(REGION, hard=True),
    "purge": lambda b, lease: b.purge(),
    "diagnose": lambda b, lease: b.diagnose(lasting=True),
    "diagnose, its clock": lambda b, lease: b.server_time(),
}
CHANGING = {
    name for name in VERBS
    if not name.startswith(("read", "leased", "clock", "purge", "diagnose"))
}  # fmt: skip


def verb_of(name):
    """Give the verb that a way of calling goes by."""
    return name.partition(",")[0]


def state(memory):
    """Show all that a backend has: it is another after each change."""
    busy = {key: memory.leased(key) for key in ("k", "free")}
    adopted = {key: held.token for key, held in memory._leases.items()}
    return memory.read("k", REGION), busy, adopted, memory.clock(REGION)


def test_every_verb_can_be_troubled():
    """None is forgotten: neither in this test nor in the list that users see."""
    beside = {"subscribe", "hear"}  # which only some backends have
    assert {verb_of(name) for name in VERBS} | beside == set(ChaosBackend.verbs)
    # What dogpile.cache calls, and is_locked(), go by these.
    by_others = re.compile(r"_|get|set|delete|is_locked|place")
    own = {name for name in vars(Backend) if callable(getattr(Backend, name))}
    own = {name for name in own if not by_others.match(name)}
    answered = {name for kind in ChaosBackend.__mro__[:2] for name in vars(kind)}
    assert len(own) > 20
    assert own - answered == set()


@pytest.mark.parametrize("name", VERBS)
class TestEachVerb:
    def test_failing(self, memory, chaos, name):
        """It raises, and nothing was done."""
        lease = won(memory, seen=1)
        before = state(memory)
        chaos.trouble(failing=1.0)
        with pytest.raises(BackendError, match=f"{verb_of(name)} has failed"):
            VERBS[name](chaos, lease)
        assert state(memory) == before

    def test_unanswered(self, memory, chaos, name):
        """It raises, and was done."""
        lease = won(memory, seen=1)
        before = state(memory)
        chaos.trouble(unanswered=1.0)
        with pytest.raises(BackendError, match=f"answer to {verb_of(name)} was lost"):
            VERBS[name](chaos, lease)
        assert (state(memory) != before) is (name in CHANGING)

    def test_hanging(self, memory, chaos, clock, name):
        """It raises, later, and nothing was done."""
        lease = won(memory, seen=1, ttl=60.0)
        began, before = clock.steady(), memory.read("k", REGION)
        chaos.trouble(hanging=1.0)
        with pytest.raises(BackendError, match=f"{verb_of(name)} has timed out"):
            VERBS[name](chaos, lease)
        assert clock.steady() - began == pytest.approx(3.0)
        assert memory.read("k", REGION) == before

    def test_slow(self, memory, chaos, clock, name):
        """It is done, later."""
        lease = won(memory, seen=1)
        began, before = clock.steady(), state(memory)
        chaos.trouble(slow=1.0)
        VERBS[name](chaos, lease)
        assert clock.steady() - began == pytest.approx(2.0)
        if name in CHANGING:
            assert state(memory) != before

    def test_other_verbs_are_let_through(self, memory, chaos, name):
        """Only what is named is troubled, with all ways to call it."""
        lease = won(memory, seen=1)
        chaos.trouble(verbs={*chaos.verbs} - {verb_of(name)}, failing=1.0)
        VERBS[name](chaos, lease)
        chaos.trouble(verbs=[verb_of(name)], failing=1.0)
        with pytest.raises(BackendError):
            VERBS[name](chaos, lease)


REFUSED = {
    "compare_and_set": False,
    "acquire": Busy(5.0),
    "acquire, many": [Busy(5.0)],
    "renew": False,
    "adopt": None,
    "commit": None,
    "commit, many": [None],
    "release": False,
    "back_off": False,
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusing(memory, chaos, name):
    """It says no, and nothing was done."""
    lease = won(memory, seen=1)
    before = state(memory)
    chaos.trouble(refusing=1.0)
    assert VERBS[name](chaos, lease) == REFUSED[name]
    assert state(memory) == before


@pytest.mark.parametrize("name", ["write", "write, at a tick", "write, many"])
def test_refusing_to_write(memory, chaos, name):
    """It is too large, and what was there is gone, as from a real backend."""
    lease = won(memory, seen=1)
    chaos.trouble(refusing=1.0)
    with pytest.raises(ValueTooLarge):
        VERBS[name](chaos, lease)
    assert memory.read("k", REGION)[0] is None
    assert memory.leased("k") is None


@pytest.mark.parametrize("name", sorted(VERBS.keys() - REFUSED.keys()))
def test_what_cannot_be_refused(memory, chaos, name):
    """It is done."""
    if verb_of(name) != "write":
        lease = won(memory, seen=1)
        chaos.trouble(refusing=1.0)
        before = state(memory)
        VERBS[name](chaos, lease)
        assert (state(memory) != before) is (name in CHANGING)


def test_forgetting(memory, chaos):
    """What is read has just been evicted, for everyone."""
    reads = {
        name: VERBS[name] for name in VERBS if verb_of(name) == "read"
    }  # fmt: skip
    for read in reads.values():
        memory.write("k", NEW, ttl=None)
        chaos.trouble(forgetting=1.0)
        assert read(chaos, None)[0] in (None, [None])
        assert memory.read("k", REGION)[0] is None
        assert chaos.read_multi([], REGION)[0] == []
    memory.write("k", NEW, ttl=None)
    assert chaos.leased("k") is None
    assert memory.read("k", REGION)[0] == NEW


# -- chance --------------------------------------------------------------------


def drawn(chaos, count=400, verb="read"):
    """Show what befalls so many calls."""

    def call():
        began = chaos._time.steady()
        try:
            VERBS[verb](chaos, None)
        except BackendError as error:
            return str(error)
        return chaos._time.steady() - began

    return [call() for _ in range(count)]


def made(clock, **given):
    """Make one over an empty backend."""
    return ChaosBackend(
        MemoryBackend({"time_source": clock}), time_source=clock, **given
    )


def test_chance_is_repeatable(clock):
    """The same seed, the same calls, the same troubles; another seed, others."""
    chances = dict.fromkeys(FATES[:4], 0.2)
    one, same, other = (made(clock, seed=seed, **chances) for seed in (1, 1, 2))
    assert drawn(one) == drawn(same) != drawn(other)


def test_verbs_have_dice_of_their_own(clock):
    """What others call meanwhile changes nothing."""
    one, disturbed = (made(clock, seed=1, failing=0.5) for _ in range(2))
    for _ in range(7):
        drawn(disturbed, 1, "purge")
    assert drawn(one) == drawn(disturbed)


def test_troubles_are_as_frequent_as_was_said(clock):
    """Each by itself, and never two at a time."""
    found = drawn(made(clock, failing=0.1, unanswered=0.3, hanging=0.2, slow=0.4), 4000)
    counts = [
        found.count("ChaosBackend: read has failed"),
        found.count("ChaosBackend: the answer to read was lost"),
        found.count("ChaosBackend: read has timed out"),
        found.count(pytest.approx(0.05, abs=0.001)),
    ]
    assert sum(counts) == 4000
    for count, expected in zip(counts, (400, 1200, 800, 1600), strict=True):
        assert abs(count - expected) < 160  # five times the standard deviation


def test_it_is_told_at_any_time(clock):
    """Calm, nothing befalls it; then what is said, or what was said at first."""
    chaos = made(clock, failing=1.0, verbs=["read"])
    assert drawn(chaos, 2) == ["ChaosBackend: read has failed"] * 2
    assert drawn(chaos, 2, "purge") == [0.0, 0.0]
    chaos.calm()
    assert drawn(chaos, 2) == [0.0, 0.0]
    chaos.trouble(slow=1.0)
    assert drawn(chaos, 1) == [pytest.approx(0.05)]
    assert drawn(chaos, 1, "purge") == [0.0]
    chaos.trouble(verbs=["purge"])
    assert drawn(chaos, 1) == [0.0]
    assert drawn(chaos, 1, "purge") == ["ChaosBackend: purge has failed"]
    chaos.trouble()
    assert drawn(chaos, 1) == ["ChaosBackend: read has failed"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"fail": 0.1}, "no trouble of ChaosBackend 'fail'. Did you mean 'failing'"),
        ({"losing": 0.1}, "no trouble of ChaosBackend 'losing'"),
        ({"failing": 1.5}, "failing must be a chance from 0.0 to 1.0, got 1.5"),
        ({"slow": -0.1}, "slow must be a chance"),
        ({"slow": float("nan")}, "slow must be a chance"),
        ({"slow": True}, "slow must be a chance"),
        ({"slow": "0.1"}, "slow must be a chance"),
        ({"failing": 0.6, "slow": 0.6}, "above 1.0 together"),
        ({"verbs": ["commmit"]}, "no verb of ChaosBackend 'commmit'. Did you mean"),
        ({"hang": -1.0}, "hang must"),
        ({"delay": "soon"}, "delay must"),
        ({"time_source": 5}, "time_source must"),
    ],
)
def test_what_makes_no_sense(clock, wrong, named):
    """It says what was wanted, at first and later."""
    memory = MemoryBackend({"time_source": clock})
    with pytest.raises(ConfigurationError, match=named):
        ChaosBackend(memory, **wrong)
    if not {"hang", "delay", "time_source"} & set(wrong):
        with pytest.raises(ConfigurationError, match=named):
            ChaosBackend(memory).trouble(**wrong)


def test_chances_may_add_up_to_one(clock):
    """However their sum is rounded."""
    found = drawn(made(clock, **dict.fromkeys(FATES[:3], 0.1), slow=0.7))
    assert 0.0 not in found


def test_what_it_does_not_stand_before():
    """A backend of dogpile.cache's makes none of these promises."""
    for wrong in ("holdover.memory", None, make_region("r")):
        with pytest.raises(ConfigurationError, match="a backend of Holdover's"):
            ChaosBackend(wrong)


# -- it says of itself what the one behind it says -----------------------------


def test_it_is_like_the_one_behind_it(tmp_path):
    """Its capabilities, its bound, its place, and what dogpile.cache looks for."""
    behind = FileBackend({"path": tmp_path, "max_bytes": 1000})
    chaos = ChaosBackend(behind, failing=1.0)
    for name in ("capabilities", "max_bytes", "key_mangler", "serializer"):
        assert getattr(chaos, name) == getattr(behind, name)
    assert chaos.place() == behind.place()
    assert chaos.get_mutex("k") == behind.get_mutex("k")
    assert chaos


def test_what_lasts_has_the_same_troubles(clock):
    """And is calmed with it."""
    chaos = made(clock, failing=1.0)
    lasting = chaos.lasting()
    assert lasting.backend is chaos.backend.lasting()
    with pytest.raises(BackendError):
        lasting.clock(REGION)
    chaos.calm()
    assert lasting.clock(REGION)


def test_what_lasts_itself():
    """Nothing else stands for it; and nothing lasts before what has no such place."""
    chaos = ChaosBackend(NullBackend({}))
    assert chaos.lasting() is chaos
    assert ChaosBackend(KeyedBackend({"store": {}})).lasting() is None


def test_a_configured_region_takes_it(monkeypatch, heard):
    """What a test puts there goes with the test."""
    region = make_region("shop").configure("holdover.memory", 60)
    events = heard(region)
    region.set("k", "kept")
    with monkeypatch.context() as patch:
        chaos = ChaosBackend(region.backend, failing=1.0)
        patch.setattr(region, "backend", chaos)
        assert region.get_or_create("k", lambda: "made") == "made"
        assert {"BackendFailed"} <= {type(one).__name__ for one in events}
        chaos.calm()
    assert type(region.backend) is MemoryBackend
    assert region.get("k") == "kept"


def test_a_decorated_function_meets_it():
    """No hit goes past it, though they are at hand in memory."""
    chaos = ChaosBackend(MemoryBackend({}))
    region = make_region("shop").configure(chaos, 60)
    calls = []

    @region.cache_on_arguments()
    def price(article):
        calls.append(article)
        return len(calls)

    assert [price(17) for _ in range(5)] == [1] * 5
    chaos.trouble(forgetting=1.0)
    assert price(17) == 2


def test_pushes_are_troubled(redis_server, heard):
    """A near cache hears no more, says so, and goes on within its bound."""
    backend = RedisBackend({"url": redis_server.url})
    chaos = ChaosBackend(backend, verbs=["hear"], failing=1.0)
    chaos.calm()
    region = make_region("near").configure(
        chaos, 60, near_ttl=60, codec="json", lease={"ttl": 5.0}
    )
    events = heard(region)
    region.set("k", 1)
    assert region.get("k") == 1
    wait_until(lambda: region._tier._watch.hears)
    chaos.trouble()
    wait_until(lambda: any(isinstance(one, PushLost) for one in events))
    chaos.calm()
    wait_until(lambda: region._tier._watch.hears)
    assert region.get("k") == 1
    region._tier.close()


def test_what_hears_is_troubled(redis_server):
    """Whether it listens or asks if the server is still there; its end is quiet."""
    chaos = ChaosBackend(RedisBackend({"url": redis_server.url}))
    heard = chaos.subscribe(REGION, "")
    assert [*heard.changes(0.0), *heard.probe()] == []
    chaos.trouble(failing=1.0)
    for ask in (heard.probe, lambda: heard.changes(0.0)):
        with pytest.raises(BackendError, match="hear has failed"):
            ask()
    with pytest.raises(BackendError, match="subscribe has failed"):
        chaos.subscribe(REGION, "")
    heard.close()


def test_transactions_are_let_through(tmp_path):
    """What is part of the application's own transaction is its own affair."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path}/cache.db"
    region = make_region("shop").configure(url, 60)
    region.backend = ChaosBackend(region.backend)
    engine = sqlalchemy.create_engine(url)
    for invalidate in (lambda **kw: region.delete("k", **kw), region.invalidate):
        region.set("k", "old")
        region.backend.trouble(failing=1.0)
        with engine.begin() as connection:
            invalidate(connection=connection)
        region.backend.calm()
        assert region.get("k") is NO_VALUE
    engine.dispose()


def test_no_transactions_before_what_has_none(clock):
    """It says so, as without the wrapper."""
    region = make_region("shop").configure(made(clock), 60)
    with pytest.raises(ConfigurationError, match="connection= needs a backend"):
        region.delete("k", connection=object())


# -- what a region over it promises --------------------------------------------


def checked(region, clock=None, *, alone=False):
    """The two functions that `hammer` needs; who gets another key's value fails.

    Nobody is served here what is yet to be removed: where a region is *alone*, its
    invalidations count though they are pending.
    """
    dice = random.Random(1)

    def get(key, creator):
        if clock is not None:
            clock.advance(dice.random())  # values expire, breakers close, leases lapse
        answer = region.get_or_create(f"key{key}", lambda: (key, creator()))
        assert answer[0] == key
        return answer[1]

    def invalidate(key):
        ways = (
            lambda: region.delete(f"key{key}"),
            region.invalidate,
            lambda: region.delete_multi([f"key{one}" for one in range(KEYS)]),
        )
        return not dice.choice(ways)().pending or alone

    return get, invalidate


@contextlib.contextmanager
def nobody_else():
    """Have nothing done behind the callers' backs, so that a run can be repeated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Redelivery, "start", lambda self: None)
        yield


@st.composite
def chances(draw):
    """Any chances that are possible, more often the extreme ones."""
    wanted = draw(st.lists(st.sampled_from(FATES), unique=True, min_size=1))
    parts = [draw(st.floats(0.05, 1.0)) for _ in wanted]
    all_together = draw(st.sampled_from([0.1, 0.5, 1.0]))
    return {
        name: all_together * part / sum(parts)
        for name, part in zip(wanted, parts, strict=True)
    }


@settings(max_examples=60, deadline=None)
@given(
    chances(),
    st.one_of(st.none(), st.sets(st.sampled_from(ChaosBackend.verbs), min_size=1)),
    st.integers(0, 1000),
    st.sampled_from([None, "pickle"]),
    st.sampled_from([1, 2]),
)
def test_no_chances_break_a_promise(chances, verbs, seed, codec, count):
    """No exception comes out, no other key's value, and nothing that was invalidated.

    Of one region, and of two over one store, as in two processes.
    """
    clock = FakeClock()
    memory = MemoryBackend({"time_source": clock})
    findings = Findings()
    with tempfile.TemporaryDirectory() as folder, nobody_else():
        oracle = Oracle(f"{folder}/oracle", KEYS)
        pairs = []
        for number in range(count):
            backend = ChaosBackend(
                memory, seed=seed + number, verbs=verbs, time_source=clock, **chances
            )
            region = make_region("oracle", time_source=clock).configure(
                backend, 2.0, codec=codec, lease=LeaseTerms(ttl=1.0, wait=2.0)
            )
            pairs.append((checked(region, clock, alone=count == 1), backend))
        for turn in range(8):
            (get, invalidate), backend = pairs[turn % count]
            if turn >= 6:
                backend.calm()
            findings += hammer(
                oracle,
                get,
                invalidate,
                calls=20,
                seed=turn,
                invalidate_every=4,
                creator_pause=0.0,
            )
    assert findings.calls == 160
    assert findings.wrong == 0, findings


MIXED = {
    "a little of all": dict.fromkeys(FATES, 0.03),
    "answers are lost": {"unanswered": 0.3},
    "everything is evicted": {"forgetting": 0.5},
    "little is stored": {"refusing": 0.1},
    "it comes and goes": {"failing": 0.2, "hanging": 0.05},
}


@pytest.mark.parametrize("chances", MIXED.values(), ids=MIXED)
def test_no_chances_break_a_promise_to_threads(tmp_path, chances):
    """Nor where four race, each with a region of its own over the same files."""
    oracle = Oracle(str(tmp_path / "oracle"), KEYS)
    found, problems = [], []

    def run(number):
        backend = ChaosBackend(
            FileBackend({"path": tmp_path / "cache", "lock_timeout": PATIENCE}),
            seed=number,
            hang=0.002,
            delay=0.002,
            **chances,
        )
        region = make_region("oracle").configure(
            backend, 0.02, lease=LeaseTerms(ttl=0.1, wait=0.2)
        )
        get, invalidate = checked(region)
        try:
            found.append(
                hammer(
                    oracle, get, invalidate, calls=400, seed=number, invalidate_every=10
                )
            )
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    findings = sum(found, start=Findings())
    assert findings.calls == 1600
    assert findings.creations > 20
    assert findings.wrong == 0, findings


def test_the_promise_is_not_kept_by_chance(tmp_path, clock):
    """The same run over a backend that lies finds what is old: this one cannot lie."""

    class Lying(MemoryBackend):
        def remove(self, key):
            return True

        def remove_multi(self, keys):
            return True

        def advance(self, region, *, hard, reaches=()):
            return replace(self.clock(region))

    region = make_region("oracle", time_source=clock).configure(
        ChaosBackend(Lying({"time_source": clock})), 60.0
    )
    oracle = Oracle(str(tmp_path / "oracle"), KEYS)
    get, invalidate = checked(region)
    assert hammer(oracle, get, invalidate, calls=200, seed=1, invalidate_every=4).wrong


def test_writes_under_chaos(clock):
    """What a region says of a write is so: nothing older is read after it."""
    chaos = made(clock, seed=5, **dict.fromkeys(FATES, 0.1))
    region = make_region("shop", time_source=clock).configure(chaos, 60.0)
    outcomes = set()
    with nobody_else():
        for number in range(300):
            clock.advance(1.0)
            told, read = region.set("k", number), region.get("k")
            assert read in (number, NO_VALUE), (number, told, read)
            outcomes.add((told.pending, read is NO_VALUE))
        assert outcomes == {(False, False), (False, True), (True, True)}
        chaos.calm()
        clock.advance(60.0)  # longer than any breaker waits
        assert not region.set("k", "end").pending
        assert region.get("k") == "end"
