"""The region: what people do with one name, one backend and one lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from dogpile.cache.api import NO_VALUE, CachedValue

from holdover.regions import events
from holdover.regions.cached import CachedCallable, CachedFunction
from holdover.regions.calls import Call
from holdover.regions.configured import check_functions
from holdover.regions.errors import (
    ConfigurationError,
    InvalidArgument,
    InvalidOrder,
    RegionNotConfigured,
)
from holdover.regions.freshness import Freshness
from holdover.regions.keys import identity_of
from holdover.regions.legacy import cached_value, for_dogpile, for_its_get, generate
from holdover.regions.lifetime import Lifetime
from holdover.regions.refresh.base import Outcome, RefreshOrder
from holdover.regions.signatures import prefix_of
from holdover.regions.worker import CATALOGUE
from holdover.regions.writing import WritableRegion

P = ParamSpec("P")
T = TypeVar("T")


class Region(WritableRegion):
    """A named set of caching rules over a backend; a ``CacheRegion`` of dogpile.cache.

    Make one with `holdover.make_region`, or take it from a registry. Decorate with it
    at once; configure it when the application starts.

    Args:
        name: Its name, which parts its keys from other regions' in the same backend,
            and by which workers find it.
        function_key_generator: dogpile.cache's hook to make keys in another way.
        function_multi_key_generator: The same for ``cache_multi_on_arguments``.
        key_mangler: Applied to every key before it is used.
        serializer: With *deserializer*, dogpile.cache's hook for another codec.
        deserializer: See *serializer*.
        async_creation_runner: dogpile.cache's hook; it gets a mutex and the creator,
            and takes the place of leases and runners.
        time_source: The clocks to go by; for tests.
    """

    # -- reading ---------------------------------------------------------------

    def get_or_create(
        self,
        key: str,
        creator: Callable[..., T],
        expiration_time: object = None,
        should_cache_fn: Callable[[T], bool] | None = None,
        creator_args: tuple[Any, Mapping[str, Any]] | None = None,
        *,
        empty: Callable[[], Any] | None = None,
        lifetime: Lifetime | None = None,
    ) -> T:
        """Give the value for *key*, creating it if need be, once in the whole fleet.

        Args:
            key: The key.
            creator: Makes the value.
            expiration_time: Seconds for which it is fresh, for this call; -1 means for
                ever.
            should_cache_fn: Says whether a created value is to be stored.
            creator_args: Positional and keyword arguments for *creator*.
            empty: Under ``on_miss="empty"``, makes what is served until there is a
                value; without it that is None.
            lifetime: Stored with the entry, and judging it from then on.

        Raises:
            LeaseTimeout: See ``on_timeout``.
            RecursiveCreation: The creator asked for its own key.
            LazyValue: The creator returned a generator or the like.
            Exception: Whatever the creator raised, unchanged.
        """
        if not callable(creator):
            raise InvalidArgument(f"creator must be callable, got {creator!r}")
        create = creator
        if creator_args:
            args, kwargs = creator_args
            create = lambda: creator(*args, **kwargs)  # noqa: E731 - a def would hide it
        call = self._call(key, create, expiration_time, should_cache_fn, empty)
        if lifetime is not None:
            self._check_lifetime(lifetime)
            call.lifetime, call.own_lifetime = lifetime, True
        return cast("T", self.fetch_call(call))

    def fetch_call(self, call: Call) -> Any:
        """Answer a prepared call. For decorated functions and doors."""
        if self._creation is None or self.async_creation_runner is not None:
            return self._create_as_dogpile_does(call)
        found = self._entries.look(call.key, call.lifetime)
        if found.freshness is Freshness.FRESH:
            if self._listeners:
                self._listeners.tell(events.Hit(region=self.name or "", key=call.key))
            return found.entry.value
        return self._creation.answer(call, found)

    def recreate_call(self, call: Call) -> Any:
        """Create a value now and store it. For decorated functions."""
        if self._creation is not None:
            return self._creation.recreate(call)
        value = call.create()
        super().set(call.user_key, value)
        return value

    def get_call(self, call: Call) -> Any:
        """Give a call's fresh value, else ``NO_VALUE``. For decorated functions."""
        if self._tier is None:
            return super().get(call.user_key, for_its_get(call.lifetime))
        found = self._tier.look(call.key, call.lifetime)
        return found.entry.value if found.freshness is Freshness.FRESH else NO_VALUE

    def set_call(self, call: Call, value: Any) -> None:
        """Store a value for a call. For decorated functions."""
        if self._tier is None:
            super().set(call.user_key, value)
        else:
            self._tier.store(call.key, self._entry(value, None, call.lifetime))

    def fulfil_call(
        self, call: Call, order: RefreshOrder, task_id: str | None
    ) -> Outcome:
        """Carry out an order, in a worker.

        Raises:
            RegionNotConfigured: This process has not configured the region.
            InvalidOrder: It came too late.
        """
        if self._creation is None:
            raise RegionNotConfigured(f"region {self.name!r} is not configured here")
        if self._time.wall() > order.not_after:
            raise InvalidOrder(f"an order for {call.key!r} came too late")
        return self._creation.fulfil(call, order.token, task_id)

    def get(
        self,
        key: str,
        expiration_time: object = None,
        ignore_expiration: bool = False,
    ) -> Any:
        """Give the value for *key* if there is a fresh one, else ``NO_VALUE``.

        Args:
            key: The key.
            expiration_time: Seconds for which a value counts as fresh, for this call.
            ignore_expiration: Whether an old value that is still kept will do.
        """
        return self._get_cache_value(key, expiration_time, ignore_expiration).payload

    def _get_cache_value(
        self,
        key: str,
        expiration_time: object = None,
        ignore_expiration: bool = False,
    ) -> Any:
        lifetime = self._lifetime_for(expiration_time)
        if self._tier is None:
            return super()._get_cache_value(
                key, for_its_get(lifetime), ignore_expiration
            )
        found = self._tier.look(self._address(key), lifetime)
        if found.freshness is Freshness.FRESH or (
            ignore_expiration and found.freshness is not Freshness.GONE
        ):
            return cached_value(found.entry)
        return NO_VALUE

    def get_multi(
        self,
        keys: Sequence[str],
        expiration_time: object = None,
        ignore_expiration: bool = False,
    ) -> list[Any]:
        """Give the values for *keys*, in their order, as `get` does."""
        if self._tier is None:
            lifetime = self._lifetime_for(expiration_time)
            return list(
                super().get_multi(keys, for_its_get(lifetime), ignore_expiration)  # type: ignore[no-untyped-call]
            )
        return [self.get(key, expiration_time, ignore_expiration) for key in keys]

    def get_or_create_multi(
        self,
        keys: Iterable[str],
        creator: Callable[..., Sequence[T]],
        expiration_time: object = None,
        should_cache_fn: Callable[[T], bool] | None = None,
    ) -> list[T]:
        """Give the values for *keys*, creating those that are missing.

        Each missing key is created under its own lease, by a call of *creator* with
        that one key.
        """
        if self._tier is None:
            spans = for_dogpile(self._lifetime_for(expiration_time))
            return list(
                super().get_or_create_multi(keys, creator, spans, should_cache_fn)
            )
        return [
            self.get_or_create(
                key, lambda key=key: creator(key)[0], expiration_time, should_cache_fn
            )
            for key in keys
        ]

    # -- decorating ------------------------------------------------------------

    def cache_on_arguments(
        self,
        namespace: str | None = None,
        expiration_time: object | Callable[[], object] = None,
        should_cache_fn: Callable[[Any], bool] | None = None,
        to_str: Callable[[Any], str] = str,
        function_key_generator: Callable[..., Any] | None = None,
        *,
        empty: Callable[[], Any] | None = None,
    ) -> Callable[[Callable[P, T]], CachedCallable[P, T]]:
        """Cache a function's values by its arguments.

        The result has the function's signature and the handles ``get``, ``set``,
        ``refresh``, ``invalidate``, ``key_for`` and ``original``.

        Args:
            namespace: Parts this use from other uses of the same function.
            expiration_time: Seconds for which its values are fresh, or a function
                that returns them; None means the region's.
            should_cache_fn: Says whether a created value is to be stored.
            to_str: dogpile.cache's way to turn arguments into text; only for its own
                key generators.
            function_key_generator: dogpile.cache's hook to make keys in another way.
            empty: See `get_or_create`.

        Raises:
            LazyValue: The function is a generator or an ``async def``.
            UnimportableFunction: The region's runner could not find the function.
            InvalidLifetime: *expiration_time* is no span of time.
        """
        if namespace is not None and not isinstance(namespace, str):
            raise InvalidArgument(
                f"namespace must be a str, got {namespace!r}: the decorator is written "
                "@region.cache_on_arguments(), with parentheses"
            )
        if expiration_time is not None and not callable(expiration_time):
            self._lifetime_for(expiration_time)  # wrong ones are told at once
        generator = function_key_generator
        if generator is None and not self._makes_keys_itself:
            generator = self.function_key_generator

        def decorate(function: Callable[P, T]) -> CachedCallable[P, T]:
            def make_call(key: str, create: Callable[[], T]) -> Call:
                spans = (
                    expiration_time() if callable(expiration_time) else expiration_time
                )
                return self._call(key, create, spans, should_cache_fn, empty)

            make_key = generator and generate(generator, namespace, function, to_str)
            cached = CachedFunction(self, function, namespace, make_key, make_call)
            if make_key is None and namespace is None and cached.name is None:
                self._refuse_namesake(function)
            check_functions(self._chain, [cached])
            self._cached.add(cached)
            if self.name is not None and cached.name is not None:
                CATALOGUE.register(self.name, cached.name, cached)
            return cached.wrapper()

        return decorate

    def _refuse_namesake(self, function: Callable[..., Any]) -> None:
        """Refuse a second closure or lambda of a name: they would share their keys.

        Raises:
            ConfigurationError: It says how to part them.
        """
        name = prefix_of(function, None)
        identity = identity_of(function)
        if self._namesakes.setdefault(name, identity) != identity:
            raise ConfigurationError(
                f"region {self.name!r} caches another function that is also called "
                f"{name!r}, and they would share their keys: give each a namespace, "
                "cache_on_arguments(namespace=...)"
            )

    # -- as dogpile.cache does it ----------------------------------------------

    def _create_as_dogpile_does(self, call: Call) -> Any:
        """Leave it to dogpile.cache: on a backend of its own, or for its async hook."""
        return super().get_or_create(
            call.user_key, call.create, for_dogpile(call.lifetime), call.should_cache
        )

    def _get_from_backend(self, key: str) -> Any:
        if self._tier is None:
            return super()._get_from_backend(key)
        # Its age is dogpile.cache's to judge; a soft invalidation it does not know.
        found = self._tier.look(
            self._fit(self._prefix + key), self._lifetime.expiring_in(None)
        )
        if found.freshness is Freshness.GONE:
            return NO_VALUE
        return cached_value(found.entry, expired=found.freshness is not Freshness.FRESH)

    def _set_cached_value_to_backend(self, key: str, value: CachedValue) -> None:
        if self._tier is None:
            super()._set_cached_value_to_backend(key, value)
        else:
            entry = self._entry(value.payload, None)
            self._tier.store(self._fit(self._prefix + key), entry)

    # -- small steps -----------------------------------------------------------

    def _call(
        self,
        key: str,
        create: Callable[[], Any],
        expiration_time: object,
        should_cache: Callable[[Any], bool] | None,
        empty: Callable[[], Any] | None,
    ) -> Call:
        self._require_configured()
        stand_in = (empty or _nothing) if self._on_miss_empty else None
        return Call(
            user_key=key,
            key=self._address(key),
            create=create,
            lifetime=self._lifetime_for(expiration_time),
            should_cache=should_cache,
            empty=stand_in,
        )

    @property
    def _on_miss_empty(self) -> bool:
        return self._rules is not None and self._rules.on_miss == "empty"


def _nothing() -> None:
    """Stand in for a value that is not there yet."""
