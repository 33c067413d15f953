"""What a region may be told: when values expire, who waits, who is spared."""

import contextlib
import itertools
import threading

import pytest
from standins import broken
from waiting import wait_until

from holdover import NO_VALUE, Cached, LeaseTerms, Lifetime, events, make_region
from holdover.errors import (
    BackendError,
    ConfigurationError,
    CreatorBackoff,
    CreatorFailure,
    CreatorTimeout,
    HoldoverError,
    InvalidArgument,
    InvalidLifetime,
    LazyValue,
    RecursiveCreation,
)
from holdover.regions.backends.grants import LeaseKind
from holdover.regions.freshness import Freshness

LONG = LeaseTerms(ttl=60.0)  # outlasts creators that let the time of the test pass


class Gate:
    """A creator that waits until the test lets it go."""

    def __init__(self):
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.calls = 0

    def __call__(self):
        self.calls += 1
        self.entered.set()
        assert self.opened.wait(30)
        return f"made {self.calls}"


def failing():
    """Fail, as origins do."""
    raise ValueError("no such article")


# -- jitter --------------------------------------------------------------------


def test_jitter_spreads_the_expiry(new_region, clock, counter):
    """What was created together expires one after the other, and never late."""
    region = new_region(100.0, jitter=0.5)
    keys = [f"k{n}" for n in range(40)]
    for key in keys:
        region.get_or_create(key, counter)
    fresh = []
    for _ in range(5):
        clock.advance(20 if not fresh else 15)
        fresh.append(sum(region.get(key) is not NO_VALUE for key in keys))
    assert fresh[0] == 40
    assert 40 > fresh[2] > fresh[3] > 0 or 40 > fresh[3] > 0
    clock.advance(30)
    assert all(region.get(key) is NO_VALUE for key in keys)


def test_jitter_is_the_same_for_all_readers(new_region, clock):
    """An entry that has expired for one has expired for the other."""
    region = new_region(100.0, jitter=0.9)
    region.set("k", 1)
    for _ in range(50):
        clock.advance(2)
        seen = {region.get("k") for _ in range(20)}
        assert len(seen) == 1


@pytest.mark.parametrize("wrong", [-0.1, 1.0, 2, True, "0.1", None, float("nan")])
def test_wrong_jitter(wrong):
    """It is a part of the span, from 0 to below 1."""
    with pytest.raises(InvalidLifetime, match="jitter"):
        Lifetime(jitter=wrong)


# -- early refresh -------------------------------------------------------------


def slow_counter(clock, cost):
    """Count, taking *cost* seconds each time."""
    numbers = iter(range(1, 10_000))

    def create():
        clock.advance(cost)
        return next(numbers)

    return create


def test_an_early_refresh_comes_before_the_expiry(new_region, clock, heard):
    """A dear value that is about to expire is made anew, though it is still fresh."""
    region = new_region(100.0, early_refresh=1.0, lease=LONG)
    told = heard(region)
    create = slow_counter(clock, 5.0)
    assert region.get_or_create("k", create) == 1
    for _ in range(400):
        region.get_or_create("k", create)
        clock.advance(1.0)
    assert not [e for e in told if isinstance(e, events.StaleServed)]
    made = sum(isinstance(event, events.Created) for event in told)
    assert 4 <= made <= 20


def test_without_early_refresh_a_value_lives_its_time(new_region, clock):
    """Nothing is made anew before it expires, unless asked for."""
    region = new_region(100.0, lease=LONG)
    create = slow_counter(clock, 5.0)
    for _ in range(99):
        assert region.get_or_create("k", create) == 1
        clock.advance(1.0)


def test_an_early_refresh_is_ordered_from_the_runner(new_region, clock):
    """With a runner nobody waits for it."""
    region = new_region(100.0, early_refresh=1e9, runner="thread", lease=LONG)
    gate = Gate()
    region.get_or_create("k", slow_counter(clock, 5.0))
    assert region.get_or_create("k", gate) == 1
    assert gate.entered.wait(20)
    gate.opened.set()
    wait_until(lambda: region.get("k") == "made 1")


def test_a_failing_early_refresh_is_nobodys_trouble(new_region, clock):
    """The value is still fresh."""
    region = new_region(100.0, early_refresh=1e9, lease=LONG)
    region.get_or_create("k", slow_counter(clock, 5.0))
    assert region.get_or_create("k", failing) == 1


@pytest.mark.parametrize("wrong", [-1, True, "1", None, float("inf"), float("nan")])
def test_wrong_early_refresh(wrong):
    """It is a number, 0 or more."""
    with pytest.raises(InvalidLifetime, match="early_refresh"):
        Lifetime(early_refresh=wrong)


# -- time limits ---------------------------------------------------------------


def test_a_soft_limit_serves_the_old_value(new_region, clock, heard):
    """The caller leaves a slow creator, whose value is stored when it is done."""
    region = new_region(10.0, soft_creator_timeout=0.05)
    told = heard(region)
    region.set("k", "old")
    clock.advance(11)
    gate = Gate()
    assert region.get_or_create("k", gate) == "old"
    assert any(isinstance(event, events.CreatorSlow) for event in told)
    assert region.get_or_create("k", failing) == "old"  # the lease is still held
    gate.opened.set()
    wait_until(lambda: region.get("k") == "made 1")
    assert gate.calls == 1


def test_a_hard_limit_raises_if_there_is_nothing(new_region):
    """A caller without a value gets a typed error; the creator goes on."""
    region = new_region(10.0, creator_timeout=0.05)
    gate = Gate()
    with pytest.raises(CreatorTimeout, match=r"k'.* longer than 0.05 s"):
        region.get_or_create("k", gate)
    gate.opened.set()
    wait_until(lambda: region.get("k") == "made 1")


def test_the_soft_limit_is_not_for_those_without_a_value(new_region):
    """They wait for the hard one, or to the end."""
    region = new_region(10.0, soft_creator_timeout=0.001)
    done = threading.Event()
    assert region.get_or_create("k", lambda: done.wait(0.05) or "made") == "made"


def test_an_error_within_the_limit_is_the_creators(new_region):
    """It is raised unchanged, with the creator's own frames."""
    region = new_region(10.0, creator_timeout=5)
    with pytest.raises(ValueError, match="no such article") as caught:
        region.get_or_create("k", failing)
    assert "failing" in [entry.name for entry in caught.traceback]


def test_an_error_after_the_limit_is_told(new_region, clock, heard):
    """Nobody waits for it any more, so that it becomes an event."""
    region = new_region(10.0, soft_creator_timeout=0.02)
    told = heard(region)
    region.set("k", "old")
    clock.advance(11)
    go = threading.Event()

    def late():
        assert go.wait(30)
        failing()

    assert region.get_or_create("k", late) == "old"
    go.set()
    [error] = wait_until(
        lambda: [e for e in told if isinstance(e, events.CreatorFailed)]
    )
    assert error.key.endswith("k")


def test_recursion_is_noticed_under_a_limit(new_region):
    """Though the creator runs in another thread."""
    region = new_region(10.0, creator_timeout=20)
    with pytest.raises(RecursiveCreation):
        region.get_or_create("k", lambda: region.get_or_create("k", lambda: 1))


def test_a_creator_under_a_limit_sees_the_callers_context(new_region):
    """Context variables go with it."""
    import contextvars

    tenant = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("acme")
    region = new_region(10.0, creator_timeout=20)
    assert region.get_or_create("k", tenant.get) == "acme"


def test_an_exit_in_a_creator_under_a_limit_is_the_callers(new_region):
    """As it is without one."""
    region = new_region(10.0, creator_timeout=20)

    def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        region.get_or_create("k", leave)
    assert not region.key_is_locked("k")


@pytest.mark.parametrize("name", ["creator_timeout", "soft_creator_timeout"])
@pytest.mark.parametrize("wrong", [0, -1, True, "1", float("inf"), 1e30])
def test_wrong_limits(name, wrong):
    """They are seconds above 0, and no more than anybody can wait."""
    with pytest.raises(InvalidLifetime, match=name):
        make_region("r").configure("holdover.memory", 1, **{name: wrong})


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "1", None, 10_001, 10**400])
def test_wrong_counts_of_unleased_creators(wrong):
    """They are whole numbers above 0, and no more than fit into memory."""
    with pytest.raises(ConfigurationError, match="most_unleased_creators must be an"):
        make_region("r").configure("holdover.memory", 1, most_unleased_creators=wrong)


def test_a_soft_limit_above_the_hard_one():
    """It would never count."""
    with pytest.raises(InvalidLifetime, match="soft_creator_timeout"):
        make_region("r").configure(
            "holdover.memory", 1, creator_timeout=1, soft_creator_timeout=2
        )


# -- back-off ------------------------------------------------------------------


def test_a_failing_creator_is_left_alone(new_region, clock):
    """While there is an old value, it is asked again only after the back-off."""
    region = new_region(10.0, backoff=5.0)
    region.set("k", "old")
    clock.advance(11)
    calls = []

    def create():
        calls.append(clock.wall())
        failing()

    for _ in range(20):
        assert region.get_or_create("k", create) == "old"
        clock.advance(1.0)
    assert 3 <= len(calls) <= 4
    assert all(b - a >= 5.0 for a, b in itertools.pairwise(calls))


def test_the_back_off_is_shared(new_region, clock, arguments, backend_name):
    """Another process of the fleet leaves it alone, too."""
    ours = new_region(10.0, backoff=5.0)
    theirs = make_region("region", time_source=clock)
    theirs.configure(ours.backend, 10.0, unsigned_pickle=True)
    ours.set("k", "old")
    clock.advance(11)
    assert ours.get_or_create("k", failing) == "old"
    assert theirs.get_or_create("k", lambda: "new") == "old"
    clock.advance(5.1)
    assert theirs.get_or_create("k", lambda: "new") == "new"


def test_a_fallback_is_served_while_backing_off(new_region, clock):
    """Beyond stale_while_revalidate, nobody waits for a creator that has failed."""
    region = new_region(
        10.0, backoff=5.0, stale_while_revalidate=0, stale_if_error=1000
    )
    region.set("k", "old")
    clock.advance(11)
    assert region.get_or_create("k", failing) == "old"
    assert region.get_or_create("k", lambda: "new") == "old"
    clock.advance(5.1)
    assert region.get_or_create("k", lambda: "new") == "new"


def test_without_a_value_each_call_tries(new_region):
    """There is nothing else to be had."""
    region = new_region(10.0, backoff=5.0)
    with pytest.raises(ValueError, match="no such"):
        region.get_or_create("k", failing)
    assert region.get_or_create("k", lambda: "new") == "new"


def test_backing_off_when_gone(new_region, clock):
    """If asked for, callers without a value are told why, and until when."""
    region = new_region(10.0, backoff=5.0, backoff_when_gone=True)
    with pytest.raises(ValueError, match="no such"):
        region.get_or_create("k", failing)
    clock.advance(1.0)
    with pytest.raises(CreatorBackoff, match="no such article") as caught:
        region.get_or_create("k", lambda: "new")
    assert caught.value.retry_in == pytest.approx(4.0, abs=0.5)
    assert isinstance(caught.value.__cause__, CreatorFailure)
    clock.advance(4.1)
    assert region.get_or_create("k", lambda: "new") == "new"


def test_a_refresh_by_hand_overcomes_the_back_off(new_region, clock):
    """Who asks for a new value gets to try."""
    region = new_region(10.0, backoff=5.0)

    @region.cache_on_arguments()
    def price(article):
        return failing() if article in unlucky else "new"

    unlucky = {1}
    price.set("old", 1)
    clock.advance(11)
    assert price(1) == "old"
    unlucky.clear()
    assert price(1) == "old"
    assert price.refresh(1) == "new"


def test_no_back_off(new_region, clock):
    """With 0 each call in the stale window tries."""
    region = new_region(10.0, backoff=0)
    region.set("k", "old")
    clock.advance(11)
    assert region.get_or_create("k", failing) == "old"
    assert region.get_or_create("k", lambda: "new") == "new"


def test_a_runner_backs_off(new_region, clock, heard):
    """Failing refreshes are ordered once per back-off, not once per call."""
    region = new_region(10.0, backoff=5.0, runner="thread")
    told = heard(region)
    region.set("k", "old")
    clock.advance(11)

    def failures():
        return sum(isinstance(event, events.CreatorFailed) for event in told)

    assert region.get_or_create("k", failing) == "old"
    wait_until(lambda: failures() == 1)
    wait_until(lambda: region.inspect("k").lease is LeaseKind.BACKING_OFF)
    for _ in range(20):
        assert region.get_or_create("k", failing) == "old"
    clock.advance(5.1)
    assert region.get_or_create("k", lambda: "new") == "old"
    wait_until(lambda: region.get("k") == "new")
    assert failures() == 1


# -- Cached --------------------------------------------------------------------


def test_a_creator_chooses_the_lifetime(new_region, clock):
    """The entry's own expiry holds for everybody."""
    region = new_region(10.0)
    value = region.get_or_create("k", lambda: Cached("v", expiration_time=100))
    assert value == "v"
    clock.advance(50)
    assert region.get("k") == "v"
    clock.advance(51)
    assert region.get("k") is NO_VALUE


def test_spans_that_are_not_given_are_the_regions(new_region, clock, counter):
    """One may be changed without saying all."""
    region = new_region(10.0, stale_while_revalidate=0)
    region.get_or_create("k", lambda: Cached(counter(), expiration_time=1))
    clock.advance(2)
    assert region.get_or_create("k", counter) == 2


def test_a_creator_chooses_not_to_store(new_region, counter):
    """Its caller gets the value, and nobody else."""
    region = new_region(10.0)
    for expected in (1, 2):
        made = region.get_or_create("k", lambda: Cached(counter(), store=False))
        assert made == expected
    assert not region.key_is_locked("k")


def test_a_creator_chooses_tags(new_region):
    """They reach the entry as if the caller had given them."""
    region = new_region(10.0)
    region.get_or_create("k", lambda: Cached("v", tags=["a"]), tags=["b"])
    assert set(region.inspect("k").tags) == {"a", "b"}
    region.invalidate(tags=["a"])
    assert region.get("k") is NO_VALUE


def test_set_takes_cached(new_region, clock):
    """As a creator's value would be."""
    region = new_region(10.0)
    region.set("k", Cached("v", expiration_time=100, tags=["a"]))
    region.set_multi({"m": Cached("w", expiration_time=100), "n": "x"})
    clock.advance(50)
    assert region.get_multi(["k", "m", "n"]) == ["v", "w", NO_VALUE]
    assert region.inspect("k").tags == ("a",)


def test_set_multi_takes_a_lifetime(new_region, clock):
    """It judges each entry in place of the region's; a `Cached`'s own wins."""
    region = new_region(10.0)
    values = {"m": Cached("w", expiration_time=100), "n": "x"}
    region.set_multi(values, lifetime=Lifetime(expiration_time=40))
    clock.advance(30)
    assert region.get_multi(["m", "n"]) == ["w", "x"]
    clock.advance(20)
    assert region.get_multi(["m", "n"]) == ["w", NO_VALUE]


def test_should_cache_fn_gets_the_value(new_region):
    """It need not know of Cached."""
    region = new_region(10.0)
    seen = []
    region.get_or_create("k", lambda: Cached("v"), should_cache_fn=seen.append)
    assert seen == ["v"]
    assert region.get("k") is NO_VALUE


def test_a_lazy_value_is_refused_within_cached(new_region):
    """It could be read only once, however it is wrapped."""
    region = new_region(10.0)
    with pytest.raises(LazyValue):
        region.get_or_create("k", lambda: Cached(iter([])))


@pytest.mark.parametrize(
    "wrong",
    [
        {"expiration_time": -1},
        {"expiration_time": float("nan")},
        {"stale_if_error": "1"},
        {"tags": "one"},
        {"tags": [""]},
        {"tags": [1]},
        {"tags": None},
    ],
)
def test_wrong_cached(wrong):
    """It is told where it is written."""
    with pytest.raises((InvalidLifetime, InvalidArgument)):
        Cached("v", **wrong)


def test_cached_on_dogpiles_backends(counter):
    """What they cannot keep is refused; what they can is kept."""
    region = make_region("r").configure("dogpile.cache.memory", 10)
    assert region.get_or_create("k", lambda: Cached(counter(), store=False)) == 1
    assert region.get_or_create("k", lambda: Cached(counter())) == 2
    assert region.get_or_create("k", counter) == 2
    with pytest.raises(ConfigurationError, match="backend of Holdover"):
        region.get_or_create("other", lambda: Cached(1, tags=["a"]))
    with pytest.raises(ConfigurationError, match="backend of Holdover"):
        region.set("other", Cached(1, expiration_time=5))


# -- tags and prefixes ---------------------------------------------------------


@pytest.fixture
def tagged(new_region):
    """A region with entries under tags and prefixes."""
    region = new_region(10.0)
    region.set("shop:1", 1, tags=["new", "sale"])
    region.set("shop:2", 2, tags=["new"])
    region.get_or_create("home", lambda: 3, tags=["sale"])
    return region


def present(region):
    """Give the keys that have a fresh value."""
    keys = ["shop:1", "shop:2", "home"]
    values = region.get_multi(keys)
    return [k for k, v in zip(keys, values, strict=True) if v is not NO_VALUE]


def test_invalidation_by_tag(tagged):
    """It reaches what carries one of the tags, and what is made later stays."""
    tagged.invalidate(tags=["sale"])
    assert present(tagged) == ["shop:2"]
    tagged.set("home", 4, tags=["sale"])
    assert present(tagged) == ["shop:2", "home"]


def test_invalidation_by_several_tags(tagged):
    """Any of them is enough."""
    tagged.invalidate(tags=["sale", "new"])
    assert present(tagged) == []


def test_invalidation_by_prefix(tagged):
    """It reaches the keys that begin with it."""
    tagged.invalidate(prefix="shop:")
    assert present(tagged) == ["home"]


def test_a_soft_invalidation_by_tag(tagged):
    """Old values are served while they are made anew."""
    tagged.invalidate(hard=False, tags=["new"])
    assert present(tagged) == ["home"]
    assert tagged.get("shop:1", ignore_expiration=True) == 1
    assert tagged.get_or_create("shop:1", lambda: 10) == 10


def test_a_prefix_is_of_its_region(new_region, clock):
    """It reaches no other region's keys, even in the same backend."""
    ours = new_region(10.0)
    theirs = make_region("other", time_source=clock)
    theirs.configure(ours.backend, 10.0, unsigned_pickle=True)
    for region in (ours, theirs):
        region.set("shop:1", 1)
    ours.invalidate(prefix="shop:")
    assert theirs.get("shop:1") == 1


def test_a_tag_invalidated_while_the_creator_runs(new_region):
    """What began before is not served after, though the tag was not known yet."""
    region = new_region(10.0)

    def create():
        region.invalidate(tags=["sale"])
        return Cached("old", tags=["sale"])

    assert region.get_or_create("k", create) == "old"
    assert region.get("k") is NO_VALUE


@pytest.mark.parametrize("wrong", [{"tags": "sale"}, {"tags": [1]}, {"prefix": ""},
                                   {"prefix": 5}])  # fmt: skip
def test_wrong_reaches(tagged, wrong):
    """Nothing is invalidated by mistake."""
    with pytest.raises(InvalidArgument):
        tagged.invalidate(**wrong)
    assert present(tagged) == ["shop:1", "shop:2", "home"]


def test_a_tag_that_could_not_be_invalidated(tagged, monkeypatch, clock):
    """It is pending: this process trusts nothing that it may reach."""
    advance = tagged.backend.advance
    monkeypatch.setattr(tagged.backend, "advance", broken)
    assert tagged.invalidate(tags=["sale"]).pending
    assert present(tagged) == []
    assert tagged.inspect("home").pending
    monkeypatch.setattr(tagged.backend, "advance", advance)
    clock.advance(60)
    tagged.expiration_time = 1000
    assert present(tagged) == ["shop:2"]
    monkeypatch.setattr(tagged.backend, "advance", broken)
    with pytest.raises(BackendError):
        tagged.invalidate(tags=["sale"], strict=True)


# -- one key that expires ------------------------------------------------------


def test_expire_keeps_the_old_value(new_region, counter):
    """It is served as an old one, and made anew by the next caller."""
    region = new_region(None)
    region.get_or_create("k", counter)
    assert region.expire("k").existed
    assert region.get("k") is NO_VALUE
    assert region.get("k", ignore_expiration=True) == 1
    assert region.inspect("k").freshness is Freshness.STALE
    assert region.get_or_create("k", counter) == 2
    assert region.get("k") == 2


def test_expire_of_nothing(new_region):
    """There is nothing to expire."""
    assert not new_region(10.0).expire("k").existed


def test_what_began_before_an_expiry_is_not_stored(new_region):
    """Its value may be from before whatever made the caller expire it."""
    region = new_region(10.0)
    region.set("k", "old")
    with region.lease("k") as lease:
        region.expire("k")
        assert not lease.commit("from before")
    assert region.get("k", ignore_expiration=True) == "old"


def test_an_expiry_that_could_not_be_delivered(new_region, monkeypatch):
    """It is pending, and the value as good as removed."""
    region = new_region(10.0)
    region.set("k", "old")

    for verb in ("compare_and_set", "remove", "remove_multi"):
        monkeypatch.setattr(region.backend, verb, broken)
    assert region.expire("k").pending
    assert region.get("k", ignore_expiration=True) is NO_VALUE
    with pytest.raises(BackendError):
        region.expire("k", strict=True)


# -- a lease in hand -----------------------------------------------------------


def test_a_lease_in_hand(new_region):
    """Who holds it may store; others are told that he does."""
    region = new_region(10.0)
    with region.lease("k") as lease:
        assert region.lease("k") is None
        assert region.key_is_locked("k")
        assert lease.commit("v")
    assert region.get("k") == "v"
    assert not region.key_is_locked("k")


def test_a_lease_over_a_value(new_region):
    """It may be won over a fresh value, too, which stays until the commit."""
    region = new_region(10.0)
    region.set("k", "old")
    with region.lease("k") as lease:
        assert region.get("k") == "old"
        lease.commit(Cached("new", tags=["a"]))
    assert region.get("k") == "new"
    assert region.inspect("k").tags == ("a",)


@pytest.mark.parametrize("end", ["block", "release", "error"])
def test_a_lease_ends_without_a_value(new_region, end):
    """However its block ends, others may have it."""
    region = new_region(10.0)
    lease = region.lease("k")
    if end == "release":
        lease.release()
        lease.release()
    else:
        with contextlib.suppress(ZeroDivisionError), lease:
            if end == "error":
                1 / 0  # noqa: B018
    assert region.lease("k") is not None
    with pytest.raises(HoldoverError, match="ended"):
        lease.commit("v")


def test_a_lease_is_lost_to_an_invalidation(new_region):
    """What began before is not stored."""
    region = new_region(10.0)
    lease = region.lease("k")
    region.delete("k")
    assert not lease.commit("old")
    assert region.get("k") is NO_VALUE


def test_a_lease_where_there_is_no_backend_to_ask(new_region, monkeypatch):
    """There is none, or an error if asked for."""
    region = new_region(10.0)

    monkeypatch.setattr(region.backend, "acquire", broken)
    assert region.lease("k") is None
    with pytest.raises(BackendError):
        region.lease("k", strict=True)


# -- looking -------------------------------------------------------------------


def test_inspect(new_region, clock):
    """It tells what there is, in seconds."""
    region = new_region(10.0, keep_for=90)
    nothing = region.inspect("k")
    assert nothing.freshness is Freshness.GONE
    assert nothing.created_at is nothing.age is nothing.lease is None
    region.set("k", "v", tags=["a"])
    clock.advance(4)
    told = region.inspect("k")
    assert told.freshness is Freshness.FRESH
    assert told.age == pytest.approx(4)
    assert told.expires_in == pytest.approx(6)
    assert told.kept_for == pytest.approx(96)
    assert told.tags == ("a",)
    assert told.reachable
    with region.lease("k"):
        told = region.inspect("k")
        assert told.lease is LeaseKind.HELD
        assert 0 < told.lease_expires_in <= 5
    region.delete("k")
    with pytest.raises(ValueError, match="no such"):
        region.get_or_create("k", failing)
    told = region.inspect("k")
    assert told.lease is LeaseKind.BACKING_OFF
    assert "no such article" in told.last_error


def test_inspect_when_the_backend_is_away(new_region, monkeypatch):
    """It says so."""
    region = new_region(10.0)

    monkeypatch.setattr(region.backend, "read", broken)
    assert not region.inspect("k").reachable


def test_strict_reads(new_region, monkeypatch, counter):
    """They raise where others miss."""
    region = new_region(10.0)
    region.set("k", "v")
    assert region.get("k", strict=True) == "v"
    assert region.get_multi(["k", "m"], strict=True) == ["v", NO_VALUE]
    assert region.get_or_create("m", counter, strict=True) == 1

    for verb in ("read", "read_multi"):
        monkeypatch.setattr(region.backend, verb, broken)
    assert region.get("k") is NO_VALUE
    for strict in (
        lambda: region.get("k", strict=True),
        lambda: region.get_multi(["k"], strict=True),
        lambda: region.get_or_create("k", counter, strict=True),
    ):
        with pytest.raises(BackendError):
            strict()


def test_a_strict_creation_without_a_lease(new_region, monkeypatch, counter):
    """What could not be stored is not created."""
    region = new_region(10.0)

    monkeypatch.setattr(region.backend, "acquire", broken)
    with pytest.raises(BackendError):
        region.get_or_create("k", counter, strict=True)
    assert region.get_or_create("k", counter) == 1


# -- on decorated functions ----------------------------------------------------


def test_tags_of_a_function(new_region):
    """They are fixed, or made from the call's arguments."""
    region = new_region()

    @region.cache_on_arguments(tags=["prices"])
    def price(article):
        return article

    @region.cache_on_arguments(tags=lambda article, size=1: [f"article:{article}"])
    def name(article, size=1):
        return article

    price(1)
    name(1)
    name(2)
    name.set("set", 3)
    region.invalidate(tags=["article:1", "article:3"])
    assert [name.get(n) for n in (1, 2, 3)] == [NO_VALUE, 2, NO_VALUE]
    assert price.get(1) == 1
    region.invalidate(tags=["prices"])
    assert price.get(1) is NO_VALUE


def test_a_function_s_values_by_prefix(new_region):
    """All of its keys begin with its name."""
    region = new_region()

    @region.cache_on_arguments()
    def price(article):
        return article

    price(1)
    region.set("other", 1)
    region.invalidate(prefix=price.key_for(1).partition("(")[0])
    assert price.get(1) is NO_VALUE
    assert region.get("other") == 1


@pytest.mark.parametrize("soft", ["expire", "invalidate"])
def test_a_soft_invalidation_orders_the_next(new_region, soft):
    """The old value goes on being served, and the runner makes a new one at once."""
    region = new_region(None, runner="thread")
    gate = Gate()
    gate.opened.set()

    @region.cache_on_arguments()
    def price(article):
        return gate()

    price(1)
    gate.opened.clear()
    if soft == "expire":
        price.expire(1)
    else:
        price.invalidate(1, soft=True)
    wait_until(lambda: gate.calls == 2)
    assert price(1) == "made 1"
    gate.opened.set()
    wait_until(lambda: price.get(1) == "made 2")


def test_a_soft_invalidation_on_a_method(new_region, counter):
    """Bound handles take it too."""
    region = new_region(None)

    class Shop:
        __cache_key__ = lambda self: "shop"  # noqa: E731

        @region.cache_on_arguments()
        def price(self, article):
            return counter()

    shop = Shop()
    assert shop.price(1) == 1
    shop.price.invalidate(1, soft=True)
    assert shop.price.get(1) is NO_VALUE
    assert shop.price(1) == 2
    shop.price.expire(1)
    assert shop.price(1) == 3


def test_a_function_with_a_parameter_called_soft(new_region):
    """It gets its own argument."""
    region = new_region()

    @region.cache_on_arguments()
    def drink(soft):
        return soft

    drink(soft=True)
    drink.invalidate(soft=True)
    assert drink.get(True) is NO_VALUE
    assert region.get(drink.key_for(True), ignore_expiration=True) is NO_VALUE
