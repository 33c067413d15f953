"""Asking WSGI applications without a server, again and again."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.util import setup_testing_defaults


def environ_of(**variables: str) -> dict[str, object]:
    """Give the environ of a request over https."""
    environ: dict[str, object] = {"wsgi.url_scheme": "https"}
    setup_testing_defaults(environ)
    return environ | variables


def requests_to(app, template: dict[str, object], length: int) -> Callable[[], object]:
    """Give a function that sends one request, and gets so many bytes."""

    def call() -> object:
        body = app(dict(template), respond)
        assert sum(map(len, body)) == length
        if hasattr(body, "close"):
            body.close()
        return body

    def respond(status, headers, exc_info=None):
        return None

    return call
