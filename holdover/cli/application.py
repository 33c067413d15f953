"""The application whose regions a command is about."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from holdover import Region

_DEFAULT_NAME = "registry"


@dataclass(frozen=True, slots=True)
class Application:
    """Where the regions are, as the user said.

    Attributes:
        app: ``module`` or ``module:name``.
        config: An ini file.
    """

    app: str | None
    config: str | None

    def regions(self) -> list[Region]:
        """Import and configure the application; give its regions.

        Raises:
            click.ClickException: It says what is missing or wrong, in one line.
        """
        from holdover import Region, Registry, errors, registry

        if self.app is None and self.config is None:
            raise click.UsageError(
                "say where the regions are: holdover -A shop.caching:registry ..., or "
                "holdover --config shop.ini ..."
            )
        try:
            found = registry if self.app is None else _imported(self.app)
            if self.config is not None:
                _configure(found, self.config)
        except errors.HoldoverError as error:
            raise click.ClickException(str(error)) from error
        if isinstance(found, Region):
            return [found]
        if isinstance(found, Registry):
            return [found.region(name) for name in found]
        if isinstance(found, list | tuple) and all(
            isinstance(one, Region) for one in found
        ):
            return list(found)
        raise click.ClickException(
            f"{self.app} is no registry, region or list of regions, but a "
            f"{type(found).__name__}"
        )

    def words(self) -> list[str]:
        """Give the arguments by which another command finds the same."""
        app = ["-A", self.app] if self.app else []
        return app + (["--config", os.path.abspath(self.config)] if self.config else [])


def _configure(found: Any, config: str) -> None:
    from holdover import Registry

    if not isinstance(found, Registry):
        raise click.ClickException("--config needs a registry, and -A names none")
    found.configure_from_ini(config)
    found.schedule_from_ini(config)
    found.warming_from_ini(config)


def _imported(app: str) -> Any:
    """Import what ``-A`` names; the current directory is looked in first."""
    sys.path.insert(0, os.getcwd())
    module, _, name = app.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise click.ClickException(
            f"there is no module {module!r}, here or where Python looks: -A names it "
            "as it is imported, 'shop.caching:registry'"
        ) from error
    for part in (name or _DEFAULT_NAME).split("."):
        if not hasattr(found, part):
            raise click.ClickException(f"{module} has no {name or _DEFAULT_NAME!r}")
        found = getattr(found, part)
    return found
