"""Exchanges for the HTTP response cache, made by chance."""

from dataclasses import dataclass, field
from email.utils import formatdate

from hypothesis import strategies as st

NOW = 1_800_000_000
"""When the first request of each exchange is sent and answered."""

WEAK, STRONG, OTHER, NONSENSE_TAG = 'W/"one"', '"one"', '"two"', "one"


def date(seconds):
    """Spell an instant, so many seconds after now."""
    return formatdate(NOW + seconds, usegmt=True)


@dataclass(frozen=True)
class Exchange:
    """A request and its response; then another request, and what became of it.

    Attributes:
        method: Of the first request.
        path: Of its URL.
        asked: Its header fields.
        status: Of the response.
        told: Its header fields.
        waited: Seconds until the second request.
        again: Header fields of the second request.
        newer: Header fields of a 304 to the second request.
    """

    method: str = "GET"
    path: str = "/news"
    asked: dict = field(default_factory=dict)
    status: int = 200
    told: dict = field(default_factory=dict)
    waited: int = 0
    again: dict = field(default_factory=dict)
    newer: dict = field(default_factory=dict)

    def says(self, *directives):
        """Say whether the response has one of these in its Cache-Control."""
        return named(self.told, *directives)

    def asks(self, *directives):
        """Say whether the second request has one of these in its Cache-Control."""
        return named(self.again, *directives)


def named(fields, *directives):
    """Say whether Cache-Control names one of these directives, in any case."""
    parts = fields.get("cache-control", "").lower().split(",")
    return any(part.strip().partition("=")[0] in directives for part in parts)


SPANS = st.sampled_from([0, 1, 5, 60, 3600, 2**31, 2**40])
NUMBERS = SPANS.map(str) | SPANS.map('"{}"'.format)
NO_NUMBERS = st.sampled_from(["=abc", "=-5", "=1.5", "", '=""'])
ARGUMENTS = NUMBERS.map("={}".format)
ANY_ARGUMENTS = st.one_of(*[ARGUMENTS] * 9, NO_NUMBERS)


def spelled(names, arguments):
    """Give directives with arguments, in any case."""
    said = st.builds("{}{}".format, st.sampled_from(names), arguments)
    return said | said.map(str.title)


def listed(directives, most=4):
    """Give lists of directives as a field's value."""
    return st.lists(directives, min_size=1, max_size=most).map(", ".join)


RESPONSE_SPANS = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"]
BARE = ["no-store", "private", "public", "must-revalidate", "no-cache", "immutable"]
BARE += ["proxy-revalidate", "must-understand", "no-transform", "surprise"]
QUALIFIED = ['no-cache="Set-Cookie"', 'private="X-User, Set-Cookie"', 'surprise="a, b"']
SAID = st.one_of(
    spelled(RESPONSE_SPANS[:2], ANY_ARGUMENTS),
    spelled(RESPONSE_SPANS, ARGUMENTS),
    spelled(BARE, st.just("")),
    st.sampled_from(QUALIFIED),
)
ASKED = st.one_of(
    spelled(["max-age", "min-fresh", "max-stale"], ARGUMENTS),
    spelled(["no-cache", "no-store", "max-stale", "no-transform"], st.just("")),
)

DATES = st.sampled_from([-90_000, -3600, -5, 0, 0, 0, 5, 3600]).map(date)
ETAGS = st.sampled_from([WEAK, STRONG, OTHER, NONSENSE_TAG])
CONNECTION = st.sampled_from(["close", "X-User, close", "keep-alive"])
STATUSES = st.sampled_from([200] * 12 + [203, 204, 206, 299, 301, 302, 304, 307])
STATUSES |= st.sampled_from([400, 403, 404, 410, 418, 451, 500, 501, 503, 599])
VALUES = st.sampled_from(["a", "a,b", "a, b", "b", "A"])
CODINGS = st.sampled_from(["gzip", "gzip, br", "br,gzip", "identity", ""])


def sometimes(**fields):
    """Give header fields, each there or not."""
    own = {name.replace("_", "-"): values for name, values in fields.items()}
    return st.fixed_dictionaries({}, optional=own)


def asking(**more):
    """Give the fields of requests."""
    return sometimes(
        accept=VALUES,
        accept_language=VALUES,
        accept_encoding=CODINGS,
        cookie=st.just("id=1"),
        **more,
    )


TOLD = sometimes(
    cache_control=listed(SAID),
    date=DATES | st.just("yesterday"),
    expires=DATES | st.sampled_from(["0", "never"]),
    last_modified=DATES | st.just("once"),
    etag=ETAGS,
    vary=listed(st.sampled_from(["Accept", "accept-language", "Accept-Encoding"]))
    | st.just("*"),
    age=st.sampled_from(["0", "7", "4000", "old"]),
    connection=CONNECTION,
    keep_alive=st.just("timeout=5"),
    x_user=st.just("somebody"),
    set_cookie=st.just("id=1"),
    content_type=st.sampled_from(["text/html", "image/png"]),
)
NEWER = sometimes(
    cache_control=listed(SAID),
    date=DATES,
    etag=ETAGS,
    last_modified=DATES,
    expires=DATES,
    content_type=st.just("text/plain"),
    content_length=st.just("0"),
    x_user=st.just("another"),
    connection=CONNECTION,
)
REQUESTS = asking(
    authorization=st.just("Basic Og=="),
    cache_control=listed(ASKED, most=2),
    range=st.just("bytes=0-1"),
)
AGAIN = asking(
    cache_control=listed(ASKED, most=2),
    pragma=st.just("no-cache"),
    range=st.just("bytes=0-1"),
)
FRESH = st.sampled_from(["max-age=60", "max-age=3600", "s-maxage=60, max-age=1"])

ANY_EXCHANGES = st.builds(
    Exchange,
    method=st.sampled_from(["GET"] * 9 + ["HEAD", "POST"]),
    path=st.sampled_from(["/news", "/logo.png"]),
    asked=REQUESTS,
    status=STATUSES,
    told=TOLD,
)
"""Of which many may not be stored."""

STORED_EXCHANGES = st.builds(
    Exchange,
    asked=asking(),
    told=st.builds(
        lambda told, said: {"cache-control": said} | told, TOLD, FRESH
    ).filter(lambda told: told.get("vary") != "*"),
    waited=st.sampled_from([0, 1, 4, 30, 61, 3599, 3600, 4000, 90_000]),
    again=AGAIN,
    newer=NEWER,
)
"""Of which most may be."""

UNSAFE_EXCHANGES = st.builds(
    Exchange,
    method=st.sampled_from(
        ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH", "BREW"]
    ),
    status=STATUSES,
)
"""Of which some change what others get."""
