"""The decorator's product: a function with its own signature, and its handles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
)

from holdover.regions.at_hand import LONGEST, Gate, Seen, Wish
from holdover.regions.codecs import is_plain, refuse_lazy_function
from holdover.regions.errors import InvalidOrder, UnimportableFunction
from holdover.regions.keys import name_of, schema_of
from holdover.regions.refresh.base import BatchOrder, RefreshOrder
from holdover.regions.signatures import Asked, KeyGenerator, Template, left_out
from holdover.regions.task_options import layered, made
from holdover.regions.uses import Use

if TYPE_CHECKING:
    from holdover.regions.calls import Call, Described, Made
    from holdover.regions.handles import CachedCallable
    from holdover.regions.refresh.base import Outcome

P = ParamSpec("P")
T = TypeVar("T")


class Owner(Protocol):
    """What a cached function needs of its region."""

    @property
    def name(self) -> str | None:
        """The region's name."""

    def fetch_call(self, call: Call) -> Any:
        """Answer a call."""

    def fulfil_call(
        self, call: Call, order: RefreshOrder, task_id: str | None
    ) -> Outcome:
        """Carry out an order."""

    def recreate_call(self, call: Call) -> Any:
        """Create anew."""

    def get_call(self, call: Call) -> Any:
        """Read what is fresh."""

    def warm_call(self, call: Call, *, force: bool) -> list[Made]:
        """Create unless there is a fresh value."""

    def fetch_key_call(
        self,
        key: str,
        expiration_time: object,
        make_call: Callable[[], Call],
        wish: Wish | None = None,
    ) -> Any:
        """Answer a call, which is made only if need be."""

    @property
    def gate(self) -> Gate:
        """Closed when what is at hand may be wrong."""

    def set_call(self, call: Call, value: Any) -> Any:
        """Write."""

    def delete(self, key: str) -> Any:
        """Remove."""

    def order_call(self, call: Call) -> None:
        """Order a value unless there is a fresh one."""

    def get_fresh_call(self, call: Call) -> Any:
        """Read what is fresh, or create."""

    def expire_call(self, call: Call) -> Any:
        """Have the value expire, and order the next."""

    def check_task_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the region's queue does not understand."""


class CachedFunction(Generic[P, T]):
    """One decorated function: how its keys are made and its values created.

    Args:
        region: The region it belongs to.
        function: The creator.
        use: The options of the decorator.
        generator: A key generator to use in place of ours.
        make_call: Makes the region's `Call` from a key and a creator.
    """

    def __init__(
        self,
        region: Owner,
        function: Callable[P, T],
        use: Use,
        generator: KeyGenerator | None,
        make_call: Callable[[str, Callable[[], T]], Call],
    ) -> None:
        refuse_lazy_function(function)
        self.region = region
        self.function = function
        self.name = _name(function, use.namespace, use.ignore)
        self._make_call = make_call
        self._tags = use.tags
        self._has_fixed_span = not callable(use.expiration_time)
        self._span = use.expiration_time
        self._timeout_for = None if use.refresh_timeout is None else use.timeout_for
        self.task_options = use.given_task_options()
        self._template = Template(
            function, use.namespace, generator, use.ignore, schema_of(use.schema)
        )
        self._call_for = self._template.compiled(self._call)
        self._seen = Seen(region.gate)
        self._key_for = self._template.compiled(lambda key, _args, _kwargs: key)

    @property
    def module(self) -> str:
        """Name of the module that defines the function."""
        return getattr(self.function, "__module__", None) or "?"

    def wrapper(self) -> CachedCallable[P, T]:
        """Make the function that takes the place of the decorated one."""
        region, function = self.region, self.function
        if self._has_fixed_span:
            call = self._template.looking(self._look, self._seen)
        else:
            call = self._template.compiled(self._fetch)
        functools.update_wrapper(call, function)

        def set_(value: T, /, *args: P.args, **kwargs: P.kwargs) -> None:
            region.set_call(self._call_for(*args, **kwargs), value)

        compiled = self._template.compiled
        handles = {
            "get": compiled(lambda *call: region.get_call(self._call(*call))),
            "set": set_,
            "refresh": compiled(lambda *call: region.recreate_call(self._call(*call))),
            "invalidate": self._invalidate_handle(),
            "expire": compiled(lambda *call: region.expire_call(self._call(*call))),
            "order": compiled(lambda *call: region.order_call(self._call(*call))),
            "get_fresh": compiled(
                lambda *call: region.get_fresh_call(self._call(*call))
            ),
            "key_for": self._key_for,
            "with_task_options": lambda **options: self._travelling(options).wrapper(),
            "original": function,
        }
        for handle, value in handles.items():
            setattr(call, handle, value)
        return cast("CachedCallable[P, T]", call)

    def _travelling(self, options: Mapping[str, Any]) -> Self:
        """Give another of the same, whose orders travel by other options."""
        self.region.check_task_options(options)
        other = copy(self)
        other.task_options = layered(self.task_options, options)
        other._call_for = self._template.compiled(other._call)  # noqa: SLF001 - ours
        return other

    def _invalidate_handle(self) -> Callable[..., Any]:
        """Make ``invalidate``, which takes ``soft`` besides the function's own."""
        region, compiled = self.region, self._template.compiled
        remove = compiled(lambda key, _args, _kwargs: region.delete(key))
        if self._template.takes("soft"):  # the function's, and not ours
            return remove
        expire = compiled(lambda *call: region.expire_call(self._call(*call)))

        def invalidate(*args: P.args, soft: bool = False, **kwargs: P.kwargs) -> Any:  # type: ignore[valid-type]
            return (expire if soft else remove)(*args, **kwargs)

        return invalidate

    def check_can_travel(self, runner: str, *, leaves_process: bool) -> None:
        """Refuse a function that *runner*'s worker could not find again.

        Raises:
            UnimportableFunction: It says which function, and what to do.
        """
        if self.name is None:
            problem = "is a closure, a lambda or a bound method"
        elif leaves_process and self.module == "__main__":
            problem = "is defined in the main script, which no worker can import"
        else:
            return
        shown = getattr(self.function, "__qualname__", repr(self.function))
        raise UnimportableFunction(
            f"the runner {runner!r} of region {self.region.name!r} cannot refresh "
            f"{shown!r}, since it {problem}: move it to the top level of a module, "
            "or use the runner 'thread'"
        )

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments with which it could not be called.

        Raises:
            TypeError: It says why; an `UnkeyableArgument` is one.
        """
        self._key_for(*args, **kwargs)

    def warm(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, force: bool
    ) -> list[Made]:
        """Create a call's value unless there is a fresh one; give what was made.

        Raises:
            TypeError: See `check_arguments`.
            BackendError: The backend cannot be reached.
            Exception: Whatever the creator raised, unchanged.
        """
        return self.region.warm_call(self._call_for(*args, **kwargs), force=force)

    def fulfil(self, order: RefreshOrder | BatchOrder, task_id: str | None) -> Outcome:
        """Carry out an order for this function.

        Raises:
            InvalidOrder: Its arguments do not make its key.
        """
        if not isinstance(order, RefreshOrder):
            raise InvalidOrder(f"{self.name} makes one value at a time")
        try:
            call = self._call_for(*order.args, **order.kwargs)
        except TypeError as error:
            raise InvalidOrder(
                f"arguments that {self.name} cannot take: {error}"
            ) from error
        if call.user_key != order.key:
            raise InvalidOrder(f"arguments of {self.name} that do not make its key")
        return self.region.fulfil_call(call, order, task_id)

    def _fetch(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        return cast("T", self.region.fetch_call(self._call(key, args, kwargs)))

    def _look(
        self,
        asked: Asked,
        key: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        """Fetch what was not at hand, and have it at hand if it is fresh.

        *asked* is the arguments by which it may be found then, and what was read.
        """
        arguments, read = asked
        wish = None
        if arguments is not None and len(key) <= LONGEST:
            wish = Wish(self._seen, arguments, read)
        make_call = partial(self._call, key, args, kwargs)
        return cast("T", self.region.fetch_key_call(key, self._span, make_call, wish))

    def _call(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        call = self._make_call(key, lambda: self.function(*args, **kwargs))
        call.order = lambda: self._order(key, args, kwargs)
        if self.task_options:
            call.task_options = partial(made, self.task_options, args, kwargs)
        if self._timeout_for is not None:
            call.refresh_timeout = self._timeout_for(args, kwargs)
        tags = self._tags
        if tags:
            call.tags = partial(tags, *args, **kwargs) if callable(tags) else tags
        return call

    def _order(
        self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Described | None:
        """Describe the call as data, if it is the same after a trip through JSON."""
        listed = list(args)
        if self.name is None or not is_plain(listed) or not is_plain(kwargs):
            return None
        return self.name, listed, kwargs, key


def _name(
    function: Callable[..., Any], namespace: str | None, ignore: Sequence[str]
) -> str | None:
    name = name_of(function)
    if name is None:
        return None
    part = "" if namespace is None else f"|{namespace}"
    return f"{name}{part}{left_out(ignore)}"
