"""Invalidation that fits Django's ORM: after commits, by tags of models and rows."""

from holdover.contrib_django.orm.declared import invalidates
from holdover.contrib_django.orm.on_commit import (
    ainvalidate_on_commit,
    invalidate_on_commit,
)
from holdover.contrib_django.orm.querysets import (
    InvalidatingQuerySet,
    invalidate_queryset,
)
from holdover.contrib_django.orm.tags import tag_of, tags_of

__all__ = [
    "InvalidatingQuerySet",
    "ainvalidate_on_commit",
    "invalidate_on_commit",
    "invalidate_queryset",
    "invalidates",
    "tag_of",
    "tags_of",
]
