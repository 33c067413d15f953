"""Hearing of changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models.signals import m2m_changed, post_delete, post_save

from holdover.contrib_django.orm.changes import of_instances, of_keys
from holdover.contrib_django.orm.declared import connect_now, targets_of, told

_NAME = "holdover"
_ENDS = {"post_add", "post_remove", "post_clear"}


def connect() -> None:
    """Listen to the models that were declared, and to those declared later.

    Each by itself: where anybody listens to all, Django no longer deletes the rows of
    any model in one statement.
    """
    connect_now(_connect_declared)


def _connect_declared() -> None:
    if not apps.models_ready:
        return
    for model in apps.get_models(include_auto_created=True):
        if not targets_of(model):
            continue
        for signal in (post_save, post_delete):
            signal.connect(_changed, model, dispatch_uid=_NAME)
        for through in _relations_of(model):
            m2m_changed.connect(_related, through, dispatch_uid=_NAME)


def _relations_of(model: Any) -> Iterator[Any]:
    """Give the tables of a model's many-to-many relations, whoever declared them."""
    for relation in model._meta.get_fields(include_hidden=True):
        if relation.many_to_many and relation.auto_created:
            yield relation.through
        elif relation.many_to_many and hasattr(relation, "remote_field"):
            yield getattr(relation.remote_field, "through", None)


def _changed(sender: Any, instance: Any, using: str, **_: Any) -> None:
    told(sender, of_instances([instance]), using, instance)


def _related(
    instance: Any,
    action: str,
    model: Any,
    pk_set: set[Any] | None,
    using: str,
    **_: Any,
) -> None:
    """Tell of both ends; after ``clear()``, nobody knows who was at the other."""
    if action not in _ENDS or (pk_set is not None and not pk_set):
        return
    told(type(instance), of_instances([instance]), using, instance)
    told(model, of_keys(model, pk_set), using)
