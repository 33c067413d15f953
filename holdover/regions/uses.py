"""How a function is to be cached: the options of a decorator, checked and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from holdover.regions.errors import ConfigurationError, InvalidArgument
from holdover.regions.keys import schema_of
from holdover.regions.lifetime import lease_span
from holdover.regions.returned import checked_tags
from holdover.regions.task_options import Given, checked
from holdover.regions.values import frozen


@frozen(kw_only=True)
class Use:
    """How one function is cached; see `Region.cache_on_arguments`."""

    namespace: str | None = None
    expiration_time: object = None
    should_cache_fn: Callable[[Any], bool] | None = None
    to_str: Callable[[Any], str] = str
    function_key_generator: Callable[..., Any] | None = None
    empty: Callable[[], Any] | None = None
    ignore: Sequence[str] = ()
    tags: Sequence[str] | Callable[..., Iterable[str]] = ()
    schema: int | str | None = None
    task_options: Given | tuple[tuple[str, Any], ...] | None = None
    refresh_timeout: float | Callable[..., float | None] | None = None

    def __post_init__(self) -> None:
        if self.namespace is not None and not isinstance(self.namespace, str):
            raise InvalidArgument(
                f"namespace must be a str, got {self.namespace!r}: the decorator is "
                "written @region.cache_on_arguments(), with parentheses"
            )
        if isinstance(self.ignore, list | tuple | set | frozenset):
            # Of any order, and fit to be remembered by.
            object.__setattr__(self, "ignore", tuple(sorted(self.ignore)))
        if self.task_options is not None and not callable(self.task_options):
            named = sorted(checked(self.task_options).items())
            object.__setattr__(self, "task_options", tuple(named))
        if not callable(self.refresh_timeout):
            self.timeout_for((), {})
        schema_of(self.schema)
        if not callable(self.tags):
            object.__setattr__(self, "tags", checked_tags(self.tags))
        if self.ignore and self.function_key_generator is not None:
            raise ConfigurationError(
                "ignore= is about the keys that Holdover makes, and "
                "function_key_generator= makes its own: give one of the two"
            )

    def timeout_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give the ``refresh_timeout`` of one call.

        Raises:
            InvalidLifetime: It is no span of time, or longer than a lease may be.
        """
        given: Any = self.refresh_timeout
        if given is None:
            return None
        span = given(*args, **kwargs) if callable(given) else given
        return None if span is None else lease_span(span, "refresh_timeout")

    def given_task_options(self) -> Given:
        """Give its task options, or what makes them."""
        given = self.task_options
        return given if callable(given) else dict(given or ())

    def span(self) -> object:
        """Give the seconds for which a value is fresh; None means the region's."""
        spans = self.expiration_time
        return spans() if callable(spans) else spans
