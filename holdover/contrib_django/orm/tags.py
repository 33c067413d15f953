"""What values that were made from models are tagged with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ObjectDoesNotExist

_ANY = "*"
_QUOTED = {"", _ANY, '"', "["}  # what a primary key, as it is, must not begin with


def tag_of(model: Any, key: Any = None) -> str:
    """Give the tag for what depends on which rows a model has, such as a list of them.

    It is invalidated whenever an object of the model is saved or deleted. A proxy has
    the tag of the model that it stands for.

    Args:
        model: The model, or an object of it.
        key: A primary key; with one, the tag is for what depends on that row alone.
    """
    concrete = model._meta.concrete_model._meta
    if key is None:
        return str(concrete.label_lower)
    return f"{concrete.label_lower}:{_text(concrete.pk, key)}"


def tag_of_any(model: Any) -> str:
    """Give the tag that everything has that has a tag of one row of *model*."""
    return f"{tag_of(model)}:{_ANY}"


def tags_of(*instances: Any) -> tuple[str, ...]:
    """Give the tags for what was made from some objects, such as a page about one.

    ``shop.product:7`` is invalidated when that object is changed or deleted,
    ``shop.product:*`` when more objects are than have been counted. An object that
    inherits from other models' tables has the tags of its rows there, too.

    Args:
        *instances: Objects that have been saved.

    Raises:
        ObjectDoesNotExist: One of them has no primary key yet.
    """
    found: dict[str, None] = {}
    for instance in instances:
        for model, key in rows_of(instance):
            found[tag_of(model, key)] = found[tag_of_any(model)] = None
    return tuple(found)


def tables_of(model: Any) -> Iterator[Any]:
    """Give the model and those whose tables it extends; of proxies, what they are."""
    concrete = model._meta.concrete_model
    yield concrete
    for parent, link in concrete._meta.parents.items():
        if link is not None:
            yield from tables_of(parent)


def rows_of(instance: Any) -> Iterator[tuple[Any, Any]]:
    """Give the rows of an object: each with its model and its primary key.

    Raises:
        ObjectDoesNotExist: It has no primary key yet.
    """
    if not has_key(instance):
        raise ObjectDoesNotExist(
            f"{type(instance).__name__} has no primary key: save it before anything is "
            "tagged with it"
        )
    return rows_above(instance._meta.concrete_model, instance.pk, instance)


def rows_above(
    model: Any, key: Any, instance: Any = None
) -> Iterator[tuple[Any, Any | None]]:
    """Give the row of *model* and those of its parents' tables that go with it.

    Args:
        model: The model.
        key: The row's primary key.
        instance: An object of it; without one, a key that it would tell is None.
    """
    yield model, key
    for parent, link in model._meta.concrete_model._meta.parents.items():
        if link is None:  # a proxy's
            continue
        # An object from a fixture has no field of its parents' but the link.
        above = key if link.primary_key else getattr(instance, link.attname, None)
        yield from rows_above(parent, above, instance)


def has_key(instance: Any) -> bool:
    """Say whether an object has its primary key, of a composite one all parts."""
    key = instance.pk
    return not (key is None or (isinstance(key, tuple) and None in key))


def _text(field: Any, key: Any) -> str:
    """Write a primary key so that no two of a model look alike."""
    if isinstance(key, tuple | list):
        return json.dumps([str(part) for part in key])
    text = str(field.to_python(key))
    return json.dumps(text) if text[:1] in _QUOTED else text
