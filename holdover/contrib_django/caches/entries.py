"""What all methods of the cache stand on: its region, its keys and its timeouts."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    BaseCache,
    default_key_func,
)

from holdover import NO_VALUE, Lifetime, errors
from holdover.contrib_django.caches.kept import chooses_runners, region_for
from holdover.contrib_django.caches.location import read_location
from holdover.contrib_django.caches.options import read_timeout

# Django's users rely on it that nothing is served past its timeout.
_FOR_EVER = Lifetime(stale_while_revalidate=0)
# What Django warns of. It looks at every character, which costs more than a hit.
_warned_of = re.compile(r"[\x00-\x20\x7f]").search


class UnpicklableValue(errors.UncacheableValue, pickle.PicklingError):
    """A value that cannot be stored; of the kind that Django's own caches raise."""


class Entries(BaseCache):
    """A cache's entries, in a region. See `RegionCache`."""

    def __init__(self, location: object, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.default_timeout: float | None = read_timeout(params)
        place = read_location(location)
        self.region = region_for(place, self.key_prefix, params)
        self.chooses_runners = chooses_runners(place, params)
        self._makes_keys_as_django = type(self).make_key is BaseCache.make_key
        self._warns_as_django = type(self).validate_key is BaseCache.validate_key

    def make_and_validate_key(self, key: str, version: int | None = None) -> str:
        """Make the key that is stored, and warn of what memcached would refuse."""
        if self._makes_keys_as_django and self.key_func is default_key_func:
            # Django's form without its steps (0.14 us in place of 0.24).
            version = self.version if version is None else version
            made = f"{self.key_prefix!s}:{version!s}:{key!s}"
        else:
            made = self.make_key(key, version)
        if (
            _warned_of(made)
            or len(made) > MEMCACHE_MAX_KEY_LENGTH
            or not self._warns_as_django
        ):
            self.validate_key(made)
        return made

    def create(self, key: str, default: Any, timeout: Any) -> Any:
        """Store a value that is missing, as `get_or_set` does. For `aget_or_set`.

        Args:
            key: As `make_and_validate_key` has made it.
            default: The value, or what makes it.
            timeout: See `set`.
        """
        create = default if callable(default) else lambda: default
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return create()
        created = self.region.get_or_create(key, create, lifetime=lifetime)
        # All who waited got the same object; read again, each has one of his own.
        value = self.region.get(key)
        return created if value is NO_VALUE else value

    def _has(self, key: str) -> bool:
        return self.region.get(key) is not NO_VALUE

    def _store(self, key: str, value: Any, timeout: Any) -> bool:
        """Store, or remove if the timeout says so; False if the backend failed."""
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return not self.region.delete(key).pending
        try:
            self.region.set(key, value, lifetime=lifetime, strict=True)
        except errors.BackendError:
            return False
        except errors.UncacheableValue as error:
            raise UnpicklableValue(str(error)) from error
        return True

    def _store_all(self, data: Mapping[str, Any], timeout: Any) -> bool:
        """Store several in one go; False if it is not known which were stored."""
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return False
        try:
            self.region.set_multi(data, lifetime=lifetime, strict=True)
        except errors.BackendError:
            return False
        except errors.UncacheableValue as error:
            raise UnpicklableValue(str(error)) from error
        return True

    def _remove(self, key: str) -> bool:
        # The backend also has entries that are expired or were cleared, and knows
        # nothing of that; of two callers who both saw a value, it tells who removed it.
        was_there = self._has(key)
        return self.region.delete(key).existed and was_there

    def _lifetime(self, timeout: Any) -> Lifetime | None:
        """How long an entry lives; None if it is not to be stored at all."""
        if isinstance(timeout, Lifetime):
            return timeout
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return _FOR_EVER
        if isinstance(timeout, timedelta):
            timeout = timeout.total_seconds()
        return None if timeout <= 0 else _lasting(timeout)


@lru_cache(maxsize=1000)  # to check it costs as much as to serve a value from memory
def _lasting(timeout: float) -> Lifetime:
    return Lifetime(expiration_time=timeout, stale_while_revalidate=0, keep_for=0)
