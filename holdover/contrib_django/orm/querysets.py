"""Changes of many rows, of which Django tells nobody."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from holdover import Region
from holdover.contrib_django.orm.changes import (
    MOST_ROWS,
    Changes,
    of_instances,
    of_keys,
)
from holdover.contrib_django.orm.declared import Target, told
from holdover.contrib_django.orm.on_commit import tell_on_commit


def invalidate_queryset(
    queryset: Any, *, region: Region | str | None = None, cache: str | None = None
) -> None:
    """Invalidate, on commit, what depends on the rows that *queryset* now selects.

    Before a change, by whatever means, that sends no signals::

        with transaction.atomic():
            invalidate_queryset(Product.objects.filter(shop=shop))
            cursor.execute("UPDATE shop_product SET ...")

    Of up to 100 rows, what depends on each is invalidated; of more, what depends on
    any row of the model.

    Args:
        queryset: The rows; it is evaluated anew, for their primary keys.
        region: A region, or its name in the project's registry.
        cache: The alias of a RegionCache in CACHES. Without both: whatever the model
            `invalidates`.

    Raises:
        ImproperlyConfigured: The cache is of another kind, or wrong.
    """
    changes = of_keys(queryset.model, _keys(queryset))
    if region is None and cache is None:
        told(queryset.model, changes, queryset.db)
        return
    target = Target(region, cache or "default")
    tell_on_commit(target.found(), changes, queryset.db)


class InvalidatingQuerySet(QuerySet):
    """A query set whose bulk changes invalidate as single ones do.

    ::

        @invalidates(cache="pages")
        class Product(models.Model):
            objects = InvalidatingQuerySet.as_manager()

    ``update()``, ``bulk_create()``, ``bulk_update()`` and their async forms invalidate
    what depends on the rows they change, on commit; of more than 100 rows, what
    depends on any row of the model. ``delete()`` sends signals by itself.
    """

    def update(self, **kwargs: Any) -> int:
        """See Django's; the primary keys of the rows are read first."""
        self._for_write = True  # as Django's does, so that the keys are read there too
        keys = None if self.query.is_sliced else _keys(self)
        # What others add meanwhile would be changed without being told of.
        rows = self if keys is None else self.filter(pk__in=keys)
        with transaction.atomic(using=self.db, savepoint=False):
            count: int = QuerySet.update(rows, **kwargs)
            told(self.model, of_keys(self.model, keys), self.db)
        self._result_cache = None
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        """See Django's; of updated conflicts, nobody knows which rows they were."""
        self._for_write = True
        updates = kwargs.get("update_conflicts") or any(args[2:3])
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(objs, *args, **kwargs)
            told(self.model, _of_created(created, self.model, updates), self.db)
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]


def _of_created(created: list[Any], model: Any, updates: object) -> Changes:
    if updates and created:
        return of_keys(model, None)
    return of_instances(created[: MOST_ROWS + 1])


def _keys(queryset: Any) -> list[Any] | None:
    """Read the primary keys; None if there are too many."""
    writer = queryset.using(queryset.db)
    if not queryset.query.is_sliced:
        writer = writer.order_by()[: MOST_ROWS + 1]
    found = list(writer.values_list("pk", flat=True))
    return None if len(found) > MOST_ROWS else found
