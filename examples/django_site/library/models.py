"""The articles."""

from django.db import models
from django.urls import reverse

from holdover.contrib_django import InvalidatingQuerySet, invalidates

NO_SUMMARY = "No summary yet."


@invalidates(cache="default")
class Article(models.Model):
    """One module; what was made of it goes when it is saved."""

    path = models.CharField(max_length=200, unique=True)
    summary = models.CharField(max_length=300)
    source = models.TextField(editable=False)
    lines = models.PositiveIntegerField(editable=False)
    edited_at = models.DateTimeField(null=True, editable=False, db_index=True)

    objects = InvalidatingQuerySet.as_manager()

    class Meta:
        ordering = ("path",)

    def __str__(self) -> str:
        return self.path

    def get_absolute_url(self) -> str:
        return reverse("article", args=[self.path])
