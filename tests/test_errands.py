"""Creators in threads of their own know for whom they work, and no longer than that."""

import threading

import pytest

from holdover import LeaseTerms, make_region
from holdover.errors import RecursiveCreation
from holdover.regions.errands import Errand, dependent_threads

SOON = 20


def bounded_region(**settings):
    """Configure a region whose creators run under a time limit."""
    return make_region("errands").configure(
        "holdover.memory",
        60,
        lease=LeaseTerms(ttl=60.0, wait=SOON),
        creator_timeout=SOON,
        **settings,
    )


def test_recursion_over_several_errands_is_noticed():
    """Two creators that ask for each other raise at once, and do not run for ever."""
    region, runs = bounded_region(), []

    def chicken():
        runs.append("chicken")
        return region.get_or_create("egg", egg)

    def egg():
        runs.append("egg")
        return region.get_or_create("chicken", chicken)

    with pytest.raises(RecursiveCreation):
        region.get_or_create("chicken", chicken)
    assert runs == ["chicken", "egg"]


def test_who_was_left_works_for_nobody():
    """Once its caller has left, what he does is no concern of the errand."""
    may_go_on, seen = threading.Event(), []

    def work():
        seen.append(dependent_threads())
        may_go_on.wait(SOON)
        seen.append(dependent_threads())

    caller = threading.get_ident()
    errand = Errand(work, seen.append)
    assert not errand.is_done_within(1.0)
    may_go_on.set()
    errand._done.wait(SOON)
    assert caller in seen[0]
    assert len(seen[1]) == 1
    assert caller not in seen[1]


def test_a_failed_creators_thread_is_not_mistaken_for_another():
    """New threads get the identity of ended ones, and are not told of recursion."""
    region, raised = bounded_region(), set()

    def fail():
        raise ZeroDivisionError

    def ask():
        for _ in range(3):
            try:
                region.get_or_create("k", fail)
            except Exception as error:
                raised.add(type(error))

    for _ in range(20):
        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert raised == {ZeroDivisionError}
