"""Workers of queues know how pages are made, as soon as Django is set up."""

from django_caches import unused_name
from django_pages import PageTests
from standins import UnservedQueue

from holdover import registry
from holdover.contrib_django.pages.workers import register_pages
from holdover.regions.worker import CATALOGUE

NAME = "holdover.contrib_django.pages.regenerating:regenerate|pages"


class TestApp(PageTests):
    def test_registers_pages(self, site, settings, tmp_path):
        """With the regions that may have workers elsewhere; others are left alone."""
        name = unused_name()
        settings.CACHES = {
            **settings.CACHES,
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
            "queued": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": f"region://{name}",
            },
        }
        registry.region(name).configure(
            "holdover.file",
            arguments={"path": tmp_path / "cache"},
            runner=UnservedQueue(leaves_process=True),
        )
        assert CATALOGUE.registered(name, NAME) is None
        register_pages()
        assert CATALOGUE.registered(name, NAME) is not None

    def test_regions_may_be_configured_later(self, site, settings):
        """They are known by their names."""
        name = unused_name()
        settings.CACHES = {
            "default": {
                "BACKEND": "holdover.contrib_django.RegionCache",
                "LOCATION": f"region://{name}",
            },
        }
        register_pages()
        assert CATALOGUE.registered(name, NAME) is not None
