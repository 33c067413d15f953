"""Which modules a worker may import for a message, and the functions it finds there.

Whoever can write to a queue can put any name into a message. Only a module that the
application has listed is ever imported for one, and only a plain function that was
defined at the top of that very module is found in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable
from importlib import import_module
from types import FunctionType
from typing import Any, NamedTuple

from holdover.regions.errors import ConfigurationError, UnregisteredFunction
from holdover.regions.keys import name_of

_allowed: set[str] = set()


def allow_imports(modules: Iterable[str]) -> None:
    """Let workers in this process import *modules* to carry out refreshes.

    Functions that are cached inline, ``region.cached(fetch)(x)``, are refreshed by a
    queue's worker only if their module is listed, on both sides of the queue. Modules
    that decorate their functions need no listing if the worker imports them anyway.

    Args:
        modules: Full names, ``["shop.prices"]``; packages do not stand for what is
            below them.

    Raises:
        ConfigurationError: One of them is no name of a module.
    """
    listed: list[object] = [] if isinstance(modules, str) else list(modules)
    names = [name for name in listed if isinstance(name, str) and _is_dotted(name)]
    if isinstance(modules, str) or len(names) < len(listed):
        raise ConfigurationError(
            f'allow_imports() takes full names of modules, ["shop.prices"], got '
            f"{modules!r}"
        )
    _allowed.update(names)


def allowed_imports() -> frozenset[str]:
    """Give the modules that `allow_imports` has listed."""
    return frozenset(_allowed)


class Name(NamedTuple):
    """What an order calls a function, in parts."""

    module: str
    function: str
    namespace: str | None

    @classmethod
    def parse(cls, text: str) -> Name | None:
        """Read ``module:function`` or ``module:function|namespace``; None if neither.

        Names that begin with two underscores, and those with dots, are none: they lead
        into classes and into what Python itself put there.
        """
        named, bar, namespace = text.partition("|")
        module, _, function = named.partition(":")
        if not _is_dotted(module) or not function.isidentifier():
            return None
        if function.startswith("__"):
            return None
        return cls(module, function, namespace if bar else None)


def is_importable(function: Callable[..., Any]) -> bool:
    """Say whether a worker that may import the module would find *function*."""
    name = Name.parse(name_of(function) or "")
    return name is not None and _plain_function(name) is function


def import_listed(name: Name, allowed: Container[str]) -> None:
    """Import the module of *name* if it is among the *allowed*.

    Raises:
        UnregisteredFunction: It is not, or raises when imported.
    """
    if name.module not in allowed:
        raise UnregisteredFunction(
            f"no function {name.function!r} of {name.module!r} is registered in this "
            "process, and workers may not import that module: to let them, list it, "
            f"holdover.allow_imports([{name.module!r}])"
        )
    try:
        import_module(name.module)
    except (Exception, SystemExit) as error:  # whatever stands at its top
        raise UnregisteredFunction(
            f"no function of {name.module!r} can be had: importing it raised {error!r}"
        ) from error


def function_of(name: Name) -> FunctionType:
    """Find the function that *name* stands for in its imported module.

    Raises:
        UnregisteredFunction: There is no plain function of the module's own.
    """
    function = _plain_function(name)
    if function is None:
        raise UnregisteredFunction(
            f"no function {name.function!r} is defined at the top of {name.module!r}"
        )
    return function


def _plain_function(name: Name) -> FunctionType | None:
    """Find a function that was defined in its module itself, under its own name."""
    held = getattr(sys.modules.get(name.module), "__dict__", {})
    found = held.get(name.function)
    if type(found) is not FunctionType:
        return None
    return found if name_of(found) == f"{name.module}:{name.function}" else None


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
