"""What a cache's OPTIONS say of staleness holds for our pages and fragments, too."""

import itertools

import pytest
from django.template import Context, Template
from django_pages import PageTests, numbered

FOR_A_MINUTE = {"STALE_WHILE_REVALIDATE": 60}
CHOICES = [
    (FOR_A_MINUTE, True),
    ({}, False),
    ({**FOR_A_MINUTE, "STALE_KEYS": ["mine."]}, False),
]


def shown(options, count):
    """Show a fragment that is fresh for 10 seconds."""
    text = "{% load holdover %}{% cached 10 'a' OPTIONS %}{{ count }}{% endcached %}"
    context = Context({"count": lambda: next(count)})
    return Template(text.replace("OPTIONS", options)).render(context)


@pytest.mark.parametrize(("options", "is_stale"), CHOICES)
class TestDefaults(PageTests):
    def test_of_pages(self, site, clock, options, is_stale):
        """Where neither view nor page says anything."""
        site.show(numbered())
        assert site.text() == "1"
        clock.advance(11)
        assert site.text() == ("1" if is_stale else "2")

    def test_of_fragments(self, site, clock, options, is_stale):
        """Where the tag says nothing: an old one stands in for an error."""
        count = itertools.count(1)
        assert shown("", count) == "1"
        clock.advance(11)
        failing = iter(())  # next() raises StopIteration, as a broken template would
        if is_stale:
            assert shown("", failing) == "1"
        else:
            with pytest.raises(StopIteration):
                shown("", failing)


class TestWhoSaysMore(PageTests):
    @pytest.fixture
    def options(self):
        """A cache whose pages are served stale."""
        return FOR_A_MINUTE

    def test_the_view(self, site, clock):
        """It has the last word."""
        site.show(numbered(), stale_while_revalidate=0)
        assert site.text() == "1"
        clock.advance(11)
        assert site.text() == "2"

    def test_the_cache_and_the_site(self, site, clock):
        """The cache's own word is before that of the whole site."""
        site.settings.HOLDOVER_PAGES = {"STALE_WHILE_REVALIDATE": 0}
        site.show(numbered())
        assert site.text() == "1"
        clock.advance(11)
        assert site.text() == "1"

    def test_the_tag(self, site, clock):
        """Nor is a fragment stale whose tag says so."""
        count = itertools.count(1)
        assert shown("stale=0", count) == "1"
        clock.advance(11)
        assert shown("stale=0", count) == "2"
