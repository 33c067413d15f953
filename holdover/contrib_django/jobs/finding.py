"""What a message may name: classes and functions of installed applications."""

from __future__ import annotations

from importlib import import_module
from types import FunctionType
from typing import Any

from django.apps import apps

from holdover.errors import UnimportableFunction, UnregisteredFunction

_OURS = "holdover.contrib_django.jobs."


class Findable:
    """What a message may name: all jobs are."""


def find_class(path: object) -> type[Findable]:
    """Find the job class that a message names.

    Raises:
        UnregisteredFunction: No class of jobs in an installed application is called so.
    """
    module, _, name = _text(path).rpartition(".")
    found = _held(module, name)
    if not isinstance(found, type) or not issubclass(found, Findable):
        raise UnregisteredFunction(f"{path!r:.200} is no class of jobs")
    if (found.__module__, found.__qualname__) != (module, name):
        raise UnregisteredFunction(f"{path!r:.200} is a class of another module")
    return found


def find_function_for_order(text: object) -> FunctionType:
    """Find the function that a message names, as ``module:function``.

    Raises:
        UnregisteredFunction: No function at the top of a module in an installed
            application is called so, or it is one of Holdover's own, of which some
            import what they are told to.
    """
    module, _, name = _text(text).partition(":")
    if module.startswith("holdover."):
        raise UnregisteredFunction(f"{text!r:.200} is no function of an application")
    found = _held(module, name)
    found = getattr(found, "fn", found)  # where @cacheback leaves it
    if type(found) is not FunctionType or named(found) != text:
        raise UnregisteredFunction(f"{text!r:.200} is no function of its module's own")
    return found


def find_function(text: str) -> Any:
    """Find the function that this process called ``module:function``.

    Raises:
        UnimportableFunction: It cannot be found by its name.
    """
    module, _, path = text.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    found = getattr(found, "fn", found)
    if named(found) != text:
        raise UnimportableFunction(
            f"{text!r} is not found under its name: closures and lambdas cannot be "
            "jobs; move it to the top level of a module"
        )
    return found


def named(function: Any) -> str:
    """Name a function, as jobs do."""
    module = getattr(function, "__module__", None)
    return f"{module}:{getattr(function, '__qualname__', None)}"


def is_installed(module: str) -> bool:
    """Say whether a module belongs to an installed application."""
    return apps.get_containing_app_config(module) is not None


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise UnregisteredFunction(f"{given!r:.200} is no name")
    return given


def _held(module: str, name: str) -> Any:
    """Import a module of an installed application, and look *name* up in it."""
    parts = [*module.split("."), name]
    if not all(part.isidentifier() for part in parts) or name.startswith("__"):
        raise UnregisteredFunction(f"{module!r:.200} and {name!r:.80} are no names")
    if not is_installed(module) and not f"{module}.".startswith(_OURS):
        raise UnregisteredFunction(
            f"{module!r:.200} is in no installed application, and workers run nothing "
            "else: list it in INSTALLED_APPS"
        )
    try:
        return getattr(import_module(module), name, None)
    except (Exception, SystemExit) as error:  # whatever stands at its top
        raise UnregisteredFunction(f"importing {module!r} raised {error!r}") from error
