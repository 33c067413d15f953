"""Which models' changes invalidate, and what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from holdover import Region
from holdover.contrib_django.caches.known import region_cache, region_named
from holdover.contrib_django.orm.changes import Changes
from holdover.contrib_django.orm.on_commit import tell_on_commit
from holdover.contrib_django.orm.tags import tables_of

M = TypeVar("M")
TagsOf = Callable[[Any], Iterable[str]]

_declared: dict[Any, list[Target]] = {}
_connect: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Target:
    """What is invalidated.

    Attributes:
        region: A region, or its name in the project's registry; None means the cache's.
        cache: The alias of a RegionCache in CACHES.
        tags: Gives the tags of an object that are invalidated besides its own.
    """

    region: Region | str | None
    cache: str
    tags: TagsOf | None = None

    def found(self) -> Region:
        """Give the region.

        Raises:
            ImproperlyConfigured: The cache is of another kind, or wrong, or HOLDOVER.
        """
        if isinstance(self.region, Region):
            return self.region
        if self.region is not None:
            return region_named(self.region)
        return region_cache(self.cache).region


def invalidates(
    *models: Any,
    region: Region | str | None = None,
    cache: str = "default",
    tags: TagsOf | None = None,
) -> Callable[[type[M]], type[M]]:
    """Have changes of models invalidate what is tagged with them.

    ::

        @invalidates(cache="pages")
        class Product(models.Model): ...

        invalidates(User, Group, region="menus")

    From then on, an object of theirs that is saved or deleted, or whose many-to-many
    relations change, invalidates what carries its `tags_of` or its model's `tag_of`,
    once the transaction has committed. Models whose tables it extends, or that extend
    its own, and proxies are heard, too. What sends no signals does not invalidate:
    see `InvalidatingQuerySet`.

    Args:
        *models: The models; none if this is a decorator.
        region: A region, or its name in the project's registry.
        cache: Without *region*: the alias of a RegionCache in CACHES.
        tags: A function that gets an object and gives the tags that it invalidates
            besides its own, such as that of a row it points to.

    Raises:
        ImproperlyConfigured: "holdover.contrib_django" is not in INSTALLED_APPS.
    """
    if not apps.is_installed("holdover.contrib_django"):
        raise ImproperlyConfigured(
            "invalidates() needs 'holdover.contrib_django' in INSTALLED_APPS, which "
            "connects it when all models are there"
        )
    target = Target(region, cache, tags)

    def declare(model: type[M]) -> type[M]:
        for table in tables_of(model):
            held = _declared.setdefault(table, [])
            if target not in held:
                held.append(target)
        for connect in _connect:
            connect()
        return model

    for model in models:
        declare(model)
    return declare


def targets_of(model: Any) -> list[Target]:
    """Give what changes of a model invalidate."""
    return list(
        dict.fromkeys(
            target for table in tables_of(model) for target in _declared.get(table, ())
        )
    )


def all_targets() -> list[tuple[Any, Target]]:
    """Give each model that was declared, with each that its changes invalidate."""
    return [(model, one) for model, held in _declared.items() for one in held]


def connect_now(connect: Callable[[], None]) -> None:
    """Call *connect*, now and for what is declared from now on."""
    _connect[:] = [connect]
    connect()


def told(model: Any, changes: Changes, using: str | None, instance: Any = None) -> None:
    """Invalidate what depends on *changes* of a model, on commit."""
    if not changes.rows:
        return
    for target in targets_of(model):
        changed = Changes()
        changed.merge(changes)
        if target.tags is not None and instance is not None:
            changed.tags.update(target.tags(instance))
        tell_on_commit(target.found(), changed, using)
