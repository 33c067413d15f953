"""What leaves the process is signed by SECRET_KEY; nobody else's values are read."""

import pickle

import pytest
from django.test import override_settings
from django_caches import CacheTests

from holdover import events, make_region
from holdover.contrib_django import RegionCache


class TestSigning(CacheTests):
    kinds = ("file", "sqlite", "postgresql", "mariadb", "memcached", "redis")

    def test_is_by_secret_key(self, new_cache, heard):
        """Who has another one finds nothing, and is told why."""
        new_cache().set("key", "value")
        with override_settings(SECRET_KEY="another one"):
            cache = new_cache()
            told = heard(cache.region)
            assert cache.get("key") is None
            assert "signed by none" in unreadable(told)

    def test_goes_on_while_the_key_is_replaced(self, new_cache):
        """Fallbacks verify what they have signed; the new key signs."""
        with override_settings(SECRET_KEY="old"):
            new_cache().set("of-old", 1)
        with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", "old"]):
            assert new_cache().get("of-old") == 1
            new_cache().set("of-new", 2)
        with override_settings(SECRET_KEY="new"):
            assert new_cache().get_many(["of-old", "of-new"]) == {"of-new": 2}

    def test_can_be_by_another_secret(self, new_cache):
        """OPTIONS["SECRET"] takes the place of SECRET_KEY."""
        options = {"SECRET": "0123456789abcdef"}
        new_cache(options).set("key", 1)
        assert new_cache().get("key") is None
        with override_settings(SECRET_KEY="another one"):
            assert new_cache(options).get("key") == 1

    def test_makes_a_forged_value_a_miss(self, new_cache, heard):
        """Whoever writes into the store cannot have this process unpickle it."""
        cache = new_cache()
        told = heard(cache.region)
        forger = make_region(cache.region.name).configure(
            cache.region.backend, codec="pickle", unsigned_pickle=True
        )
        forger.set(":1:key", Bomb())
        assert cache.get("key", "nothing") == "nothing"
        assert cache.get_many(["key"]) == {}
        assert "not signed" in unreadable(told)
        assert Bomb.went_off is False
        cache.set("key", "mended")
        assert cache.get("key") == "mended"


class Bomb:
    """A value that does something while it is unpickled."""

    went_off = False

    def __reduce__(self):
        return go_off, ()


def go_off():
    """Show that somebody has unpickled it."""
    Bomb.went_off = True


def unreadable(told):
    """Give the reasons why values could not be read."""
    return str([one.reason for one in told if isinstance(one, events.Unreadable)])


@pytest.mark.parametrize("location", ["memory", "null://"])
def test_nothing_is_signed_that_stays(location, settings):
    """So that no secret is needed there."""
    settings.SECRET_KEY = ""
    cache = RegionCache(location, {})
    cache.set("key", 1)
    assert cache.get("key") in (1, None)


def test_a_file_that_was_changed_is_a_miss(tmp_path):
    """One bit is enough."""
    cache = RegionCache(str(tmp_path / "cache"), {})
    cache.set("key", "x" * 100)
    payload = pickle.dumps("x" * 100)[10:50]
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file() and payload in path.read_bytes():
            held = path.read_bytes()
            path.write_bytes(held.replace(b"xxxx", b"xxxy", 1))
    assert cache.get("key") is None
