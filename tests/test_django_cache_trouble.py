"""A failing backend reaches no caller of Django's cache API."""

import pytest
from django_caches import CacheTests

from holdover import errors, events
from holdover.contrib_django import RegionCache
from holdover.regions.redelivery import Redelivery


class TestTrouble(CacheTests):
    @pytest.fixture
    def broken(self, cache, monkeypatch, clock):
        """Break the cache's backend; the result mends it again."""
        backend = cache.region.backend

        def fail(*_args, **_kwargs):
            raise errors.BackendError("no space left on device")

        def break_(*verbs):
            # What was not delivered is by the next reader, and by no thread meanwhile:
            # that could remove what a test has written since.
            monkeypatch.setattr(Redelivery, "start", lambda _: None)
            for verb in verbs:
                monkeypatch.setattr(backend, verb, fail)

        def mend():
            monkeypatch.undo()
            clock.advance(60)  # the breakers' pauses

        break_.mend = mend
        return break_

    WRITING = (
        *("write", "write_at", "write_multi", "remove", "remove_multi"),
        *("compare_and_set", "acquire", "commit", "advance"),
    )

    @pytest.mark.parametrize("verbs", [("read", "clock", *WRITING), WRITING])
    def test_reaches_no_caller(self, cache, broken, verbs):
        """Nothing is raised; what could not be done is told as Django's API can."""
        broken(*verbs)
        assert cache.set("key", 1) is None
        assert cache.get("key", "default") == "default"
        assert "key" not in cache
        assert cache.add("key", 1) is False
        assert cache.touch("key") is False
        assert cache.touch("key", 0) is False
        assert cache.delete("key") is False
        assert cache.get_or_set("key", lambda: "made") == "made"
        assert cache.get_many("ab") == {}
        assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
        assert cache.set_many({"a": 1}, timeout=0) == ["a"]
        assert cache.delete_many("ab") is None
        assert cache.clear() is None
        for method in (cache.incr, cache.decr, cache.incr_version):
            with pytest.raises(ValueError, match="'key'"):
                method("key")

    def test_while_counting_leaves_the_value(self, cache, broken):
        """What could not be changed is as it was, and the caller is told."""
        cache.set("key", 1)
        broken(*self.WRITING)
        for method in (cache.incr, cache.incr_version):
            with pytest.raises(ValueError, match="'key' could not be") as raised:
                method("key")
            assert isinstance(raised.value.__cause__, errors.BackendError)
        assert cache.touch("key", 1000) is False
        broken.mend()
        assert cache.get("key") == 1

    @pytest.mark.parametrize("method", ["set", "delete", "clear"])
    def test_never_brings_an_old_value_back(self, cache, broken, method):
        """What was overwritten or removed meanwhile is missing, then and later."""
        cache.set("key", "old")
        broken(*self.WRITING)
        arguments = {"set": ("key", "new"), "delete": ("key",), "clear": ()}[method]
        getattr(cache, method)(*arguments)
        assert cache.get("key") is None
        broken.mend()
        assert cache.get("key") is None
        cache.set("key", "newer")
        assert cache.get("key") == "newer"

    def test_with_the_directory_is_survived(self, tmp_path):
        """A file that stands in the directory's place is trouble of this kind."""
        cache = RegionCache(f"{tmp_path}/cache", {})
        (tmp_path / "cache").touch(0o600)
        cache.set("key", 1)
        assert cache.get("key") is None
        assert cache.add("key", 1) is False

    def test_is_told_to_listeners(self, cache, broken, heard):
        """The region's events say what went wrong."""
        told = heard(cache.region)
        broken(*self.WRITING)
        cache.set("key", 1)
        reasons = {one.reason for one in told if isinstance(one, events.BackendFailed)}
        assert reasons == {"no space left on device"}
