"""The decorator's product for functions that make many values at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from dogpile.cache.api import NO_VALUE

from holdover.regions.codecs import is_plain, refuse_lazy_function
from holdover.regions.errors import InvalidOrder, UncacheableValue
from holdover.regions.keys import encode_arguments, name_of
from holdover.regions.refresh.base import BatchOrder, Outcome, RefreshOrder
from holdover.regions.returned import Cached
from holdover.regions.signatures import prefix_of

if TYPE_CHECKING:
    from holdover.regions.calls import Call, CreateMany, Described, Made
    from holdover.regions.handles import CachedManyCallable


class Owner(Protocol):
    """What such a function needs of its region."""

    @property
    def name(self) -> str | None:
        """The region's name."""

    def fetch_calls(self, calls: Sequence[Call], create: CreateMany) -> list[Any]:
        """Answer calls."""

    def recreate_calls(self, calls: Sequence[Call], create: CreateMany) -> list[Any]:
        """Create anew."""

    def fulfil_calls(
        self,
        calls: Sequence[Call],
        create: CreateMany,
        order: BatchOrder,
        task_id: str | None,
    ) -> Outcome:
        """Carry out an order."""

    def warm_calls(
        self, calls: Sequence[Call], create: CreateMany, *, force: bool
    ) -> list[Made]:
        """Create what is not fresh."""

    def get_multi(self, keys: Sequence[str]) -> list[Any]:
        """Read what is fresh."""

    def set_multi(self, mapping: Mapping[str, Any]) -> Any:
        """Write."""

    def delete_multi(self, keys: Iterable[str]) -> Any:
        """Remove."""


class CachedMany:
    """One decorated function that makes many values at once.

    Args:
        region: The region it belongs to.
        function: The creator: gets ids, returns their values in that order.
        namespace: Parts this use of the function from others of the same one.
        make_call: Makes the region's `Call` from a key.
        asdict: Whether the function returns a mapping from id to value, from which
            ids may be left out that have none.
    """

    def __init__(
        self,
        region: Owner,
        function: Callable[..., Any],
        namespace: str | None,
        make_call: Callable[[str], Call],
        *,
        asdict: bool,
    ) -> None:
        refuse_lazy_function(function)
        self.region = region
        self.function = function
        name = name_of(function)
        self.name = name if name is None or namespace is None else f"{name}|{namespace}"
        self._prefix = prefix_of(function, namespace)
        self._make_call = make_call
        self._asdict = asdict

    def wrapper(self) -> CachedManyCallable[Any, Any]:
        """Make the function that takes the place of the decorated one."""

        @functools.wraps(self.function)
        def call(*ids: Any) -> Any:
            return self._answer(ids, self.region.fetch_calls)

        handles = {
            "get": lambda *ids: self.region.get_multi([self.key_for(i) for i in ids]),
            "set": self._set,
            "refresh": lambda *ids: self._answer(ids, self.region.recreate_calls),
            "invalidate": lambda *ids: self.region.delete_multi(
                [self.key_for(i) for i in ids]
            ),
            "key_for": self.key_for,
            "original": self.function,
        }
        for handle, value in handles.items():
            setattr(call, handle, value)
        return cast("CachedManyCallable[Any, Any]", call)

    def key_for(self, one: Any) -> str:
        """Give the key of one id.

        Raises:
            UnkeyableArgument: It has no lasting text.
        """
        return f"{self._prefix}{encode_arguments((one,))}"

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """See `CachedFunction.check_arguments`."""
        if kwargs:
            raise TypeError(f"{self.name or self.function!r} takes nothing but ids")
        for one in args:
            self.key_for(one)

    def warm(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, force: bool
    ) -> list[Made]:
        """See `CachedFunction.warm`; all that is not fresh is made by one call."""
        self.check_arguments(args, kwargs)
        unique = {self.key_for(one): one for one in args}
        calls = [self._call(key, one) for key, one in unique.items()]
        return self.region.warm_calls(calls, self._creator(unique), force=force)

    def fulfil(self, order: RefreshOrder | BatchOrder, task_id: str | None) -> Outcome:
        """Carry out an order for this function.

        Raises:
            InvalidOrder: Its ids do not make its keys.
        """
        if isinstance(order, RefreshOrder):
            order = BatchOrder.of([order])
        ids = dict(zip(order.keys, order.args, strict=True))
        if any(self.key_for(one) != key for key, one in ids.items()):
            raise InvalidOrder(f"ids of {self.name} that do not make its keys")
        calls = [self._call(key, one) for key, one in ids.items()]
        return self.region.fulfil_calls(calls, self._creator(ids), order, task_id)

    def _answer(
        self,
        ids: Sequence[Any],
        fetch: Callable[[Sequence[Call], CreateMany], list[Any]],
    ) -> Any:
        keys = [self.key_for(one) for one in ids]
        unique = dict(zip(keys, ids, strict=True))
        calls = [self._call(key, one) for key, one in unique.items()]
        values = dict(zip(unique, fetch(calls, self._creator(unique)), strict=True))
        if not self._asdict:
            return [values[key] for key in keys]
        return {
            one: values[key]
            for key, one in zip(keys, ids, strict=True)
            if values[key] is not NO_VALUE
        }

    def _call(self, key: str, one: Any) -> Call:
        call = self._make_call(key)
        create = self._creator({key: one})
        call.create = lambda: next(iter(create([key])))
        call.order = lambda: self._order(key, one)
        return call

    def _creator(self, ids: Mapping[str, Any]) -> CreateMany:
        """Make the function's call for some of the keys of *ids*."""

        def create(keys: Sequence[str]) -> Iterable[Any]:
            wanted = [ids[key] for key in keys]
            returned = self.function(*wanted)
            if not self._asdict:
                return cast("Iterable[Any]", returned)
            if not isinstance(returned, Mapping):
                raise UncacheableValue(
                    f"{self.name or self.function!r} is cached with asdict=True and "
                    f"returned a {type(returned).__name__} in place of a mapping"
                )
            missing = Cached(NO_VALUE, store=False)
            return [returned.get(one, missing) for one in wanted]

        return create

    def _order(self, key: str, one: Any) -> Described | None:
        if self.name is None or not is_plain(one):
            return None
        return self.name, [one], {}, key

    def _set(self, mapping: Mapping[Any, Any]) -> None:
        self.region.set_multi({self.key_for(i): v for i, v in mapping.items()})
