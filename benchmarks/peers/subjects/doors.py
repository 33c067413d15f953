"""A request through a WSGI application that has one hit of an object cache."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from requesting import environ_of

from peers.subject import LIFETIME, Call, Maker, Place

Application = Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]
HELLO = b"hello"


def application(find: Callable[[dict[str, Any]], Any]) -> Application:
    """Make an application that finds its value, and leaves it in the environ."""

    def app(environ: dict[str, Any], respond: Callable[..., Any]) -> list[bytes]:
        environ["found"] = find(environ)
        respond("200 OK", [("Content-Type", "text/plain")])
        return [HELLO]

    return app


def requested(app: Application) -> Call:
    """Give a call that sends a request, and gives the value that it met."""
    template = environ_of()

    def respond(status: str, headers: list[tuple[str, str]], exc_info: Any = None):
        return None

    def call() -> Any:
        environ = dict(template)
        assert app(environ, respond) == [HELLO]
        return environ["found"]

    return call


def bare(place: Place, make: Maker) -> Call:
    """No cache at all: the application has its value."""
    value = make()
    return requested(application(lambda _: value))


def of_holdover(make: Maker, **arguments: Any) -> Call:
    """Find the value in a region of the environ's."""

    def find(environ: dict[str, Any]) -> Any:
        return environ["holdover.cache"].region("prices").get_or_create("tea", make)

    trusting = {"expiration_time": LIFETIME, "unsigned_pickle": True, **arguments}
    middleware = import_module("holdover.wsgi").CacheMiddleware
    return requested(middleware(application(find), {"prices": trusting}))


def find_in_beakers(make: Maker) -> Application:
    """Make an application that Beaker's users have written."""

    def find(environ: dict[str, Any]) -> Any:
        cache = environ["beaker.cache"].get_cache("prices", expire=LIFETIME)
        return cache.get(key="tea", createfunc=make)

    return application(find)


def of_beaker(make: Maker, **options: str) -> Call:
    """Find the value in a cache of the environ's."""
    given = {f"cache.{name}": value for name, value in options.items()}
    middleware = import_module("beaker.middleware").CacheMiddleware
    return requested(middleware(find_in_beakers(make), given))


def as_beaker(make: Maker, **options: str) -> Call:
    """Find the value as Beaker's users do, but in ours."""
    given = {f"cache.{name}": value for name, value in options.items()}
    middleware = import_module("holdover.wsgi").CacheMiddleware
    return requested(middleware(find_in_beakers(make), given, beaker=True))


def holdover_memory(place: Place, make: Maker) -> Call:
    """Ours, in this process."""
    return of_holdover(make, backend="holdover.memory")


def holdover_file(place: Place, make: Maker) -> Call:
    """Ours, in files."""
    path = {"path": place.folder}
    return of_holdover(make, backend="holdover.file", arguments=path)


def beaker_memory(place: Place, make: Maker) -> Call:
    """Beaker's, in this process."""
    return of_beaker(make, type="memory")


def beaker_file(place: Place, make: Maker) -> Call:
    """Beaker's, in files."""
    return of_beaker(make, type="file", data_dir=place.folder)


def as_beaker_memory(place: Place, make: Maker) -> Call:
    """Ours for Beaker's users, in this process."""
    return as_beaker(make, type="memory")


def as_beaker_file(place: Place, make: Maker) -> Call:
    """Ours for Beaker's users, in files."""
    return as_beaker(make, type="file", data_dir=place.folder)
