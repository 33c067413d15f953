"""Stale serving of what is read by get() and later written by set().

Django's pages and fragments are. Whoever is told that there is nothing makes the value
anew, and that is one caller; all others get the old one meanwhile::

    one request             the others, in all processes
    get(): a miss
      renders               get(): the old page
    set(): committed
                            get(): the new page
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from holdover import NO_VALUE, Cached, KeyLease, Lifetime, Looked, Region
from holdover.contrib_django.stale.keys import (
    NEVER,
    read_staleness,
    without_staleness,
)
from holdover.contrib_django.stale.leases import (
    holds_lease,
    keep_lease,
    release_lease,
    release_leases,
    take_lease,
)
from holdover.errors import HoldoverError, UncacheableValue


@cache  # one class for one kind, which users may tell by isinstance()
def serving_stale(kind: Any) -> Any:
    """Give the class of cache that does as *kind* does, and serves stale values."""
    names = {name: getattr(kind, name) for name in ("__doc__", "__module__")}
    return type(kind.__name__, (StaleServing, kind), names)


class StaleServing(BaseCache):
    """What a cache does otherwise that serves stale values; stands before its class.

    All but ``get()`` and ``get_many()`` treat a stale value as absent by themselves,
    since to them it has expired. What writes a key in another way than by ``set()``
    gives up the lease of this context first: its own later ``set()`` is not late.
    """

    region: Region
    _lifetime: Callable[[Any], Lifetime | None]

    def __init__(self, location: object, params: Mapping[str, Any]) -> None:
        super().__init__(location, without_staleness(params))
        self._staleness = read_staleness(params) or NEVER

    # -- reading ---------------------------------------------------------------

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """See `RegionCache`."""
        if not self._staleness.covers(key):
            return super().get(key, default, version)
        made = self.make_and_validate_key(key, version=version)
        value = self._served(made, self.region.get_or_lease(made))
        return default if value is NO_VALUE else value

    def get_many(
        self, keys: Iterable[str], version: int | None = None
    ) -> dict[str, Any]:
        """See `RegionCache`."""
        keys = list(keys)
        covered = {
            key: self.make_and_validate_key(key, version=version)
            for key in keys
            if self._staleness.covers(key)
        }
        if not covered:
            return super().get_many(keys, version)  # type: ignore[no-any-return]
        found = super().get_many([key for key in keys if key not in covered], version)
        looked = self.region.get_or_lease_multi(list(covered.values()))
        for (key, made), one in zip(covered.items(), looked, strict=True):
            value = self._served(made, one)
            if value is not NO_VALUE:
                found[key] = value
        return {key: found[key] for key in keys if key in found}

    def _served(self, made: str, looked: Looked) -> Any:
        """Give what this context gets; nothing, if it is to make the next value."""
        if looked.lease is not None:
            keep_lease(self.region, made, looked.lease)
            return NO_VALUE
        if looked.is_fresh:
            release_lease(self.region, made)  # somebody else was faster
        elif holds_lease(self.region, made):
            return NO_VALUE
        return looked.value

    # -- writing ---------------------------------------------------------------

    def set(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """See `RegionCache`."""
        lasting = self._lasting(key, timeout)
        made = self.make_and_validate_key(key, version=version)
        lease = take_lease(self.region, made)
        if lease is None or not _committed(lease, value, lasting):
            super().set(key, value, lasting, version)

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        """See `RegionCache`."""
        alike: dict[Any, dict[str, Any]] = {}
        for key, value in data.items():
            made = self.make_and_validate_key(key, version=version)
            if holds_lease(self.region, made):
                self.set(key, value, timeout, version)
            else:
                alike.setdefault(self._lasting(key, timeout), {})[key] = value
        return [
            failed
            for lasting, part in alike.items()
            for failed in super(StaleServing, self).set_many(part, lasting, version)
        ]

    def get_or_set(
        self,
        key: str,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> Any:
        """See `RegionCache`."""
        self._give_up(key, version)
        return super().get_or_set(key, default, self._lasting(key, timeout), version)

    async def aget_or_set(
        self,
        key: str,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - not one of the call
        version: int | None = None,
    ) -> Any:
        """See `RegionCache`."""
        await sync_to_async(self._give_up)(key, version)
        lasting = self._lasting(key, timeout)
        return await super().aget_or_set(key, default, lasting, version)

    def add(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """See `RegionCache`. A lock, say: it is not served stale, whatever its key."""
        self._give_up(key, version)
        return super().add(key, value, timeout, version)  # type: ignore[no-any-return]

    def incr_version(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """See `RegionCache`."""
        old = self.version if version is None else version
        self._give_up(key, old + delta)
        return super().incr_version(key, delta, version)  # type: ignore[no-any-return]

    def delete(self, key: str, version: int | None = None) -> bool:
        """See `RegionCache`."""
        self._give_up(key, version)
        return super().delete(key, version)  # type: ignore[no-any-return]

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """See `RegionCache`."""
        keys = list(keys)
        for key in keys:
            self._give_up(key, version)
        super().delete_many(keys, version)

    def clear(self) -> None:
        """See `RegionCache`."""
        release_leases(self.region)
        super().clear()

    def close(self, **kwargs: Any) -> None:
        """See `RegionCache`. Django calls this at the end of each request."""
        release_leases(self.region)
        super().close(**kwargs)

    async def aclose(self, **kwargs: Any) -> None:
        """See close()."""
        await sync_to_async(self.close)(**kwargs)

    # -- small steps -----------------------------------------------------------

    def _give_up(self, key: str, version: int | None) -> None:
        made = self.make_and_validate_key(key, version=version)
        release_lease(self.region, made)

    def _lasting(self, key: str, timeout: Any) -> Any:
        """Give what the next class takes as a timeout: a lifetime, if it is another."""
        lifetime = self._lifetime(timeout)
        if lifetime is None:
            return timeout
        return self._staleness.lifetime(key, lifetime)


def _committed(lease: KeyLease, value: Any, lasting: Any) -> bool:
    """Store *value* unless it comes late; False if it is not to be, or cannot be."""
    if not isinstance(lasting, Lifetime):
        return False
    try:
        lease.commit(Cached.with_lifetime(value, lasting), strict=True)
    except UncacheableValue:
        lease.release()
        return False
    except HoldoverError:
        # The backend is away, and the old value is what there is; or another thread of
        # this context has just used the lease.
        return True
    return True
