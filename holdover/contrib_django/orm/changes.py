"""What has been changed in the database, and what that invalidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from holdover.contrib_django.orm.tags import has_key, rows_above, rows_of, tag_of
from holdover.contrib_django.orm.tags import tag_of_any as any_of

MOST_ROWS = 100
"""Rows of a model that are invalidated one by one; of more, all rows are."""


@dataclass(slots=True)
class Changes:
    """Rows that were changed.

    Attributes:
        rows: Their primary keys by model; None means that any may have been.
        tags: Tags that are invalidated besides.
    """

    rows: dict[Any, set[Any] | None] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)

    def add(self, model: Any, key: Any | None) -> None:
        """Add a row; of an unknown one (None), any row may be meant."""
        kept = self.rows.setdefault(model._meta.concrete_model, set())
        if kept is None:
            return
        if key is not None:
            kept.add(key)
        if key is None or len(kept) > MOST_ROWS:
            self.rows[model._meta.concrete_model] = None

    def merge(self, other: Changes) -> None:
        """Add what *other* has."""
        for model, keys in other.rows.items():
            for key in {None} if keys is None else keys:
                self.add(model, key)
            self.rows.setdefault(model, set())
        self.tags |= other.tags

    def all_tags(self) -> list[str]:
        """Give the tags of all that depends on it."""
        return sorted({*self.tags, *self._of_rows()})

    def _of_rows(self) -> Iterator[str]:
        for model, keys in self.rows.items():
            yield tag_of(model)
            yield from (
                [any_of(model)]
                if keys is None
                else (tag_of(model, key) for key in keys)
            )


def of_instances(instances: Iterable[Any]) -> Changes:
    """Tell of objects that were saved or deleted; of one without a key, of any."""
    changes = Changes()
    for one in instances:
        model = one._meta.concrete_model
        for table, key in rows_of(one) if has_key(one) else rows_above(model, None):
            changes.add(table, key)
    return changes


def of_keys(model: Any, keys: Iterable[Any] | None) -> Changes:
    """Tell of rows by their primary keys; None means that any may have been changed."""
    changes = Changes()
    for key in [None] if keys is None else keys:
        for table, above in rows_above(model, key):
            changes.add(table, above)
    return changes
