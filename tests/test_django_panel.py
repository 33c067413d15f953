"""The panel for django-debug-toolbar."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

from holdover import registry
from holdover.contrib_django.panel import RegionPanel

NASTY = "<script>alert(1)</script>"


@pytest.fixture
def region():
    """A region of the project's."""
    region = registry.region("panel")
    if not region.is_configured:
        region.configure("holdover.memory")
    region.invalidate()
    return region


@pytest.fixture
def seen(settings, monkeypatch):
    """Have a view's page be made; give what the panel shows of it."""
    settings.DEBUG = True
    settings.INTERNAL_IPS = ["127.0.0.1"]
    settings.MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
    made = []
    generate = RegionPanel.generate_stats

    def generate_stats(self, request, response):
        generate(self, request, response)
        made.append((self.get_stats(), self.nav_subtitle, self.content))

    monkeypatch.setattr(RegionPanel, "generate_stats", generate_stats)

    def see(view):
        routes = [path("", view), path("__debug__/", include("debug_toolbar.urls"))]
        settings.ROOT_URLCONF = tuple(routes)
        if asyncio.iscoroutinefunction(view):
            answer = asyncio.run(AsyncClient().get("/"))
        else:
            answer = Client().get("/")
        assert answer.status_code == 200
        return made.pop()

    see.others = made
    return see


def words(stats):
    """Give what happened, in order."""
    rows = stats["rows"]
    return [(row["word"], row["key"].removeprefix("panel:")) for row in rows]


def body():
    """A page that the toolbar may be put into."""
    return HttpResponse("<html><body>page</body></html>")


def use(region):
    """Miss, create, hit, and look for another key."""
    region.get_or_create("key", lambda: 1)
    region.get("key")
    region.get("other")


EVENTS = [("MISS", "key"), ("Created", "key"), ("HIT", "key"), ("MISS", "other")]


def test_shows_what_a_page_has_asked_for(seen, region):
    """In order, with region, key and time."""

    def view(_request):
        use(region)
        return body()

    stats, subtitle, content = seen(view)
    assert words(stats) == EVENTS
    assert {row["region"] for row in stats["rows"]} == {"panel"}
    times = [float(row["after"]) for row in stats["rows"]]
    assert times == sorted(times)
    assert subtitle == "4 events, 2 MISS, 1 Created, 1 HIT"
    assert "cost" in content


def test_shows_nothing_of_others(seen, region):
    """Neither of other threads nor of what was before or after."""

    def view(_request):
        other = threading.Thread(target=use, args=[region])
        other.start()
        other.join()
        return body()

    use(region)
    stats, _, content = seen(view)
    use(region)
    assert stats["rows"] == []
    assert "No region was asked." in content


def test_in_coroutines_and_their_threads(seen, region):
    """A view's own task, and what it awaits in a thread."""

    async def view(_request):
        use(region)
        await sync_to_async(region.get)("in a thread")
        return body()

    stats, _, _ = seen(view)
    assert words(stats) == [*EVENTS, ("MISS", "in a thread")]


def test_two_requests_at_once(seen, region):
    """Each hears its own only."""
    own = []

    async def view(_request):
        region.get("outer")
        if not own:
            own.append(1)
            await AsyncClient().get("/")
            region.get("outer again")
        return body()

    stats, _, _ = seen(view)
    assert words(stats) == [("MISS", "outer"), ("MISS", "outer again")]
    [inner] = seen.others
    assert words(inner[0]) == [("MISS", "outer")]


def test_a_cache_s_key_is_shown(seen):
    """What goes through Django's cache is heard, too."""

    def view(_request):
        caches["default"].get("pear")
        return body()

    stats, _, _ = seen(view)
    [(word, key)] = words(stats)
    assert word == "MISS"
    assert key.endswith(":1:pear")


def test_keys_stay_text(seen, region):
    """And very long ones are cut."""

    def view(_request):
        region.get(NASTY)
        region.get("x" * 150)
        return body()

    _, _, content = seen(view)
    assert NASTY not in content
    assert "&lt;script&gt;" in content


def test_very_many_are_counted(seen, region):
    """The page stays short, and the numbers right."""

    def view(_request):
        for number in range(600):
            region.get(f"{number}")
        return body()

    stats, subtitle, content = seen(view)
    assert len(stats["rows"]) == 500
    assert subtitle == "600 events, 600 MISS"
    assert "first 500 of 600" in content


def test_a_view_that_raises_leaves_nothing_behind(seen, region):
    """The next page in that thread hears its own."""

    def failing(_request):
        region.get("failing")
        raise ValueError("no page")

    def view(_request):
        region.get("fine")
        return body()

    with pytest.raises(ValueError, match="no page"):
        seen(failing)
    stats, _, _ = seen(view)
    assert words(stats) == [("MISS", "fine")]
