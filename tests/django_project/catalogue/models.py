"""What changes, and what it invalidates."""

from django.db import models

from holdover import make_region
from holdover.contrib_django.orm import InvalidatingQuerySet, invalidates, tag_of

pages = make_region("catalogue").configure("holdover.memory")
asides = make_region("catalogue asides").configure("holdover.memory")


class Label(models.Model):
    name = models.CharField(max_length=20)


class Shelf(models.Model):
    name = models.CharField(max_length=20)


@invalidates(region=pages, tags=lambda product: [tag_of(Shelf, product.shelf_id)])
class Product(models.Model):
    name = models.CharField(max_length=20, unique=True)
    price = models.IntegerField(default=1)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)
    labels = models.ManyToManyField(Label)
    objects = InvalidatingQuerySet.as_manager()


class Offer(Product):
    class Meta:
        proxy = True


class Book(Product):
    """Has a row of its own, and one of a product."""

    pages = models.IntegerField(default=1)


class Lexicon(Book):
    """Has three; its link to the book is not its primary key."""

    code = models.CharField(max_length=20, primary_key=True)
    volume = models.OneToOneField(Book, models.CASCADE, parent_link=True)


class Place(models.Model):
    name = models.CharField(max_length=20)


@invalidates(region=pages)
class Restaurant(Place):
    seats = models.IntegerField(default=1)


class Pair(models.Model):
    pk = models.CompositePrimaryKey("left", "right")
    left = models.CharField(max_length=20)
    right = models.CharField(max_length=20)


class Unheard(models.Model):
    """Invalidates nothing."""

    name = models.CharField(max_length=20)


invalidates(Label, region=asides)
