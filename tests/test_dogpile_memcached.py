"""dogpile.cache.bmemcached by name, on a real server: on the dogpile tier."""

import pytest

from holdover import NO_VALUE, make_region


@pytest.fixture
def region(memcached_server):
    """A region with a lock on the server."""
    arguments = {"url": [memcached_server.url], "distributed_lock": True}
    region = make_region("region")
    yield region.configure("dogpile.cache.bmemcached", 60, arguments)
    region.backend.client.disconnect_all()


def test_what_a_region_does(region, counter):
    """Values are made once, kept, set and deleted as in dogpile.cache."""
    assert region.get_or_create("k", counter) == 1
    assert region.get_or_create("k", counter) == 1
    region.set("k", {"set": True})
    assert region.get("k") == {"set": True}
    region.set_multi({"a": 1, "b": 2})
    assert region.get_multi(["a", "b", "c"]) == [1, 2, NO_VALUE]
    region.delete("k")
    assert region.get("k") is NO_VALUE
    region.delete_multi(["a", "b"])
    assert region.get_multi(["a", "b"]) == [NO_VALUE] * 2


def test_an_invalidated_region(region, counter):
    """What is older than its invalidation is made anew."""
    assert region.get_or_create("k", counter) == 1
    region.invalidate()
    assert region.get_or_create("k", counter) == 2


def test_a_decorated_function(region, counter):
    """It is called once for each of its arguments."""

    @region.cache_on_arguments()
    def make(_name):
        return counter()

    assert [make("a"), make("b"), make("a")] == [1, 2, 1]
