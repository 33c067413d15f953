"""What a caller gets in each state of the value (DESIGN 4), on every backend."""

import threading
from unittest.mock import Mock

import pytest

from holdover import NO_VALUE, LeaseTerms, Lifetime, events
from holdover.errors import (
    BackendError,
    LazyValue,
    LeaseTimeout,
    RecursiveCreation,
    UncacheableValue,
)
from holdover.regions.backends.grants import Lease


class TestFresh:
    def test_a_value_is_created_once(self, new_region, counter):
        """Within expiration_time everyone gets the same value."""
        region = new_region()
        assert region.get_or_create("k", counter) == 1
        assert region.get_or_create("k", counter) == 1

    def test_none_is_a_value(self, new_region, counter):
        """A creator may return None, and is not asked again."""
        region = new_region()
        region.get_or_create("k", lambda: None)
        assert region.get_or_create("k", counter) is None

    def test_without_expiration_it_is_fresh_for_ever(self, new_region, counter, clock):
        """expiration_time=None never expires."""
        region = new_region(None)
        region.get_or_create("k", counter)
        clock.advance(10**9)
        assert region.get_or_create("k", counter) == 1

    def test_the_readers_lifetime_judges(self, new_region, counter, clock):
        """Age is judged when the value is read, by the call's own expiration_time."""
        region = new_region(stale_while_revalidate=0)
        region.get_or_create("k", counter)
        clock.advance(5)
        assert region.get_or_create("k", counter) == 1
        assert region.get_or_create("k", counter, expiration_time=4) == 2

    def test_minus_one_means_never(self, new_region, counter, clock):
        """expiration_time=-1 takes any value that is kept, as in dogpile.cache."""
        region = new_region(stale_while_revalidate=0)
        region.get_or_create("k", counter)
        clock.advance(50)
        assert region.get_or_create("k", counter, expiration_time=-1) == 1

    def test_an_entry_may_have_its_own_lifetime(self, new_region, counter, clock):
        """An entry stored with a lifetime is judged by that."""
        region = new_region()
        own = Lifetime(expiration_time=100, stale_while_revalidate=0)
        region.get_or_create("k", counter, lifetime=own)
        clock.advance(99)
        assert region.get("k") == 1
        clock.advance(2)
        assert region.get("k") is NO_VALUE


class TestStale:
    def test_without_a_runner_the_first_caller_creates(
        self, new_region, counter, clock
    ):
        """Nobody else is there to do it: as in dogpile.cache."""
        region = new_region()
        region.get_or_create("k", counter)
        clock.advance(11)
        assert region.get_or_create("k", counter) == 2

    def test_while_one_creates_others_get_the_old_value(self, new_region, clock):
        """A second caller is served at once while the first one creates."""
        region = new_region()
        region.set("k", "old")
        clock.advance(11)
        creating, go_on = threading.Event(), threading.Event()
        answers = []

        def slow():
            creating.set()
            go_on.wait(20)
            return "new"

        thread = threading.Thread(
            target=lambda: answers.append(region.get_or_create("k", slow))
        )
        thread.start()
        creating.wait(20)
        assert region.get_or_create("k", lambda: "mine") == "old"
        go_on.set()
        thread.join()
        assert answers == ["new"]

    def test_with_a_runner_everyone_gets_the_old_value(
        self, new_region, counter, clock, heard
    ):
        """The caller who finds it stale is served too; the refresh comes behind."""
        region = new_region(runner="thread")
        told = heard(region)
        done = threading.Event()
        region.listen(lambda e: isinstance(e, events.Refreshed) and done.set())
        region.get_or_create("k", counter)
        clock.advance(11)
        assert region.get_or_create("k", counter) == 1
        assert done.wait(20)
        assert region.get_or_create("k", counter) == 2
        stale = [event for event in told if isinstance(event, events.StaleServed)]
        assert [event.age for event in stale] == [11.0]

    def test_what_needs_its_caller_goes_to_no_runner(self, new_region, clock):
        """Who finds it stale first creates it; the others get the old value."""
        region = new_region(runner="thread")
        region.set("key", "old")
        clock.advance(11)
        others, here = [], []

        def creator():
            here.append(threading.get_ident())
            others.append(region.get_or_create("key", creator, foreground=True))
            return "new"

        assert region.get_or_create("key", creator, foreground=True) == "new"
        assert others == ["old"]
        assert here == [threading.get_ident()]

    def test_zero_means_never_stale(self, new_region, counter, clock):
        """stale_while_revalidate=0: an expired value is not served."""
        region = new_region(stale_while_revalidate=0, runner="thread")
        region.get_or_create("k", counter)
        clock.advance(11)
        assert region.get_or_create("k", counter) == 2

    def test_a_failing_creator_leaves_the_old_value(self, new_region, clock, heard):
        """Who is within the stale window gets the old value, and an event is told."""
        region = new_region()
        told = heard(region)
        region.set("k", "old")
        clock.advance(11)
        assert region.get_or_create("k", failing) == "old"
        assert any(isinstance(event, events.CreatorFailed) for event in told)
        assert not region.key_is_locked("k")

    def test_soft_invalidation_makes_stale(self, new_region, counter):
        """Softly invalidated values have expired, and are still served meanwhile."""
        region = new_region()
        region.get_or_create("k", counter)
        region.invalidate(hard=False)
        assert region.get("k") is NO_VALUE
        assert region.get("k", ignore_expiration=True) == 1
        assert region.get_or_create("k", counter) == 2


class TestFallback:
    def settings(self):
        return {"stale_while_revalidate": 5, "stale_if_error": 50}

    def test_a_fallback_is_created_anew(self, new_region, counter, clock):
        """Past the stale window the caller creates and waits."""
        region = new_region(**self.settings(), runner="thread")
        region.get_or_create("k", counter)
        clock.advance(16)
        assert region.get_or_create("k", counter) == 2

    def test_a_failing_creator_is_hidden(self, new_region, clock):
        """Within stale_if_error a failing creator yields the old value."""
        region = new_region(**self.settings())
        region.set("k", "old")
        clock.advance(16)
        assert region.get_or_create("k", failing) == "old"

    def test_beyond_it_the_error_comes_out(self, new_region, clock):
        """Past stale_if_error the creator's own exception is raised, unchanged."""
        region = new_region(**self.settings())
        region.set("k", "old")
        clock.advance(61)
        with pytest.raises(ZeroDivisionError, match="no luck"):
            region.get_or_create("k", failing)

    def test_who_cannot_wait_gets_the_old_value(self, new_region, clock):
        """If the wait for another's creation is over, the old value serves."""
        region = new_region(**self.settings(), lease=LeaseTerms(ttl=60, wait=3))
        region.set("k", "old")
        clock.advance(16)
        take_lease(region)
        assert region.get_or_create("k", lambda: "mine") == "old"


class TestGone:
    def test_beyond_keep_for_nothing_is_left(self, new_region, counter, clock):
        """keep_for bounds how long an old value may be served."""
        region = new_region(keep_for=100)
        region.get_or_create("k", counter)
        clock.advance(111)
        assert region.get("k", ignore_expiration=True) is NO_VALUE
        assert region.get_or_create("k", counter) == 2

    def test_the_creators_error_is_raised_and_not_cached(self, new_region, counter):
        """A creator's exception reaches its caller, frees the key and is forgotten."""
        region = new_region()
        with pytest.raises(ZeroDivisionError, match="no luck"):
            region.get_or_create("k", failing)
        assert not region.key_is_locked("k")
        assert region.get_or_create("k", counter) == 1

    def test_who_waits_too_long_creates_for_himself(self, new_region, clock):
        """on_timeout="create": the caller's own value, which is not stored."""
        region = new_region(lease=LeaseTerms(ttl=60, wait=3))
        take_lease(region)
        before = clock.steady()
        assert region.get_or_create("k", lambda: "mine") == "mine"
        assert 3.0 <= clock.steady() - before < 3.1
        assert region.get("k") is NO_VALUE

    def test_or_gets_an_error(self, new_region):
        """on_timeout="raise": a typed error that names the key."""
        region = new_region(lease=LeaseTerms(ttl=60, wait=3), on_timeout="raise")
        take_lease(region)
        with pytest.raises(LeaseTimeout, match=r"'region:k' after 3 s"):
            region.get_or_create("k", lambda: "mine")

    # On Redis it is the server's clock that counts: see test_redis_backend.py.
    @pytest.mark.parametrize("backend_name", ["holdover.memory", "holdover.file"])
    def test_a_lapsed_lease_is_taken_over_at_once(self, new_region, clock):
        """A waiter creates as soon as a dead holder's lease lapses."""
        region = new_region(lease=LeaseTerms(ttl=5, wait=30))
        take_lease(region)
        before = clock.steady()
        assert region.get_or_create("k", lambda: "mine") == "mine"
        assert 5.0 <= clock.steady() - before < 5.02
        assert region.get("k") == "mine"

    def test_empty_is_served_at_once(self, new_region, counter):
        """on_miss="empty": a stand-in now, and the value when it is there."""
        region = new_region(on_miss="empty", runner="thread")
        done = threading.Event()
        region.listen(lambda e: isinstance(e, events.Refreshed) and done.set())
        assert region.get_or_create("k", counter, empty=lambda: "soon") == "soon"
        assert done.wait(20)
        assert region.get_or_create("k", counter, empty=lambda: "soon") == 1

    def test_empty_is_none_by_default(self, new_region, counter):
        """Without a stand-in of its own a call gets None."""
        region = new_region(on_miss="empty", runner="thread")
        assert region.get_or_create("k", counter) is None

    def test_recursion_is_an_error(self, new_region):
        """A creator that asks for its own key is told so, instead of waiting."""
        region = new_region()

        def create():
            return region.get_or_create("k", create)

        with pytest.raises(RecursiveCreation, match="region:k"):
            region.get_or_create("k", create)
        assert region.get_or_create("k", lambda: 5) == 5


class TestValues:
    @pytest.mark.parametrize("make", [lambda: (n for n in ()), lambda: map(str, [])])
    def test_lazy_values_are_refused(self, new_region, make):
        """A generator or iterator is a typed error, and leaves the key free."""
        region = new_region()
        with pytest.raises(LazyValue, match="only once"):
            region.get_or_create("k", make)
        with pytest.raises(LazyValue):
            region.set("k", make())
        assert not region.key_is_locked("k")

    def test_a_coroutine_is_refused(self, new_region):
        """An ``async def`` creator is refused rather than cached used-up."""
        region = new_region()

        async def create():
            return 1

        coroutine = create()
        with pytest.raises(LazyValue, match="coroutine"):
            region.get_or_create("k", lambda: coroutine)
        coroutine.close()

    def test_what_no_codec_encodes_is_still_given(self, new_region, heard):
        """A created value that cannot be stored goes to its caller; set() refuses."""
        region = new_region(codec="pickle")
        told = heard(region)
        function = region.get_or_create("k", lambda: lambda: "unpicklable")
        assert function() == "unpicklable"
        assert any(isinstance(event, events.Uncacheable) for event in told)
        assert not region.key_is_locked("k")
        with pytest.raises(UncacheableValue, match="pickle cannot encode"):
            region.set("k", lambda: 1)

    def test_should_cache_fn_decides(self, new_region, counter):
        """A value that is not wanted is returned and not stored."""
        region = new_region()
        odd = {"should_cache_fn": lambda value: value % 2 == 0}
        assert [region.get_or_create("k", counter, **odd) for _ in range(3)] == [
            1,
            2,
            2,
        ]

    def test_a_codec_makes_copies(self, new_region):
        """With a codec, memory too hands every caller an object of his own."""
        region = new_region(codec="pickle")
        first = region.get_or_create("k", list)
        first.append("mine")
        assert region.get_or_create("k", list) == []

    def test_another_codecs_value_is_a_miss(self, new_region, heard):
        """What a region's codec did not write is not read, only reported."""
        pickled = new_region(codec="pickle")
        pickled.set("k", "pickled")
        region = new_region(codec="json")
        if region.backend.capabilities.shared_by == "process":
            region.backend.write(
                "region:k", pickled.backend.read("region:k", "")[0], ttl=None
            )
        told = heard(region)
        assert region.get_or_create("k", lambda: "json") == "json"
        assert any(isinstance(event, events.Unreadable) for event in told)
        assert region.get("k") == "json"


class TestWriting:
    def test_set_get_delete(self, new_region):
        """The plain verbs, and what delete tells."""
        region = new_region()
        region.set("k", 1)
        assert region.get("k") == 1
        assert region.delete("k").existed
        assert not region.delete("k").existed
        assert region.get("k") is NO_VALUE

    def test_add_stores_only_once(self, new_region, clock):
        """add() yields to a fresh value, and replaces an expired one."""
        region = new_region()
        assert region.add("k", 1)
        assert not region.add("k", 2)
        clock.advance(11)
        assert region.add("k", 3)
        assert region.get("k") == 3

    def test_add_needs_the_region_clock(self, new_region, monkeypatch):
        """What nobody could trust is not said to be stored: another may add it."""
        region = new_region()
        with monkeypatch.context() as patched:
            broken = Mock(side_effect=BackendError("locked"))
            patched.setattr(type(region.backend), "tick", broken)
            with pytest.raises(BackendError, match="region clock"):
                region.add("k", 1)
        assert region.add("k", 2)
        assert not region.add("k", 3)
        assert region.get("k") == 2

    def test_change_is_atomic(self, new_region):
        """Of concurrent increments none is lost."""
        region = new_region()
        region.set("k", 0)

        def increment():
            for _ in range(50):
                region.change("k", lambda value: value + 1)

        threads = [threading.Thread(target=increment) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert region.get("k") == 200

    def test_change_keeps_the_expiry(self, new_region, clock):
        """A changed value expires when the old one would have."""
        region = new_region()
        region.set("k", 1)
        clock.advance(8)
        assert region.change("k", lambda value: value + 1) == 2
        clock.advance(3)
        assert region.get("k") is NO_VALUE
        assert region.change("k", lambda value: value + 1) is NO_VALUE

    def test_hard_invalidation_leaves_nothing(self, new_region, counter):
        """After invalidate() no value of the region is served, whatever happens."""
        region = new_region()
        region.set("k", "old")
        assert not region.invalidate().pending
        assert region.get("k", ignore_expiration=True) is NO_VALUE
        assert region.get_or_create("k", counter) == 1

    def test_regions_do_not_share_keys(self, new_region):
        """Two regions in one store have keys and invalidations of their own."""
        one, two = new_region(name="one"), new_region(name="two")
        two.configure(
            one.backend, 10, unsigned_pickle=True, replace_existing_backend=True
        )
        one.set("k", 1)
        two.set("k", 2)
        one.invalidate()
        assert two.get("k") == 2

    def test_multi_forms(self, new_region, counter):
        """The forms for several keys work like those for one."""
        region = new_region()
        region.set_multi({"a": 1, "b": 2})
        assert region.get_multi(["b", "a", "c"]) == [2, 1, NO_VALUE]
        made = region.get_or_create_multi(
            ["a", "c"], lambda *keys: [k * 2 for k in keys]
        )
        assert made == [1, "cc"]
        region.delete_multi(["a", "b"])
        assert region.get_multi(["a", "b", "c"]) == [NO_VALUE, NO_VALUE, "cc"]


class TestTime:
    def test_a_stamp_from_the_future_is_age_zero(self, new_region, counter, clock):
        """A host whose clock is a little ahead does not make values expire."""
        region = new_region()
        region.get_or_create("k", counter)
        clock.set_wall(clock.wall() - 9)
        assert region.get_or_create("k", counter) == 1

    def test_a_stamp_far_ahead_has_expired(self, new_region, counter, clock):
        """A stamp more than a lifetime ahead is nonsense, and the value stale."""
        region = new_region()
        region.get_or_create("k", counter)
        clock.set_wall(clock.wall() - 3600)
        assert region.get_or_create("k", counter) == 2


def failing():
    """A creator without luck."""
    raise ZeroDivisionError("no luck")


def take_lease(region):
    """Hold the lease of "k", as a process does that never comes back."""
    tier = region._tier
    entry = tier.look("region:k", region.lifetime).entry
    lease = tier.acquire(
        "region:k", entry, region.lifetime, 60 if region._rules.lease.ttl == 60 else 5
    )
    assert isinstance(lease, Lease)
