"""What takes the place of decorated functions and methods, for type checkers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypedDict, TypeVar, overload

from dogpile.cache.api import NoValueType

from holdover.regions.returned import Cached
from holdover.regions.task_options import Given

P = ParamSpec("P")
R = ParamSpec("R")
T = TypeVar("T")
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
K_contra = TypeVar("K_contra", contravariant=True)
M_co = TypeVar("M_co", covariant=True)


class Handles(Protocol[P, T]):
    """What a cached function can do, for its own arguments."""

    @property
    def original(self) -> Callable[P, T]:
        """The function as it was written."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Give the cached value, or create it."""

    def get(self, *args: P.args, **kwargs: P.kwargs) -> T | NoValueType:
        """Give the cached value if there is a fresh one, else ``NO_VALUE``."""

    def set(self, value: T, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Store *value* for these arguments."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Create the value now, store it and return it."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Remove the value; with ``soft=True``, do as `expire`.

        A function that has a parameter ``soft`` of its own has only `expire` for that.
        """

    def expire(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Have the value expire: it goes on being served while the next is made."""

    def order(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the region's runner create the value, unless there is a fresh one.

        Nobody waits, and nothing is ordered that is under way already.
        """

    def get_fresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Give a fresh value: wait for one rather than take an old one.

        Raises:
            Exception: Whatever the creator raised, unchanged.
        """

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Give the key for these arguments, as for ``region.get()``."""

    def with_task_options(self, **options: Any) -> Handles[P, T]:
        """Give the same function, whose orders travel by *options* of their own.

        Raises:
            ConfigurationError: The region's queue does not understand them.
        """


class CachedCallable(Handles[P, T], Protocol[P, T]):
    """What ``@region.cache_on_arguments()`` makes of a function.

    In a class, what is looked up on an object is bound to it, with all its handles.
    """

    @overload
    def __get__(self, instance: None, owner: type) -> Handles[P, T]: ...
    @overload
    def __get__(
        self: CachedCallable[Concatenate[C, R], T],
        instance: C,
        owner: type | None = None,
    ) -> Handles[R, T]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Handles[P, T]: ...


class CachedOfClass(Handles[Concatenate[type[C_co], R], T], Protocol[C_co, R, T]):
    """The same of a function that takes a class first: in a class, a class method."""

    def __get__(self, instance: Any, owner: type | None = None) -> Handles[R, T]:
        """Bind to the class."""


class CachedStatic(Handles[P, T], Protocol[P, T]):
    """The same of what was a class method or a static method before."""

    def __get__(self, instance: Any, owner: type | None = None) -> Handles[P, T]:
        """Bind to the class, or to nothing."""


class Decorator(Protocol):
    """What ``region.cache_on_arguments()`` returns."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[type[C], R], T], /
    ) -> CachedOfClass[C, R, T]: ...
    @overload
    def __call__(self, function: Callable[P, Cached[T]], /) -> CachedCallable[P, T]: ...
    @overload
    def __call__(
        self, function: Callable[P, Cached[T] | T], /
    ) -> CachedCallable[P, T]: ...
    @overload
    def __call__(
        self, function: classmethod[Any, P, T] | staticmethod[P, T], /
    ) -> CachedStatic[P, T]: ...


class ManyFunction(Protocol[K_contra, M_co]):
    """A function that gets ids and makes many values."""

    def __call__(self, *ids: K_contra) -> M_co:
        """Make them."""


class CachedManyCallable(Protocol[K_contra, M_co]):
    """What ``@region.cache_multi_on_arguments()`` makes of a function.

    *K_contra* is the type of its ids, *M_co* what it returns: a list of the values, or
    with ``asdict=True`` a mapping.
    """

    @property
    def original(self) -> Callable[..., M_co]:
        """The function as it was written."""

    def __call__(self, *ids: K_contra) -> M_co:
        """Give the values for *ids*, creating those that are missing in one call."""

    def get(self, *ids: K_contra) -> list[Any]:
        """Give the fresh values, ``NO_VALUE`` where there is none."""

    def set(self, mapping: Mapping[Any, Any]) -> None:
        """Store values by id."""

    def refresh(self, *ids: K_contra) -> M_co:
        """Create the values now, store and return them."""

    def invalidate(self, *ids: K_contra) -> Any:
        """Remove the values."""

    def key_for(self, one: K_contra, /) -> str:
        """Give the key of one id, as for ``region.get()``."""


class ManyDecorator(Protocol):
    """What ``region.cache_multi_on_arguments()`` returns."""

    def __call__(
        self, function: ManyFunction[K_contra, M_co], /
    ) -> CachedManyCallable[K_contra, M_co]:
        """Make the function that takes the place of the decorated one."""


class Options(TypedDict, total=False):
    """The options of `Region.cache_on_arguments`, for type checkers."""

    namespace: str | None
    expiration_time: object | Callable[[], object]
    should_cache_fn: Callable[[Any], bool] | None
    to_str: Callable[[Any], str]
    function_key_generator: Callable[..., Any] | None
    empty: Callable[[], Any] | None
    ignore: Sequence[str]
    tags: Sequence[str] | Callable[..., Iterable[str]]
    schema: int | str | None
    task_options: Given | None
    refresh_timeout: float | Callable[..., float | None] | None
