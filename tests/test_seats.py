"""Rights of which there are few end with what they are rights to."""

import gc
import sqlite3
import weakref

import pytest

from holdover import make_region
from holdover.regions.backends.sql import SqlBackend
from holdover.regions.seats import Seat, seats

# What is collected here is the garbage of all tests before, which may complain.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def there_are():
    """Count the seats of this process."""
    gc.collect()
    return sum(type(one) is Seat for one in gc.get_objects())


@pytest.mark.parametrize("is_used", [False, True])
def test_a_region_leaves_none(is_used):
    """However often garbage is collected, and though its places were used."""
    before = there_are()
    region = make_region("ends").configure("holdover.memory", 60)
    if is_used:
        with region._creation._foreground._unleased.joined(1.0):
            pass
    assert there_are() > before
    del region
    for _ in range(3):
        assert there_are() == before


def test_they_go_without_a_collection_of_garbage():
    """They keep nothing that keeps them."""
    free = seats(2)
    used = free.get()
    known = [weakref.ref(used), weakref.ref(free)]
    gc.disable()
    try:
        del free
        used.leave()  # where nobody waits for it
        del used
        assert [one() for one in known] == [None, None]
    finally:
        gc.enable()


def test_a_connection_is_closed_with_its_backend(tmp_path, monkeypatch):
    """Also one that was in use when nobody wanted the backend any more."""
    opened = []
    connect = sqlite3.dbapi2.connect

    def noted(*args, **kwargs):
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", noted)
    monkeypatch.setattr(sqlite3, "connect", noted)
    url = f"sqlite:///{tmp_path}/cache.db"
    backend = SqlBackend({"url": url, "max_connections": 2})
    backend.write("k", b"stored", ttl=60.0)
    backend.read("k", "r")  # by another one
    used = backend._link._seats.take()
    assert used.kept
    backend = None
    gc.collect()
    used.leave()
    del used
    gc.collect()
    assert opened
    for one in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            one.execute("SELECT 1")
