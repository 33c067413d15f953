"""Decorating: from a function, however it comes, to what takes its place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar, Unpack, cast

from holdover.regions import events
from holdover.regions.at_hand import Wish
from holdover.regions.bound import BoundMethod, method_or_function, unpacked
from holdover.regions.cached import CachedFunction
from holdover.regions.calls import Call
from holdover.regions.errors import ConfigurationError, UnregisteredFunction
from holdover.regions.importing import (
    Name,
    allowed_imports,
    function_of,
    import_listed,
)
from holdover.regions.inline import InlineFunction, lives_in_its_module
from holdover.regions.keys import identity_of
from holdover.regions.legacy import generate
from holdover.regions.many import ManyRegion
from holdover.regions.reach import check_functions
from holdover.regions.refresh.base import Outcome, RefreshOrder
from holdover.regions.settings import Settings
from holdover.regions.signatures import prefix_of
from holdover.regions.task_options import Given
from holdover.regions.uses import Use
from holdover.regions.worker import CATALOGUE, Refreshable

if TYPE_CHECKING:
    from holdover.regions.handles import CachedCallable, Decorator, Options

P = ParamSpec("P")
T = TypeVar("T")


class DecoratingRegion(ManyRegion):
    """The part of a region that decorates functions. See `Region`."""

    bound_handles: ClassVar[bool] = True
    """Whether a method's handles know their object, ``obj.method.invalidate(x)``; if
    not, it is given once more, as in dogpile.cache: ``obj.method.invalidate(obj, x)``.
    """

    def cache_on_arguments(
        self,
        namespace: str | None = None,
        expiration_time: object | Callable[[], object] = None,
        should_cache_fn: Callable[[Any], bool] | None = None,
        to_str: Callable[[Any], str] = str,
        function_key_generator: Callable[..., Any] | None = None,
        *,
        empty: Callable[[], Any] | None = None,
        ignore: Sequence[str] = (),
        tags: Sequence[str] | Callable[..., Iterable[str]] = (),
        schema: int | str | None = None,
        task_options: Given | None = None,
        refresh_timeout: float | Callable[..., float | None] | None = None,
    ) -> Decorator:
        """Cache a function's values by its arguments.

        The result has the function's signature and the handles ``get``, ``set``,
        ``refresh``, ``invalidate``, ``key_for`` and ``original``. A method's are bound
        to its object, a class method's to its class.

        Args:
            namespace: Parts this use from other uses of the same function.
            expiration_time: Seconds for which its values are fresh, or a function
                that returns them; None means the region's.
            should_cache_fn: Says whether a created value is to be stored.
            to_str: dogpile.cache's way to turn arguments into text; only for its own
                key generators.
            function_key_generator: dogpile.cache's hook to make keys in another way.
            empty: See `get_or_create`.
            ignore: Names of parameters that are left out of the key, such as ``self``
                or a connection: calls that differ only in them share a value.
            tags: Names under which its values can be invalidated, or a function that
                gets the call's arguments and returns them.
            schema: As in ``configure()``, of this function alone.
            task_options: How its orders travel, where that differs from the region's:
                a mapping, or a function that gets the call's arguments and returns it.
            refresh_timeout: Seconds within which no second refresh of a value is
                ordered, whether its order waits or its creator has failed, or a
                function that gets the call's arguments and returns them. None: as
                ``lease.queue_ttl`` and ``backoff`` of the region say.

        Raises:
            LazyValue: The function is a generator or an ``async def``.
            UnimportableFunction: The region's runner could not find the function.
            InvalidLifetime: *expiration_time* is no span of time.
            ConfigurationError: *ignore* names a parameter that the function has not, or
                the region's queue does not understand *task_options*.
        """
        use = self._checked(
            Use(
                namespace=namespace,
                expiration_time=expiration_time,
                should_cache_fn=should_cache_fn,
                to_str=to_str,
                function_key_generator=function_key_generator,
                empty=empty,
                ignore=ignore,
                tags=tags,
                schema=schema,
                task_options=task_options,
                refresh_timeout=refresh_timeout,
            )
        )
        return cast("Decorator", lambda function: self._decorated(function, use))

    def cached(
        self, function: Callable[P, T], /, **options: Unpack[Options]
    ) -> CachedCallable[P, T]:
        """Give the cached form of a function, without decorating it.

        ``region.cached(fetch)(x)`` may stand wherever ``fetch(x)`` could: the same
        function with the same options gives the same wrapper again. A bound method is
        keyed by its object too, like a decorated one.

        A queue's worker refreshes functions at the top level of a module that it may
        import (`holdover.allow_imports`), if no option but *namespace*, *empty* and
        *task_options* is given; all others are refreshed in this process.

        Args:
            function: The creator.
            **options: Those of `cache_on_arguments`, by name.

        Raises:
            InvalidArgument: *function* cannot be called.
            ConfigurationError: It is a closure that shares its name with another one:
                give each a *namespace*.
        """
        if not options and (kept := self._inline.kept(function)) is not None:
            return cast("CachedCallable[P, T]", kept)
        use = self._checked(Use(**options))
        return cast("CachedCallable[P, T]", self._inlined(function, use))

    @property
    def functions(self) -> Mapping[str, CachedCallable[..., Any]]:
        """The functions and methods that were decorated with it, by their names.

        A name is ``"module:function"``, with ``"|namespace"`` behind it if there is
        one. A method's handles take its object first. Closures and lambdas have none.
        """
        named = {one.name: one for one in list(self._cached) if one.name is not None}
        return {name: named[name].wrapper() for name in sorted(named)}

    def find_for_order(self, name: str) -> Refreshable:
        """Import the function that an order names, for a worker.

        Raises:
            UnregisteredFunction: No function of that name may be imported here.
        """
        try:
            return self._imported(name)
        except UnregisteredFunction as error:
            dropped = events.OrderDropped(region=self.name or "", reason=str(error))
            self._listeners.tell(dropped)
            raise

    # -- what a region does for its functions ----------------------------------

    @abstractmethod
    def fetch_call(self, call: Call) -> Any:
        """Answer a call."""

    @abstractmethod
    def fetch_key_call(
        self,
        key: str,
        expiration_time: object,
        make_call: Callable[[], Call],
        wish: Wish | None = None,
    ) -> Any:
        """Answer a call, which is made only if need be."""

    @abstractmethod
    def fulfil_call(
        self, call: Call, order: RefreshOrder, task_id: str | None
    ) -> Outcome:
        """Carry out an order."""

    @abstractmethod
    def recreate_call(self, call: Call) -> Any:
        """Create anew."""

    @abstractmethod
    def get_call(self, call: Call) -> Any:
        """Read what is fresh."""

    @abstractmethod
    def order_call(self, call: Call) -> None:
        """Order a value unless there is a fresh one."""

    @abstractmethod
    def get_fresh_call(self, call: Call) -> Any:
        """Read what is fresh, or create."""

    @abstractmethod
    def expire_call(self, call: Call) -> Any:
        """Have the value expire, and order the next."""

    @abstractmethod
    def set_call(self, call: Call, value: Any) -> Any:
        """Write."""

    # -- small steps -----------------------------------------------------------

    def _checked(self, use: Use) -> Use:
        """Tell at once of options that could never work."""
        if use.expiration_time is not None and not callable(use.expiration_time):
            self._lifetime_for(use.expiration_time)
        given = use.given_task_options()
        if not callable(given):
            self.check_task_options(given)
        return use

    def _decorated(self, decorated: Any, use: Use) -> Any:
        """Cache a function for good."""
        function, kind = unpacked(decorated)
        make_key, make_call = self._parts(function, use)
        cached = CachedFunction(self, function, use, make_key, make_call)
        if make_key is None and use.namespace is None and cached.name is None:
            self._refuse_namesake(function)
        check_functions(self._chain, [cached])
        self._cached.add(cached)
        if self.name is not None and cached.name is not None:
            CATALOGUE.register(self.name, cached.name, cached)
        wrapper = self._inline.note(cached.wrapper(), cached)
        return self._placed(wrapper, function, kind)

    def _inlined(self, given: Any, use: Use) -> Any:
        """Cache a function for as long as somebody holds the result."""
        if isinstance(given, MethodType | BoundMethod):
            unbound, _ = unpacked(self._inlined(given.__func__, use))
            return BoundMethod(unbound, given.__self__)
        function, kind = unpacked(given)
        if use == Use() and self._inline.made(function):
            return given
        wrapper = self._inline.remember(
            (function, use), lambda: self._make_inline(function, use)
        )
        cached = self._placed(wrapper, function, kind)
        if use == Use() and kind is None and lives_in_its_module(function):
            return self._inline.keep(function, cached)
        return cached

    def _make_inline(self, function: Callable[..., Any], use: Use) -> Any:
        inline = self._inline_function(function, use)
        if self.name is not None and use == Use() and inline.can_be_imported():
            CATALOGUE.register(self.name, cast("str", inline.name), inline)
        return self._inline.note(inline.wrapper(), inline)

    def _inline_function(
        self, function: Callable[..., Any], use: Use
    ) -> InlineFunction[..., Any]:
        make_key, make_call = self._parts(function, use)
        inline = InlineFunction(self, function, use, make_key, make_call)
        inline.may_travel = lambda: self._would_be_found(inline, use)
        if make_key is None and use.namespace is None and inline.name is None:
            self._refuse_namesake(function)
        return inline

    def _would_be_found(self, inline: InlineFunction[..., Any], use: Use) -> bool:
        """Say whether a worker would do the same under the function's name alone."""
        travelling = use.given_task_options() or None
        if use != Use(
            namespace=use.namespace, empty=use.empty, task_options=travelling
        ):
            return False
        if not inline.can_be_imported():
            return False
        if inline.module in self._importable:
            return True
        here = not any(runner.leaves_process for runner in self._chain.runners)
        return here and use == Use(task_options=travelling)

    @property
    def _importable(self) -> set[str]:
        """The modules that a worker may import: listed, or served by its runner."""
        own = (getattr(runner, "modules", ()) for runner in self._chain.runners)
        return set(allowed_imports()).union(*own)

    def _imported(self, text: str) -> Refreshable:
        name = Name.parse(text)
        if name is None:
            raise UnregisteredFunction(
                f"no function {text!r} is registered for region {self.name!r} in this "
                "process, and workers import only those at the top of a module"
            )
        import_listed(name, self._importable)
        registered = CATALOGUE.registered(self.name or "", text)
        if registered is not None:  # by the module, just now
            return registered
        function = function_of(name)
        return self._inline_function(function, Use(namespace=name.namespace))

    def _parts(self, function: Callable[..., Any], use: Use) -> tuple[Any, ...]:
        """What a cached function is made of, besides itself."""
        generator = use.function_key_generator
        if generator is None and not self._makes_keys_itself:
            generator = self.function_key_generator
        make_key = generator and generate(
            generator, use.namespace, function, use.to_str
        )

        def make_call(key: str, create: Callable[[], Any]) -> Call:
            return self._call(key, create, use.span(), use.should_cache_fn, use.empty)

        return make_key, make_call

    def _placed(self, wrapper: Any, function: object, kind: type | None) -> Any:
        """Make a descriptor of what stands in a class."""
        if not self.bound_handles and kind is None:
            return wrapper
        return method_or_function(wrapper, function, kind)

    def _refuse_namesake(self, function: Callable[..., Any]) -> None:
        """Refuse a second closure or lambda of a name: they would share their keys.

        Raises:
            ConfigurationError: It says how to part them.
        """
        name = prefix_of(function, None)
        identity = identity_of(function)
        # With the function, what it captured lives on: no other gets the same id.
        known, _ = self._namesakes.setdefault(name, (identity, function))
        if known != identity:
            raise ConfigurationError(
                f"region {self.name!r} caches another function that is also called "
                f"{name!r}, and they would share their keys: give each a namespace, "
                "cache_on_arguments(namespace=...)"
            )

    def _assemble(self, rules: Settings) -> None:
        super()._assemble(rules)
        readers = None if self._crew is None else self._crew.readers
        self._readers = readers
        self._note = None if readers is None else lambda call: readers.note(call.key)
        if self.name is not None:
            CATALOGUE.know(self.name, self)
