"""What its jobs read."""

from django.db import models


class Book(models.Model):
    """A book, of which a shop has several."""

    title = models.CharField(max_length=80)
    price = models.IntegerField(default=1)

    def __str__(self):
        return self.title
