"""What OPTIONS may say of staleness, and what Django's checks say of that."""

import re
from datetime import timedelta
from pathlib import Path

import django.core.cache
import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django_caches import unused_name
from django_stale import FRAGMENT, PAGE, elsewhere

from holdover.contrib_django import RegionCache
from holdover.contrib_django.stale.keys import read_staleness
from holdover.testing import FakeClock

SESSION = "django.contrib.sessions.cache" + "a" * 32
HEADERS = "views.decorators.cache.cache_header..abc"
OURS = "holdover.contrib_django.RegionCache"


def is_report(key):
    """A choice of keys, as a project may have one."""
    return key.endswith("report") or key == SESSION


def chosen(**options):
    """Give what OPTIONS say."""
    return read_staleness({"OPTIONS": options})


def assert_nothing_is_stale(**options):
    """Look for a page that has expired."""
    options["time_source"] = clock = FakeClock()
    cache = RegionCache(f"memory://{unused_name()}", {"OPTIONS": options})
    cache.set(PAGE, "old", 10)
    clock.advance(10)
    assert cache.get(PAGE) is None
    assert elsewhere(cache.get, PAGE) is None


class TestOptions:
    def test_serve_nothing_stale_by_default(self):
        """It is the project's decision."""
        assert_nothing_is_stale()

    @pytest.mark.parametrize("off", [None, 0, timedelta(0)])
    def test_can_turn_it_off(self, off):
        """In one environment, say, with keys chosen for all."""
        assert_nothing_is_stale(STALE_WHILE_REVALIDATE=off, STALE_KEYS=[""])

    @pytest.mark.parametrize("span", [60, 60.0, timedelta(minutes=1)])
    def test_take_seconds(self, span):
        """Or a timedelta; names in small letters are the same."""
        assert chosen(STALE_WHILE_REVALIDATE=span).window == 60
        assert chosen(stale_while_revalidate=span).window == 60

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"STALE_WHILE_REVALIDATE": -1}, "0 or more seconds, got -1"),
            ({"STALE_WHILE_REVALIDATE": "60"}, "must be seconds, got '60'"),
            ({"STALE_WHILE_REVALIDATE": True}, "must be seconds, got True"),
            ({"STALE_WHILE_REVALIDATE": float("nan")}, "must be finite"),
            ({"STALE_KEYS": ["a"]}, "nothing without STALE_WHILE_REVALIDATE"),
            ({"STALE_KEYS": "page."}, "list of prefixes, a function or its path"),
            ({"STALE_KEYS": "no_such.module"}, "No module named 'no_such'"),
            ({"STALE_KEYS": [b"a"]}, "list of prefixes.*, got"),
            ({"STALE_KEYS": 5}, "list of prefixes.*, got 5"),
            ({"stale_while_revalidate": 5}, "stands there twice"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, options, told):
        """The error says what was wanted and what was found."""
        if "STALE_WHILE_REVALIDATE" not in options and "without" not in told:
            options = {"STALE_WHILE_REVALIDATE": 60, **options}
        with pytest.raises(ImproperlyConfigured, match=told):
            RegionCache(f"memory://{unused_name()}", {"OPTIONS": options})

    @pytest.mark.parametrize(
        ("keys", "covered"),
        [
            (None, {PAGE, FRAGMENT}),
            (["report.", "template."], {"report.a", FRAGMENT}),
            (["views."], {PAGE}),
            ([""], {PAGE, FRAGMENT, "report.a", "a.report"}),
            ([], set()),
            (is_report, {"a.report"}),
            (f"{__name__}.is_report", {"a.report"}),
        ],
    )
    def test_choose_keys(self, keys, covered):
        """By prefix or by a function; never header lists, and never sessions."""
        options = {} if keys is None else {"STALE_KEYS": keys}
        staleness = chosen(STALE_WHILE_REVALIDATE=60, **options)
        known = {PAGE, FRAGMENT, HEADERS, SESSION, "report.a", "a.report"}
        assert {key for key in known if staleness.covers(key)} == covered

    def test_hold_for_classes_of_users(self):
        """What they have changed stays so."""

        class Shouting(RegionCache):
            def make_key(self, key, version=None):
                return super().make_key(key, version).upper()

        options = {"STALE_WHILE_REVALIDATE": 60, "time_source": (clock := FakeClock())}
        cache = Shouting(f"memory://{unused_name()}", {"OPTIONS": options})
        assert isinstance(cache, Shouting)
        assert type(cache).__name__ == "Shouting"
        cache.set(PAGE, "old", 10)
        clock.advance(11)
        assert cache.get(PAGE) is None
        assert elsewhere(cache.get, PAGE) == "old"


class TestChecks:
    @pytest.fixture
    def told(self, settings):
        """Give the ids of what Django says of caches, with OPTIONS."""

        def check(engine="cache", alias="default", **options):
            settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
            settings.SESSION_CACHE_ALIAS = alias
            django = "django.core.cache.backends.locmem.LocMemCache"
            settings.CACHES = {
                "default": {"BACKEND": OURS, "OPTIONS": options},
                "other": {"BACKEND": django},
            }
            return [one.id for one in checks.run_checks(tags=[checks.Tags.caches])]

        return check

    def test_have_nothing_against_pages(self, told):
        """Nor against sessions beside them, or in another cache."""
        assert told() == []
        assert told(STALE_WHILE_REVALIDATE=60) == []
        everything = {"STALE_WHILE_REVALIDATE": 60, "STALE_KEYS": ["django."]}
        assert told(engine="db", **everything) == []
        assert told(alias="other", **everything) == []
        assert told(STALE_WHILE_REVALIDATE=0, STALE_KEYS=[""]) == []

    @pytest.mark.parametrize("engine", ["cache", "cached_db"])
    @pytest.mark.parametrize(
        "keys",
        [["page.", "django."], ["django.contrib.sessions."], [SESSION], bool],
    )
    def test_refuse_sessions(self, told, engine, keys):
        """Whatever could match their keys is an error, though they are never stale."""
        if keys == [SESSION]:
            keys = [SESSION.replace("cache", engine)]
        assert told(engine, STALE_WHILE_REVALIDATE=60, STALE_KEYS=keys) == [
            "holdover.E001"
        ]

    def test_refuse_sessions_of_another_engine(self, told, monkeypatch):
        """One that names its keys otherwise is asked how."""
        monkeypatch.setattr(SessionStore, "cache_key_prefix", "visit.")
        assert told(STALE_WHILE_REVALIDATE=60, STALE_KEYS=["visit."]) == [
            "holdover.E001"
        ]
        assert told(STALE_WHILE_REVALIDATE=60, STALE_KEYS=["page."]) == []

    def test_warn_of_a_cache_that_is_all_stale(self, told):
        """There may be codes and tokens in it."""
        options = {"STALE_WHILE_REVALIDATE": 60, "STALE_KEYS": [""]}
        assert told("db", **options) == ["holdover.W001"]
        assert sorted(told(**options)) == ["holdover.E001", "holdover.W001"]


def test_the_page_of_the_documentation_works(tmp_path, monkeypatch):
    """Its settings make caches, and its report is made by one caller."""
    page = Path(__file__).parent.parent / "docs" / "django_stale.rst"
    found = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)+)", page.read_text())
    first, report, second = (
        re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in found
    )
    names = {"made": iter(range(5))}
    exec(first.replace("/var/cache/site", str(tmp_path / "cache")), names)
    params = names["CACHES"]["default"]
    params.update(eval(f"{{{second}}}"))
    params["OPTIONS"]["time_source"] = clock = FakeClock()
    assert params.pop("BACKEND") == OURS
    cache = RegionCache(params.pop("LOCATION"), params)
    monkeypatch.setattr(django.core.cache, "cache", cache)
    exec("def make_report(): return next(made)", names)
    exec(report, names)
    assert names["report"]() == 0
    clock.advance(3601)
    assert cache.get("report.month") is None
    assert elsewhere(names["report"]) == 0
    assert names["report"]() == 1
