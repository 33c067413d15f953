"""Many values in one go: of a region's keys, and of decorated functions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dogpile.cache.util import function_multi_key_generator

from holdover.regions.cached_many import CachedMany
from holdover.regions.calls import Call, CreateMany, Made, checked_values
from holdover.regions.errors import InvalidArgument
from holdover.regions.leasing import LeasingRegion
from holdover.regions.legacy import PlainCreation, Told, for_dogpile, plain_value
from holdover.regions.refresh.base import BatchOrder, Origin, Outcome
from holdover.regions.task_options import checked
from holdover.regions.worker import CATALOGUE

if TYPE_CHECKING:
    from holdover.regions.handles import CachedManyCallable, ManyDecorator

T = TypeVar("T")


class ManyRegion(LeasingRegion):
    """The part of a region that answers for several keys at once. See `Region`."""

    _note: Callable[[Call], object] | None = None  # is told of every call

    def get_or_create_multi(
        self,
        keys: Iterable[str],
        creator: Callable[..., Sequence[T]],
        expiration_time: object = None,
        should_cache_fn: Callable[[T], bool] | None = None,
    ) -> list[T]:
        """Give the values for *keys*, creating those that are missing.

        All are read at once. Those that are missing, and that nobody else is creating,
        are created by one call, each under a lease of its own; old ones are refreshed
        by the region's runner.

        Args:
            keys: The keys.
            creator: Gets some of the keys as its arguments and returns their values in
                that order.
            expiration_time: Seconds for which they are fresh, for this call.
            should_cache_fn: Says whether a created value is to be stored.

        Raises:
            UncacheableValue: The creator did not return one value for each key.
            Exception: Whatever the creator raised, unchanged.
        """
        if not callable(creator):
            raise InvalidArgument(f"creator must be callable, got {creator!r}")
        wanted = list(keys)
        if self._batches is None:
            told = self._told(creator, is_lookup=True)
            spans = for_dogpile(self._lifetime_for(expiration_time))
            made = super().get_or_create_multi(
                wanted, lambda *some: told(some, *some), spans, should_cache_fn
            )
            told.hit_all_but_made(wanted)
            return list(made)

        def create(some: Sequence[str]) -> Sequence[T]:
            return creator(*some)

        unique = list(dict.fromkeys(wanted))
        calls = [
            self._call(
                key,
                partial(_first_of, create, key),
                expiration_time,
                should_cache_fn,
                None,
            )
            for key in unique
        ]
        self._note_read(call.key for call in calls)
        values = self._batches.answer(calls, create)
        by_key = dict(zip(unique, values, strict=True))
        return [by_key[key] for key in wanted]

    def cache_multi_on_arguments(
        self,
        namespace: str | None = None,
        expiration_time: object | Callable[[], object] = None,
        should_cache_fn: Callable[[Any], bool] | None = None,
        asdict: bool = False,
        to_str: Callable[[Any], str] = str,
        function_multi_key_generator: Callable[..., Any] | None = None,
        *,
        task_options: Mapping[str, Any] | None = None,
    ) -> ManyDecorator:
        """Cache the values of a function that makes many of them at once.

        The function gets ids and returns their values in that order. The result has
        the handles ``get(*ids)``, ``set(mapping)``, ``refresh(*ids)``,
        ``invalidate(*ids)``, ``key_for(id)`` and ``original``.

        Args:
            namespace: Parts this use from other uses of the same function.
            expiration_time: Seconds for which its values are fresh, or a function
                that returns them; None means the region's.
            should_cache_fn: Says whether a created value is to be stored.
            asdict: Whether the function returns a mapping from id to value, as callers
                then get; ids that it leaves out have no value.
            to_str: dogpile.cache's way to turn arguments into text; only for its own
                key generators.
            function_multi_key_generator: dogpile.cache's hook to make keys in another
                way.
            task_options: How its orders travel, where that differs from the region's.

        Raises:
            LazyValue: The function is a generator or an ``async def``.
            InvalidLifetime: *expiration_time* is no span of time.
            ConfigurationError: The region's queue does not understand *task_options*.
        """
        options = checked(task_options)
        self.check_task_options(options)
        if not self._makes_multi_keys(function_multi_key_generator):
            return super().cache_multi_on_arguments(  # type: ignore[return-value]
                namespace,
                expiration_time,  # type: ignore[arg-type]
                should_cache_fn,
                asdict,
                to_str,
                function_multi_key_generator,
            )
        if expiration_time is not None and not callable(expiration_time):
            self._lifetime_for(expiration_time)  # wrong ones are told at once

        def make_call(key: str) -> Call:
            spans = expiration_time() if callable(expiration_time) else expiration_time
            call = self._call(key, _to_be_set, spans, should_cache_fn, None)
            call.task_options = (lambda: options) if options else None
            return call

        def decorate(function: Callable[..., Any]) -> CachedManyCallable[Any, Any]:
            cached = CachedMany(self, function, namespace, make_call, asdict=asdict)
            if self.name is not None and cached.name is not None:
                CATALOGUE.register(self.name, cached.name, cached)
            wrapper = self._inline.note(cached.wrapper(), cached)
            return cast("CachedManyCallable[Any, Any]", wrapper)

        return cast("ManyDecorator", decorate)

    def _makes_multi_keys(self, generator: Callable[..., Any] | None) -> bool:
        """Say whether keys are ours to make, and not a generator's of the user's."""
        return (
            generator is None
            and not self.defaults.as_dogpile
            and self.function_multi_key_generator is function_multi_key_generator
        )

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the region's queue does not understand. For functions.

        Raises:
            ConfigurationError: It names the option.
        """
        self._chain.check_task_options(options)

    def fetch_calls(self, calls: Sequence[Call], create: CreateMany) -> list[Any]:
        """Answer prepared calls. For decorated functions."""
        if self._batches is None:
            return [self._create_as_dogpile_does(call) for call in calls]
        if self._note is not None:
            for call in calls:
                self._note(call)
        return self._batches.answer(calls, create)

    def recreate_calls(self, calls: Sequence[Call], create: CreateMany) -> list[Any]:
        """Create values now and store them. For decorated functions."""
        if self._batches is not None:
            return self._batches.recreate(calls, create)
        keys = [call.user_key for call in calls]
        values = list(self._told(create)(keys, keys))
        made = zip(calls, values, strict=True)
        super().set_multi({call.user_key: plain_value(v) for call, v in made})
        return values

    def warm_calls(
        self, calls: Sequence[Call], create: CreateMany, *, force: bool
    ) -> list[Made]:
        """Create values that are not fresh; give what was made. For warmers.

        Raises:
            BackendError: The backend cannot be reached.
            LeaseTimeout: Somebody else has been creating one of them for too long.
            Exception: Whatever the creator raised, unchanged.
        """
        if self._batches is not None:
            return self._batches.warm(calls, create, force=force)
        return [one for call in calls for one in self.warm_call(call, force=force)]

    @abstractmethod
    def warm_call(self, call: Call, *, force: bool) -> list[Made]:
        """Create unless there is a fresh value."""

    def fulfil_calls(
        self,
        calls: Sequence[Call],
        create: CreateMany,
        order: BatchOrder,
        task_id: str | None,
    ) -> Outcome:
        """Carry out an order, in a worker.

        Raises:
            RegionNotConfigured: This process has not configured the region.
            InvalidOrder: It came too late.
        """
        crew = self._crew_for(order.not_after, calls[0].key)
        origin = Origin.of(order, task_id)
        return crew.fulfiller.fulfil_many(calls, order.tokens, create, origin)

    def _create_as_dogpile_does(self, call: Call) -> Any:
        """Leave it to dogpile.cache: on a backend of its own, or for its async hook."""
        spans, key = for_dogpile(call.lifetime), call.user_key
        if self.async_creation_runner is not None:  # it expects the user's own creator
            return super().get_or_create(key, call.create, spans, call.should_cache)
        plain = PlainCreation(call)
        told = self._told(plain.create, is_lookup=True)
        value = super().get_or_create(
            key, lambda: told([key]), spans, plain.should_cache
        )
        told.hit_all_but_made([key])
        return value

    def _told(self, create: Callable[..., Any], *, is_lookup: bool = False) -> Told:
        region = self.name or ""
        return Told(create, region, self._listeners, self._time, is_lookup=is_lookup)


def _first_of(create: CreateMany, key: str) -> Any:
    """Create one value by a creator of many."""
    [value] = checked_values(create([key]), 1)
    return value


def _to_be_set() -> None:
    """Hold the place of a creator that is known only once the call is made."""
