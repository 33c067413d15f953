"""The CACHES backend: Django's cache API over a region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from holdover import NO_VALUE, errors
from holdover.contrib_django.caches.asynchronous import AsyncMethods
from holdover.contrib_django.caches.entries import UnpicklableValue
from holdover.contrib_django.caches.options import check_params
from holdover.contrib_django.stale.keys import read_staleness
from holdover.contrib_django.stale.serving import serving_stale


class RegionCache(AsyncMethods):
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

    - a name: the region of that name, if the project's registry knows one (by default
      `holdover.registry`); else a store in this process's memory, as with Django's own
      memory cache.
    - ``memory://name``: that store in any case. Caches of one name share their
      entries. Values are copied, as Django's own memory cache does.
    - ``region://name``: that region in any case, which the application configures.
      ``clear()`` then empties it, whoever filled it.
    - an absolute path, or ``file:///path``: in files, shared by all processes of this
      host. The directory must be this user's own.
    - ``host:port``, ``unix:/path``, or a list of those: memcached servers.
    - ``django-db://alias/table``: a table in one of Django's DATABASES, on connections
      of its own. It is made when it is first needed, or by
      ``manage.py holdover_createtable``.
    - a URL of any other backend of Holdover, such as ``redis://localhost/0``,
      ``postgresql://user@host/name``, ``sqlite:////var/cache/site.db`` or ``null://``.
      Of several, as Django's Redis cache takes them, the first is used: replicas are
      never read, since they may not know yet of what was written.

    OPTIONS may contain, in capitals or not, ``codec`` (default "pickle"), ``secret``
    (by default SECRET_KEY and SECRET_KEY_FALLBACKS sign whatever leaves the process),
    ``lease``, ``on_timeout``, ``near_ttl`` and other rules of the region (see
    ``Region.configure()``); MAX_ENTRIES (in memory; default 10,000; of memcached and
    Redis it is the server's matter); and the backend's own arguments, such as
    ``max_bytes`` for files and ``time_source`` for tests. CULL_FREQUENCY has no effect:
    a full store drops only as much as it must. NAME is what the region is called, by
    which workers and figures tell it from those of other caches (default "django"); it
    is part of what entries are stored under. Caches at one location with different
    KEY_PREFIXes do not share entries, and clearing one spares the other.
    STALE_WHILE_REVALIDATE lets pages and fragments be served for that many seconds (or
    a ``timedelta``) after their timeout, while one caller makes them anew: his
    ``get()`` finds nothing, and his ``set()`` is stored unless somebody else has
    written the key since. STALE_KEYS, a list of prefixes or a function of the key, or
    the path of one, says what else is; sessions never are.

    Args:
        location: LOCATION.
        params: The other settings of this cache.

    Attributes:
        region: The region, for decorating functions and for listening to events.
        chooses_runners: Whether the project has said who carries out its refreshes; by
            default threads of this process do.

    Raises:
        ImproperlyConfigured: LOCATION, TIMEOUT or OPTIONS are wrong; the message says
            what is known, and shows no password.
    """

    def __new__(cls, location: object, params: Mapping[str, Any]) -> Self:
        """Give a cache that serves stale values if OPTIONS speak of it."""
        del location
        check_params(params)
        kind: Any = cls
        if read_staleness(params) is not None:
            kind = serving_stale(kind)
        return super().__new__(kind)  # type: ignore[no-any-return]

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
            return self.region.add(key, value, lifetime=lifetime)
        except errors.BackendError:
            return False
        except errors.UncacheableValue as error:
            raise UnpicklableValue(str(error)) from error

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
        return self.create(key, default, timeout) if value is NO_VALUE else value

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
