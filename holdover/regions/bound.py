"""Cached functions in classes: what stands in the class, and what is bound to one.

A plain function binds itself to an object, but its attributes stay those of the
function: ``obj.method.invalidate(5)`` would take 5 for ``self``. So a method is a
descriptor here, and its handles are bound with it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import MethodType
from typing import Any, NoReturn

from holdover.regions.errors import ConfigurationError, InvalidArgument

HANDLES = (
    "get",
    "set",
    "refresh",
    "invalidate",
    "expire",
    "order",
    "get_fresh",
    "key_for",
)
"""What a cached function can do besides being called; each takes its arguments."""

# Until Python 3.12 a classmethod asks what it wraps to bind itself.
_CLASSMETHOD_BINDS = sys.version_info < (3, 13)


class BoundMethod:  # noqa: D101 - its docstring is that of the function
    # Compared, hashed, pickled and weakly referred to as Python's own are.
    __slots__ = ("__func__", "__self__", "__weakref__")

    def __init__(self, function: Callable[..., Any], instance: object) -> None:
        self.__func__ = function
        self.__self__ = instance

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Give the cached value, or create it."""
        return self.__func__(self.__self__, *args, **kwargs)

    @property
    def get(self) -> Callable[..., Any]:
        """Reads; see `CachedCallable`."""
        return self._bound("get")

    def set(self, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Store; see `CachedCallable`."""
        handle: Callable[..., Any] = self._handle("set")
        return handle(value, self.__self__, *args, **kwargs)

    @property
    def refresh(self) -> Callable[..., Any]:
        """Creates anew; see `CachedCallable`."""
        return self._bound("refresh")

    @property
    def invalidate(self) -> Callable[..., Any]:
        """Removes; see `CachedCallable`."""
        return self._bound("invalidate")

    @property
    def expire(self) -> Callable[..., Any]:
        """Ages; see `CachedCallable`."""
        return self._bound("expire")

    @property
    def order(self) -> Callable[..., Any]:
        """Has the next one made; see `CachedCallable`."""
        return self._bound("order")

    @property
    def get_fresh(self) -> Callable[..., Any]:
        """Takes no old one; see `CachedCallable`."""
        return self._bound("get_fresh")

    @property
    def key_for(self) -> Callable[..., Any]:
        """Gives the key; see `CachedCallable`."""
        return self._bound("key_for")

    def with_task_options(self, **options: Any) -> BoundMethod:
        """Let orders travel by other options; see `CachedCallable`."""
        travelling = self._handle("with_task_options")
        return BoundMethod(travelling(**options), self.__self__)

    @property
    def original(self) -> Callable[..., Any]:
        """The method as it was written."""
        return self._bound("original")

    def _handle(self, name: str) -> Any:
        return getattr(self.__func__, name)

    def _bound(self, name: str) -> Callable[..., Any]:
        return MethodType(self._handle(name), self.__self__)

    # -- as Python's own -------------------------------------------------------

    def __get__(self, instance: object, owner: type | None = None) -> BoundMethod:
        """Stay bound to what it is bound to, in whatever class it is put."""
        return self

    def __getattr__(self, name: str) -> Any:
        """Look everything else up in the function, as a bound method does."""
        return getattr(self.__func__, name)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override] # read-only here
        return self.__func__.__doc__

    @property
    def __module__(self) -> str:  # type: ignore[override] # read-only here
        return self.__func__.__module__

    @property
    def __signature__(self) -> Any:
        """For `inspect.signature`."""
        return inspect.signature(MethodType(self.__func__, self.__self__))

    def __eq__(self, other: object) -> bool:
        if type(other) is not BoundMethod:
            return NotImplemented
        return self.__self__ is other.__self__ and self.__func__ == other.__func__

    def __hash__(self) -> int:
        return hash((id(self.__self__), self.__func__))

    def __repr__(self) -> str:
        name = self.__func__.__qualname__
        return f"<bound cached method {name} of {self.__self__!r}>"

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override] # read-only here
        """For `functools.wraps`; the handles in the function's own are not bound."""
        return _without_handles(self.__func__)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)


class CachedMethod:
    """What stands in a class for a cached method, class method or static method.

    Its handles take ``self`` or ``cls`` like the function itself; those of what it
    gives to objects are bound.

    Args:
        function: The cached function.
        kind: ``classmethod`` or ``staticmethod`` if it was one when it was decorated.
    """

    # Outside __dict__, which functools.wraps copies.
    __slots__ = ("__dict__", "__weakref__", "_is_bound_here", "function", "kind")

    def __init__(self, function: Callable[..., Any], kind: type | None) -> None:
        functools.update_wrapper(self, function, updated=())
        self.__dict__.update(_without_handles(function))
        self.function = function
        self.kind = kind
        self._is_bound_here = kind is not None

    def __set_name__(self, owner: type, name: str) -> None:
        self._is_bound_here = True

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Bind to an object, or to the class of a class method."""
        if self.kind is classmethod:
            return BoundMethod(self.function, owner or type(instance))
        if self.kind is staticmethod:
            return self.function
        return self if instance is None else BoundMethod(self.function, instance)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Give the cached value, or create it, for ``self`` and the arguments."""
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Give the handles of the function, and nothing else."""
        if name in HANDLES and self._may_hide_a_class():
            return functools.partial(self._refuse, name)
        if name in HANDLES or name == "original":
            return getattr(self.function, name)
        raise AttributeError(f"{self!r} has no attribute {name!r}", name=name, obj=self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CachedMethod):
            return NotImplemented
        return self.function is other.function and self.kind is other.kind

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return f"<cached method {self.__qualname__}>"

    def __reduce__(self) -> str:
        return str(self.__qualname__)

    def _may_hide_a_class(self) -> bool:
        """Say whether a classmethod around this may call it, with a class unseen.

        ``Class.method.invalidate(5)`` would then arrive here as ``invalidate(5)``.
        """
        if self._is_bound_here or _CLASSMETHOD_BINDS or not _is_in_class(self):
            return False
        place = _place_of(self)
        return place is None or isinstance(place, classmethod)

    def _refuse(self, handle: str, /, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise ConfigurationError(
            f"{self.__qualname__}.{handle}() cannot see the class that it is called "
            "on: write @region.cache_on_arguments() above @classmethod (or "
            "@staticmethod), not below it"
        )


def method_or_function(
    wrapper: Callable[..., Any], original: object, kind: type | None
) -> Any:
    """Give what stands for a cached function: itself, or a descriptor for a class.

    Args:
        wrapper: The cached function.
        original: What it caches.
        kind: ``classmethod`` or ``staticmethod`` if it was one.
    """
    if kind is None and not _is_method(original):
        return wrapper
    return CachedMethod(wrapper, kind)


def unpacked(decorated: Any) -> tuple[Callable[..., Any], type | None]:
    """Take a function out of the descriptors around it, and say of which kind it was.

    Raises:
        InvalidArgument: It holds no function that could be called.
    """
    kind: type | None = None
    while isinstance(decorated, classmethod | staticmethod | CachedMethod):
        if isinstance(decorated, CachedMethod):
            kind, decorated = kind or decorated.kind, decorated.function
        else:
            kind, decorated = kind or type(decorated), decorated.__func__
    if not callable(decorated):
        raise InvalidArgument(
            f"only what can be called can be cached, got {decorated!r}: write "
            "@property and the like above @region.cache_on_arguments(), not below it"
        )
    return decorated, kind


def _is_method(function: Any) -> bool:
    """Say whether *function* is written in a class, or for one."""
    if not hasattr(type(function), "__get__") or hasattr(function, "__self__"):
        return False
    if not getattr(function, "__module__", None):
        return False  # a method of a built-in type, such as ``str.upper``
    code = getattr(function, "__code__", None)
    first = code.co_varnames[: code.co_argcount][:1] if code else ()
    return _is_in_class(function) or first in (("self",), ("cls",))


def _is_in_class(function: Any) -> bool:
    """Say whether *function* was defined in the body of a class."""
    return "." in getattr(function, "__qualname__", "").rpartition("<locals>.")[2]


def _place_of(method: CachedMethod) -> object:
    """Find what stands in its class under a method's name; None if it is not found."""
    owner: Any = sys.modules.get(method.__module__)
    *outer, name = method.__qualname__.split(".")
    for part in outer:
        owner = getattr(owner, part, None)
    return getattr(owner, "__dict__", {}).get(name)


def _without_handles(function: Callable[..., Any]) -> dict[str, Any]:
    """Copy a function's attributes, but for those that take any object for ``self``."""
    unbound = (*HANDLES, "with_task_options", "original", "__wrapped__")
    return {
        name: value for name, value in vars(function).items() if name not in unbound
    }
