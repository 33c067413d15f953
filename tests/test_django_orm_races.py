"""Pages that are made while their data is being changed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from django_databases import database, of_postgres
from django_project.catalogue.models import Label, Product, Shelf, pages

from holdover import NO_VALUE, Cached, make_region
from holdover.contrib_django.orm import (
    InvalidatingQuerySet,
    invalidate_on_commit,
    tags_of,
)

_PATIENCE = 20  # seconds
MODELS = [Shelf, Label, Product]


@pytest.fixture
def shop(shared_postgres, django_db_blocker):
    """A database that many threads read and change at once."""
    with database("shop", django_db_blocker, **of_postgres(shared_postgres)) as one:
        with one.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        yield "shop"
        with one.schema_editor() as editor:
            for model in reversed(MODELS):
                editor.delete_model(model)


@pytest.fixture
def product(shop):
    """A product, in the database by now."""
    return Product.objects.using(shop).create(name="a", price=1)


class Page:
    """A page about a product, whose making can be held up in the middle."""

    def __init__(self, product, region=pages):
        self.product = product
        self.region = region
        self.has_read = threading.Event()
        self.may_go_on = threading.Event()

    def read(self):
        """Give the price that is shown."""
        return self.region.get_or_create("page", self._make)

    def _make(self):
        try:
            found = Product.objects.using("shop").get(pk=self.product.pk)
            self.has_read.set()
            assert self.may_go_on.wait(_PATIENCE)
            return Cached(found.price, tags=tags_of(found))
        finally:
            connections["shop"].close()


def save(product):
    """Change the price of one object."""
    product.price = 2
    product.save()


def update(product):
    """Change it by a query."""
    Product.objects.using("shop").filter(pk=product.pk).update(price=2)


@pytest.mark.parametrize("change", [save, update])
def test_old_data_is_never_kept(product, change):
    """It was read before the commit, and would have been stored after it."""
    pages.invalidate()
    page = Page(product)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(page.read)
        assert page.has_read.wait(_PATIENCE)
        with transaction.atomic(using="shop"):
            change(product)
        page.may_go_on.set()
        reader.result(_PATIENCE)
    assert page.read() == 2


def test_in_a_store_that_others_share(product, redis_server):
    """The fence is the backend's: the same holds in a whole fleet."""
    region = make_region("races").configure(
        "holdover.redis", None, {"url": redis_server.url}, unsigned_pickle=True
    )
    page = Page(product, region)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(page.read)
        assert page.has_read.wait(_PATIENCE)
        with transaction.atomic(using="shop"):
            save(product)
            tags = tags_of(product)
            invalidate_on_commit(region.invalidate, tags=tags, using="shop")
        page.may_go_on.set()
        reader.result(_PATIENCE)
    assert page.read() == 2


def test_what_is_made_before_the_commit_goes_with_it(product):
    """Another thread reads while the change is not committed: it sees the old data."""
    pages.invalidate()
    page = Page(product)
    page.may_go_on.set()
    with ThreadPoolExecutor(1) as pool, transaction.atomic(using="shop"):
        save(product)
        assert pool.submit(page.read).result(_PATIENCE) == 1
        assert pages.get("page") == 1
    assert pages.get("page") is NO_VALUE
    assert page.read() == 2


def test_rows_that_join_meanwhile_are_left_alone(product, shop):
    """What an update would change without being told of, it does not change."""
    late = []

    class Joining(InvalidatingQuerySet):
        def filter(self, *args, **kwargs):
            if "pk__in" in kwargs:  # the keys have been read
                with ThreadPoolExecutor(1) as pool:
                    late.append(pool.submit(_add).result(_PATIENCE))
            return super().filter(*args, **kwargs)

    def _add():
        try:
            return Product.objects.using(shop).create(name="late", price=1)
        finally:
            connections[shop].close()

    assert Joining(Product, using=shop).filter(price=1).update(price=2) == 1
    [joined] = late
    joined.refresh_from_db()
    assert joined.price == 1


def test_the_database_that_is_meant_decides(product, shop):
    """A commit of another one says nothing."""
    pages.set("page", 1)
    with transaction.atomic(using=shop):
        invalidate_on_commit(pages.delete, "page", using=shop)
        assert pages.get("page") == 1
    assert pages.get("page") is NO_VALUE
