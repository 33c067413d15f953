"""What people do to a region's values: set, change and invalidate them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from dogpile.cache.api import NO_VALUE
from dogpile.cache.region import DefaultInvalidationStrategy

from holdover.regions.codecs import refuse_lazy
from holdover.regions.configured import ConfiguredRegion
from holdover.regions.envelope import Entry, new_fence
from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    InvalidArgument,
)
from holdover.regions.freshness import Freshness
from holdover.regions.legacy import plain_value
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Delivery, together
from holdover.regions.returned import Cached, checked_tags
from holdover.regions.ticks import Reach, Scope
from holdover.regions.tier import Tier
from holdover.regions.within import invalidate_within, remove_within

_SWAPS = 1000  # tries against others who change the same key


class WritableRegion(ConfiguredRegion):
    """The part of a region that changes values. See `Region`."""

    def set(  # type: ignore[override] # dogpile.cache's returns nothing
        self,
        key: str,
        value: Any,
        *,
        lifetime: Lifetime | None = None,
        tags: Iterable[str] = (),
        strict: bool = False,
    ) -> Delivery:
        """Store *value*, whatever was there; creations under way are not stored.

        Args:
            key: The key.
            value: What to store, plain or `Cached`.
            lifetime: Stored with the entry, and judging it from then on.
            tags: Names under which it can be invalidated.
            strict: Whether to raise if the backend cannot be reached.

        Raises:
            UncacheableValue: It is lazy, or the codec cannot encode it.
            BackendError: Only if *strict*.
        """
        tags = checked_tags(tags)
        if self._tier is None and lifetime is None and not tags:
            super().set(key, plain_value(value))
            return Delivery()
        entries = self._entries
        entry = self._entry(value, lifetime, tags, clock=entries.latest_tick())
        return entries.begin(self._address(key), entry, strict=strict)

    def set_multi(  # type: ignore[override] # dogpile.cache's returns nothing
        self,
        mapping: Mapping[str, Any],
        *,
        lifetime: Lifetime | None = None,
        strict: bool = False,
    ) -> Delivery:
        """Store several values, as `set` does; ``pending`` if any of them is.

        Args:
            mapping: The values, plain or `Cached`, by key.
            lifetime: Stored with each entry, and judging it from then on.
            strict: Whether to raise if the backend cannot be reached.

        Raises:
            UncacheableValue: One is lazy, or the codec cannot encode it.
            BackendError: Only if *strict*; some may have been stored.
        """
        if self._tier is None and lifetime is None:
            super().set_multi({k: plain_value(v) for k, v in mapping.items()})
            return Delivery()
        special = {k: v for k, v in mapping.items() if isinstance(v, Cached)}
        clock = self._entries.tick()  # once, however many there are
        entries = {
            self._address(key): self._entry(value, lifetime, clock=clock)
            for key, value in mapping.items()
            if key not in special
        }
        done = [
            self.set(key, value, lifetime=lifetime, strict=strict)
            for key, value in special.items()
        ]
        return together([*done, self._entries.store_multi(entries, strict=strict)])

    def add(self, key: str, value: Any, *, lifetime: Lifetime | None = None) -> bool:
        """Store *value* only if there is no fresh one, atomically.

        Raises:
            BackendError: The backend cannot be reached.
        """
        address, judged_by = self._address(key), lifetime or self._lifetime
        for _ in range(_SWAPS):
            found = self._entries.look(address, judged_by)
            if found.freshness is Freshness.FRESH:
                return False
            if self._entries.swap(address, found.entry, self._entry(value, lifetime)):
                return True
        raise BackendError(f"{key!r} kept changing")

    def change(
        self,
        key: str,
        function: Callable[[Any], Any],
        *,
        lifetime: Lifetime | None = None,
    ) -> Any:
        """Replace a fresh value by ``function(value)``, atomically.

        Args:
            key: The key.
            function: Makes the new value; may be called more than once.
            lifetime: The new value's own; None leaves its expiry as it is.

        Returns:
            The new value, or ``NO_VALUE`` if there was no fresh one to change.

        Raises:
            BackendError: The backend cannot be reached.
        """
        address = self._address(key)
        for _ in range(_SWAPS):
            found = self._entries.look(address, self._lifetime, strict=True)
            if found.freshness is not Freshness.FRESH:
                return NO_VALUE
            value = function(found.entry.value)
            if self._entries.swap(
                address, found.entry, self._changed(found.entry, value, lifetime)
            ):
                return value
        raise BackendError(f"{key!r} kept changing")

    def copy(self, source: str, target: str) -> Any:
        """Store the fresh value of *source* under *target* too, expiring as it does.

        Returns:
            The value, or ``NO_VALUE`` if there was no fresh one to copy.

        Raises:
            BackendError: The backend cannot be reached.
        """
        found = self._entries.look(self._address(source), self._lifetime, strict=True)
        if found.freshness is not Freshness.FRESH:
            return NO_VALUE
        entry = self._changed(found.entry, found.entry.value, None)
        self._entries.store(self._address(target), entry, strict=True)
        return entry.value

    def delete(  # type: ignore[override] # dogpile.cache's returns nothing
        self, key: str, *, strict: bool = False, connection: Any = None
    ) -> Delivery:
        """Remove the value for *key*, for everyone who shares the backend.

        Once this has returned without ``pending``, nobody gets a value whose creator
        started earlier.

        Args:
            key: The key.
            strict: Whether to raise if the backend cannot be reached.
            connection: A SQLAlchemy connection or session to the database in which
                ``holdover.sql`` keeps the region: the value is removed in its
                transaction, and as soon as that commits. What it raises is raised.

        Raises:
            BackendError: Only if *strict*, if the backend cannot be reached.
            ConfigurationError: There is a *connection*, and another backend.
        """
        if connection is not None:
            return remove_within(self._entries, connection, [self._address(key)])
        if self._tier is None:
            super().delete(key)
            return Delivery()
        return self._tier.remove(self._address(key), strict=strict)

    def delete_multi(  # type: ignore[override] # dogpile.cache's returns nothing
        self, keys: Iterable[str], *, strict: bool = False, connection: Any = None
    ) -> Delivery:
        """Remove several values, as `delete` does; ``pending`` if any of them is."""
        if connection is not None:
            addresses = [self._address(key) for key in keys]
            return remove_within(self._entries, connection, addresses)
        if self._tier is None:
            super().delete_multi(keys)
            return Delivery()
        addresses = [self._address(key) for key in keys]
        return self._tier.remove_multi(addresses, strict=strict)

    def expire(self, key: str, *, strict: bool = False) -> Delivery:
        """Have the value for *key* expire now, for everyone who shares the backend.

        It is served as an old value, and refreshed like others. What began to be
        created before is not stored.

        Raises:
            BackendError: Only if *strict*, if the backend cannot be reached.
        """
        return self._entries.expire(self._address(key), strict=strict)

    def invalidate(
        self,
        hard: bool = True,
        *,
        tags: Iterable[str] = (),
        prefix: str | None = None,
        strict: bool = False,
        connection: Any = None,
    ) -> Delivery:
        """Invalidate many values at once, for everyone who shares the backend.

        One step, however many they are: all of the region, or those that carry one of
        some tags, or whose keys begin with a prefix.

        Args:
            hard: Whether old values are never served again; if not, they have merely
                expired and are refreshed like others.
            tags: Reach only entries that carry one of these.
            prefix: Reach only keys that begin with this (as a key mangler leaves them).
            strict: Whether to raise if the backend cannot be reached.
            connection: Invalidates in a transaction of the caller's; see `delete`.

        Raises:
            BackendError: Only if *strict*.
            InvalidArgument: A tag or the prefix is no text, or empty.
            ConfigurationError: There is a *connection*, and another backend.
        """
        self._require_configured()
        reaches = self._reaches(tags, prefix)
        if connection is not None:
            return invalidate_within(
                self._entries, connection, hard=hard, reaches=reaches
            )
        if reaches:
            return self._entries.invalidate(hard=hard, reaches=reaches, strict=strict)
        strategy = self.region_invalidator
        if self._tier is None or type(strategy) is not DefaultInvalidationStrategy:
            strategy.invalidate(hard)
            return Delivery()
        return self._tier.invalidate(hard=hard, strict=strict)

    def key_is_locked(self, key: str) -> bool:
        """Say whether somebody is creating *key* right now."""
        self._require_configured()
        if self._tier is None:
            # dogpile.cache forgets the mangler here, and names another lock.
            mangled = self.key_mangler(key) if self.key_mangler else key
            return bool(super().key_is_locked(mangled))
        return self._tier.backend.is_locked(self._address(key))

    # -- small steps -----------------------------------------------------------

    @property
    def _entries(self) -> Tier:
        """The entries in the backend.

        Raises:
            RegionNotConfigured: There is no backend yet.
            ConfigurationError: The backend knows only dogpile.cache's verbs.
        """
        if self._tier is None:
            raise ConfigurationError(
                f"this needs a backend of Holdover, and region {self.name!r} has a "
                f"{type(self.backend).__name__}"
            )
        return self._tier

    def _address(self, key: str) -> str:
        """From a user's key to the final one; dogpile.cache mangles by itself."""
        if self._tier is None:
            return key
        if self.key_mangler is not None:
            key = self.key_mangler(key)
        try:
            return self._fit(self._prefix + key)
        except TypeError:
            raise InvalidArgument(
                f"a key must be a str, got {type(key).__name__} {key!r}"
            ) from None

    def _reaches(self, tags: Iterable[str], prefix: str | None) -> list[Reach]:
        """What an invalidation of *tags* and *prefix* reaches; [] means everything."""
        reaches = [Reach(Scope.TAG, tag) for tag in checked_tags(tags)]
        if prefix is not None:
            if not prefix or not isinstance(prefix, str):
                raise InvalidArgument(
                    f"prefix must be a str that is not empty, got {prefix!r}"
                )
            reaches.append(Reach(Scope.PREFIX, self._prefix + prefix))
        return reaches

    def _entry(
        self,
        value: Any,
        lifetime: Lifetime | None,
        tags: tuple[str, ...] = (),
        *,
        kept_by: Lifetime | None = None,
        clock: int | None = None,
    ) -> Entry:
        """Make an entry, with a *lifetime* of its own or judged by its readers'.

        It begins at the tick *clock*; None means now.
        """
        if lifetime is not None:
            self._check_lifetime(lifetime)
        own, more = lifetime, ()
        if isinstance(value, Cached):
            own = value.lifetime(lifetime or self._lifetime) or lifetime
            value, more = value.value, value.tags
        refuse_lazy(value)
        tier = self._entries
        return tier.entry(
            value,
            own or kept_by or self._lifetime,
            clock=tier.tick() if clock is None else clock,
            own_lifetime=own is not None,
            tags=(*tags, *more),
        )

    def _check_lifetime(self, lifetime: object) -> None:
        """Refuse what is no lifetime, and any where it could not be kept."""
        if not isinstance(lifetime, Lifetime):
            raise InvalidArgument(f"lifetime must be a Lifetime, got {lifetime!r}")
        _ = self._entries  # dogpile.cache's backends cannot keep one

    def _changed(self, old: Entry, value: Any, lifetime: Lifetime | None) -> Entry:
        """Make an entry from an old one; what invalidates that reaches it too."""
        refuse_lazy(value)
        if lifetime is None:
            return replace(old, value=value, fence=new_fence())
        return self._entry(value, lifetime, old.tags, clock=old.clock)
