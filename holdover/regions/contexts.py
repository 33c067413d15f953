"""What a creator needs of the process that orders: declared, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from holdover.regions.codecs import is_plain
from holdover.regions.errors import (
    ConfigurationError,
    CreatorFailure,
    InvalidArgument,
    InvalidOrder,
)
from holdover.regions.values import frozen

T = TypeVar("T")


@frozen
class OrderContext:
    """One thing that orders take along: a tenant, a language.

    Attributes:
        capture: Called by whoever orders; gives a mapping of JSON values, or None if
            there is nothing to take along.
        restore: Called where the creator is going to run, with that mapping; gives a
            context manager, inside of which the creator runs.
    """

    capture: Callable[[], Mapping[str, Any] | None]
    restore: Callable[[Mapping[str, Any]], AbstractContextManager[Any]]

    def __post_init__(self) -> None:
        for name in ("capture", "restore"):
            if not callable(getattr(self, name)):
                raise ConfigurationError(
                    f"{name} of an OrderContext must be a function, got "
                    f"{getattr(self, name)!r}"
                )


class Contexts:
    """The contexts that one region's orders take along, by name.

    Raises:
        ConfigurationError: *declared* is no mapping from names to `OrderContext`.
    """

    def __init__(self, declared: object) -> None:
        given = {} if declared is None else declared
        if not isinstance(given, Mapping) or not all(
            isinstance(name, str) and isinstance(one, OrderContext)
            for name, one in given.items()
        ):
            raise ConfigurationError(
                'order_context must be a mapping such as {"tenant": '
                f"OrderContext(capture=..., restore=...)}}, got {declared!r}"
            )
        self._declared: dict[str, OrderContext] = dict(given)

    def captured(self) -> dict[str, Any]:
        """Take along what is to be found here, by name.

        Raises:
            InvalidArgument: It would not survive a trip through JSON.
            Exception: Whatever a ``capture()`` raised.
        """
        found = {name: one.capture() for name, one in self._declared.items()}
        taken = {name: dict(one) for name, one in found.items() if one is not None}
        for name, one in taken.items():
            if not is_plain(one):
                raise InvalidArgument(
                    f"the context {name!r} must be a mapping of JSON values, got "
                    f"{one!r:.200}"
                )
        return taken

    def check(self, captured: Mapping[str, Any]) -> None:
        """Refuse what nobody here could restore.

        Raises:
            InvalidOrder: It says what.
        """
        for name, one in captured.items():
            if name not in self._declared:
                raise InvalidOrder(
                    f"an order brings the context {name!r:.80}, which its region does "
                    "not know here: order_context= must name it in the worker, too"
                )
            if type(one) is not dict:
                raise InvalidOrder(f"the context {name!r} is no mapping")

    def around(
        self, captured: Mapping[str, Any], create: Callable[..., T]
    ) -> Callable[..., T]:
        """Give *create*, to be run in what was captured, leaving no trace of it."""

        def inside(*args: Any) -> T:
            with ExitStack() as restored:
                for name, one in captured.items():
                    restored.enter_context(self._declared[name].restore(one))
                return create(*args)
            # Without a word that None would be stored for a value.
            raise CreatorFailure("it failed, and an order_context swallowed its error")

        # What a creator sets in its context variables would else meet the next one.
        return lambda *args: copy_context().run(partial(inside, *args))
