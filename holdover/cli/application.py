"""The application whose regions a command is about."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import click

from holdover.cli.ending import in_a_line
from holdover.cli.exits import CannotBegin

if TYPE_CHECKING:
    from holdover import Region

_DEFAULT_NAME = "registry"


class Regions(Protocol):
    """What commands ask for the regions that they are about."""

    def regions(self, names: Sequence[str] = ()) -> list[Region]:
        """See `Application.regions`."""

    def words(self) -> list[str]:
        """See `Application.words`."""


@dataclass(frozen=True, slots=True)
class Application:
    """Where the regions are, as the user said.

    Attributes:
        app: ``module`` or ``module:name``.
        config: An ini file.
    """

    app: str | None
    config: str | None

    def regions(self, names: Sequence[str] = ()) -> list[Region]:
        """Import and configure the application; give its regions.

        Args:
            names: Those that are wanted, in that order; none means all.

        Raises:
            click.ClickException: It says what is missing or wrong, in one line.
        """
        regions = _regions_of(self._found(), self.app)
        by_name = {region.name: region for region in regions}
        return named(by_name, names) if names else regions

    def _found(self) -> Any:
        from holdover import registry

        if self.app is None and self.config is None:
            raise click.UsageError(
                "say where the regions are: holdover -A shop.caching:registry ..., or "
                "holdover --config shop.ini ..."
            )
        with suppress(FileNotFoundError):  # it was removed under our feet
            sys.path.insert(0, os.getcwd())
        found = registry if self.app is None else _imported(self.app)
        if self.config is not None:
            _configure(found, self.config)
        return found

    def words(self) -> list[str]:
        """Give the arguments by which another command finds the same."""
        app = ["-A", self.app] if self.app else []
        return app + (["--config", os.path.abspath(self.config)] if self.config else [])


def _regions_of(found: Any, app: str | None) -> list[Region]:
    from holdover import Region, Registry

    if isinstance(found, Region):
        return [found]
    if isinstance(found, Registry):
        return [found.region(name) for name in found]
    if isinstance(found, list | tuple) and all(
        isinstance(one, Region) for one in found
    ):
        return list(found)
    raise CannotBegin(
        f"{app} is no registry, region or list of regions, nor a function that makes "
        f"one, but a {type(found).__name__}"
    )


def named(regions: Mapping[Any, Region], names: Sequence[str]) -> list[Region]:
    """Choose regions by name, in the order of the names.

    Raises:
        CannotBegin: There is none of that name.
    """
    for name in names:
        if name not in regions:
            raise CannotBegin(_unknown(name, regions))
    return [regions[name] for name in names]


def _unknown(name: str, known: Any) -> str:
    texts = sorted(str(one) for one in known if one is not None)
    near = get_close_matches(name, texts, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no region {name!r}.{hint} Known: {', '.join(texts) or 'none'}"


def _configure(found: Any, config: str) -> None:
    from holdover import Registry

    if not isinstance(found, Registry):
        raise CannotBegin("--config needs a registry, and -A names none")
    found.configure_from_ini(config)
    found.schedule_from_ini(config)
    found.warming_from_ini(config)


def _imported(app: str) -> Any:
    """Import what ``-A`` names; without a name, the regions of a module will do."""
    module, _, name = app.partition(":")
    found = _module(module)
    if not name and not hasattr(found, _DEFAULT_NAME):
        return _regions_in(found)
    for part in (name or _DEFAULT_NAME).split("."):
        if not hasattr(found, part):
            raise CannotBegin(f"{module} has no {name or _DEFAULT_NAME!r}")
        found = getattr(found, part)
    return _made(app, found) if callable(found) else found


def _regions_in(module: ModuleType) -> list[Region]:
    """Give the regions that a module has in variables of its own."""
    from holdover import Region

    held = {id(one): one for one in vars(module).values() if isinstance(one, Region)}
    if not held:
        raise CannotBegin(
            f"{module.__name__} has no {_DEFAULT_NAME!r}, and no region: name it, "
            f"'{module.__name__}:NAME'"
        )
    return list(held.values())


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise CannotBegin(f"importing {name}: {in_a_line(error)}") from error
        raise CannotBegin(
            f"there is no module {name!r}, here or where Python looks: -A names it "
            "as it is imported, 'shop.caching:registry'"
        ) from error
    except (Exception, SystemExit) as error:
        raise CannotBegin(f"importing {name}: {in_a_line(error)}") from error


def _made(app: str, factory: Any) -> Any:
    """Have a function of the application's make its regions."""
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise CannotBegin(f"{app}(): {in_a_line(error)}") from error


def is_private(region: Region) -> bool:
    """Say whether a region's values are in this process's memory, and nowhere else."""
    capabilities = getattr(region.actual_backend, "capabilities", None)
    return getattr(capabilities, "shared_by", "") == "process"
