"""The decorator's product: a function with its own signature, and its handles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast

from holdover.regions.codecs import is_plain, refuse_lazy_function
from holdover.regions.errors import (
    InvalidArgument,
    InvalidOrder,
    UnimportableFunction,
)
from holdover.regions.keys import name_of, schema_of
from holdover.regions.signatures import KeyGenerator, Template

if TYPE_CHECKING:
    from holdover.regions.calls import Call, Described
    from holdover.regions.refresh.base import Outcome, RefreshOrder

P = ParamSpec("P")
T = TypeVar("T")


class CachedCallable(Protocol, Generic[P, T]):
    """What ``@region.cache_on_arguments()`` makes of a function.

    Attributes:
        original: The function as it was written.
    """

    original: Callable[P, T]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Give the cached value, or create it."""

    def get(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Give the cached value if there is a fresh one, else ``NO_VALUE``."""

    def set(self, value: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        """Store *value* for these arguments."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Create the value now, store it and return it."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Remove the value for these arguments."""

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Give the key for these arguments, as for ``region.get()``."""


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

    def set_call(self, call: Call, value: Any) -> Any:
        """Write."""

    def delete(self, key: str) -> Any:
        """Remove."""


class CachedFunction(Generic[P, T]):
    """One decorated function: how its keys are made and its values created.

    Args:
        region: The region it belongs to.
        function: The creator.
        namespace: Parts this use of the function from others of the same one.
        generator: A key generator to use in place of ours.
        make_call: Makes the region's `Call` from a key, a creator and this object.
        schema: Parts its keys from those of the function's other schemas.
    """

    def __init__(
        self,
        region: Owner,
        function: Callable[P, T],
        namespace: str | None,
        generator: KeyGenerator | None,
        make_call: Callable[[str, Callable[[], T]], Call],
        *,
        schema: int | str | None = None,
    ) -> None:
        refuse_lazy_function(function)
        self.region = region
        self.function = function
        self.name = _name(function, namespace)
        self._make_call = make_call
        self._template = Template(function, namespace, generator, schema_of(schema))
        self._call_for = self._template.compiled(self._call)

    @property
    def module(self) -> str:
        """Name of the module that defines the function."""
        return getattr(self.function, "__module__", None) or "?"

    def wrapper(self) -> CachedCallable[P, T]:
        """Make the function that takes the place of the decorated one."""
        region, function = self.region, self.function
        call = self._template.compiled(self._fetch)
        functools.update_wrapper(call, function)

        def set_(value: T, /, *args: P.args, **kwargs: P.kwargs) -> None:
            region.set_call(self._call_for(*args, **kwargs), value)

        compiled = self._template.compiled
        handles = {
            "get": compiled(lambda *call: region.get_call(self._call(*call))),
            "set": set_,
            "refresh": compiled(lambda *call: region.recreate_call(self._call(*call))),
            "invalidate": compiled(lambda key, _args, _kwargs: region.delete(key)),
            "key_for": compiled(lambda key, _args, _kwargs: key),
            "original": function,
        }
        for handle, value in handles.items():
            setattr(call, handle, value)
        return cast("CachedCallable[P, T]", call)

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

    def fulfil(self, order: RefreshOrder, task_id: str | None) -> Outcome:
        """Carry out an order for this function.

        Raises:
            InvalidOrder: Its arguments do not make its key.
        """
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

    def _call(self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        call = self._make_call(key, lambda: self.function(*args, **kwargs))
        call.order = lambda: self._order(key, args, kwargs)
        return call

    def _order(
        self, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Described | None:
        """Describe the call as data, if it is the same after a trip through JSON."""
        listed = list(args)
        if self.name is None or not is_plain(listed) or not is_plain(kwargs):
            return None
        return self.name, listed, kwargs, key


def check_namespace(namespace: object) -> None:
    """Refuse a namespace that is no text.

    Raises:
        InvalidArgument: It says how the decorator is written.
    """
    if namespace is not None and not isinstance(namespace, str):
        raise InvalidArgument(
            f"namespace must be a str, got {namespace!r}: the decorator is written "
            "@region.cache_on_arguments(), with parentheses"
        )


def _name(function: Callable[..., Any], namespace: str | None) -> str | None:
    name = name_of(function)
    return name if name is None or namespace is None else f"{name}|{namespace}"
