"""Many keys at once: one read, one creator, a lease each."""

import itertools
import threading

import pytest
from standins import UnservedQueue, broken
from waiting import wait_until

from holdover import NO_VALUE, Cached, LeaseTerms, events, make_region
from holdover.errors import (
    CreatorTimeout,
    InvalidOrder,
    LazyValue,
    RecursiveCreation,
    UncacheableValue,
    UnkeyableArgument,
)
from holdover.regions.refresh.base import BatchOrder, read_order
from holdover.regions.worker import carry_out


class Creator:
    """Makes "key 1", "key 2" and so on, and notes for what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, *keys):
        self.asked.append(list(keys))
        return [f"{key} {len(self.asked)}" for key in keys]


@pytest.fixture
def creator():
    """A creator of many values."""
    return Creator()


def test_what_is_missing_is_created_at_once(new_region, creator):
    """In one call, in the order of the asking, each key once."""
    region = new_region()
    region.set("b", "there")
    values = region.get_or_create_multi(["c", "b", "a", "c"], creator)
    assert values == ["c 1", "there", "a 1", "c 1"]
    assert creator.asked == [["c", "a"]]
    again = region.get_or_create_multi(["a", "b", "c"], creator)
    assert again == ["a 1", "there", "c 1"]
    assert len(creator.asked) == 1


def test_of_nothing(new_region, creator):
    """No key, no value, no call."""
    assert new_region().get_or_create_multi([], creator) == []
    assert creator.asked == []


def test_one_read_and_one_of_each_step(new_region, creator, monkeypatch):
    """However many keys, the backend is asked once for each step."""
    region = new_region()
    asked = []
    for verb in ("read", "read_multi", "acquire", "acquire_multi", "commit",
                 "commit_multi"):  # fmt: skip
        original = getattr(type(region.backend), verb)

        def counting(*args, _verb=verb, _original=original, **kwargs):
            asked.append(_verb)
            return _original(region.backend, *args, **kwargs)

        monkeypatch.setattr(region.backend, verb, counting)
    region.get_or_create_multi([f"k{n}" for n in range(50)], creator)
    steps = [verb for verb in asked if verb.endswith("_multi")]
    assert steps == ["read_multi", "acquire_multi", "commit_multi"]


def test_set_multi_is_two_steps(new_region, monkeypatch):
    """One look at the clock and one write, however many keys."""
    region = new_region()
    asked = []
    for verb in ("clock", "tick", "write", "write_multi"):
        original = getattr(type(region.backend), verb)

        def counting(*args, _verb=verb, _original=original, **kwargs):
            asked.append(_verb)
            return _original(region.backend, *args, **kwargs)

        monkeypatch.setattr(region.backend, verb, counting)
    region.set_multi({f"k{n}": n for n in range(50)})
    asked = [verb for verb in asked if verb != "write"]  # which write_multi may use
    assert set(asked[:-1]) <= {"clock", "tick"}  # of which the one may use the other
    assert len(set(asked)) == len(asked)
    assert asked[-1] == "write_multi"
    assert region.get_multi(["k0", "k49"]) == [0, 49]


def test_old_values_are_served_while_one_makes_them_anew(new_region, clock, creator):
    """Without a runner, who wins the leases creates; others get the old values."""
    region = new_region(10.0)
    region.set_multi({"a": "old a", "b": "old b"})
    clock.advance(11)
    with region.lease("a"):
        values = region.get_or_create_multi(["a", "b"], creator)
    assert values == ["old a", "b 1"]
    assert creator.asked == [["b"]]


def test_a_runner_refreshes_old_values_together(new_region, clock, creator):
    """Callers get the old ones at once; one call makes the new ones."""
    region = new_region(10.0, runner="thread")
    keys = [f"k{n}" for n in range(150)]
    region.set_multi(dict.fromkeys(keys, "old"))
    clock.advance(11)
    assert region.get_or_create_multi(keys, creator) == ["old"] * 150
    wait_until(lambda: NO_VALUE not in region.get_multi(keys))
    assert sorted(map(len, creator.asked)) == [50, 100]
    assert sorted(itertools.chain(*creator.asked)) == sorted(keys)


def test_the_herd_orders_once(new_region, clock):
    """Of many who find them old, one orders."""
    region = new_region(10.0, runner="thread")
    keys = ["a", "b", "c"]
    region.set_multi(dict.fromkeys(keys, "old"))
    clock.advance(11)
    asked, gate = [], threading.Event()

    def create(*some):
        asked.append(some)
        assert gate.wait(30)
        return ["new"] * len(some)

    for _ in range(20):
        assert region.get_or_create_multi(keys, create) == ["old"] * 3
    gate.set()
    wait_until(lambda: region.get_multi(keys) == ["new"] * 3)
    assert len(asked) == 1


def test_threads_share_what_they_both_want(new_region):
    """No key is created twice, and overlapping batches never wait for each other."""
    region = new_region(lease=LeaseTerms(wait=20.0))
    made, lock = [], threading.Lock()
    barrier = threading.Barrier(8)
    results = []

    def create(*keys):
        with lock:
            made.extend(keys)
        threading.Event().wait(0.05)
        return [f"v{key}" for key in keys]

    def run(number):
        keys = [f"k{(number + step) % 8}" for step in range(4)]
        barrier.wait()
        results.append((keys, region.get_or_create_multi(keys, create)))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(values == [f"v{key}" for key in keys] for keys, values in results)
    assert sorted(made) == [f"k{n}" for n in range(8)]


def test_a_key_that_another_process_creates(new_region, clock):
    """It is waited for, after the others have been created."""
    region = new_region()
    theirs = make_region("region")
    theirs.configure(region.backend, 10.0, unsigned_pickle=True)
    lease = theirs.lease("a")

    def create(*keys):
        assert keys == ("b",)
        lease.commit("theirs")
        return ["ours"]

    assert region.get_or_create_multi(["a", "b"], create) == ["theirs", "ours"]


def test_what_is_invalidated_meanwhile_is_not_stored(new_region):
    """Each key by itself."""
    region = new_region()

    def create(*keys):
        region.delete("a")
        return ["old"] * len(keys)

    assert region.get_or_create_multi(["a", "b"], create) == ["old", "old"]
    assert region.get_multi(["a", "b"]) == [NO_VALUE, "old"]


def test_an_error_is_raised_and_all_leases_are_free(new_region):
    """Unchanged, and nothing is stored."""
    region = new_region(backoff=0)

    def create(*_keys):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        region.get_or_create_multi(["a", "b"], create)
    assert not region.key_is_locked("a")
    assert not region.key_is_locked("b")


def test_an_error_with_old_values_at_hand(new_region, clock, heard):
    """They are served; a key without one raises."""
    region = new_region(10.0)
    told = heard(region)
    region.set_multi({"a": "old a", "b": "old b"})
    clock.advance(11)

    def create(*_keys):
        raise ValueError("no")

    assert region.get_or_create_multi(["a", "b"], create) == ["old a", "old b"]
    assert any(isinstance(event, events.CreatorFailed) for event in told)
    with pytest.raises(ValueError, match="no"):
        region.get_or_create_multi(["a", "b", "c"], create)


@pytest.mark.parametrize(
    "wrong", [None, 5, ["one"], ["one", "two", "three"], {"a": 1, "b": 2}, "ab"]
)
def test_a_creator_that_returns_something_else(new_region, wrong):
    """One value for each key is wanted, and the error says what was found."""
    region = new_region(backoff=0)
    with pytest.raises(UncacheableValue, match="returned"):
        region.get_or_create_multi(["a", "b"], lambda *_keys: wrong)
    assert not region.key_is_locked("a")


def test_a_lazy_value_among_many(new_region):
    """It is refused, as in a single creation."""
    with pytest.raises(LazyValue):
        new_region().get_or_create_multi(["a"], lambda *_keys: [iter([])])


def test_a_generator_of_values(new_region):
    """What yields one value for each key is as good as a list."""
    values = new_region().get_or_create_multi(
        ["a", "b"], lambda *keys: (k.upper() for k in keys)
    )
    assert values == ["A", "B"]


def test_should_cache_and_cached(new_region):
    """Both hold for each value."""
    region = new_region()

    def create(*_keys):
        return [1, Cached(2, tags=["t"]), Cached(3, store=False)]

    values = region.get_or_create_multi(
        ["a", "b", "c"], create, should_cache_fn=lambda value: value != 1
    )
    assert values == [1, 2, 3]
    assert region.get_multi(["a", "b", "c"]) == [NO_VALUE, 2, NO_VALUE]
    assert region.inspect("b").tags == ("t",)
    assert not region.key_is_locked("a")
    assert not region.key_is_locked("c")


def test_a_creator_that_asks_for_its_own_keys(new_region):
    """It would wait for itself."""
    region = new_region()

    def create(*keys):
        return region.get_or_create_multi(keys, create)

    with pytest.raises(RecursiveCreation):
        region.get_or_create_multi(["a", "b"], create)


def test_time_limits(new_region, clock):
    """They hold for a batch as for a single creation."""
    region = new_region(10.0, creator_timeout=0.1, soft_creator_timeout=0.05)
    region.set("a", "old")
    clock.advance(11)
    gate = threading.Event()

    def create(*keys):
        assert gate.wait(30)
        return [f"new {key}" for key in keys]

    assert region.get_or_create_multi(["a"], create) == ["old"]
    with pytest.raises(CreatorTimeout):
        region.get_or_create_multi(["b", "c"], create)
    gate.set()
    wait_until(lambda: region.get_multi("abc") == ["new a", "new b", "new c"])


def test_a_backend_that_is_away(new_region, creator, monkeypatch):
    """Values are created and handed out, and none is stored."""
    region = new_region()
    for verb in ("read", "read_multi", "acquire", "acquire_multi"):
        monkeypatch.setattr(region.backend, verb, broken)
    assert region.get_or_create_multi(["a", "b"], creator) == ["a 1", "b 1"]
    assert creator.asked == [["a", "b"]]


def test_empty_on_miss(new_region):
    """With on_miss="empty" nobody waits."""
    region = new_region(runner="thread", on_miss="empty")
    assert region.get_or_create_multi(["a"], lambda *_keys: ["v"]) == [None]
    wait_until(lambda: region.get("a") == "v")


# -- decorated -----------------------------------------------------------------


def test_a_function_of_many(new_region):
    """It is asked for what is missing, in the order of its arguments."""
    region, asked = new_region(), []

    @region.cache_multi_on_arguments()
    def names(*ids):
        asked.append(ids)
        return [f"name {one}" for one in ids]

    assert names(1, 2) == ["name 1", "name 2"]
    assert names(2, 3, 1) == ["name 2", "name 3", "name 1"]
    assert asked == [(1, 2), (3,)]
    assert names("1") == ["name 1"]  # another id
    assert asked[-1] == ("1",)


def test_its_handles(new_region):
    """They take ids."""
    region, asked = new_region(), []

    @region.cache_multi_on_arguments()
    def names(*ids):
        asked.append(ids)
        return [f"name {one}" for one in ids]

    assert names.get(1, 2) == [NO_VALUE, NO_VALUE]
    names.set({1: "one", 2: "two"})
    assert names.get(1, 2) == ["one", "two"]
    assert region.get(names.key_for(1)) == "one"
    assert names.refresh(1, 3) == ["name 1", "name 3"]
    assert names(1, 2, 3) == ["name 1", "two", "name 3"]
    names.invalidate(2, 3)
    assert names.get(1, 2, 3) == ["name 1", NO_VALUE, NO_VALUE]
    assert names.original(9) == ["name 9"]
    assert asked == [(1, 3), (9,)]


def test_a_refresh_is_fenced(new_region):
    """A value from before an invalidation is not stored after it."""
    region = new_region()

    @region.cache_multi_on_arguments()
    def names(*ids):
        names.invalidate(1)
        return ["old"] * len(ids)

    assert names.refresh(1, 2) == ["old", "old"]
    assert names.get(1, 2) == [NO_VALUE, "old"]


def test_as_dict(new_region):
    """Ids that the function leaves out have no value, and are asked for again."""
    region, asked = new_region(), []

    @region.cache_multi_on_arguments(asdict=True)
    def names(*ids):
        asked.append(ids)
        return {one: f"name {one}" for one in ids if one != 2}

    assert names(1, 2, 3) == {1: "name 1", 3: "name 3"}
    assert names(1, 2, 3) == {1: "name 1", 3: "name 3"}
    assert asked == [(1, 2, 3), (2,)]
    assert names.refresh(1, 2) == {1: "name 1"}


def test_as_dict_returning_a_list(new_region):
    """The error says what was wanted."""
    region = new_region()

    @region.cache_multi_on_arguments(asdict=True)
    def names(*ids):
        return list(ids)

    with pytest.raises(UncacheableValue, match="mapping"):
        names(1)


def test_an_id_without_a_key(new_region):
    """It is a typed error, before anything is asked."""
    region = new_region()

    @region.cache_multi_on_arguments()
    def names(*_ids):
        raise AssertionError("not asked")

    with pytest.raises(UnkeyableArgument):
        names(1, object())


def test_generators_are_refused(new_region):
    """At decoration."""
    with pytest.raises(LazyValue):

        @new_region().cache_multi_on_arguments()
        def names(*ids):
            yield from ids


# -- orders --------------------------------------------------------------------

MADE = []


def refreshed_names(*ids):
    """A function that a worker can find."""
    MADE.append(ids)
    return [f"new {one}" for one in ids]


@pytest.fixture
def ordered(new_region, clock):
    """A decorated function with stale values, and its queue after one order."""
    MADE.clear()
    queue = UnservedQueue()
    region = new_region(10.0, runner=queue)
    names = region.cache_multi_on_arguments()(refreshed_names)
    names.set(dict.fromkeys([1, 2, 3], "old"))
    clock.advance(11)
    assert names(1, 2, 3) == ["old"] * 3
    wait_until(lambda: queue.messages)
    return region, names, queue


def test_one_message_for_many_keys(ordered):
    """A worker makes them by one call, and the second delivery does nothing."""
    _, names, queue = ordered
    [message] = queue.messages
    assert isinstance(read_order(message), BatchOrder)
    assert carry_out(message).done
    assert names.get(1, 2, 3) == ["new 1", "new 2", "new 3"]
    assert MADE == [(1, 2, 3)]
    assert not carry_out(message).done
    assert MADE == [(1, 2, 3)]


def test_keys_that_were_overtaken_are_left_out(ordered):
    """What was set or invalidated since is not made."""
    region, names, queue = ordered
    names.set({2: "set"})
    region.delete(names.key_for(3))
    assert carry_out(queue.messages[0]).done
    assert names.get(1, 2, 3) == ["new 1", "set", NO_VALUE]
    assert MADE == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": []},
        {"tokens": ["forged"] * 3},
        {"keys": ["other", "keys", "here"]},
        {"keys": [1, 2, 3]},
        {"args": [7, 8, 9]},
        {"args": "123"},
        {"function": "os:system"},
        {"version": 99},
        {"not_after": 0.0},
        {"tokens": None},
    ],
)
def test_a_forged_message(ordered, change):
    """It is dropped, and changes nothing."""
    _, names, queue = ordered
    message = {**queue.messages[0], **change}
    assert not carry_out(message).done
    assert names.get(1, 2, 3) == [NO_VALUE] * 3
    assert MADE == []


def test_orders_of_different_lengths():
    """They are told apart when they are read."""
    message = {
        "version": 1, "region": "r", "function": "f", "args": [1], "keys": ["a", "b"],
        "tokens": ["t"], "not_after": 1.0,
    }  # fmt: skip
    with pytest.raises(InvalidOrder, match="number"):
        BatchOrder.from_message(message)


def test_a_failing_worker_backs_off(ordered, monkeypatch):
    """All the keys are left alone for a while."""
    region, names, queue = ordered

    def fail(*_ids):
        raise ValueError("no")

    monkeypatch.setattr(__import__("sys").modules[__name__], "refreshed_names", fail)
    from holdover.regions.worker import CATALOGUE

    name = f"{__name__}:refreshed_names"
    monkeypatch.setattr(CATALOGUE.find(region.name, name), "function", fail)
    outcome = carry_out(queue.messages[0])
    assert not outcome.done
    assert "ValueError" in outcome.reason
    for one in (1, 2, 3):
        assert "ValueError" in region.inspect(names.key_for(one)).last_error


# -- what is told --------------------------------------------------------------


class Refusing(UnservedQueue):
    """A runner that takes nothing."""

    takes_orders = False

    def submit(self, job):
        """Fail, as a pool does that is full."""
        raise RuntimeError("full")


def one_by_one(region, create):
    """Ask for two keys in two calls."""
    for key in ("a", "b"):
        region.get_or_create(key, lambda key=key: create(key)[0])


def together(region, create):
    """Ask for two keys in one call."""
    region.get_or_create_multi(["a", "b"], create)


def made(*keys):
    """Create, at once."""
    return list(keys)


def failed(*_keys):
    """Fail at once."""
    raise ValueError("no")


caller_left = threading.Event()


def failed_late(*_keys):
    """Fail when the caller has left."""
    assert caller_left.wait(20)
    raise ValueError("no")


FAILURE = ["CreatorFailed", "CreatorRaised"]


@pytest.mark.parametrize("ask", [one_by_one, together])
@pytest.mark.parametrize(
    ("age", "create", "settings", "kinds"),
    [
        (0, made, {}, ["Hit"]),
        (9, made, {"early_refresh": 1e9}, ["Created", "Hit"]),
        (99, made, {}, ["Created", "Missed"]),
        (99, failed, {}, [*FAILURE, "Missed", "StaleServed"]),
        (
            99,
            failed_late,
            {"soft_creator_timeout": 0.02},
            [*FAILURE, "CreatorSlow", "Missed", "StaleServed"],
        ),
        (
            99,
            failed,
            {"runner": "thread"},
            ["CreatorRaised", "Ordered", "RefreshFailed", "StaleServed"],
        ),
        (
            99,
            made,
            {"runner": "thread"},
            ["Created", "Ordered", "Refreshed", "StaleServed"],
        ),
        (99, made, {"runner": Refusing()}, ["OrderFailed", "Ordered", "StaleServed"]),
    ],
)
def test_what_is_told(  # noqa: PLR0917 - a row of the table
    new_region, clock, heard, ask, age, create, settings, kinds
):
    """The same of each key, whether it is asked for alone or among others."""
    region = new_region(10.0, **settings)

    def create_slowly(*keys):
        clock.advance(0.1)  # what costs nothing is never refreshed early
        return list(keys)

    region.get_or_create_multi(["a", "b"], create_slowly)
    told = heard(region)
    clock.advance(age)
    caller_left.clear()
    ask(region, create)
    caller_left.set()
    expected = [(kind, key) for key in ("a", "b") for kind in kinds]
    wait_until(lambda: len(told) >= len(expected))
    assert expected == sorted(
        ((type(event).__name__, event.key[-1]) for event in told),
        key=lambda pair: (pair[1], pair[0]),
    )


@pytest.mark.parametrize("kept_in", ["file", "redis"])
def test_one_of_many_is_too_large(kept_in, request, tmp_path, heard):
    """It goes to its caller and is told of; the others are stored."""
    place = {"path": tmp_path}
    if kept_in == "redis":
        place = {"url": request.getfixturevalue("redis_server").url}
    region = make_region("region").configure(
        f"holdover.{kept_in}", 60, {**place, "max_bytes": 4000}, unsigned_pickle=True
    )
    told = heard(region)
    values = {"a": "a", "b": "b" * 5000, "c": "c"}

    def create(*keys):
        return [values[key] for key in keys]

    assert list(values.values()) == region.get_or_create_multi(values, create)
    assert ["a", NO_VALUE, "c"] == region.get_multi(["a", "b", "c"])
    assert not region.key_is_locked("b")
    [problem] = [event for event in told if isinstance(event, events.Problem)]
    assert isinstance(problem, events.Uncacheable)
    assert problem.key.endswith("b")
    stored = [e.stored for e in told if isinstance(e, events.Created)]
    assert [True, False, True] == stored
