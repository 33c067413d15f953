"""One namespace of a region, with the methods of Beaker's caches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Self

from holdover import NO_VALUE, Delivery, Lifetime, Region, errors
from holdover.regions.warnings import warn_caller
from holdover.wsgi.beaker.naming import Address, checked_namespace, tag_of
from holdover.wsgi.beaker.regions import unnamed_region
from holdover.wsgi.beaker.util import laid_over

_OWN = ("createfunc", "expiretime", "expire", "starttime")


class Cache:
    """The values of one namespace.

    ::

        prices = manager.get_cache("prices", expire=300)
        price = prices.get("tea", createfunc=fetch_price_of_tea)

    Of many callers who want a missing value, in all processes that share the backend,
    one runs its ``createfunc``; with an old value at hand nobody else waits.

    Args:
        namespace: Its name, any text. Caches of one name and of the same options share
            their values.
        type: Where they are kept; see ``docs/beaker.rst``.
        expiretime: Seconds for which values are fresh; None means for ever, and 0 or
            less that none is kept.
        starttime: What was stored before this instant (seconds since the epoch) counts
            as missing.
        expire: Another name for *expiretime*.
        **nsargs: Beaker's other options, and Holdover's: ``stale_while_revalidate``.

    Attributes:
        namespace_name: Its name.
        region: The region that holds its values.
        expiretime: See above.
        starttime: See above.
        nsargs: What it was made with, besides.

    Raises:
        ConfigurationError: An option is unknown or wrong.
    """

    def __init__(
        self,
        namespace: str,
        type: str = "memory",  # noqa: A002 - Beaker's name
        expiretime: float | timedelta | None = None,
        starttime: float | None = None,
        expire: float | timedelta | None = None,
        **nsargs: Any,
    ) -> None:
        options = {"type": type, **nsargs}
        expire = expire if expiretime is None else expiretime
        self._take(namespace, unnamed_region(options), options, expire, starttime)

    @classmethod
    def of_region(
        cls,
        namespace: str,
        region: Region,
        options: Mapping[str, Any],
        *,
        expire: Any = None,
        starttime: float | None = None,
    ) -> Self:
        """Give a namespace of a region that there is already.

        Args:
            namespace: Its name.
            region: The region.
            options: Beaker's options of the region.
            expire: Seconds for which values are fresh; None means as the region says.
            starttime: See `Cache`.
        """
        made = cls.__new__(cls)
        made._take(namespace, region, options, expire, starttime)  # noqa: SLF001 - its own
        return made

    def _take(
        self,
        namespace: str,
        region: Region,
        options: Mapping[str, Any],
        expire: Any,
        starttime: float | None,
    ) -> None:
        self.namespace_name = checked_namespace(namespace)
        self.region = region
        self.expiretime = expire
        self.starttime = starttime
        self.nsargs = options
        self._tags = (tag_of(namespace),)
        self._address = Address(namespace).of
        self._terms = self._lifetime_of(expire), not is_over_at_once(expire)

    # -- reading ---------------------------------------------------------------

    def get_value(self, key: object, **kw: Any) -> Any:
        """Give the value for *key*.

        Args:
            key: A text, or whatever has a ``repr`` that lasts.
            **kw: ``createfunc``, called without arguments if there is no fresh value,
                to make one; ``expiretime`` (or ``expire``) and ``starttime`` in place
                of the cache's own. A lifetime that is given is stored with the value.
                With a ``type`` (deprecated, as in Beaker) and other options of a
                cache, it is that cache's value.

        Raises:
            KeyError: There is none, and no ``createfunc``.
            Exception: Whatever ``createfunc`` raised, unchanged.
        """
        if "type" in kw:
            cache, kw = self._elsewhere(kw)
            return cache.get_value(key, **kw)
        _check_words(kw)
        create, address = kw.get("createfunc"), self._address(key)
        starttime = kw.get("starttime", self.starttime)
        lifetime, is_kept = self._terms_of(kw)
        if create is None or not is_kept:
            value = self._fresh(address, starttime)
            if value is not NO_VALUE:
                return value
            if create is None:
                raise KeyError(key)
            return create()
        if starttime is not None and self._is_older(address, starttime):
            self.region.delete(address)
        return self.region.get_or_create(
            address, create, lifetime=lifetime, tags=self._tags
        )

    get = get_value

    def has_key(self, key: object) -> bool:
        """Say whether there is a fresh value for *key*."""
        return self._fresh(self._address(key), self.starttime) is not NO_VALUE

    __contains__ = has_key

    def __getitem__(self, key: object) -> Any:
        return self.get_value(key)

    # -- writing ---------------------------------------------------------------

    def set_value(self, key: object, value: Any, **kw: Any) -> None:
        """Store *value*; what is being created for *key* meanwhile is not stored.

        Args:
            key: See `get_value`.
            value: What to store; None is a value too.
            **kw: ``expiretime`` (or ``expire``) in place of the cache's own. With a
                ``type``, it is stored in that cache.

        Raises:
            UncacheableValue: It cannot be stored.
        """
        if "type" in kw:
            cache, kw = self._elsewhere(kw)
            cache.set_value(key, value, **kw)
            return
        _check_words(kw)
        address = self._address(key)
        lifetime, is_kept = self._terms_of(kw)
        if is_kept:
            self.region.set(address, value, lifetime=lifetime, tags=self._tags)
        else:
            self.region.delete(address)

    put = set_value

    def __setitem__(self, key: object, value: Any) -> None:
        self.set_value(key, value)

    def remove_value(self, key: object, **kw: Any) -> Delivery:
        """Remove the value for *key*, if there is one, for all who share the backend.

        Args:
            key: See `get_value`.
            **kw: With a ``type``, it is removed from that cache.

        Returns:
            A `Delivery`, ``pending`` if the backend could not be reached.
        """
        if "type" in kw:
            cache, kw = self._elsewhere(kw)
            return cache.remove_value(key, **kw)
        _check_words(kw)
        return self.region.delete(self._address(key))

    remove = remove_value

    def __delitem__(self, key: object) -> None:
        self.remove_value(key)

    def clear(self) -> Delivery:
        """Remove all values of this namespace, and no others.

        One step, however many they are.
        """
        return self.region.invalidate(tags=self._tags)

    # -- small steps -----------------------------------------------------------

    def _fresh(self, address: str, starttime: float | None) -> Any:
        if starttime is not None and self._is_older(address, starttime):
            return NO_VALUE
        return self.region.get(address)

    def _is_older(self, address: str, starttime: float) -> bool:
        made_at = self.region.inspect(address).created_at
        return made_at is not None and made_at < starttime

    def _terms_of(self, kw: Mapping[str, Any]) -> tuple[Lifetime | None, bool]:
        """Give the lifetime of what a call stores, and whether that is kept at all."""
        expire = expire_in(kw)
        if expire is None:
            return self._terms
        return self._lifetime_of(expire), not is_over_at_once(expire)

    def _lifetime_of(self, expire: Any) -> Lifetime | None:
        """Give what is stored with an entry; None leaves it to the region."""
        if expire is None or is_over_at_once(expire):
            return None
        if isinstance(expire, int | float | timedelta):
            return _expiring(self.region.lifetime, expire)
        return self.region.lifetime.expiring_in(expire)  # which says what is wrong

    def _elsewhere(self, kw: Mapping[str, Any]) -> tuple[Cache, dict[str, Any]]:
        """Give the cache of this namespace that a call names, and the rest of it."""
        warn_caller(
            "name the type of a cache where it is made, get_cache(name, type=...)",
            DeprecationWarning,
        )
        rest = {name: kw[name] for name in _OWN if name in kw}
        own = {name: value for name, value in kw.items() if name not in _OWN}
        shared = {k: v for k, v in self.nsargs.items() if k not in _OWN}
        options = laid_over(shared, own)
        return type(self)(self.namespace_name, **options), rest


@lru_cache(maxsize=256, typed=True)
def _expiring(lifetime: Lifetime, expire: float | timedelta) -> Lifetime:
    return lifetime.expiring_in(expire)


def expire_in(options: Mapping[str, Any]) -> Any:
    """Give the lifetime that options or arguments name by either of Beaker's words."""
    given = options.get("expiretime")
    return options.get("expire") if given is None else given


def is_over_at_once(expire: Any) -> bool:
    """Say whether what lives for *expire* seconds is never fresh."""
    if isinstance(expire, timedelta):
        expire = expire.total_seconds()
    return isinstance(expire, int | float) and expire <= 0


def _check_words(kw: Mapping[str, Any]) -> None:
    for name in kw:
        if name not in _OWN:
            raise errors.InvalidArgument(
                f"unknown argument {name!r}; known are: {', '.join(_OWN)}, and type "
                "with the options of a cache"
            )
    create = kw.get("createfunc")
    if create is not None and not callable(create):
        raise errors.InvalidArgument(f"createfunc must be callable, got {create!r:.80}")
