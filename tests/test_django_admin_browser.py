"""The page of regions, as people see it: in a real browser."""

import contextlib
from threading import enumerate as enumerate_threads

import pytest
from browser import Browser
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path
from pytest_django.live_server_helper import LiveServer
from waiting import wait_until

from holdover import NO_VALUE, registry

PAGE = "/admin/holdover/region/"
LOOKUPS = 'tr[data-region="browser test"] td[data-cell="lookups"]'
POLICY = """
const request = new XMLHttpRequest();
request.open("GET", location, false);
request.send();
request.getResponseHeader("Content-Security-Policy")
"""
NASTY = "<img src=x onerror='window.hurt = true'>"


def strict_csp(get_response):
    """A middleware as careful projects have it: no script or style but from files."""

    def middleware(request):
        response = get_response(request)
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; img-src 'self' data:"
        )
        return response

    return middleware


@pytest.fixture
def region():
    """A region of the project's."""
    region = registry.region("browser test")
    if not region.is_configured:
        region.configure("holdover.memory")
    region.invalidate()
    region.set("red apple", NASTY, tags=["fruit"])
    return region


@pytest.fixture
def served(settings, transactional_db):
    """Serve the project, with the middlewares that it has by then."""
    with contextlib.ExitStack() as stack:

        def serve():
            server = LiveServer("localhost")
            stack.callback(server.stop)
            return server.url

        yield serve
        # The browser is gone. What it kept open uses the database until the end.
        wait_until(
            lambda: not any("request" in one.name for one in enumerate_threads())
        )


@pytest.fixture
def site(settings, served):
    """The project, under a strict policy."""
    settings.MIDDLEWARE = ["test_django_admin_browser.strict_csp", *settings.MIDDLEWARE]
    return served()


@pytest.fixture
def browser(served):
    """Start a browser, which goes before what it looks at."""
    with Browser() as browser:
        yield browser


@pytest.fixture
def admin(browser, site):
    """The browser, whose user is in the admin."""
    client = Client()
    client.force_login(User.objects.create_superuser("ann"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    browser.ask("Network.setCookie", name=cookie.key, value=cookie.value, url=site)
    return browser


def test_the_page_works(site, admin, region, tmp_path):
    """Its figures move, its forms do what they say, and nothing breaks its policy."""
    admin.open(f"{site}{PAGE}")
    region.get("nothing")
    now = f"{region.figures().lookups:,}"
    wait_until(lambda: admin.text(LOOKUPS) == now, "the figures")
    assert "Live" in admin.text("#holdover-state")

    look = {"region": "browser test", "text": "red apple", "with_value": True}
    admin.submit("#holdover-look", **look)
    looked = admin.text("#holdover-looked")
    assert "fruit" in looked
    assert "<img" in looked
    assert not admin.run("window.hurt || false")
    admin.prefer("dark")
    admin.picture(tmp_path / "looked.png")

    admin.submit("#holdover-invalidate", what="tag", text="fruit")
    assert "Invalidated: everything with a tag 'fruit'" in admin.text(".messagelist")
    assert region.get("red apple") is NO_VALUE
    admin.prefer("light")
    admin.picture(tmp_path / "invalidated.png")
    assert admin.problems == []
    assert admin.run(POLICY) == "default-src 'self'; img-src 'self' data:"


def test_the_page_says_when_it_is_old(site, admin, region):
    """Once the session has ended, nobody takes the last figures for new ones."""
    admin.open(f"{site}{PAGE}")
    wait_until(lambda: "Live" in admin.text("#holdover-state"))
    User.objects.update(is_active=False)
    wait_until(lambda: "Not up to date" in admin.text("#holdover-state"))


def asking(request):
    """A page that asks a region."""
    registry.region("browser test").get(NASTY)
    return HttpResponse("<html><body>page</body></html>")


def test_the_toolbar_s_panel(settings, served, browser, region, tmp_path):
    """It opens, and what a page has asked for is text in it."""
    settings.DEBUG = True
    settings.INTERNAL_IPS = ["127.0.0.1", "::1"]
    settings.MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
    settings.ROOT_URLCONF = (
        path("", asking),
        path("__debug__/", include("debug_toolbar.urls")),
    )
    browser.open(f"{served()}/")
    root = "(document.querySelector('#djDebugRoot').shadowRoot ?? document)"
    ready = f"!{root}.querySelector('#djDebug').classList.contains('djdt-hidden')"
    wait_until(lambda: browser.run(ready), "the toolbar")
    browser.run(f"{root}.querySelector('a.RegionPanel').click()")
    panel = f"{root}.querySelector('#RegionPanel').innerText"
    wait_until(lambda: "MISS" in browser.run(panel), "the panel")
    assert NASTY in browser.run(panel)
    assert not browser.run("window.hurt || false")
    browser.picture(tmp_path / "panel.png")
