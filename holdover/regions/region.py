"""The region: what people do with one name, one backend and one lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from dogpile.cache.api import NO_VALUE, CachedValue

from holdover.regions.at_hand import Wish
from holdover.regions.by_key import ByKey, NotAtHand
from holdover.regions.calls import Call, Made
from holdover.regions.creation import Creation
from holdover.regions.errors import InvalidArgument
from holdover.regions.freshness import Freshness
from holdover.regions.legacy import for_its_get, plain_value
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Delivery, Found
from holdover.regions.probing import ProbedRegion
from holdover.regions.refresh.base import Origin, Outcome, RefreshOrder
from holdover.regions.returned import checked_tags
from holdover.regions.settings import Settings
from holdover.regions.worker import CATALOGUE

T = TypeVar("T")


class Region(ProbedRegion):
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
        tags: Iterable[str] = (),
        strict: bool = False,
        foreground: bool = False,
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
            tags: Names under which the entry can be invalidated.
            strict: Whether to ask the backend in any case (with ``near_ttl``), and to
                raise if it cannot be reached, rather than create a value that is not
                stored.
            foreground: Whether *creator* needs its caller, so that no runner can take
                it: whoever finds a stale value first creates the next, and the others
                get the stale one meanwhile.

        Raises:
            BackendError: Only if *strict*.
            LeaseTimeout: See ``on_timeout``.
            RecursiveCreation: The creator asked for its own key.
            LazyValue: The creator returned a generator or the like.
            Exception: Whatever the creator raised, unchanged.
        """
        if not callable(creator):
            raise InvalidArgument(f"creator must be callable, got {creator!r}")
        by_key = None if strict else self._by_key_under(expiration_time, lifetime)
        wish = None
        if by_key is not None and type(key) is str:
            value = by_key.look(key)
            if type(value) is not NotAtHand:
                return cast("T", value)
            wish = by_key.wish(key, value)
        if creator_args:
            args, kwargs = creator_args
            creator = partial(creator, *args, **kwargs)
        tags = self._checked_terms(lifetime, tags, strict=strict)
        make_call = partial(
            self._call_by_key,
            partial(self._call, key, creator, expiration_time, should_cache_fn, empty),
            lifetime,
            tags,
            strict=strict,
            foreground=foreground,
        )
        if strict:
            return cast("T", self.fetch_call(make_call()))
        return cast(
            "T", self.fetch_key_call(key, expiration_time, make_call, wish, lifetime)
        )

    def _checked_terms(
        self, lifetime: Lifetime | None, tags: Iterable[str], *, strict: bool
    ) -> tuple[str, ...]:
        """Refuse what is wrong; give the tags."""
        if lifetime is not None:
            self._check_lifetime(lifetime)
        checked = checked_tags(tags)
        if checked or strict:
            _ = self._entries  # dogpile.cache's backends know neither
        return checked

    def _call_by_key(
        self,
        make_call: Callable[[], Call],
        lifetime: Lifetime | None,
        tags: tuple[str, ...],
        *,
        strict: bool,
        foreground: bool,
    ) -> Call:
        """Prepare a call of `get_or_create`."""
        call = make_call()
        if lifetime is not None:
            call.lifetime, call.own_lifetime = lifetime, True
        call.tags, call.strict, call.foreground = tags, strict, foreground
        return call

    def _by_key_under(
        self, expiration_time: object, lifetime: Lifetime | None
    ) -> ByKey | None:
        """Where values are at hand that are judged so; None: nowhere."""
        if expiration_time is not None:
            return None
        if lifetime is None:
            return self._by_key
        # Entries that have lifetimes of their own are judged by those: whose call it
        # is does not matter, but for these two.
        is_usual = type(lifetime) is Lifetime and not (
            lifetime.jitter or lifetime.early_refresh
        )
        return self._by_own_lifetime if is_usual else None

    def fetch_key_call(
        self,
        key: str,
        expiration_time: object,
        make_call: Callable[[], Call],
        wish: Wish | None = None,
        own_lifetime: Lifetime | None = None,
    ) -> Any:
        """Answer a call, which is made only if there is more to do than to read it.

        For decorated functions: what a call consists of costs as much as the rest.

        Args:
            key: The key.
            expiration_time: Seconds for which its value is fresh.
            make_call: Makes the call.
            wish: How to have a fresh value at hand the next time.
            own_lifetime: The call's own.
        """
        if self._creation is None or self.async_creation_runner is not None:
            return self._create_as_dogpile_does(make_call())
        if self._note is not None or type(self).fetch_call is not Region.fetch_call:
            return self.fetch_call(make_call())
        address, found = self._find(key, expiration_time, wish, own_lifetime)
        judge = own_lifetime or self._lifetime
        if found.freshness is not Freshness.FRESH or judge.early_refresh:
            return self._answered(self._creation, make_call(), found)
        self._count_hit(address, found)
        return found.entry.value

    def fetch_call(self, call: Call) -> Any:
        """Answer a prepared call. For decorated functions and doors."""
        if self._creation is None or self.async_creation_runner is not None:
            return self._create_as_dogpile_does(call)
        if self._note is not None:
            self._note(call)
        found = self._entries.find(call.key, call.lifetime, strict=call.strict)
        return self._answered(self._creation, call, found)

    def _answered(self, creation: Creation, call: Call, found: Found) -> Any:
        """Give what was found, if it is fresh, or what somebody creates."""
        if found.freshness is not Freshness.FRESH:
            return creation.answer(call, found)
        self._count_hit(call.key, found)
        if call.lifetime.early_refresh:
            return creation.answer_fresh(call, found)
        return found.entry.value

    def _count_hit(self, address: str, found: Found) -> None:
        # One of which nobody hears pays for as little as may be.
        if self._listeners.is_heard:
            self._listeners.hit(self.name or "", address, near=found.near)
        elif found.near:
            self._counters.near_hit()
        else:
            self._counters.hit()

    def _assemble(self, rules: Settings) -> None:
        try:
            super()._assemble(rules)
        finally:  # what was at hand, and what was read meanwhile, is another backend's
            self.gate.close()
            self.gate.forget()

    def recreate_call(self, call: Call) -> Any:
        """Create a value now and store it. For decorated functions."""
        if self._creation is not None:
            made = self._creation.recreate(call)
            return cast("Made", made).value  # which is never needless
        told = self._told(call.create)
        value = plain_value(told([call.user_key]))
        super().set(call.user_key, value)
        return value

    def warm_call(self, call: Call, *, force: bool) -> list[Made]:
        """Create a value unless there is a fresh one; give what was made. For warmers.

        Raises:
            BackendError: The backend cannot be reached.
            LeaseTimeout: Somebody else has been creating it for too long.
            Exception: Whatever the creator raised, unchanged.
        """
        if self._creation is not None:
            made = self._creation.warm(call, force=force)
            return [] if made is None else [made]
        if not force and self.get_call(call) is not NO_VALUE:
            return []
        return [Made.stored_already(call, self.recreate_call(call))]

    def get_call(self, call: Call) -> Any:
        """Give a call's fresh value, else ``NO_VALUE``. For decorated functions."""
        if self._tier is None:
            return super().get(call.user_key, for_its_get(call.lifetime))
        if self._note is not None:
            self._note(call)
        found = self._tier.find(call.key, call.lifetime)
        self._tell_found(call.key, found)
        return found.entry.value if found.freshness is Freshness.FRESH else NO_VALUE

    def expire_call(self, call: Call) -> Delivery:
        """Have a value expire, and order the next one. For decorated functions."""
        delivery = self._entries.expire(call.key)
        if self._creation is not None and delivery.existed:
            self._creation.order(call)
        return delivery

    def order_call(self, call: Call) -> None:
        """Order a value unless there is a fresh one. For decorated functions."""
        if self._crew is not None and self._crew.orders:
            found = self._crew.tier.look(call.key, call.lifetime)
            if found.freshness is not Freshness.FRESH:
                self._crew.orders.place(call, found)

    def get_fresh_call(self, call: Call) -> Any:
        """Give a fresh value, creating it if need be. For decorated functions."""
        if self._creation is None:
            return self.fetch_call(call)  # which never serves an old one
        while True:
            value = self.get_call(call)
            if value is not NO_VALUE:
                return value
            made = self._creation.recreate(call, unless_fresh=True)
            if made is not None:
                return made.value

    def set_call(self, call: Call, value: Any) -> None:
        """Store a value for a call. For decorated functions."""
        if self._tier is None:
            super().set(call.user_key, value)
        else:
            self._tier.store(
                call.key,
                self._entry(value, None, call.made_tags(), kept_by=call.lifetime),
            )

    def fulfil_call(
        self, call: Call, order: RefreshOrder, task_id: str | None
    ) -> Outcome:
        """Carry out an order, in a worker.

        Raises:
            RegionNotConfigured: This process has not configured the region.
            InvalidOrder: It came too late, or brings what is not known here.
        """
        crew = self._crew_for(order.not_after, call.key)
        return crew.fulfiller.fulfil(call, order.token, Origin.of(order, task_id))

    def variant(self, **rules: Any) -> Region:
        """Give a region with the same name, backend and values, and some other rules.

        What is invalidated in one is in the other; listeners and functions are each
        one's own. With it a library may have orders of its own over somebody's region.

        Args:
            **rules: Settings of `configure`; an ``order_context`` is added to the
                region's own.

        Raises:
            ConfigurationError: A rule is unknown, wrong, or does not go with the rest.
            RegionNotConfigured: There is nothing to vary yet.
        """
        self._require_configured()
        known = cast("Settings", self._rules)
        rules.setdefault("runner", list(self.runners))  # the same, not one of a kind
        made = Region(
            self.name,
            serializer=self._user_defined_serializer,
            deserializer=self._user_defined_deserializer,
            time_source=self._time,
        )
        made._told_of_pickle = True
        span = known.lifetime.expiration_time
        made.configure(self.backend, span, **known.varied(rules))
        made.key_mangler = self.key_mangler
        if self.name is not None:
            CATALOGUE.know(self.name, self)  # still, and not the variant
        return made

    # -- as dogpile.cache does it ----------------------------------------------

    def _set_cached_value_to_backend(self, key: str, value: CachedValue) -> None:
        if self._tier is None:
            super()._set_cached_value_to_backend(key, value)
        else:
            entry = self._entry(value.payload, None)
            self._tier.store(self._fit(self._prefix + key), entry)
