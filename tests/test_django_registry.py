"""All of the door asks the registry that HOLDOVER names, and no other."""

import subprocess
import sys
import types
from textwrap import dedent

import pytest
from django.core.cache import caches

from holdover import Registry, registry
from holdover.contrib_django.caches.known import known_regions
from holdover.contrib_django.checks.regions import check_pickle
from holdover.contrib_django.orm.declared import Target

BACKEND = "holdover.contrib_django.RegionCache"


@pytest.fixture
def own(settings, monkeypatch):
    """The project's registry, which has a region that `holdover.registry` has not."""
    module = types.ModuleType("own_registry")
    module.registry = Registry()
    monkeypatch.setitem(sys.modules, "own_registry", module)
    settings.HOLDOVER = {"registry": "own_registry.registry"}
    module.registry.region("ours").configure("holdover.memory")
    yield module.registry
    assert "ours" not in registry


def test_regions_that_are_known(own):
    """The admin's page, the panel and the checks see its regions, and no others."""
    registry.region("elsewhere")
    assert {"ours"} == {one.label for one in known_regions()} - {"CACHES['default']"}


def test_checks(own):
    """A region of its own is looked at as any other is."""
    own.region("bare").configure(
        "holdover.redis", arguments={"url": "redis://"}, unsigned_pickle=True
    )
    assert ["bare"] == [one.msg.partition(" ")[0] for one in check_pickle()]


@pytest.mark.parametrize("location", ["ours", "region://ours"])
def test_caches(own, settings, location):
    """A LOCATION names its regions."""
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": location}}
    assert caches["default"].region is own.region("ours")


def test_models(own):
    """What models invalidate is a region of its own."""
    assert Target("ours", "default").found() is own.region("ours")


LATE = dedent(
    """\
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="0123456789abcdef",
        INSTALLED_APPS=["holdover.contrib_django", "latecomer"],
        HOLDOVER={"history": None},
        CACHES={"default": {
            "BACKEND": "holdover.contrib_django.RegionCache", "LOCATION": "late"
        }},
    )
    django.setup()
    from holdover.regions.worker import CATALOGUE
    name = "holdover.contrib_django.pages.regenerating:regenerate|pages"
    print(CATALOGUE.registered("late", name) is not None)
    """
)


def test_a_region_of_an_app_s_own(tmp_path):
    """Workers know its pages, too, though only the app's regions.py makes it."""
    app = tmp_path / "latecomer"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "regions.py").write_text(
        "from holdover import registry\n"
        "registry.region('late').configure('holdover.memory')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", LATE],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "True\n"
