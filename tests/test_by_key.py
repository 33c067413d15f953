"""Values that are asked for by key are at hand, and never what should not be served."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from holdover import NO_VALUE, Lifetime, make_region
from holdover.errors import InvalidArgument
from holdover.regions import by_key
from holdover.testing import FakeClock

SECONDS = 60
STORES = ["memory", "copies", "near", "file", "redis"]


@pytest.fixture
def clock():
    """The clock of the region."""
    return FakeClock()


@pytest.fixture(params=STORES)
def region(request, clock, tmp_path):
    """A region whose values are at hand, or familiar."""
    made = make_region("shop", time_source=clock)
    return configured(made, request.param, tmp_path, request)


def configured(region, store, folder, request):
    """Give the region one kind of store."""
    where = {"path": folder / "cache"}
    if store == "memory":
        return region.configure("holdover.memory", SECONDS)
    if store == "copies":
        return region.configure("holdover.memory", SECONDS, codec="pickle")
    if store == "near":
        return region.configure("holdover.file", SECONDS, where, near_ttl=30)
    if store == "file":
        return region.configure("holdover.file", SECONDS, where)
    arguments = {"url": request.getfixturevalue("redis_server").url}
    return region.configure("holdover.redis", SECONDS, arguments, unsigned_pickle=True)


@pytest.fixture
def judged(region, monkeypatch):
    """The keys that the region's entries were looked through for."""
    keys = []
    for name in ("find", "judge"):
        real = getattr(type(region._tier), name)

        def noted(*args, _real=real, _at=0 if name == "find" else 1, **kwargs):
            keys.append(args[_at + 1])
            return _real(*args, **kwargs)

        monkeypatch.setattr(
            region._tier,
            name,
            lambda *args, _noted=noted, **kw: _noted(region._tier, *args, **kw),
        )
    return keys


def refuse():
    """Stand for a creator that is not needed."""
    raise AssertionError("there is a value")


ASK = {
    "get": lambda region: region.get("tea"),
    "get_or_create": lambda region: region.get_or_create("tea", refuse),
    "own lifetime": lambda region: region.get_or_create(
        "tea", refuse, lifetime=Lifetime(expiration_time=SECONDS)
    ),
}


@pytest.fixture(params=ASK)
def ask(request, region):
    """One way to ask for the value, by which it is at hand."""
    lifetime = (
        Lifetime(expiration_time=SECONDS) if request.param == "own lifetime" else None
    )
    region.set("tea", ["green"], lifetime=lifetime)
    call = ASK[request.param]
    for _ in range(4):
        assert call(region) == ["green"]
    return lambda: call(region)


class TestHits:
    def test_are_answered_at_once(self, region, ask, judged):
        """And counted as all others."""
        before = region.figures().hits
        for _ in range(5):
            assert ask() == ["green"]
        assert judged == []
        assert region.figures().hits == before + 5

    def test_are_told_of(self, region, ask):
        """Whoever listens hears each."""
        heard = []
        end = region.listen(heard.append)
        for _ in range(3):
            ask()
        assert len(heard) == 3
        end()

    @pytest.mark.parametrize(
        "wanted", [{"record_hot": 5}, {"orders": {"unless_idle_for": 60}}]
    )
    def test_are_noted(self, clock, wanted):
        """Where somebody wants to know of each."""
        region = make_region("shop", time_source=clock)
        region.configure("holdover.memory", SECONDS, **wanted)
        region.set("tea", "green")
        noted, note = [], region._note
        region._note = lambda call: (noted.append(call.key), note(call))
        for _ in range(5):
            region.get_or_create("tea", refuse)
        assert len(noted) == 5

    def test_of_many(self, region, ask, judged):
        """In the order of the keys, with what is missing."""
        region.set("coffee", "black")
        for _ in range(4):
            found = region.get_multi(["coffee", "tea", "milk", "tea"])
            assert found == ["black", ["green"], NO_VALUE, ["green"]]

    @pytest.mark.parametrize("key", [None, 7, b"tea", ["tea"], ("tea",)])
    def test_are_of_texts_alone(self, region, ask, key):
        """Whatever else is refused, as it is of keys that were never there."""
        with pytest.raises(InvalidArgument, match="a key must be a str"):
            region.get(key)
        with pytest.raises(InvalidArgument, match="a key must be a str"):
            region.get_or_create(key, refuse)

    def test_do_not_hide_mistakes(self, region, ask):
        """What is no creator is refused though there is a value."""
        with pytest.raises(InvalidArgument, match="creator must be callable"):
            region.get_or_create("tea", "green")

    def test_of_a_key_that_is_mangled(self, region, ask):
        """The mangler may depend on who asks."""
        tenant = "one"
        region.key_mangler = lambda key: f"{tenant} {key}"
        for _ in range(4):
            assert region.get("tea") is NO_VALUE
            assert region.get_or_create("milk", lambda: tenant) == "one"
        tenant = "two"
        assert region.get_or_create("milk", lambda: tenant) == "two"


class TestChanges:
    @pytest.mark.parametrize(
        "end",
        [
            lambda region: region.delete("tea"),
            lambda region: region.delete_multi(["tea"]),
            lambda region: region.invalidate(),
            lambda region: region.invalidate(hard=False),
            lambda region: region.invalidate(prefix="te"),
            lambda region: region.expire("tea"),
        ],
    )
    def test_end_it(self, region, ask, end):
        """At once."""
        end(region)
        assert region.get("tea") is NO_VALUE
        assert region.get_multi(["tea"]) == [NO_VALUE]

    @pytest.mark.parametrize(
        "change",
        [
            lambda region: region.set("tea", "black"),
            lambda region: region.set(
                "tea", "black", lifetime=Lifetime(expiration_time=5)
            ),
            lambda region: region.set_multi({"tea": "black"}),
            lambda region: region.change("tea", lambda _: "black"),
            lambda region: (region.delete("tea"), region.add("tea", "black")),
        ],
    )
    def test_replace_it(self, region, ask, change):
        """At once, and for all who ask."""
        change(region)
        for call in ASK.values():
            assert [call(region) for _ in range(4)] == ["black"] * 4

    def test_of_the_backend(self, region, ask):
        """What the last one held is not served."""
        region.configure("holdover.memory", SECONDS, replace_existing_backend=True)
        assert region.get("tea") is NO_VALUE

    def test_of_the_lifetime(self, region, clock):
        """A shorter one counts for what is there."""
        region.set("tea", "green")
        for _ in range(4):
            assert region.get("tea") == "green"
        clock.advance(2)
        region.expiration_time = 1
        assert region.get("tea") is NO_VALUE

    def test_of_time(self, region, ask, clock):
        """To the second."""
        clock.advance(SECONDS - 0.5)
        assert ask() == ["green"]
        clock.advance(0.5)
        assert region.get("tea") is NO_VALUE
        assert region.get("tea", ignore_expiration=True) == ["green"]


class TestLifetimes:
    def test_of_the_call_count_for_entries_without_one(self, region, clock):
        """Though others have the value at hand."""
        region.set("tea", "green")
        clock.advance(10)
        for _ in range(4):
            assert region.get("tea") == "green"
            assert region.get_or_create("tea", refuse) == "green"
            assert region.get("tea", expiration_time=5) is NO_VALUE
        made = region.get_or_create(
            "tea", lambda: "new", lifetime=Lifetime(expiration_time=5)
        )
        assert made == "new"

    def test_of_one_call_do_not_count_for_another(self, region, clock):
        """The entry has none of its own, by which both could be judged."""
        region.set("tea", "green")
        for _ in range(5):
            long = Lifetime(expiration_time=50)
            assert region.get_or_create("tea", refuse, lifetime=long) == "green"
        clock.advance(10)
        short = Lifetime(expiration_time=5)
        got = region.get_or_create("tea", lambda: "new", lifetime=short)
        assert got == "new"

    def test_of_the_entry_count_before_the_region_s(self, region, clock):
        """Whoever asks."""
        region.set(
            "tea",
            "green",
            lifetime=Lifetime(expiration_time=5, stale_while_revalidate=0),
        )
        for _ in range(4):
            for call in ASK.values():
                assert call(region) == "green"
        clock.advance(5)
        numbers = itertools.count()
        assert region.get("tea") is NO_VALUE
        assert region.get_or_create("tea", lambda: next(numbers)) == 0

    def test_with_a_lot_are_asked_each_time(self, region, judged):
        """A refresh that may come early, and jitter."""
        for odd in ({"early_refresh": 1.0}, {"jitter": 0.5}):
            lifetime = Lifetime(expiration_time=SECONDS, **odd)
            region.set("tea", "green", lifetime=lifetime)
            for _ in range(4):
                region.get_or_create("tea", refuse, lifetime=lifetime)
            judged.clear()
            region.get_or_create("tea", refuse, lifetime=lifetime)
            assert len(judged) == 1


class TestBounds:
    @pytest.mark.parametrize("region", ["memory", "file"], indirect=True)
    def test_what_is_asked_for_once(self, region):
        """Is not worth remembering, however much that is."""
        for number in range(by_key._MOST_ASKED + 5):
            region.set(f"key{number}", number)
            assert region.get(f"key{number}") == number
        known = region._by_key
        assert not known._seen.slots
        assert not known._seen.familiar
        assert len(known._asked) <= by_key._MOST_ASKED

    def test_long_keys(self, region):
        """They are not kept alive."""
        key = "x" * 1000
        region.set(key, 1)
        for _ in range(5):
            assert region.get(key) == 1
        assert not region._by_key._asked


class Model(RuleBasedStateMachine):
    """A region's answers are those of a dictionary with times, whatever came before."""

    KEYS = st.sampled_from(["a", "b", "c"])
    SPANS = st.sampled_from([None, 5, 50])

    @initialize(store=st.sampled_from(["memory", "copies"]))
    def begin(self, store):
        """Have an empty region, which serves nothing that is stale."""
        self.clock = FakeClock()
        self.region = make_region("model", time_source=self.clock)
        codec = {} if store == "memory" else {"codec": "pickle"}
        rules = {"stale_while_revalidate": 0, "stale_if_error": 0, **codec}
        self.region.configure("holdover.memory", SECONDS, **rules)
        self.held = {}
        self.numbers = itertools.count()

    def fresh(self, key, span=None):
        """Give what must be served, by its own span or else by this one."""
        value, created_at, own = self.held.get(key, (NO_VALUE, 0, 0))
        lives_for = own or span or SECONDS
        return value if self.clock.wall() < created_at + lives_for else NO_VALUE

    def keep(self, key, value, span):
        """Note what was stored."""
        self.held[key] = value, self.clock.wall(), span

    @rule(key=KEYS, span=SPANS)
    def set(self, key, span):
        """Store by key."""
        value = next(self.numbers)
        self.region.set(key, value, lifetime=own_lifetime(span))
        self.keep(key, value, span)

    @rule(key=KEYS, times=st.integers(1, 4), span=SPANS)
    def create(self, key, times, span):
        """Get or create, some times."""
        for _ in range(times):
            made = next(self.numbers)
            expected = self.fresh(key, span)
            got = self.region.get_or_create(
                key, lambda made=made: made, lifetime=own_lifetime(span)
            )
            if expected is NO_VALUE:
                expected = made
                self.keep(key, made, span)
            assert got == expected

    @rule(key=KEYS)
    def delete(self, key):
        """Remove by key."""
        self.region.delete(key)
        self.held.pop(key, None)

    @rule(hard=st.booleans())
    def invalidate(self, hard):
        """Invalidate everything."""
        self.region.invalidate(hard)
        self.held.clear()

    @rule(seconds=st.sampled_from([1, 4.5, 30]))
    def wait(self, seconds):
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(times=st.integers(1, 4))
    def ask(self, times):
        """Ask for each, and for all."""
        for _ in range(times):
            expected = [self.fresh(key) for key in "abc"]
            assert [self.region.get(key) for key in "abc"] == expected
            assert self.region.get_multi("abc") == expected


def own_lifetime(span):
    """Give a lifetime; None of None."""
    if span is None:
        return None
    return Lifetime(expiration_time=span, stale_while_revalidate=0, stale_if_error=0)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
