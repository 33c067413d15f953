"""The CACHES backend: Django's cache API over a region."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from holdover import NO_VALUE, Lifetime, errors
from holdover.contrib_django.asynchronous import AsyncMethods
from holdover.contrib_django.kept import region_for
from holdover.contrib_django.location import read_location

# Django's users rely on it that nothing is served past its timeout.
_FOR_EVER = Lifetime(stale_while_revalidate=0)


class UnpicklableValue(errors.UncacheableValue, pickle.PicklingError):
    """A value that cannot be stored; of the kind that Django's own caches raise."""


class RegionCache(AsyncMethods, BaseCache):
    """A Django cache whose entries are kept in a region.

    ::

        CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": "/var/cache/site",
                "OPTIONS": {"max_bytes": 500_000_000},
            }
        }

    It has the whole of Django's cache API, and keeps more of what that promises:
    ``get_or_set()`` runs its default once, however many callers want it at the same
    time, in all processes that share the cache; ``incr()`` and ``decr()`` are atomic
    everywhere; ``incr_version()`` leaves the entry's expiry as it is; and ``clear()``
    takes one step, whatever the size, and removes this cache's own entries only.

    If the backend fails (a full disk, missing permissions), nothing is raised: reads
    find nothing; ``set()`` returns as always, and the key counts as missing until the
    backend is back, so that nobody gets its old value; ``set_many()`` returns the
    keys; ``add()``, ``touch()`` and ``delete()`` return False; ``incr()`` and its like
    raise `ValueError` as for a missing key. What happened is logged, and told to
    whoever listens to the region.

    LOCATION is one of:

    - a name, or ``memory://name``: in this process's memory. Caches of one name share
      their entries. Values are copied, as Django's own memory cache does.
    - an absolute path, or ``file:///path``: in files, shared by all processes of this
      host. The directory must be this user's own.
    - ``region://name``: in a region of `holdover.registry` that the application
      configures. ``clear()`` then empties that region, whoever filled it.

    OPTIONS may contain ``codec`` (default "pickle"), ``lease`` and ``on_timeout`` (see
    ``Region.configure()``), MAX_ENTRIES (in memory; default 10,000), and the backend's
    own arguments, such as ``max_bytes`` for files and ``time_source`` for tests.
    CULL_FREQUENCY has no effect: a full store drops only as much as it must. Caches at
    one location with different KEY_PREFIXes do not share entries, and clearing one
    spares the other.

    Args:
        location: LOCATION.
        params: The other settings of this cache.

    Attributes:
        region: The region, for decorating functions and for listening to events.

    Raises:
        ImproperlyConfigured: LOCATION or OPTIONS are wrong; the message says what is
            known.
    """

    def __init__(self, location: object, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.region = region_for(
            read_location(location), self.key_prefix, params.get("OPTIONS", {})
        )

    # -- one key ---------------------------------------------------------------

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Give the value for *key*, or *default*."""
        value = self.region.get(self.make_and_validate_key(key, version=version))
        return default if value is NO_VALUE else value

    def has_key(self, key: str, version: int | None = None) -> bool:
        """Say whether there is a value for *key*."""
        return self._has(self.make_and_validate_key(key, version=version))

    def set(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """Store *value*.

        Args:
            key: The key.
            value: What to store; None is a value too.
            timeout: Seconds until it expires; None means never, and 0 or less means
                that it is removed instead.
            version: Of the key; by default the cache's own.

        Raises:
            UnpicklableValue: It cannot be stored.
        """
        self._store(self.make_and_validate_key(key, version=version), value, timeout)

    def add(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Store *value* if there is none for *key*; say whether it was stored.

        Of several callers at once, in all processes, one gets True.

        Raises:
            UnpicklableValue: It cannot be stored.
        """
        key = self.make_and_validate_key(key, version=version)
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return not self._has(key)
        try:
            with _picklable():
                return self.region.add(key, value, lifetime=lifetime)
        except errors.BackendError:
            return False

    def get_or_set(
        self,
        key: str,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> Any:
        """Give the value for *key*, storing *default* or what it returns if need be.

        While one caller runs *default*, the others wait for its value, for as long as
        the region's lease terms say. A value that cannot be stored is returned all
        the same.

        Raises:
            RecursiveCreation: *default* asked for the same key.
            LazyValue: *default* returned a generator or the like.
            Exception: Whatever *default* raised, unchanged.
        """
        key = self.make_and_validate_key(key, version=version)
        value = self.region.get(key)
        if value is not NO_VALUE:
            return value
        create = default if callable(default) else lambda: default
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return create()
        created = self.region.get_or_create(key, create, lifetime=lifetime)
        # All who waited got the same object; read again, each has one of his own.
        value = self.region.get(key)
        return created if value is NO_VALUE else value

    def touch(
        self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Let the value expire *timeout* seconds from now; False if there is none."""
        key = self.make_and_validate_key(key, version=version)
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return self._remove(key)
        try:
            touched = self.region.change(key, lambda value: value, lifetime=lifetime)
        except errors.BackendError:
            return False
        return touched is not NO_VALUE

    def delete(self, key: str, version: int | None = None) -> bool:
        """Remove the value for *key*; say whether there was one."""
        return self._remove(self.make_and_validate_key(key, version=version))

    # -- counting --------------------------------------------------------------

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> Any:
        """Add *delta* to the value, atomically, and give the sum.

        Its expiry stays as it is.

        Raises:
            ValueError: There is no value, or the backend failed.
        """
        made = self.make_and_validate_key(key, version=version)
        try:
            value = self.region.change(made, lambda value: value + delta)
        except errors.BackendError as error:
            raise ValueError(f"Key {key!r} could not be changed") from error
        if value is NO_VALUE:
            raise ValueError(f"Key {key!r} not found")
        return value

    def incr_version(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Move the value to the version *delta* further on, and give that version.

        Its expiry stays as it is.

        Raises:
            ValueError: There is no value, or the backend failed.
        """
        version = self.version if version is None else version
        old = self.make_and_validate_key(key, version=version)
        new = self.make_and_validate_key(key, version=version + delta)
        try:
            value = self.region.copy(old, new)
        except errors.BackendError as error:
            raise ValueError(f"Key {key!r} could not be moved") from error
        if value is NO_VALUE:
            raise ValueError(f"Key {key!r} not found")
        self.region.delete(old)
        return version + delta

    # -- many keys -------------------------------------------------------------

    def get_many(
        self, keys: Iterable[str], version: int | None = None
    ) -> dict[str, Any]:
        """Give the values that there are, by key."""
        made = {key: self.make_and_validate_key(key, version=version) for key in keys}
        values = self.region.get_multi(list(made.values()))
        return {
            key: value
            for key, value in zip(made, values, strict=True)
            if value is not NO_VALUE
        }

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        """Store several values; give the keys of those that could not be stored.

        Raises:
            UnpicklableValue: One of them never can be.
        """
        made = {key: self.make_and_validate_key(key, version=version) for key in data}
        if self._store_all({made[key]: data[key] for key in data}, timeout):
            return []
        return [
            key
            for key, value in data.items()
            if not self._store(made[key], value, timeout)
        ]

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Remove the values for *keys*."""
        self.region.delete_multi(
            [self.make_and_validate_key(key, version=version) for key in keys]
        )

    def clear(self) -> None:
        """Remove all entries of this cache, in one step whatever their number."""
        self.region.invalidate()

    # -- small steps -----------------------------------------------------------

    def _has(self, key: str) -> bool:
        return self.region.get(key) is not NO_VALUE

    def _store(self, key: str, value: Any, timeout: Any) -> bool:
        """Store, or remove if the timeout says so; False if the backend failed."""
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return not self.region.delete(key).pending
        try:
            with _picklable():
                self.region.set(key, value, lifetime=lifetime, strict=True)
        except errors.BackendError:
            return False
        return True

    def _store_all(self, data: Mapping[str, Any], timeout: Any) -> bool:
        """Store several in one go; False if it is not known which were stored."""
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return False
        try:
            with _picklable():
                self.region.set_multi(data, lifetime=lifetime, strict=True)
        except errors.BackendError:
            return False
        return True

    def _remove(self, key: str) -> bool:
        # The backend also has entries that are expired or were cleared, and knows
        # nothing of that; of two callers who both saw a value, it tells who removed it.
        was_there = self._has(key)
        return self.region.delete(key).existed and was_there

    def _lifetime(self, timeout: Any) -> Lifetime | None:
        """How long an entry lives; None if it is not to be stored at all."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return _FOR_EVER
        if isinstance(timeout, timedelta):
            timeout = timeout.total_seconds()
        if timeout <= 0:
            return None
        return Lifetime(expiration_time=timeout, stale_while_revalidate=0, keep_for=0)


@contextmanager
def _picklable() -> Iterator[None]:
    """Raise what Django's own caches do for a value that cannot be stored."""
    try:
        yield
    except errors.UncacheableValue as error:
        raise UnpicklableValue(str(error)) from error
