"""Shared caches that make the mistakes of others, and ours beside them.

A *door* shows a view through a cache: ``door(view)`` gives ``ask(path, **fields)``,
which gives a `Page`. A view is ``view(asked, path)`` and gives one, too; *asked* has
the request's fields by WSGI's names ("HTTP_COOKIE").
"""

import itertools
from dataclasses import dataclass, field

from django.http import HttpResponse
from http_shop import ask, environ_for, pages_region

from holdover.wsgi import HTTPCacheMiddleware


@dataclass(frozen=True)
class Page:
    """What a view answers, and a visitor gets.

    Attributes:
        text: The body.
        fields: Header fields; a cache may add its own.
    """

    text: str
    fields: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name):
        """Give a field's value; empty if there is none."""
        return self.fields.get(name, "")


def counted(**fields):
    """Give a view that says which call it is, with these fields."""
    numbers = itertools.count(1)
    spelled = {name.replace("_", "-"): value for name, value in fields.items()}
    return lambda asked, path: Page(str(next(numbers)), spelled)


def naive(*, may_keep=lambda asked, page: True, key=lambda asked, path, page: path):
    """Give the door of a cache that keeps what it is told to, under what it is told.

    Args:
        may_keep: Says whether a page is kept, by what was asked and the page.
        key: Gives what tells pages apart; the page is the one that was kept, if any.
    """

    def door(view):
        kept, last = {}, {}

        def ask_naive(path="/page/", **fields):
            asked = environ_of(fields)
            found = kept.get(key(asked, path, last.get(path)))
            if found is not None:
                return found
            page = view(asked, path)
            if may_keep(asked, page):
                last[path] = page
                kept[key(asked, path, page)] = page
            return page

        return ask_naive

    return door


def environ_of(fields):
    """Spell request fields as WSGI does."""
    return {f"HTTP_{name.upper()}": value for name, value in fields.items()}


def by_wsgi(view):
    """Show a view through `HTTPCacheMiddleware`."""

    def app(environ, start_response):
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        page = view(environ, environ["PATH_INFO"] + query)
        kind = ("Content-Type", "text/plain")
        start_response("200 OK", [kind, *page.fields.items()])
        return [page.text.encode()]

    middleware = HTTPCacheMiddleware(app, pages_region("memory://"))
    return lambda path="/page/", **fields: page_of(ask(middleware, path, fields=fields))


def page_of(reply):
    """Give what came over WSGI as a page."""
    return Page(reply.text, dict(reply.headers))


def by_django(site):
    """Give the door of Django's pages, kept by `cache_page`."""

    def door(view):
        def show(request):
            page = view(request.META, request.get_full_path())
            return HttpResponse(page.text, headers=page.fields)

        site.region.invalidate()
        site.show(show, timeout=None)

        def ask_django(path="/page/", **fields):
            named = {name.replace("_", "-"): value for name, value in fields.items()}
            response = site.get(path, **named)
            return Page(response.content.decode(), dict(response.headers))

        return ask_django

    return door


class NaiveProxy:
    """A shared cache in front of a WSGI application, which it believes.

    It keeps whatever is not forbidden to shared caches, cookies and all, and tells
    visitors apart by ``Vary``.
    """

    def __init__(self, app):
        self._app = app
        self._kept = []

    def ask(self, path="/", **fields):
        """Give a page, to a visitor who sends these fields over HTTPS."""
        environ = environ_for(path, fields=fields, **{"wsgi.url_scheme": "https"})
        for known, varied, reply in self._kept:
            if known == path and all(environ.get(n) == v for n, v in varied.items()):
                return reply
        reply = ask(self._app, path, fields=fields, **{"wsgi.url_scheme": "https"})
        forbidden = (reply["Cache-Control"] or "").lower()
        if "private" not in forbidden and "no-store" not in forbidden:
            names = [one.strip() for one in (reply["Vary"] or "").split(",") if one]
            varied = {f"HTTP_{one.upper()}": environ.get(f"HTTP_{one.upper()}")
                      for one in names}  # fmt: skip
            self._kept.append((path, varied, reply))
        return reply
