"""With `holdover.null`, caching is switched off and everything else goes on."""

import threading

import pytest
from waiting import wait_until

from holdover import NO_VALUE, events, make_region
from holdover.errors import ConfigurationError
from holdover.regions.flights import FLIGHTS


@pytest.fixture
def region():
    """A region that keeps nothing."""
    return make_region("off").configure("null://?expiration_time=60")


def test_every_call_creates(region, counter):
    """One caller after the other gets a value of his own."""

    @region.cache_on_arguments()
    def number():
        return counter()

    assert [number(), number(), number.refresh()] == [1, 2, 3]
    assert number.get() is NO_VALUE


def test_nothing_is_kept(region):
    """Writes succeed and change nothing."""
    assert not region.set("k", 1).pending
    assert not region.set_multi({"k": 1}).pending
    assert region.get("k") is NO_VALUE
    assert region.get_multi(["k"]) == [NO_VALUE]
    assert region.add("k", 1)
    for delivery in (region.delete("k"), region.invalidate(), region.expire("k")):
        assert not delivery.pending
        assert not delivery.existed
    assert region.inspect("k").lease is None
    with region.lease("k") as lease:
        lease.commit(1)
    assert region.get("k") is NO_VALUE


def test_many_at_once(region):
    """All are created, by one call."""
    asked = []

    def create(*keys):
        asked.append(keys)
        return list(keys)

    assert region.get_or_create_multi(["a", "b"], create) == ["a", "b"]
    assert region.get_or_create_multi(["a", "b"], create) == ["a", "b"]
    assert asked == [("a", "b")] * 2


def test_callers_of_one_moment_share(region):
    """A creation under way is joined, as on every backend."""
    entered, opened, runs = threading.Event(), threading.Event(), []

    def create():
        runs.append(1)
        entered.set()
        assert opened.wait(20)
        return "v"

    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(region.get_or_create("k", create))
        )
        for _ in range(4)
    ]
    threads[0].start()
    assert entered.wait(20)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(FLIGHTS._waiting) == 3)
    opened.set()
    for thread in threads:
        thread.join()
    assert answers == ["v"] * 4
    assert runs == [1]


def test_no_problem_is_told(region, heard):
    """Nothing has gone wrong."""
    told = heard(region)
    region.get_or_create("k", lambda: 1)
    with pytest.raises(ValueError, match="no"):
        region.get_or_create("k", lambda: int("no"))
    assert not [event for event in told if isinstance(event, events.Problem)]


def test_what_other_backends_are_told_does_no_harm(counter):
    """Caching is switched off by one word, whatever else the application says."""
    region = make_region("off").configure(
        "holdover.null", 60, near_ttl=5, secret="s" * 16, compress="zlib"
    )
    transaction = object()
    assert region.get_or_create("k", counter) == 1
    assert not region.delete("k", connection=transaction).pending
    assert not region.delete_multi(["k"], connection=transaction).pending
    assert not region.invalidate(tags=["t"], connection=transaction).pending
    assert region.get_or_create("k", counter) == 2


def test_it_takes_no_arguments():
    """And says so."""
    with pytest.raises(ConfigurationError, match="NullBackend"):
        make_region("off").configure("holdover.null", 60, {"url": "x"})
