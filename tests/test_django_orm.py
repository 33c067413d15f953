"""Invalidation after commits, and by what models' signals tell."""

import contextlib
import logging

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.test import TestCase
from django_project.catalogue.models import (
    Book,
    Label,
    Lexicon,
    Offer,
    Pair,
    Place,
    Product,
    Restaurant,
    Shelf,
    Unheard,
    asides,
    pages,
)

from holdover import NO_VALUE, errors, make_region
from holdover.contrib_django.orm import (
    ainvalidate_on_commit,
    invalidate_on_commit,
    invalidate_queryset,
    invalidates,
    tag_of,
    tags_of,
)
from holdover.contrib_django.orm.changes import MOST_ROWS
from holdover.contrib_django.orm.settings import declare_settings

for_real = pytest.mark.django_db(transaction=True)


class Interrupted(Exception):
    """What a view raises."""


@contextlib.contextmanager
def rolled_back():
    """A transaction, or a savepoint, that a view's error ends."""
    with contextlib.suppress(Interrupted), transaction.atomic():
        yield
        raise Interrupted


@pytest.fixture
def region():
    """A region that no model invalidates, with a value."""
    region = make_region("orm").configure("holdover.memory")
    region.set("key", 1)
    return region


@pytest.fixture(autouse=True)
def emptied():
    """Let no test see another one's pages."""
    for one in (pages, asides):
        one.invalidate()


def is_there(region, key):
    """Say whether it would be served."""
    return region.get(key) is not NO_VALUE


def kept(region=pages, **tags):
    """Store a value under each name, tagged; give what says which are still there."""
    for name, given in tags.items():
        region.set(name, 1, tags=[given] if isinstance(given, str) else given)
    return lambda: {name for name in tags if is_there(region, name)}


class TestOnCommit:
    @for_real
    def test_nothing_goes_before_the_commit(self, region):
        """Whoever reads meanwhile would only store the old data again."""
        with transaction.atomic():
            invalidate_on_commit(region.delete, "key")
            assert is_there(region, "key")
        assert not is_there(region, "key")

    @for_real
    def test_outside_a_transaction_it_goes_at_once(self, region):
        """The data has been committed already."""
        invalidate_on_commit(region.delete, "key")
        assert not is_there(region, "key")

    @for_real
    def test_a_rollback_invalidates_nothing(self, region):
        """Nothing has changed."""
        with rolled_back():
            invalidate_on_commit(region.delete, "key")
        with transaction.atomic():
            pass
        assert is_there(region, "key")

    @for_real
    def test_a_savepoint_s_rollback_takes_back_its_own(self, region):
        """And nothing that was said before or after it."""
        region.set("before", 1)
        region.set("after", 1)
        with transaction.atomic():
            invalidate_on_commit(region.delete, "before")
            with rolled_back():
                invalidate_on_commit(region.delete, "key")
            invalidate_on_commit(region.delete, "after")
        assert is_there(region, "key")
        assert not is_there(region, "before")
        assert not is_there(region, "after")

    @for_real
    @pytest.mark.parametrize(
        "arguments", [{"tags": ["red"]}, {"prefix": "k"}, {}, {"hard": False}]
    )
    def test_whatever_can_be_invalidated(self, region, arguments):
        """Tags, prefixes and whole regions, as without a transaction."""
        region.set("key", 1, tags=["red"])
        with transaction.atomic():
            invalidate_on_commit(region.invalidate, **arguments)
        assert not is_there(region, "key")

    @for_real
    def test_a_function_s_call(self, region, counter):
        """Its handles are functions like others."""
        cached = region.cache_on_arguments()(lambda article: counter())
        assert cached(17) == 1
        with transaction.atomic():
            invalidate_on_commit(cached.invalidate, 17)
            assert cached(17) == 1
        assert cached(17) == 2

    @for_real
    def test_a_failure_is_logged_and_leaves_the_others(self, region, caplog):
        """The data is committed; its writer has nothing to be told."""
        with caplog.at_level(logging.ERROR, "holdover"), transaction.atomic():
            invalidate_on_commit(lambda: 1 / 0)
            invalidate_on_commit(region.delete, "key")
        assert "ZeroDivisionError" in caplog.text
        assert not is_there(region, "key")

    @pytest.mark.parametrize("wrong", ["key", None])
    def test_what_cannot_be_called_is_refused(self, wrong):
        """Now, and not when it is too late."""
        with pytest.raises(errors.InvalidArgument, match="plain function"):
            invalidate_on_commit(wrong)

    def test_what_had_to_be_awaited_is_refused(self):
        """Nobody would await it."""

        async def adelete(): ...

        with pytest.raises(errors.InvalidArgument, match="plain function"):
            invalidate_on_commit(adelete)

    @for_real
    def test_without_autocommit_and_atomic_it_is_refused(self, region):
        """Nobody tells of such commits."""
        connection.set_autocommit(False)
        try:
            with pytest.raises(TransactionManagementError):
                invalidate_on_commit(region.delete, "key")
        finally:
            connection.rollback()
            connection.set_autocommit(True)

    @for_real
    def test_the_async_twin(self, region):
        """For views that are coroutines."""
        async_to_sync(ainvalidate_on_commit)(region.delete, "key")
        assert not is_there(region, "key")


class TestTags:
    def test_of_models(self):
        """They are named by what Django calls a label."""
        assert tag_of(Product) == "catalogue.product"
        assert tag_of(Offer) == "catalogue.product"
        assert tag_of(Product, 7) == tag_of(Product, "7") == "catalogue.product:7"

    def test_of_objects(self):
        """Each has its own tag, and one for when nobody knows which were changed."""
        assert tags_of(Product(pk=7)) == ("catalogue.product:7", "catalogue.product:*")
        assert tags_of(Offer(pk=7)) == tags_of(Product(pk=7))
        both = tags_of(Product(pk=7), Label(pk=7))
        assert set(both) == {*tags_of(Product(pk=7)), *tags_of(Label(pk=7))}

    def test_of_what_extends_other_tables(self):
        """It changes with each of its rows."""
        lexicon = Lexicon(code="x", volume_id=8, product_ptr_id=7, id=7)
        assert set(tags_of(Book(id=7, product_ptr_id=7))) == {
            "catalogue.book:7", "catalogue.book:*",
            "catalogue.product:7", "catalogue.product:*",
        }  # fmt: skip
        assert {"catalogue.lexicon:x", "catalogue.book:8"} < set(tags_of(lexicon))

    @pytest.mark.parametrize(
        "pair",
        [
            (Lexicon(code="*"), Lexicon(code="1")),
            (Lexicon(code='"*"'), Lexicon(code="*")),
            (Pair(left="a,b", right="c"), Pair(left="a", right="b,c")),
            (Pair(left='a", "b', right="c"), Pair(left="a", right='b", "c')),
        ],
    )
    def test_no_two_rows_have_the_same(self, pair):
        """Whatever their keys look like."""
        first, second = (tag_of(type(one), one.pk) for one in pair)
        assert first != second
        assert not first.endswith(":*")

    @pytest.mark.parametrize("unsaved", [Product(), Pair(left="a", right=None)])
    def test_of_what_was_not_saved_are_none(self, unsaved):
        """A page about it could never be found again."""
        with pytest.raises(ObjectDoesNotExist, match="save it"):
            tags_of(unsaved)


@for_real
class TestSignals:
    def test_a_new_object_changes_the_lists(self):
        """And nothing about the other objects."""
        other = Product.objects.create(name="other")
        left = kept(everything=tag_of(Product), other=tags_of(other))
        Product.objects.create(name="new")
        assert left() == {"other"}

    @pytest.mark.parametrize("change", ["save", "delete"])
    @pytest.mark.parametrize("model", [Product, Offer])
    def test_a_changed_object_changes_its_pages(self, change, model):
        """By whichever class it was reached."""
        one, other = (Product.objects.create(name=name) for name in "ab")
        left = kept(
            everything=tag_of(Product), one=tags_of(one), other=tags_of(other), all="x"
        )
        getattr(model.objects.get(pk=one.pk), change)()
        assert left() == {"other", "all"}

    def test_nothing_goes_before_the_commit_or_after_a_rollback(self):
        """As with `invalidate_on_commit`."""
        product = Product.objects.create(name="a")
        left = kept(one=tags_of(product))
        with rolled_back():
            product.save()
        assert left() == {"one"}
        with transaction.atomic():
            product.save()
            assert left() == {"one"}
        assert left() == set()

    def test_a_savepoint_s_rollback_takes_back_its_own(self):
        """What was saved around it is told all the same."""
        first, second, third = (Product.objects.create(name=name) for name in "abc")
        left = kept(first=tags_of(first), second=tags_of(second), third=tags_of(third))
        with transaction.atomic():
            first.save()
            with rolled_back():
                second.save()
            third.save()
        assert left() == {"second"}

    def test_a_transaction_is_told_once(self, monkeypatch):
        """However many objects it has saved, in one step."""
        told = []
        monkeypatch.setattr(pages, "invalidate", lambda **given: told.append(given))
        with transaction.atomic():
            saved = [Product.objects.create(name=f"{number}") for number in range(20)]
        assert len(told) == 1
        rows = {tag_of(Product, one.pk) for one in saved}
        assert set(told[0]["tags"]) == {*rows, tag_of(Product), tag_of(Shelf)}

    def test_of_very_many_objects_all_are_told(self, monkeypatch):
        """A tag for each would push others out of the region's memory of them."""
        told = []
        product = Product.objects.create(name="another")
        left = kept(one=tags_of(product))
        invalidate = pages.invalidate
        monkeypatch.setattr(
            pages,
            "invalidate",
            lambda **given: told.append(given) or invalidate(**given),
        )
        with transaction.atomic():
            for number in range(MOST_ROWS + 1):
                Product(name=f"{number}").save()
        assert len(told[0]["tags"]) < 5
        assert left() == set()

    def test_tags_besides(self):
        """What an object points to may change with it."""
        shelf = Shelf.objects.create()
        left = kept(shelf=tags_of(shelf))
        Product.objects.create(name="a", shelf=shelf)
        assert left() == set()

    def test_a_cascade_is_heard(self):
        """What goes with a row that goes."""
        shelf = Shelf.objects.create()
        product = Product.objects.create(name="a", shelf=shelf)
        left = kept(one=tags_of(product))
        shelf.delete()
        assert left() == set()

    @pytest.mark.parametrize("saved", [Restaurant, Place])
    def test_tables_that_extend_each_other(self, saved):
        """A change of either row changes the pages about both."""
        restaurant = Restaurant.objects.create(name="a")
        other = Restaurant.objects.create(name="b")
        left = kept(
            restaurant=tags_of(restaurant),
            place=tags_of(Place.objects.get(pk=restaurant.pk)),
            other=tags_of(other),
        )
        saved.objects.get(pk=restaurant.pk).save()
        assert left() == {"other"}

    def test_one_that_was_declared_below(self):
        """Book is not declared, but its rows are products too."""
        book = Book.objects.create(name="a")
        left = kept(product=tag_of(Product, book.pk), book=tags_of(book))
        book.save()
        assert left() == set()

    def test_fixtures(self):
        """They come without the fields of their parents."""
        book = Book.objects.create(name="a")
        lexicon = Lexicon.objects.create(code="x", name="b")
        left = kept(book=tags_of(book), lexicon=tags_of(lexicon))
        objects = [*Book.objects.filter(pk=book.pk), *Lexicon.objects.all()]
        for one in serializers.deserialize(
            "json", serializers.serialize("json", objects)
        ):
            one.save()
        assert left() == set()

    def test_models_that_nobody_declared(self):
        """They are not listened to, so that Django deletes their rows at once."""
        left = kept(one=tag_of(Unheard))
        Unheard.objects.create().delete()
        assert left() == {"one"}
        from django.db.models.signals import post_delete, post_save

        assert not post_save.has_listeners(Unheard)
        assert not post_delete.has_listeners(Unheard)

    def test_declared_later(self):
        """When all models are loaded, at once."""
        left = kept(one=tag_of(Shelf))
        invalidates(Shelf, region=asides)
        invalidates(Shelf, region=asides)
        aside = kept(asides, one=tag_of(Shelf))
        Shelf.objects.create()
        assert left() == {"one"}
        assert aside() == set()


@for_real
class TestManyToMany:
    @pytest.fixture
    def product(self):
        """A product with a label."""
        product = Product.objects.create(name="a")
        product.labels.add(Label.objects.create(name="old"))
        return product

    @pytest.mark.parametrize("change", ["add", "remove", "set", "clear"])
    @pytest.mark.parametrize("is_reverse", [False, True])
    def test_both_ends_change(self, product, change, is_reverse):
        """Whichever end was asked, and in the region of each."""
        old, new = product.labels.get(), Label.objects.create(name="new")
        label = new if change == "add" else old
        left = kept(product=tags_of(product))
        aside = kept(asides, label=tags_of(label))
        manager, other = (
            (label.product_set, product) if is_reverse else (product.labels, label)
        )
        given = {"add": [other], "remove": [other], "set": [[]], "clear": []}[change]
        getattr(manager, change)(*given)
        assert (left(), aside()) == (set(), set())

    def test_what_adds_nothing_changes_nothing(self, product):
        """It was there already."""
        left = kept(product=tags_of(product))
        product.labels.add(product.labels.get())
        assert left() == {"product"}


@for_real
class TestBulk:
    @pytest.fixture
    def products(self):
        """Two products."""
        return [Product.objects.create(name=name) for name in "ab"]

    @pytest.mark.parametrize("is_async", [False, True])
    def test_update(self, products, is_async):
        """Of few rows, only theirs; the query may choose by what it changes."""
        left = kept(one=tags_of(products[0]), other=tags_of(products[1]))
        chosen = Product.objects.filter(name="a", price=1)
        update = async_to_sync(chosen.aupdate) if is_async else chosen.update
        assert update(price=2) == 1
        assert left() == {"other"}
        products[0].refresh_from_db()
        assert products[0].price == 2

    def test_update_of_nothing(self, products):
        """Nothing is invalidated."""
        left = kept(one=tags_of(products[0]), everything=tag_of(Product))
        assert Product.objects.filter(name="c").update(price=2) == 0
        assert left() == {"one", "everything"}

    def test_update_that_is_rolled_back(self, products):
        """As with everything else."""
        left = kept(one=tags_of(products[0]))
        with rolled_back():
            Product.objects.update(price=2)
        assert left() == {"one"}

    def test_a_slice_cannot_be_updated(self, products):
        """Django's own error."""
        with pytest.raises(TypeError, match="slice"):
            Product.objects.all()[:1].update(price=2)

    def test_update_of_very_many(self, products):
        """All pages about any of them."""
        Product.objects.bulk_create(Product(name=f"{n}") for n in range(MOST_ROWS))
        left = kept(one=tags_of(products[0]), shelf=tag_of(Shelf, 1))
        assert Product.objects.update(price=2) == MOST_ROWS + 2
        assert left() == {"shelf"}

    @pytest.mark.parametrize("is_async", [False, True])
    def test_bulk_create(self, products, is_async):
        """The lists change, and no other object's pages."""
        left = kept(one=tags_of(products[0]), everything=tag_of(Product))
        create = Product.objects.bulk_create
        create = (
            async_to_sync(Product.objects.all().abulk_create) if is_async else create
        )
        create([Product(name="c")])
        assert left() == {"one"}
        assert create([]) == []

    def test_bulk_create_that_updates(self, products):
        """Nobody knows which: any."""
        left = kept(one=tags_of(products[0]))
        Product.objects.bulk_create(
            [Product(name="a", price=5)],
            update_conflicts=True,
            update_fields=["price"],
            unique_fields=["name"],
        )
        assert left() == set()

    @pytest.mark.parametrize("is_async", [False, True])
    def test_bulk_update(self, products, is_async):
        """Only the rows that are given."""
        left = kept(one=tags_of(products[0]), other=tags_of(products[1]))
        update = Product.objects.bulk_update
        update = (
            async_to_sync(Product.objects.all().abulk_update) if is_async else update
        )
        update(products[:1], ["price"])
        assert left() == {"other"}

    def test_delete(self, products):
        """By signals."""
        left = kept(one=tags_of(products[0]), other=tags_of(products[1]))
        Product.objects.filter(name="a").delete()
        assert left() == {"other"}

    def test_what_goes_past_all_that(self, products, region):
        """Is told by hand, to whatever the model invalidates or to a region."""
        left = kept(one=tags_of(products[0]), other=tags_of(products[1]))
        aside = kept(region, one=tags_of(products[0]), other=tags_of(products[1]))
        chosen = Product.objects.filter(name="a")
        with transaction.atomic():
            invalidate_queryset(chosen)
            invalidate_queryset(chosen, region=region)
            with connection.cursor() as cursor:
                cursor.execute("UPDATE catalogue_product SET price = 7")
            assert left() == aside() == {"one", "other"}
        assert left() == aside() == {"other"}

    def test_a_slice_is_told_as_it_is(self, products):
        """Its order decides which rows it has."""
        left = kept(one=tags_of(products[0]), other=tags_of(products[1]))
        invalidate_queryset(Product.objects.order_by("-name")[:1])
        assert left() == {"one"}


class TestDeclaring:
    def test_needs_the_app(self, settings):
        """Which connects it."""
        settings.INSTALLED_APPS = [
            name for name in settings.INSTALLED_APPS if "contrib_django" not in name
        ]
        with pytest.raises(ImproperlyConfigured, match="INSTALLED_APPS"):
            invalidates(Unheard)

    @for_real
    def test_by_the_settings(self, settings):
        """For models of other people's."""
        from django.contrib.auth.models import Group
        from django.core.cache import caches

        settings.HOLDOVER_INVALIDATES = {"auth.Group": "default"}
        declare_settings()
        left = kept(caches["default"].region, groups=tag_of(Group))
        Group.objects.create(name="a")
        assert left() == set()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"shop.Nothing": "default"}, "no model 'shop.Nothing'"),
            ({"nothing": "default"}, "no model 'nothing'"),
            ({"auth.User": ["other"]}, "'other' is no alias in CACHES"),
            (["auth.User"], "must map models to aliases"),
            ({"auth.User": 5}, "must map models to aliases in CACHES, got 5"),
            ({"auth.User": [[]]}, r"\[\] is no alias in CACHES"),
        ],
    )
    def test_wrong_settings_are_told(self, settings, given, said):
        """When the project starts."""
        settings.HOLDOVER_INVALIDATES = given
        with pytest.raises(ImproperlyConfigured, match=said):
            declare_settings()

    @for_real
    def test_another_kind_of_cache_is_refused(self, settings):
        """It has no tags."""
        settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        }
        with pytest.raises(ImproperlyConfigured, match="RegionCache"):
            invalidate_queryset(Product.objects.all(), cache="default")


class TestTestCase(TestCase):
    """Django's own test cases, which never commit."""

    def setUp(self):
        """Save in the transaction of the test, as fixtures do."""
        pages.invalidate()
        self.product = Product.objects.create(name="a")

    def test_callbacks_can_be_captured(self):
        """What is saved in there is told, whatever was saved before."""
        left = kept(one=tags_of(self.product))
        with self.captureOnCommitCallbacks(execute=True):
            self.product.save()
        assert left() == set()
