"""What ``manage.py check`` finds, and what it does not."""

import re
from pathlib import Path

import celery
import pytest
from django.core import checks
from django.db import models
from django.test.utils import isolate_apps
from django_project.catalogue.models import Place

from holdover import CeleryRunner, registry
from holdover.contrib_django.checks import regions as region_checks
from holdover.contrib_django.checks.regions import PANEL
from holdover.contrib_django.orm import InvalidatingQuerySet, declared, invalidates

BACKEND = "holdover.contrib_django.RegionCache"


@pytest.fixture
def region():
    """A region of the project's, for settings of all kinds."""
    region = registry.region("checked")

    def configure(backend, **settings):
        return region.configure(backend, replace_existing_backend=True, **settings)

    yield configure
    configure("holdover.memory")


def found(*, deploy=False):
    """Make all checks as ``manage.py check`` does; give ids and texts of ours."""
    said = checks.run_checks(include_deployment_checks=deploy)
    return [(one.id, one.msg) for one in said if str(one.id).startswith("holdover.")]


def ids(about="", *, deploy=False):
    """Give the ids of what is said about something."""
    return {name for name, text in found(deploy=deploy) if about in text}


def test_the_project_of_the_tests_is_well():
    """Nothing is found, and in a deployment only that it is in memory."""
    assert ids("CACHES") == set()
    assert ids("CACHES", deploy=True) == {"holdover.W011"}


def test_the_documentation_lists_them():
    """Each with its id, and whether it is made in deployments only."""
    page = Path(__file__).parent.parent / "docs" / "django_admin.rst"
    rows = re.findall(
        r"^``(holdover\.\w+)``  (yes|   )", page.read_text(), re.MULTILINE
    )
    modules = Path(region_checks.__file__).parent.glob("*.py")
    code = "".join(module.read_text() for module in modules)
    assert {name for name, _ in rows} == set(re.findall(r"holdover\.[EWI]\d+", code))
    deploy = {one.__name__ for one in checks.registry.registry.deployment_checks}
    for name, said in rows:
        body = code.partition(f'id="{name}"')[0]
        check = re.findall(r"^def (\w+)", body, re.MULTILINE)[-1]
        assert (check in deploy) == (said == "yes"), name


def test_every_finding_says_what_to_do(region):
    """Errors speak for themselves; the others have a hint."""
    region("holdover.redis", arguments={"url": "redis://"}, unsigned_pickle=True)
    said = checks.run_checks(include_deployment_checks=True)
    ours = [one for one in said if str(one.id).startswith("holdover.")]
    assert ours
    assert all(one.hint or one.level >= checks.ERROR for one in ours)


@pytest.mark.parametrize(
    ("given", "is_told"),
    [
        ({"unsigned_pickle": True}, True),
        ({"secret": "a secret of 16 bytes"}, False),
        ({"codec": "json"}, False),
    ],
)
def test_unsigned_pickle_over_a_network(region, given, is_told):
    """Even where it was said to be meant: this is where it can be silenced."""
    region("holdover.redis", arguments={"url": "redis://localhost"}, **given)
    assert ("holdover.W010" in ids("checked")) == is_told


def test_unsigned_pickle_in_files(region, tmp_path):
    """They are this user's own."""
    region("holdover.file", arguments={"path": tmp_path / "cache"})
    assert "holdover.W010" not in ids("checked")


def test_memory_in_a_deployment(region, tmp_path):
    """It is right for runserver, and for tests."""
    region("holdover.memory")
    assert "holdover.W011" not in ids("checked")
    assert "holdover.W011" in ids("checked", deploy=True)
    region("holdover.file", arguments={"path": tmp_path / "cache"})
    assert "holdover.W011" not in ids("checked", deploy=True)


@pytest.mark.parametrize("broker", [None, "redis://localhost"])
def test_a_celery_app_without_a_broker(region, broker, tmp_path):
    """Nobody would take its orders."""
    app = celery.Celery("shop", broker=broker, set_as_current=False)
    arguments = {"path": tmp_path / "cache"}
    region("holdover.file", arguments=arguments, runner=CeleryRunner(app))
    assert ("holdover.W012" in ids("checked")) == (broker is None)
    assert "holdover.W013" not in ids("checked", deploy=True)


@pytest.mark.parametrize("worker", ["thread", "process"])
def test_celery_in_the_web_process(region, worker, tmp_path):
    """It is right for development."""
    include = ["django_project.catalogue.prices"] if worker == "process" else []
    runner = CeleryRunner(worker=worker, include=include)
    region("holdover.file", arguments={"path": tmp_path / "cache"}, runner=runner)
    assert "holdover.W013" not in ids("checked")
    is_told = "holdover.W013" in ids("checked", deploy=True)
    assert is_told == (worker == "thread")


@pytest.mark.parametrize("alias", ["shop", "default"])
@pytest.mark.parametrize(
    ("database", "is_told"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "ATOMIC_REQUESTS": True}, True),
        ({"ENGINE": "django.db.backends.sqlite3"}, False),
        ({"ENGINE": "django.db.backends.postgresql", "ATOMIC_REQUESTS": True}, False),
    ],
)
def test_a_cache_in_the_requests_own_sqlite(monkeypatch, alias, database, is_told):
    """It could never write while a request does."""
    location = "django-db://" if alias == "default" else f"django-db://{alias}/table"
    caches = {"default": {"BACKEND": BACKEND, "LOCATION": location}}
    own = type("settings", (), {"CACHES": caches, "DATABASES": {alias: database}})
    monkeypatch.setattr(region_checks, "settings", own)
    assert bool(region_checks.check_sqlite()) == is_told


@pytest.mark.parametrize(
    ("options", "runner", "is_told"),
    [
        ({}, "celery", True),
        ({"NAME": "pages"}, "celery", False),
        ({}, "thread", False),
    ],
)
def test_two_regions_of_one_name(settings, tmp_path, options, runner, is_told):
    """A worker could not tell them apart."""
    if runner == "celery":
        app = celery.Celery("shop", broker="redis://localhost", set_as_current=False)
        runner = CeleryRunner(app)
    settings.CACHES = {
        alias: {"BACKEND": BACKEND, "LOCATION": f"{tmp_path}/{alias}", "OPTIONS": own}
        for alias, own in (("default", {}), ("other", {**options, "RUNNER": runner}))
    }
    about = "CACHES['default'] and CACHES['other']"
    assert ids(about) == ({"holdover.W017"} if is_told else set())


@pytest.mark.parametrize("prefix", ["", "shop"])
def test_a_prefix_where_others_are(settings, region, prefix):
    """Told in a deployment, since only people know what else is there."""
    given = {"url": "redis://localhost"}
    region("holdover.redis", arguments=given, secret="a secret of 16 bytes")
    cache = {"BACKEND": BACKEND, "LOCATION": "region://checked", "KEY_PREFIX": prefix}
    settings.CACHES = {"default": cache}
    assert "holdover.I010" not in ids()
    assert ("holdover.I010" in ids(deploy=True)) == (not prefix)


@pytest.mark.parametrize("panels", [[], [PANEL]])
def test_the_panel_in_a_deployment(settings, panels):
    """It shows keys to whoever sees the toolbar."""
    settings.DEBUG_TOOLBAR_PANELS = panels
    assert "holdover.W015" not in ids()
    assert ("holdover.W015" in ids(deploy=True)) == bool(panels)


@pytest.mark.parametrize(
    ("cache", "said"), [("other", "other"), ("locmem", "RegionCache"), ("default", "")]
)
def test_models_that_invalidate_what_there_is_not(settings, monkeypatch, cache, said):
    """Each of their changes would raise."""
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {**settings.CACHES, "locmem": locmem}
    monkeypatch.setattr(declared, "_declared", {})
    monkeypatch.setattr(declared, "_connect", [])
    invalidates(Place, cache=cache)
    told = [text for name, text in found() if name == "holdover.E011"]
    assert bool(told) == bool(said)
    assert all("catalogue.Place" in text and said in text for text in told)


def test_query_sets_that_have_nothing_to_invalidate(monkeypatch):
    """Somebody has forgotten the other half."""
    assert region_checks.check_querysets() == []
    with isolate_apps("django_project.catalogue") as isolated:

        class Forgotten(models.Model):
            objects = InvalidatingQuerySet.as_manager()

            class Meta:
                app_label = "catalogue"

    monkeypatch.setattr(region_checks, "apps", isolated)
    [told] = region_checks.check_querysets()
    assert told.obj is Forgotten
