"""Who reads a stale value gets it, and one of them the right to replace it."""

import gc
import subprocess
import sys
import threading

import pytest
from standins import broken
from waiting import wait_until

from holdover import NO_VALUE, Cached, LeaseTerms, Lifetime, Looked, events
from holdover.errors import BackendError, HoldoverError, UncacheableValue

LIFETIME = Lifetime(expiration_time=10, stale_while_revalidate=60)


@pytest.fixture
def region(new_region):
    """A region on each backend in turn, whose lifetime is that of its entries."""
    return new_region(lease=LeaseTerms(ttl=60))


@pytest.fixture
def stale(region, clock):
    """The region, with a stale value at "key"."""
    region.set("key", "old", lifetime=LIFETIME)
    clock.advance(11)
    return region


class TestGetOrLease:
    def test_gives_a_fresh_value(self, region):
        """And no lease, since nothing is to be made."""
        region.set("key", "value", lifetime=LIFETIME)
        assert region.get_or_lease("key") == Looked("value", is_fresh=True)

    def test_gives_nothing_where_nothing_is(self, region, clock):
        """Nobody gets a lease of what is missing, or older than it may be served."""
        assert region.get_or_lease("key") == Looked(NO_VALUE)
        region.set("key", "value", lifetime=LIFETIME)
        clock.advance(71)
        assert region.get_or_lease("key") == Looked(NO_VALUE)

    def test_gives_the_lease_of_a_stale_value_to_one(self, stale):
        """The others get the old value until he commits, and then the new one."""
        first = stale.get_or_lease("key")
        assert (first.value, first.is_fresh, first.lease.is_held) == (
            "old",
            False,
            True,
        )
        assert stale.get_or_lease("key") == Looked("old")
        assert first.lease.commit("new")
        assert not first.lease.is_held
        assert stale.get_or_lease("key") == Looked("new", is_fresh=True)

    def test_gives_it_to_one_of_many_threads(self, stale):
        """However many ask at the same time."""
        barrier, leases = threading.Barrier(8), []

        def ask():
            barrier.wait(20)
            leases.append(stale.get_or_lease("key").lease)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(lease is None for lease in leases) == [False] + [True] * 7

    def test_gives_it_again_once_it_is_released(self, stale):
        """At once, though the process remembers for a second that it was taken."""
        with stale.get_or_lease("key").lease:
            assert stale.get_or_lease("key").lease is None
        assert stale.get_or_lease("key").lease is not None

    @pytest.mark.parametrize("change", ["set", "delete", "invalidate"])
    def test_a_late_commit_is_not_stored(self, stale, change):
        """What was acknowledged meanwhile wins."""
        lease = stale.get_or_lease("key").lease
        getattr(stale, change)(
            *{"set": ["key", "newer"], "delete": ["key"]}.get(change, [])
        )
        lease.commit("late")
        expected = "newer" if change == "set" else NO_VALUE
        assert stale.get("key", ignore_expiration=True) == expected

    def test_counts_as_a_read(self, stale, heard):
        """He who makes it missed it, the others were served an old value."""
        told = heard(stale)
        lease = stale.get_or_lease("key").lease
        stale.get_or_lease("key")
        lease.commit(Cached("new", expiration_time=10))
        stale.get_or_lease("key")
        counted = (events.Hit, events.Missed, events.StaleServed)
        kinds = [type(event) for event in told if isinstance(event, counted)]
        assert kinds == [events.Missed, events.StaleServed, events.Hit]

    def test_serves_old_values_where_no_lease_is_to_be_had(self, stale, monkeypatch):
        """A backend that takes no writes any more is read for as long as it can be."""
        monkeypatch.setattr(stale.backend, "acquire", broken)
        assert stale.get_or_lease("key") == Looked("old")

    def test_gives_nothing_if_the_backend_is_away(self, stale, monkeypatch):
        """As any read does."""
        for verb in ("read", "read_multi"):
            monkeypatch.setattr(stale.backend, verb, broken)
        assert stale.get_or_lease("key") == Looked(NO_VALUE)
        assert stale.get_or_lease_multi(["key"]) == [Looked(NO_VALUE)]

    def test_takes_many_keys(self, stale):
        """Each with its own lease."""
        stale.set("fresh", "value", lifetime=LIFETIME)
        looked = stale.get_or_lease_multi(["none", "key", "fresh"])
        assert [one.value for one in looked] == [NO_VALUE, "old", "value"]
        assert [one.lease is None for one in looked] == [True, False, True]
        assert stale.get_or_lease_multi(["key"]) == [Looked("old")]


class TestLease:
    def test_is_released_once_nobody_refers_to_it(self, stale):
        """Long before it would lapse."""
        looked = stale.get_or_lease("key")
        assert stale.key_is_locked("key")
        del looked
        gc.collect()
        wait_until(lambda: not stale.key_is_locked("key"))

    def test_says_why_a_value_is_not_stored(self, stale, monkeypatch):
        """If it is asked to; and it has ended."""
        lease = stale.get_or_lease("key").lease
        for verb in ("commit", "commit_multi"):
            monkeypatch.setattr(stale.backend, verb, broken)
        with pytest.raises(BackendError, match="away"):
            lease.commit("new", strict=True)
        assert not lease.is_held
        with pytest.raises(HoldoverError, match="ended"):
            lease.commit("new")

    def test_says_that_a_value_cannot_be_stored(self, new_region, clock):
        """If it is asked to; otherwise listeners are told."""
        region = new_region(codec="pickle")
        region.set("key", "old", lifetime=LIFETIME)
        clock.advance(11)
        with pytest.raises(UncacheableValue):
            region.get_or_lease("key").lease.commit(threading.Lock(), strict=True)
        assert not region.key_is_locked("key")


FORKED = """
import gc, os, sys
from holdover import make_region
region = make_region("region").configure("holdover.file", None, {"path": sys.argv[1]})
lease = region.lease("key")
child = os.fork()
if child == 0:
    del lease
    gc.collect()
    with region.lease("other"):
        pass
    other = region.lease("other")
    del other
    while region.key_is_locked("other"):
        pass
    os._exit(0)
os.waitpid(child, 0)
sys.exit(0 if region.key_is_locked("key") else 1)
"""


def test_a_fork_releases_only_its_own(tmp_path):
    """What a child forgets of its parent's leases is not his to release."""
    command = [sys.executable, "-c", FORKED, str(tmp_path / "cache")]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
