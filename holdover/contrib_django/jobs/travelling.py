"""What a job is made from and called with, as JSON, and back.

JSON's own values travel as they are. Tuples, dates and the like, models and their
instances travel under a mark; an instance by its primary key, to be read again.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.db.models.base import ModelBase

from holdover.regions.codecs import is_plain
from holdover.regions.numbers import LONGEST_TEXT

_MARK = "__holdover__"


class CannotTravel(TypeError):
    """A value of which a worker could not be told."""


def packed(value: Any) -> Any:  # noqa: PLR0911 - one line per kind
    """Give *value* as JSON has it.

    Raises:
        CannotTravel: It would not come back as it was.
    """
    kind = type(value)
    if kind in (dt.datetime, dt.time):
        _refuse_zone(value)
    if kind in _TEXTS:
        name, write, _ = _TEXTS[kind]
        return {_MARK: name, "value": write(value)}
    if kind is tuple:
        return {_MARK: "tuple", "value": [packed(one) for one in value]}
    if kind is list:
        return [packed(one) for one in value]
    if kind is dict and _MARK not in value:
        return {key: packed(held) for key, held in value.items()}
    if isinstance(value, Model):
        return _packed_instance(value)
    if isinstance(value, ModelBase):
        return {_MARK: "model", "value": _label(value)}
    if not is_plain(value) or kind is dict:
        raise CannotTravel(f"a {kind.__name__} cannot travel as JSON")
    if kind is str and len(value) > LONGEST_TEXT:
        raise CannotTravel(f"a text of {len(value)} characters is too long to travel")
    return value


def unpacked(value: Any) -> Any:
    """Give what was packed; instances of models are read from their database.

    Raises:
        CannotTravel: It was made up, or the instance is gone.
    """
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if _MARK not in value:
        return {key: unpacked(held) for key, held in value.items()}
    try:
        return _READERS[value[_MARK]](value)
    except (ArithmeticError, KeyError, LookupError, TypeError, ValueError) as error:
        raise CannotTravel(f"{value!r:.200} stands for nothing here") from error


def _refuse_zone(value: dt.datetime | dt.time) -> None:
    """Refuse times of which a text would not say in which zone they are."""
    if value.fold or value.tzinfo not in (None, dt.UTC):
        raise CannotTravel("only times without a zone, or in UTC, can travel")


def _label(model: Any) -> str:
    return str(model._meta.label)


def _packed_instance(value: Model) -> dict[str, Any]:
    parts = value.pk if isinstance(value.pk, tuple) else (value.pk,)
    if None in parts or value._meta.pk is None:
        raise CannotTravel("an instance that was not saved cannot travel")
    return {
        _MARK: "instance",
        "value": value._meta.label,
        "pk": value._meta.pk.value_to_string(value),
        "using": value._state.db,
    }


def _read_instance(given: Mapping[str, Any]) -> Model:
    model = apps.get_model(given["value"])
    try:
        key = model._meta.pk.to_python(given["pk"])  # which may have several parts
        return model._base_manager.using(given["using"]).get(pk=key)
    except (model.DoesNotExist, ValidationError):
        raise LookupError(given["pk"]) from None


# By exact type, or a subclass would come back as its base.
_TEXTS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    Decimal: ("decimal", str, Decimal),
    uuid.UUID: ("uuid", str, uuid.UUID),
}
_READERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "tuple": lambda given: tuple(unpacked(one) for one in given["value"]),
    "model": lambda given: apps.get_model(given["value"]),
    "instance": _read_instance,
    **{
        name: lambda given, read=read: read(given["value"])  # type: ignore[misc]
        for name, _, read in _TEXTS.values()
    },
}


def keyable(value: Any) -> Any:
    """Give *value* with models in it replaced by what identifies them."""
    if isinstance(value, Model):
        return ("a row of", value._meta.label, str(value.pk))
    if isinstance(value, ModelBase):
        return ("a model", _label(value))
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(keyable(one) for one in value)
    if type(value) is dict:
        return {key: keyable(held) for key, held in value.items()}
    return value
