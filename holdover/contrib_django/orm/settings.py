"""Models that the settings declare: those of other people's applications."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from holdover.contrib_django.orm.declared import invalidates

NAME = "HOLDOVER_INVALIDATES"


def declare_settings() -> None:
    """Have the models in HOLDOVER_INVALIDATES invalidate, as `invalidates` does.

    Raises:
        ImproperlyConfigured: It is no mapping, or names a model that there is not.
    """
    given: Any = getattr(settings, NAME, {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(
            f"{NAME} must map models to aliases in CACHES, such as "
            f"{{'auth.User': ['default']}}, got a {type(given).__name__}"
        )
    for model, aliases in given.items():
        for alias in _listed(aliases):
            invalidates(_model(model), cache=_alias(alias))


def _model(name: object) -> Any:
    try:
        return apps.get_model(name)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise ImproperlyConfigured(
            f"{NAME}: there is no model {name!r}: {error}"
        ) from error


def _listed(aliases: object) -> Collection[object]:
    if isinstance(aliases, str):
        return [aliases]
    if not isinstance(aliases, Collection):
        raise ImproperlyConfigured(
            f"{NAME} must map models to aliases in CACHES, got {aliases!r:.80}"
        )
    return aliases


def _alias(alias: object) -> str:
    if not isinstance(alias, str) or alias not in settings.CACHES:
        raise ImproperlyConfigured(
            f"{NAME}: {alias!r} is no alias in CACHES; there are "
            f"{', '.join(sorted(settings.CACHES))}"
        )
    return alias
