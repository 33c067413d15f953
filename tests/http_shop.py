"""A WSGI application behind the HTTP response cache, and who asks for its pages."""

import io
import threading
from dataclasses import dataclass
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from holdover import make_region
from holdover.wsgi import HTTPCacheMiddleware, PageCodec

STALE = [("Cache-Control", "max-age=10, stale-while-revalidate=600"), ("Age", "11")]
"""Of a page that is stale when it comes, and may be served while it is made anew."""


@dataclass
class Reply:
    """What a visitor gets."""

    status: str
    headers: list
    body: bytes

    @property
    def code(self):
        return int(self.status[:3])

    @property
    def text(self):
        return self.body.decode()

    def __getitem__(self, name):
        found = [value for one, value in self.headers if one.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def cache(self):
        """What Cache-Status says, behind the cache's name."""
        return self["Cache-Status"].partition(";")[2].strip()


def environ_for(path="/", method="GET", fields=(), body=b"", **more):
    """Make the environ of a request; the query stands behind a question mark."""
    environ = {}
    setup_testing_defaults(environ)
    path, _, query = path.partition("?")
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    environ |= {"HTTP_HOST": "shop.example", "REMOTE_ADDR": "192.0.2.7"}
    environ["wsgi.input"] = io.BytesIO(body)
    environ["wsgi.multithread"] = True
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in dict(fields).items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ.update({name: value for name, value in more.items() if value is not None})
    return environ


class Response:
    """A response that arrives, as a server sees it."""

    def __init__(self, app, environ):
        self.status = self.headers = None
        self.written = []
        self.body = app(environ, self._start)
        self.chunks = iter(self.body)

    def _start(self, status, headers, exc_info=None):
        if exc_info and self.written:
            raise exc_info[1]
        self.status, self.headers = status, headers
        return self.written.append

    def close(self):
        if hasattr(self.body, "close"):
            self.body.close()

    def whole(self):
        """Fetch the rest, and close."""
        try:
            rest = b"".join(self.chunks)
        finally:
            self.close()
        return Reply(self.status, self.headers, b"".join(self.written) + rest)


def ask(app, *args, **kwargs):
    """Ask for a page; the arguments are those of `environ_for`."""
    return Response(app, environ_for(*args, **kwargs)).whole()


def page(text=None, *fields, status="200 OK"):
    """Make a view: it answers *text*, or which call it is; fresh for a minute."""
    given = list(fields) or [("Cache-Control", "max-age=60")]

    def view(environ, start_response):
        body = str(environ["test.call"] if text is None else text).encode()
        length = ("Content-Length", str(len(body)))
        head = [("Content-Type", "text/plain"), length, *given]
        start_response(status, head)
        return [body]

    return view


class Site:
    """An application with one view, and the cache before it, watched on both sides.

    Args:
        region: Where pages are kept.
        view: Answers; see `page`. It may be changed.
        inside: Wraps the application, within the cache.
        options: The middleware's.
    """

    def __init__(
        self, region="memory://", view=None, inside=lambda app: app, **options
    ):
        self.view = view or page()
        self.asked = []
        self._lock = threading.Lock()
        self.middleware = HTTPCacheMiddleware(
            inside(validator(self._app)), region, **options
        )
        self.app = validator(self.middleware)

    def _app(self, environ, start_response):
        with self._lock:
            self.asked.append(environ)
            environ["test.call"] = len(self.asked)
        return self.view(environ, start_response)

    @property
    def calls(self):
        """How often the application was asked."""
        return len(self.asked)

    def ask(self, *args, **kwargs):
        """Ask for a page through the cache."""
        return ask(self.app, *args, **kwargs)

    def texts(self, count, *args, **kwargs):
        """Ask several times; give what the pages say."""
        return [self.ask(*args, **kwargs).text for _ in range(count)]


def pages_region(url, name="pages", **settings):
    """Make a region for pages, without a runner unless told."""
    if not url.startswith("memory"):
        settings.setdefault("codec", PageCodec())
    return make_region(name).configure(url, **settings)
