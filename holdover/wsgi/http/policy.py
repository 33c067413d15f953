"""What a site decides about its HTTP response cache, beyond what responses say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from holdover import errors
from holdover.regions.lifetime import seconds
from holdover.wsgi.http.directives import ResponseDirectives
from holdover.wsgi.http.messages import Request, Response
from holdover.wsgi.lists import members, trimmed

Override = Callable[[Request, Response, ResponseDirectives], ResponseDirectives]
Normalise = Callable[[str], str]
Client = Callable[[Mapping[str, Any]], str]

_SPELLINGS = 256  # of a field, that are remembered: browsers have few; a hit saves 3 us

_SUFFIXES = """
7z avi avif bmp bz2 class css csv doc docx eot eps exe gif gz ico jar jpeg jpg
js json mid mp3 mp4 ogg otf pdf pls png ppt pptx ps rar rtf svg svgz swf tar
tif tiff ttf txt wav webm webp woff woff2 xls xlsx xml zip
"""
STATIC_SUFFIXES = frozenset(_SUFFIXES.split())
"""Endings of paths at which no page is expected."""


@lru_cache(_SPELLINGS)
def as_list(value: str) -> str:
    """Sum up a list: white space between its members means nothing."""
    return ",".join(members([value]))


@lru_cache(_SPELLINGS)
def content_coding(accepted: str) -> str:
    """Sum up ``Accept-Encoding``: neither order nor case nor white space matters.

    Browsers write it in many ways, and each would have a variant of its own. What was
    asked for is all kept, since an application may use any of it (RFC 9111 section
    4.1).
    """
    codings = (one.split(";") for one in members([accepted.lower()]))
    return ",".join(sorted(";".join(map(trimmed, coding)) for coding in codings))


def _normalise() -> Mapping[str, Normalise]:
    return {
        "accept": as_list,
        "accept-encoding": content_coding,
        "accept-language": as_list,
    }


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules of a site. Spans are seconds, sizes are bytes.

    Args:
        targets: Response fields that are addressed to this cache (RFC 9213), in lower
            case; the first that is valid counts in place of ``Cache-Control``.
        override: Given a request, the response and its directives, gives the
            directives to go by.
        heuristic_fraction: How much of the time since ``Last-Modified`` a response that
            says nothing of its lifetime is fresh for (RFC 9111 section 4.2.2); 0 for
            not at all. What says nothing is then not stored, which is the default,
            since most of it was never meant to be shared.
        heuristic_most: The longest such lifetime.
        stale_while_revalidate: For responses that do not say.
        stale_if_error: For responses that do not say.
        stale_with_s_maxage: Whether a response with ``s-maxage`` may be served stale as
            its ``stale-while-revalidate`` and ``stale-if-error`` say. To the letter of
            RFC 9111 section 5.2.2.10 it may not; many caches and sites take it so.
        strip_set_cookie: Whether a response that sets a cookie is stored without it;
            it is not stored at all otherwise.
        hosts: The hosts that are served from the cache, in lower case, with their port
            if the client names one; empty for all.
        trust_forwarded: Whether ``X-Forwarded-Host`` and ``X-Forwarded-Proto`` come
            from a proxy of yours that sets them in every request.
        normalise: How to sum up values of request fields that responses vary by, by
            the field's name in lower case. Two values that give the same have the same
            response, so that they must mean the same to the application.
        obey_clients: Whether clients may ask for a response that is newer than the
            stored one (RFC 9111 sections 5.2.1.1, 5.2.1.3 and 5.2.1.4). Without it
            nobody can make the application work by asking often.
        wait: Seconds that a request waits for another's answer to the same.
        pass_for: Seconds for which a URL is not waited for after a response to it was
            not stored.
        name: What the cache is called in ``Cache-Status``.
        most_variants: How many variants of one URL are kept.
        most_body: The longest body that is stored.
        static_suffixes: Endings of paths at which HTML is not stored, since somebody
            may have made up the path (web cache deception).
        most_new_pages: How many pages that are not there one client may have stored
            within `new_pages_within`, by each process; None for any number. Who asks
            for more gets them from the application, and nothing is stored.
        new_pages_within: Seconds; see there.
        client: Given the environ of a request, says who has sent it; None for
            ``REMOTE_ADDR``. Behind a proxy that is the proxy, unless the server knows
            better.
        find_reflections: Whether to look for request fields that a response repeats
            though they are not in its key: for tests, see `ReflectedFieldWarning`.
    """

    targets: tuple[str, ...] = ("cdn-cache-control",)
    override: Override | None = None
    heuristic_fraction: float = 0.0
    heuristic_most: float = 86400.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    stale_with_s_maxage: bool = False
    strip_set_cookie: bool = False
    hosts: frozenset[str] = frozenset()
    trust_forwarded: bool = False
    normalise: Mapping[str, Normalise] = field(default_factory=_normalise)
    obey_clients: bool = True
    wait: float = 5.0
    pass_for: float = 10.0
    name: str = "Holdover"
    most_variants: int = 32
    most_body: int = 5_000_000
    static_suffixes: frozenset[str] = STATIC_SUFFIXES
    most_new_pages: int | None = None
    new_pages_within: float = 60.0
    client: Client | None = None
    find_reflections: bool = False

    def __post_init__(self) -> None:
        for name in _SPANS:
            given = seconds(getattr(self, name), name, zero=True)
            object.__setattr__(self, name, given)
        within = seconds(self.new_pages_within, "new_pages_within")
        object.__setattr__(self, "new_pages_within", within)
        for name, least in _COUNTS.items():
            _check_count(name, getattr(self, name), least)
        if self.most_new_pages is not None:
            _check_count("most_new_pages", self.most_new_pages, 1)
        if not 0.0 <= self.heuristic_fraction <= 1.0:
            raise errors.ConfigurationError(
                "heuristic_fraction must be from 0 to 1, got "
                f"{self.heuristic_fraction!r}"
            )
        for name in _COLLECTIONS:
            _check_texts(name, getattr(self, name))
        for name in _FUNCTIONS:
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise errors.ConfigurationError(
                    f"{name} must be a function, got {given!r}"
                )


_SPANS = (
    "heuristic_most",
    "stale_while_revalidate",
    "stale_if_error",
    "wait",
    "pass_for",
)
_COUNTS = {"most_variants": 1, "most_body": 0}
_COLLECTIONS = ("targets", "hosts", "static_suffixes")
_FUNCTIONS = ("override", "client")


def _check_count(name: str, given: object, least: int) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise errors.ConfigurationError(
            f"{name} must be an int of {least} or more, got {given!r}"
        )


def _check_texts(name: str, given: object) -> None:
    if isinstance(given, tuple | list | set | frozenset) and all(
        isinstance(one, str) and one and one == one.lower() for one in given
    ):
        return
    raise errors.ConfigurationError(
        f"{name} must be texts in lower case, got {given!r}"
    )


HTTPCachePolicy = Policy
"""What `Policy` is called in ``holdover.wsgi``."""
