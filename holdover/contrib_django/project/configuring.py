"""The setting HOLDOVER: what all processes of a project are to know alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from holdover import Registry, clear_up_after_work, errors, keep_runs_in, registry
from holdover.contrib_django.project.closing import close_connections
from holdover.contrib_django.project.secrets import secrets_of_django
from holdover.regions.errors import unknown

SETTING = "HOLDOVER"
MODULES = ("regions", "cron")
_DEFAULTS = "defaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the setting HOLDOVER says, checked.

    Attributes:
        registry: The dotted path of the project's registry; "" for
            ``holdover.registry``.
        regions: As `Registry.configure` takes them.
        schedules: As `Registry.schedule_from_config` takes them.
        warmings: As `Registry.warming_from_config` takes them.
        jobs: Dotted paths of `PeriodicJob` classes that stand outside of *modules*.
        region: The name of the region of those that name none; "" for the only one
            in *regions*.
        modules: What `autodiscover` looks for in each app.
        autodiscover: Whether every process imports them when it starts; else commands
            do, and whoever calls `autodiscover`.
        history: Where runs are kept: an alias in DATABASES, "" for the one that
            DATABASE_ROUTERS choose, or None for where each region keeps them.
    """

    registry: str = ""
    regions: Mapping[str, Mapping[str, Any]] | None = None
    schedules: Sequence[Mapping[str, Any]] = ()
    warmings: Sequence[Mapping[str, Any]] = ()
    jobs: Sequence[str] = ()
    region: str = ""
    modules: Sequence[str] = MODULES
    autodiscover: bool = True
    history: str | None = ""

    @classmethod
    def of_project(cls) -> Wanted:
        """Read the project's settings.

        Raises:
            ImproperlyConfigured: It says what is wrong.
        """
        given = getattr(settings, SETTING, {})
        if not isinstance(given, Mapping):
            raise _wrong(f"must be a dict, got {given!r:.80}")
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise _wrong(unknown("setting", name, known))
        wanted = cls(**given)
        wanted.check()
        return wanted

    def check(self) -> None:
        """Refuse what is of a wrong kind, before it does half of its work.

        Raises:
            ImproperlyConfigured: It says what is wrong.
        """
        for name in ("schedules", "warmings", "jobs", "modules"):
            given: object = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Sequence):
                raise _wrong(f"{name!r} must be a list, got {given!r:.80}")
        for name in ("jobs", "modules"):
            if not all(isinstance(one, str) for one in getattr(self, name)):
                raise _wrong(f"{name!r} must be texts, got {getattr(self, name)!r:.80}")
        self._check_regions()
        for name in ("registry", "region"):
            given = getattr(self, name)
            if not isinstance(given, str):
                raise _wrong(f"{name!r} must be a text, got {given!r:.80}")
        if not isinstance(self.autodiscover, bool):
            raise _wrong(f"'autodiscover' must be True or False: {self.autodiscover!r}")
        aliases = [None, "", *settings.DATABASES]
        if self.history not in aliases:
            known = ", ".join(settings.DATABASES)
            raise _wrong(
                f"'history' must be None, '' or one of DATABASES ({known}), got "
                f"{self.history!r:.80}"
            )

    def _check_regions(self) -> None:
        given: Any = {} if self.regions is None else self.regions
        if not isinstance(given, Mapping) or not all(
            isinstance(one, Mapping) for one in given.values()
        ):
            raise _wrong(f"'regions' must be a dict of dicts, got {given!r:.80}")

    def found_registry(self) -> Registry:
        """Give the project's registry.

        Raises:
            ImproperlyConfigured: There is none of that name.
        """
        if not self.registry:
            return registry
        try:
            found = import_string(self.registry)
        except ImportError as error:
            raise _wrong(f"'registry': {error}") from error
        if not isinstance(found, Registry):
            raise _wrong(f"'registry' names a {type(found).__name__}, no Registry")
        return found

    def default_region(self) -> str:
        """Give the region of what names none.

        Raises:
            ImproperlyConfigured: It is not said which.
        """
        if self.region:
            return self.region
        names = [name for name in self.regions or () if name != _DEFAULTS]
        if len(names) == 1:
            return names[0]
        raise _wrong(
            "does not say whose the jobs and schedules are that name no region: set "
            f"'region' to one of 'regions' ({', '.join(names) or 'none yet'})"
        )


def project_registry() -> Registry:
    """Give the project's registry: ``HOLDOVER["registry"]``, or `holdover.registry`.

    Raises:
        ImproperlyConfigured: HOLDOVER is wrong, or there is none of that name.
    """
    return Wanted.of_project().found_registry()


def configure() -> None:
    """Carry out the setting HOLDOVER in this process, but for what apps declare.

    A registry is configured once, however often it is asked.

    Raises:
        ImproperlyConfigured: It says what is wrong.
    """
    wanted = Wanted.of_project()
    clear_up_after_work(close_connections)
    keep_runs_in(_store(wanted.history))
    found = wanted.found_registry()
    if is_done_for(found, SETTING):
        return
    try:
        if wanted.regions is not None:
            found.configure(_with_secrets(wanted.regions))
        region = wanted.default_region() if _needs_region(wanted) else None
        found.schedule_from_config(wanted.schedules, region)
        found.warming_from_config(wanted.warmings, region)
    except errors.ConfigurationError as error:
        raise _wrong(str(error)) from error


_done: WeakKeyDictionary[Registry, set[str]] = WeakKeyDictionary()


def is_done_for(found: Registry, what: str) -> bool:
    """Say whether this was asked before: a test that changes the apps has all ready."""
    known = _done.setdefault(found, set())
    is_known = what in known
    known.add(what)
    return is_known


def _needs_region(wanted: Wanted) -> bool:
    listed: list[Any] = [*wanted.schedules, *wanted.warmings]
    return any(isinstance(one, Mapping) and "region" not in one for one in listed)


def _store(history: str | None) -> Any:
    if history is None:
        return None
    # Models may be imported only once all apps are known.
    from holdover.contrib_django.project.runs import DatabaseRuns  # noqa: PLC0415

    return DatabaseRuns(history or None)


def _with_secrets(regions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Sign by SECRET_KEY what says nothing else, and is ours to sign."""
    of_all = regions.get(_DEFAULTS, {})
    secret = secrets_of_django()
    return {
        name: held
        if name == _DEFAULTS or not _is_unsigned({**of_all, **held})
        else {"secret": secret, **held}
        for name, held in regions.items()
    }


def _is_unsigned(options: Mapping[str, Any]) -> bool:
    # dogpile.cache's backends store as it does, and sign nothing.
    is_foreign = str(options.get("backend", "")).startswith("dogpile.")
    return not (is_foreign or "secret" in options)


def _wrong(problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{SETTING} {problem}")
