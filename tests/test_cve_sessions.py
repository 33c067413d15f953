"""Replays: a session is its visitor's alone, and nobody writes one for himself."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from http.cookies import SimpleCookie

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cve_catalogue import replay
from cve_http import NaiveProxy
from django.http import HttpResponse
from django_pages import PAGES, SESSION, PageTests, numbered
from django_project import pages
from http_shop import pages_region
from session_tools import Browser, in_cookies, value_of

from holdover import NO_VALUE, make_region
from holdover.wsgi import HTTPCacheMiddleware, SessionMiddleware, Sessions

BLOCK = 16  # bytes; what AES enciphers at a time
KEY = b"k" * 32


class CodeBook:
    """Seals a visitor's data as Beaker did: block by block, each by itself (ECB)."""

    def _cipher(self):
        return Cipher(algorithms.AES(KEY), modes.ECB())

    def seal(self, name, role="user"):
        """Give the cookie of a visitor who has chosen a name."""
        plain = f"name={name};role={role}".encode()
        plain += b" " * (-len(plain) % BLOCK)
        return self._cipher().encryptor().update(plain)

    def open(self, cookie):
        """Give what a cookie says."""
        plain = self._cipher().decryptor().update(cookie).decode()
        return {k: v.strip() for k, v in (one.split("=") for one in plain.split(";"))}


def blocks(data):
    """Part bytes into blocks."""
    return [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]


@replay(
    "CVE-2012-3458",
    where="Beaker with PyCrypto",
    fault="Cookies are enciphered block by block, and nothing proves the whole: equal "
    "parts show, and parts of several cookies make a new one.",
    ours="AES-256-GCM over the whole cookie, with the cookie's name, the key's and the "
    "application's.",
)
def test_cookies_made_of_parts(clock):
    """No part of a cookie is worth anything in another place."""
    book = CodeBook()
    eve = blocks(book.seal("eve-5"))  # "name=eve-5;role=" is one block
    told = blocks(book.seal("A" * 11 + "admin" + " " * 11))  # and so is "admin"
    assert book.open(eve[0] + told[1]) == {"name": "eve-5", "role": "admin"}
    same = blocks(book.seal("x" * 75))
    assert len(set(same)) < len(same)

    sessions = in_cookies(clock)
    cookies = [
        value_of(Browser(sessions).put(name=one * 75).set_cookie) for one in "xy"
    ]
    parts = [blocks(urlsafe_b64decode(one + "=" * (-len(one) % 4))) for one in cookies]
    assert len({*parts[0], *parts[1]}) == len(parts[0]) + len(parts[1])
    for first, second in (parts, parts[::-1], (parts[0], parts[0])):
        for cut in range(len(first) + 1):
            for other in range(len(second) + 1):
                made = b"".join(first[:cut] + second[other:])
                text = urlsafe_b64encode(made).rstrip(b"=").decode()
                is_whole = text in cookies
                found = dict(sessions.open({"__Host-session": text}))
                assert bool(found) is is_whole


class LaxSession(dict):
    """Notes that it was used only where a field is got by its name."""

    is_used = False

    def __getitem__(self, name):
        self.is_used = True
        return super().__getitem__(name)


def lax_sessions(view, *, refreshes):
    """Do as middleware that varies by the cookie only what has used the session.

    Args:
        view: Gives a text, for a session.
        refreshes: Whether the cookie is sent again with each response.
    """
    store = {"ann-1": {"user": "ann"}}

    def app(environ, start_response):
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("id")
        name = cookie.value if cookie else "new-2"
        session = LaxSession(store.get(name, {}))
        text = view(session)
        headers = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]
        headers += [("Vary", "Cookie")] * session.is_used
        headers += [("Set-Cookie", f"id={name}")] * refreshes
        start_response("200 OK", headers)
        return [text.encode()]

    return app


def kept_here(app):
    """Put our own HTTP cache before an application."""
    return HTTPCacheMiddleware(app, pages_region("memory://"))


def our_sessions(view, **options):
    """Show the same view with our sessions; give the application and ann's cookie."""

    def app(environ, start_response):
        text = view(environ["holdover.session"])
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]
        )
        return [text.encode()]

    sessions = Sessions({"auto": True, "cookie_expires": False, **options})
    browser = Browser(sessions)
    session = browser.request()
    session["user"] = "ann"
    session.bind("ann")
    browser.answer(session)
    return SessionMiddleware(app, sessions), browser.cookie


LOOKS = {
    "in": lambda session: "user" in session,
    "get": lambda session: session.get("user"),
    "len": len,
    "bool": bool,
    "list": list,
    "keys": lambda session: list(session.keys()),
    "items": lambda session: list(session.items()),
    "equals": lambda session: session == {},
    "has_key": lambda session: session.has_key("user"),
    "copy": lambda session: session.copy(),
    "user": lambda session: session.user,
    "is_new": lambda session: session.is_new,
    "created": lambda session: session.created,
    "last_accessed": lambda session: session.last_accessed,
    "id": lambda session: session.id,
}


@replay(
    "CVE-2026-27205",
    where="Flask",
    fault="``in``, ``len()`` and their like do not count as uses of the session: "
    "such a page lacks ``Vary: Cookie``, and caches share it.",
    ours="Whatever tells anything of a session reads it, and every read counts: "
    "``Vary: Cookie`` and ``Cache-Control: private``.",
)
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_that_does_not_count(look):
    """Nobody gets the page that was made by looking at another's session."""

    def greet(session):
        return "log out" if "user" in session else "log in"

    proxy = NaiveProxy(lax_sessions(greet, refreshes=False))
    assert proxy.ask(Cookie="id=ann-1").text == "log out"
    assert proxy.ask().text == "log out"  # a stranger

    app, cookie = our_sessions(lambda session: str(LOOKS[look](session)))
    for cached in (NaiveProxy(app), NaiveProxy(kept_here(app))):
        seen = cached.ask(Cookie=cookie)
        assert (seen["Vary"], "private" in seen["Cache-Control"]) == ("Cookie", True)
        assert cached.ask().text != seen.text


@replay(
    "CVE-2023-30861",
    where="Flask",
    fault="The cookie of a lasting session is sent with each response, also with those "
    "that have not used it and lack ``Vary: Cookie``: a cache gives it to others.",
    ours="A response that has not used the session has no cookie; one that has is "
    "``private``.",
)
def test_a_cookie_with_every_response():
    """Nobody gets another's cookie out of a cache."""
    proxy = NaiveProxy(lax_sessions(lambda session: "news", refreshes=True))
    proxy.ask(Cookie="id=ann-1")
    assert proxy.ask()["Set-Cookie"] == "id=ann-1"  # and so a stranger is ann

    for view in (lambda session: "news", lambda session: str(session.get("user"))):
        app, cookie = our_sessions(view, touch_every=0.0)
        for cached in (NaiveProxy(app), NaiveProxy(kept_here(app))):
            cached.ask(Cookie=cookie)
            assert cached.ask()["Set-Cookie"] is None
            assert cached.ask(Cookie=cookie).text == cached.ask(Cookie=cookie).text


def log_in(request):
    """Begin a session."""
    request.session["user"] = "ann"
    return HttpResponse("welcome")


class TestDjango(PageTests):
    """Django's sessions with pages that Holdover keeps."""

    @replay(
        "CVE-2026-35192",
        where="Django",
        fault="With ``SESSION_SAVE_EVERY_REQUEST`` a page that is cached for all has "
        "somebody's session cookie.",
        ours="A response with a cookie is not kept, neither by the HTTP cache nor by "
        "Django's pages; nor is one of a session that was only touched.",
    )
    def test_a_session_that_is_saved_every_time(self, site):
        """No page is kept with the cookie that its first visitor got."""
        proxy = NaiveProxy(lax_sessions(lambda session: "public", refreshes=True))
        first, second = proxy.ask(Cookie="id=ann-1"), proxy.ask()
        assert first["Set-Cookie"] == second["Set-Cookie"] == "id=ann-1"

        site.settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        site.settings.SESSION_SAVE_EVERY_REQUEST = True
        site.use(PAGES, SESSION)
        pages.shown["view"] = log_in
        cookie = "sessionid=" + site.get("/other/").cookies["sessionid"].value
        pages.shown["view"] = numbered()
        of_ann = site.get(Cookie=cookie)
        assert (of_ann.content, "sessionid" in of_ann.cookies) == (b"1", True)
        of_others = [site.get(), site.get()]
        assert [one.content for one in of_others] == [b"2", b"2"]
        assert not any("sessionid" in one.cookies for one in of_others)


@replay(
    "CVE-2026-6873",
    where="Django's signed cookies",
    fault="What a signature is for is a name and a salt, one behind the other: "
    "another name with another salt gives the same.",
    ours="Each part of what a cookie or envelope is sealed for has its length with it.",
)
def test_names_that_run_together(clock):
    """A value that was sealed for one purpose is worth nothing for another."""

    def sign(name, salt, value):
        return hmac.digest(KEY, (name + salt + value).encode(), hashlib.sha256)

    assert sign("user", "id.7", "admin") == sign("userid", ".7", "admin")

    for one, two in [(("ab", "c"), ("a", "bc")), (("ab", ""), ("a", "b"))]:
        first, second = (
            in_cookies(clock, cookie_name=name, app_id=app) for name, app in (one, two)
        )
        value = value_of(Browser(first).put(role="admin").set_cookie)
        assert dict(first.open({one[0]: value})) == {"role": "admin"}
        assert dict(second.open({two[0]: value})) == {}
    region = make_region("shop").configure("memory://", codec="json", secret="s" * 16)
    region.set("ab", "hers")
    hers, _ = region.backend.read("shop:ab", "shop")
    region.backend.write("shop:a", hers, ttl=60.0)
    assert [region.get("ab"), region.get("a")] == ["hers", NO_VALUE]
