"""How a region is put together, and stays so when people assign to its attributes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

from dogpile.cache.util import function_key_generator as dogpile_key_generator
from dogpile.cache.util import function_multi_key_generator

from holdover.regions import events
from holdover.regions.assembling import (
    INSTANCE,
    build_backend,
    build_chain,
    build_tier,
    is_url,
)
from holdover.regions.at_hand import Gate
from holdover.regions.backends.base import Backend
from holdover.regions.batches import Batches
from holdover.regions.by_key import ByKey
from holdover.regions.cached import CachedFunction
from holdover.regions.clocks import RegionClock
from holdover.regions.configurable import Configurable, unchanged_on_error, under
from holdover.regions.counters import Counters
from holdover.regions.creation import Creation
from holdover.regions.crew import Crew
from holdover.regions.defaults import Defaults
from holdover.regions.errors import (
    ConfigurationError,
    InvalidOrder,
    RegionAlreadyConfigured,
    RegionNotConfigured,
)
from holdover.regions.events import Listeners
from holdover.regions.guarding import (
    build_sealing,
    refuse_misfits,
    warn_of_pickle,
)
from holdover.regions.inline import Remembered
from holdover.regions.keys import bounded, region_prefix, schema_of
from holdover.regions.legacy import dogpile_span, mangler_for, standing_by
from holdover.regions.lifetime import Lifetime
from holdover.regions.ordering import Chain
from holdover.regions.reach import check_functions, check_reach
from holdover.regions.refresh.base import Runner
from holdover.regions.sealing import Sealing
from holdover.regions.settings import Settings
from holdover.regions.tier import Tier
from holdover.regions.timesource import SYSTEM_TIME, TimeSource, checked_time_source


class ConfiguredRegion(Configurable):
    """The part of a region that is about its own making. See `Region`."""

    defaults: ClassVar[Defaults] = Defaults()
    _told_of_pickle = False

    # Until it is configured, and with backends that know no leases.
    _tier: Tier | None = None
    _crew: Crew | None = None
    _creation: Creation | None = None
    _batches: Batches | None = None

    def __init__(
        self,
        name: str | None = None,
        function_key_generator: Callable[..., Any] | None = None,
        function_multi_key_generator: Callable[..., Any] = function_multi_key_generator,
        key_mangler: Callable[[str], str] | None = None,
        serializer: Callable[[Any], bytes] | None = None,
        deserializer: Callable[[bytes], Any] | None = None,
        async_creation_runner: Callable[..., Any] | None = None,
        *,
        time_source: TimeSource = SYSTEM_TIME,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise ConfigurationError(f"a region's name is a text, got {name!r}")
        self._rules: Settings | None = None
        self._lifetime = Lifetime()
        self._counters = Counters()
        self._listeners = Listeners(self._counters)
        self.gate = Gate()
        self._by_key = ByKey(self.gate)
        self._by_own_lifetime = ByKey(self.gate)
        self._time = checked_time_source(time_source)
        self._cached: weakref.WeakSet[CachedFunction[Any, Any]] = weakref.WeakSet()
        self._namesakes: dict[str, tuple[object, object]] = {}
        self._inline = Remembered()
        self._chain = Chain([])
        modern = not self.defaults.as_dogpile
        self._makes_keys_itself = function_key_generator is None and modern
        self._prefix = region_prefix(name) if modern else ""
        self._fit: Callable[[str], str] = bounded if modern else str
        super().__init__(
            name,
            function_key_generator or dogpile_key_generator,
            function_multi_key_generator,
            key_mangler,
            serializer,
            deserializer,
            async_creation_runner,
        )

    def configure(
        self,
        backend: str | Backend,
        expiration_time: object = None,
        arguments: Mapping[str, Any] | None = None,
        _config_argument_dict: Mapping[str, Any] | None = None,
        _config_prefix: str | None = None,
        wrap: Sequence[Any] | None = (),
        replace_existing_backend: bool = False,
        region_invalidator: Any = None,
        **settings: Any,
    ) -> Self:
        """Give the region its backend and its rules.

        Args:
            backend: A name (``"holdover.memory"``, ``"holdover.file"``,
                ``"holdover.redis"``, or any of dogpile.cache's), a URL
                (``"memory://?max_entries=500"``), whose query may give settings too,
                or a backend object.
            expiration_time: Seconds (or ``timedelta``) for which a value is fresh;
                None means for ever.
            arguments: The backend's own arguments.
            wrap: dogpile.cache's proxies; a region with any works without leases.
            replace_existing_backend: Whether the region may be configured already.
            region_invalidator: dogpile.cache's hook to decide what is invalidated.
            **settings: ``stale_while_revalidate``, ``stale_if_error``, ``keep_for``
                (see `Lifetime`), ``jitter``, ``early_refresh``, ``creator_timeout``,
                ``soft_creator_timeout``, ``backoff``, ``backoff_when_gone``,
                ``most_unleased_creators`` (see ``docs/policies.rst``), ``codec``,
                ``secret``, ``compress``, ``schema``, ``unsigned_pickle`` (see
                ``docs/codecs.rst``), ``lease`` (a `LeaseTerms`, or a mapping of its
                parts), ``runner``, ``on_miss``, ``on_timeout``, ``orders`` (an
                `OrderTerms`, or a mapping), ``task_options``, ``order_context`` (see
                ``docs/runners.rst``), ``record_hot`` (``docs/warming.rst``),
                ``figures_every`` (``docs/figures.rst``), and ``near_ttl`` with
                ``near_entries``: what was read is served from this process for so many
                seconds, and others' changes are seen as much later.

        Returns:
            The region.

        Raises:
            ConfigurationError: An option is wrong; the message names it, what was
                wanted and what was found.
            RegionAlreadyConfigured: It is configured, and was not to be replaced.
        """
        if self.is_configured and not replace_existing_backend:
            raise RegionAlreadyConfigured(
                f"This region is already configured, {self.name!r} with "
                f"{self.backend!r}; replace_existing_backend=True replaces it"
            )
        if arguments is None and _config_argument_dict is not None:
            arguments = under(_config_prefix or "", _config_argument_dict)
        if is_url(backend):
            settings |= {"wrap": wrap, "region_invalidator": region_invalidator}
            settings |= {"replace_existing_backend": replace_existing_backend}
            return self._configure_by_url(backend, expiration_time, arguments, settings)
        given = {**self.defaults.settings, **settings}
        rules = Settings.of(self._span(expiration_time), given, backend)
        made = build_backend(backend, arguments or {})
        refuse_misfits(rules, self.name, made)
        chain = build_chain(rules.runner)
        check_reach(self.name, made, chain)
        check_functions(chain, self._cached)
        chain.check_task_options(rules.terms.task_options)
        self._take(made, rules, chain, wrap, region_invalidator)
        return self

    def _take(
        self, made: Any, rules: Settings, chain: Chain, wrap: Any, invalidator: Any
    ) -> None:
        """Become what was configured, or stay as it was."""
        with unchanged_on_error([self]):
            self._rules, self._chain, self._lifetime = rules, chain, rules.lifetime
            self._prefix = self._prefix_for(schema_of(rules.schema))
            super().configure(
                INSTANCE,
                rules.lifetime.expiration_time,
                {"instance": made},
                wrap=wrap or (),
                replace_existing_backend=True,
                region_invalidator=invalidator,
            )
            if self.key_mangler is None and not self.defaults.as_dogpile:
                self.key_mangler = mangler_for(self.actual_backend)

    def _prefix_for(self, schema: str | None) -> str:
        """What all keys of the region begin with, as they are stored."""
        if not self.defaults.as_dogpile:
            return region_prefix(self.name, schema)
        return "" if schema is None else region_prefix(None, schema)

    @property
    def backend(self) -> Any:
        """The backend; may be assigned at any time.

        Raises:
            RegionNotConfigured: There is none yet.
        """
        try:
            return self.__dict__["backend"]
        except KeyError:
            raise RegionNotConfigured(
                f"No backend is configured on this region, {self.name!r}: call "
                "region.configure('holdover.memory', ...) at start-up"
            ) from None

    @backend.setter
    def backend(self, backend: Any) -> None:
        if self._rules is not None:
            refuse_misfits(self._rules, self.name, backend)
        self.__dict__["backend"] = backend  # where dogpile.cache looks for it
        self._actual_backend = None
        if self._rules is not None:
            self._assemble(self._rules)

    @property
    def expiration_time(self) -> float | None:
        """Seconds for which a value is fresh; may be assigned at any time."""
        return self._lifetime.expiration_time

    @expiration_time.setter
    def expiration_time(self, value: object) -> None:
        self._lifetime = self._lifetime.expiring_in(self._span(value))
        self.gate.close()
        # Where `mock.patch.object` looks for what to put back.
        self.__dict__["expiration_time"] = self._lifetime.expiration_time

    @property
    def region_invalidator(self) -> Any:
        """dogpile.cache's hook; may be assigned at any time."""
        return self.__dict__["region_invalidator"]

    @region_invalidator.setter
    def region_invalidator(self, strategy: Any) -> None:
        self.__dict__["region_invalidator"] = strategy
        if self._tier is not None:
            self._tier.also_invalid = standing_by(strategy)
            self.gate.close()

    @property
    def key_mangler(self) -> Callable[[str], str] | None:
        """Applied to every key; may be assigned at any time."""
        return cast("Callable[[str], str] | None", self.__dict__["key_mangler"])

    @key_mangler.setter
    def key_mangler(self, mangler: Callable[[str], str] | None) -> None:
        self.__dict__["key_mangler"] = mangler
        self.gate.close()

    @property
    def lifetime(self) -> Lifetime:
        """How long values may be served, and in which state."""
        return self._lifetime

    @property
    def runners(self) -> tuple[Runner, ...]:
        """Who carries out its refreshes, first choice first; none: its callers do."""
        return tuple(self._chain.runners)

    def _span(self, expiration_time: object) -> object:
        """Read an expiration time; only dogpile.cache's may be 0, and -1 for never."""
        if not self.defaults.as_dogpile:
            return expiration_time
        return dogpile_span(expiration_time)

    def _lifetime_for(self, expiration_time: object) -> Lifetime:
        """Give the region's lifetime, with the expiration time of one call if any."""
        if expiration_time is None:
            return self._lifetime
        return self._lifetime.expiring_in(self._span(expiration_time))

    def _require_configured(self) -> None:
        """Raise `RegionNotConfigured` if there is no backend."""
        if self._rules is None:
            _ = self.backend  # which raises

    def _crew_for(self, not_after: float, key: str) -> Crew:
        """Give those who carry out an order that is good until *not_after*.

        Raises:
            RegionNotConfigured: This process has not configured the region.
            InvalidOrder: It came too late.
        """
        if self._crew is None:
            raise RegionNotConfigured(f"region {self.name!r} is not configured here")
        if self._time.wall() > not_after:
            raise InvalidOrder(f"an order for {key!r} came too late")
        return self._crew

    def _assemble(self, rules: Settings) -> None:
        """Build what stands between the region's methods and its backend."""
        if self._tier is not None:
            self._tier.close()
        if not isinstance(self.backend, Backend):
            self._tier = self._crew = self._creation = self._batches = None
            kind = type(self.backend)
            reason = f"{kind.__module__}.{kind.__qualname__} knows no leases"
            self._listeners.tell(
                events.TierDropped(region=self.name or "", reason=reason)
            )
            return
        sealing = self._new_sealing(rules)
        self._tier = build_tier(
            self.backend,
            self.name or "",
            sealing,
            self._listeners,
            self._time,
            near=rules.near,
            prefix=self._prefix,
        )
        self._tier.also_invalid = standing_by(self.region_invalidator)
        self._tier.close_with(self.gate)
        self._crew = crew = Crew.of(
            self._tier,
            rules.terms,
            self._chain,
            listeners=self._listeners,
            time_source=self._time,
        )
        self._creation = Creation(crew, raise_on_timeout=rules.on_timeout == "raise")
        self._batches = Batches(crew, self._creation)
        if not self._told_of_pickle and not rules.unsigned_pickle:
            self._told_of_pickle = warn_of_pickle(sealing, self.backend, self.name)

    def _new_sealing(self, rules: Settings) -> Sealing | None:
        region = self.name or ""
        sealing = build_sealing(
            rules,
            self.backend,
            region,
            self._user_defined_serializer,
            self._user_defined_deserializer,
        )
        if sealing is not None and self.defaults.as_dogpile:
            from holdover.regions.foreign import reading_foreign

            return reading_foreign(sealing, RegionClock(self.backend, region))
        return sealing
