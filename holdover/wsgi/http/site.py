"""What a middleware is made from: its application and its region, in any form."""

from __future__ import annotations

import itertools
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from holdover import Region, errors, make_region
from holdover.wsgi.http.codec import PageCodec
from holdover.wsgi.http.messages import PORTS, Target, host_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_NAME = re.compile(r"\w+(?:\.\w+)*:\w+(?:\.\w+)*")
_KEEP_OBJECTS = ("memory", "null")  # schemes of backends that need no codec
_numbers = itertools.count(1)


class NamedApplication:
    """An application by its name, imported when it is first called.

    Args:
        name: "shop.wsgi:application".

    Raises:
        ConfigurationError: It is no name.
    """

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise errors.ConfigurationError(
                f'app must be a WSGI application or its name, "shop.wsgi:application", '
                f"got {name!r}"
            )
        self._name = name
        self._app: WSGIApplication | None = None

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call the application.

        Raises:
            ConfigurationError: There is none of that name.
        """
        if self._app is None:
            self._app = self._imported()
        return self._app(environ, start_response)

    def _imported(self) -> Any:
        module, _, path = self._name.partition(":")
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise errors.ConfigurationError(
                f"app {self._name!r} names no WSGI application, but {found!r}"
            )
        return found


def region_for(given: Region | str, name: str | None) -> Region:
    """Give the region; make it from a URL if need be.

    Raises:
        ConfigurationError: The URL is wrong, or the region cannot keep responses.
    """
    if isinstance(given, str):
        made = make_region(name or "pages")
        scheme = given.partition(":")[0].lower()
        if scheme in _KEEP_OBJECTS:
            return made.configure(given, runner="thread")
        return made.configure(given, runner="thread", codec=PageCodec())
    check_region(given)
    return given


def check_region(region: object) -> None:
    """Refuse a region that cannot keep responses, or only in a way that runs code.

    One that is not configured yet is looked at again by the first request.

    Raises:
        ConfigurationError: It says what to do.
    """
    if not isinstance(region, Region):
        raise errors.ConfigurationError(
            f"region must be a holdover.Region or a URL, got {region!r}"
        )
    if not region.is_configured:
        return
    if getattr(region.backend, "capabilities", None) is None:
        raise errors.ConfigurationError(
            f"region {region.name!r} has a {type(region.backend).__name__}, and the "
            "HTTP response cache needs a backend of Holdover, such as 'holdover.file'"
        )
    if region.codec not in (None, PageCodec.tag.decode()):
        raise errors.ConfigurationError(
            f"region {region.name!r} has the codec {region.codec!r}: responses are "
            "kept with codec=holdover.wsgi.PageCodec()"
        )


def name_for(given: str | None, region: Region) -> str:
    """Give a site's name: its own, the region's, or one that no other site has."""
    return given or region.name or f"pages-{next(_numbers)}"


def read_target(url: str) -> Target:
    """Read a URL as its requests have it: nothing decoded.

    Raises:
        InvalidArgument: It is no URL of http or https.
    """
    try:
        parts = urlsplit(url)
        scheme, _ = parts.scheme.lower(), parts.port
    except (AttributeError, TypeError, ValueError) as error:
        raise _no_url(url) from error
    if scheme not in PORTS or not parts.hostname:
        raise _no_url(url)
    host = host_of(parts.netloc.rpartition("@")[2], scheme)
    return Target(scheme, host, parts.path or "/", parts.query)


def _no_url(url: object) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        f'a page is purged by its URL, "https://shop.example/prices", got {url!r}'
    )
