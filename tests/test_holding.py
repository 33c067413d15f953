"""What was read can be replaced, unless somebody was faster."""

import pytest
from standins import broken

from holdover import NO_VALUE, Freshness, Held, Lifetime, events, make_region
from holdover.errors import BackendError

WINDOWS = Lifetime(
    expiration_time=10, stale_while_revalidate=10, stale_if_error=20, keep_for=0
)


@pytest.fixture
def region(new_region):
    """A region on each backend in turn."""
    return new_region()


class TestHeld:
    def test_is_what_is_there(self, region):
        """A fresh value is held, and read as it was stored."""
        region.set("key", [1])
        assert region.hold("key").value == [1]
        assert isinstance(region.hold("key"), Held)
        assert region.hold("other") is None

    def test_tells_what_can_be_done_with_it(self, region, clock):
        """What is replaced without a lifetime of its own is as old as before."""
        region.set("key", 1, lifetime=WINDOWS)
        assert region.hold("key").freshness is Freshness.FRESH
        clock.advance(10)
        held = region.hold("key", stale=True)
        assert held.freshness is Freshness.STALE
        assert held.replace(2).freshness is Freshness.STALE
        assert region.hold("key", stale=True).replace(3, lifetime=WINDOWS).is_fresh
        clock.advance(20)
        assert region.hold("key", stale=True).freshness is Freshness.FALLBACK
        clock.advance(10)
        assert region.hold("key", stale=True) is None

    def test_counts_as_a_read(self, region, heard):
        """Whoever counts hits and misses counts these, too."""
        told = heard(region)
        region.set("key", 1)
        told.clear()
        region.hold("key")
        region.hold("other")
        assert [type(event) for event in told] == [events.Hit, events.Missed]

    def test_is_replaced(self, region):
        """Once, and then what has taken its place."""
        region.set("key", 1)
        held = region.hold("key")
        newer = held.replace(2)
        assert region.get("key") == 2
        assert held.replace(3) is None
        assert newer.replace(3).value == 3
        assert region.get("key") == 3

    @pytest.mark.parametrize("change", ["set", "delete", "invalidate"])
    def test_is_not_replaced_once_it_has_changed(self, region, change):
        """Others' writes are not lost, and what was deleted stays so."""
        region.set("key", 1)
        held = region.hold("key")
        if change == "set":
            region.set("key", 5)
        elif change == "delete":
            region.delete("key")
        else:
            region.invalidate()
        held.replace(2)  # an invalidation it outlives, but nobody sees it
        assert region.get("key") == (5 if change == "set" else NO_VALUE)

    def test_keeps_its_tags(self, region):
        """What invalidates the old value reaches the new one."""
        region.set("key", 1, tags=("red",))
        region.hold("key").replace(2, lifetime=Lifetime(expiration_time=60))
        assert region.get("key") == 2
        region.invalidate(tags=("red",))
        assert region.get("key") is NO_VALUE

    def test_expires_as_it_is_told(self, region, clock):
        """With a lifetime, anew; without one, when it would have."""
        region.set("one", 1)
        region.set("two", 1)
        clock.advance(6)
        region.hold("one").replace(2)
        region.hold("two").replace(2, lifetime=Lifetime(expiration_time=10))
        clock.advance(6)
        assert (region.get("one"), region.get("two")) == (NO_VALUE, 2)
        assert region.hold("one") is None


class TestFailures:
    @pytest.mark.parametrize("verb", ["hold", "change", "copy"])
    def test_of_the_backend_are_told_from_misses(self, verb):
        """Who reads to write has to know that nothing could be read."""
        region = make_region("region").configure("holdover.memory")
        region.set("key", 1)
        region.backend.read = broken
        more = {"hold": [], "change": [lambda value: value], "copy": ["other"]}[verb]
        with pytest.raises(BackendError, match="away"):
            getattr(region, verb)("key", *more)


class TestCodec:
    @pytest.mark.parametrize(
        ("backend", "codec", "expected"),
        [
            ("holdover.memory", None, None),
            ("holdover.memory", "pickle", "pickle"),
            ("holdover.memory", "msgpack", "msgpack"),
            ("dogpile.cache.memory", None, None),
        ],
    )
    def test_is_told(self, backend, codec, expected):
        """By its tag; None where objects stay objects, or dogpile.cache decides."""
        region = make_region("region").configure(backend, codec=codec)
        assert region.codec == expected

    def test_is_pickle_by_default(self, tmp_path):
        """Where bytes are kept."""
        arguments = {"path": tmp_path / "cache"}
        region = make_region("region").configure("holdover.file", None, arguments)
        assert region.codec == "pickle"

    def test_of_the_users_own_functions_is_custom(self):
        """dogpile.cache's hook is no codec that has a name."""
        region = make_region("region", serializer=repr, deserializer=eval)
        assert region.configure("holdover.memory").codec == "custom"
