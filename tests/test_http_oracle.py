"""The rules of the HTTP response cache beside those of hishel, which others wrote.

Hishel's core decides without I/O, too. Where both do not agree, `Difference` says why:
by a gap of hishel's, or by a rule of ours that is stricter for safety's sake. Whatever
has no such reason must be the same.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import hishel
import pytest
from hishel._core import _spec as hishel_spec
from http_exchanges import (
    ANY_EXCHANGES,
    NONSENSE_TAG,
    NOW,
    OTHER,
    STORED_EXCHANGES,
    STRONG,
    UNSAFE_EXCHANGES,
    WEAK,
    Exchange,
    date,
    named,
)
from hypothesis import HealthCheck, given, settings

from holdover.wsgi.http.directives import request_directives, response_directives
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.invalidation import invalidated
from holdover.wsgi.http.messages import Request, Response, Target
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.reuse import Reuse, reuse
from holdover.wsgi.http.steering import ResponseCache
from holdover.wsgi.http.storing import (
    dated,
    directives_of,
    read_storable,
    storable_headers,
    stored,
)
from holdover.wsgi.http.validation import concerns, freshened
from holdover.wsgi.http.variants import selected, varied_names

POLICY = Policy(heuristic_fraction=0.1, heuristic_most=604_800.0)  # as hishel guesses
OPTIONS = {"shared": True, "supported_methods": ["GET"], "allow_stale": False}
ORIGIN = "https://example.com"
THEIR_MOST = 2**31 - 1


@dataclass(frozen=True)
class Difference:
    """Something on which we and hishel do not agree.

    Attributes:
        reason: Who is right, and by which text.
        ours: What we say; hishel says the opposite.
        applies: Whether it may show in an exchange.
        example: An exchange in which nothing else differs.
    """

    reason: str
    ours: bool
    applies: Callable[[Exchange], bool]
    example: Exchange


def explained(differences, exchange, *, ours, theirs):
    """Say whether both agree, or have a reason not to."""
    return ours == theirs or any(
        one.ours == ours and one.applies(exchange) for one in differences
    )


# -- the same exchange, for us and for hishel -----------------------------------


def our_request(exchange, fields, method="GET"):
    """Give a request to us."""
    headers = Headers(fields.items())
    target = Target("https", "example.com", exchange.path)
    return Request(method, target, headers, request_directives(headers))


def our_response(status, fields, at=NOW):
    """Give a response to us."""
    return Response(status, "", Headers(fields.items()), at, at)


def our_stored(exchange):
    """Give what we store."""
    request = our_request(exchange, exchange.asked)
    response = our_response(exchange.status, exchange.told)
    directives = directives_of(request, response, POLICY)
    return stored(response, b"", directives, POLICY)


def their_request(exchange, fields, method="GET"):
    """Give a request to hishel."""
    return hishel.Request(method, ORIGIN + exchange.path, hishel.Headers(fields))


def their_stored(exchange):
    """Give what hishel stores; with a date, as RFC 9110 section 6.6.1 has it."""
    response = hishel.Response(exchange.status, hishel.Headers(exchange.told))
    kept = hishel_spec.exclude_unstorable_headers(response, is_cache_shared=True)
    if "date" not in kept.headers:
        kept.headers["date"] = date(0)
    request = their_request(exchange, exchange.asked)
    return hishel.Entry(uuid.UUID(int=1), request, kept)


THEIR_CLOCK = SimpleNamespace(now=NOW, time=lambda: THEIR_CLOCK.now)


@pytest.fixture(autouse=True)
def _their_clock(monkeypatch):
    """Have hishel tell the time that we say."""
    monkeypatch.setattr(THEIR_CLOCK, "now", NOW)
    monkeypatch.setattr(hishel_spec, "time", THEIR_CLOCK)


def checked(exchanges):
    """Run a check on exchanges, some hundred, or thousands in the slow form."""

    def decorate(check):
        @pytest.mark.parametrize(
            "count", [200, pytest.param(5_000, marks=pytest.mark.slow)]
        )
        @pytest.mark.timeout(300)
        def test(count):
            @settings(
                max_examples=count,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(exchanges)
            def run(exchange):
                check(exchange)

            run()

        test.__doc__, test.__name__ = check.__doc__, check.__name__
        return test

    return decorate


# -- what is stored ---------------------------------------------------------------


def our_refusal(exchange):
    """Say why we do not store a response; None if we do."""
    request = our_request(exchange, exchange.asked, exchange.method)
    response = our_response(exchange.status, exchange.told)
    found = read_storable(request, response, b"", POLICY, ResponseCache())
    return found if isinstance(found, str) else None


def we_store(exchange):
    """Say whether we store a response."""
    return our_refusal(exchange) is None


def they_store(exchange):
    """Say whether hishel stores a response."""
    request = their_request(exchange, exchange.asked, exchange.method)
    response = hishel.Response(exchange.status, hishel.Headers(exchange.told))
    state = hishel.CacheMiss(request=request, options=OPTIONS).next(response)
    return isinstance(state, hishel.StoreAndUse)


def refused_for(*reasons):
    """Give a condition: that we refuse to store for one of these reasons."""
    return lambda exchange: our_refusal(exchange) in reasons


FRESH = {"cache-control": "max-age=60"}
ON_STORING = [
    Difference(
        "Ours is a security rule: a cookie is meant for one user.",
        ours=False,
        applies=lambda one: "set-cookie" in one.told,
        example=Exchange(told=FRESH | {"set-cookie": "id=1"}),
    ),
    Difference(
        "Ours is a security rule: nobody is to have an account page stored by luring "
        "a user to /account/logo.png.",
        ours=False,
        applies=lambda one: one.path == "/logo.png" and "content-type" in one.told,
        example=Exchange(path="/logo.png", told=FRESH | {"content-type": "text/html"}),
    ),
    Difference(
        "Hishel keeps what no request ever matches (RFC 9111 section 4.1).",
        ours=False,
        applies=lambda one: one.told.get("vary") == "*",
        example=Exchange(told=FRESH | {"vary": "*"}),
    ),
    Difference(
        "Hishel does not know the request's no-store (RFC 9111 section 5.2.1.5).",
        ours=False,
        applies=lambda one: named(one.asked, "no-store"),
        example=Exchange(asked={"cache-control": "no-store"}, told=FRESH),
    ),
    Difference(
        "We leave the answer to a Range to the client alone; it may be a part that "
        "does not say so.",
        ours=False,
        applies=lambda one: "range" in one.asked,
        example=Exchange(asked={"range": "bytes=0-1"}, told=FRESH),
    ),
    Difference(
        "Hishel keeps what is never fresh, though nothing says that it may be asked "
        "about: it would be kept for nothing.",
        ours=False,
        applies=refused_for("no-lifetime", "no-validator", "stale"),
        example=Exchange(),
    ),
    Difference(
        "Hishel does not know must-understand, nor that a status it does not know is "
        "not to be stored then (RFC 9111 section 5.2.2.3).",
        ours=False,
        applies=lambda one: one.says("must-understand"),
        example=Exchange(
            status=299, told={"cache-control": "max-age=60, must-understand"}
        ),
    ),
    Difference(
        "Nor that it stands in place of no-store where the status is known.",
        ours=True,
        applies=lambda one: one.says("must-understand") and one.says("no-store"),
        example=Exchange(
            told={"cache-control": "max-age=60, must-understand, no-store"}
        ),
    ),
    Difference(
        "Hishel takes a lifetime that is no number as if it was not there (RFC 9111 "
        "section 4.2.1: it is stale), so that no rule of section 3 lets it be stored.",
        ours=True,
        applies=lambda one: has_nonsense(one.told),
        example=Exchange(
            status=302, told={"cache-control": "max-age=abc", "etag": STRONG}
        ),
    ),
]


def has_nonsense(fields):
    """Say whether a lifetime is no number, or two that differ."""
    said = fields.get("cache-control", "").lower().replace('"', "").split(",")
    for name in ("max-age", "s-maxage"):
        given = {part.strip() for part in said if part.strip().startswith(name)}
        values = [one.partition("=")[2] for one in given]
        if len(given) > 1 or not all(value.isdigit() for value in values):
            return True
    return False


@checked(ANY_EXCHANGES)
def test_both_store_the_same(exchange):
    """Whether a response may be stored (RFC 9111 section 3)."""
    ours, theirs = we_store(exchange), they_store(exchange)
    assert explained(ON_STORING, exchange, ours=ours, theirs=theirs), our_refusal(
        exchange
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, "stale-while-revalidate=60"), (302, "no-cache"), (302, "stale-if-error=60")],
)
def test_nothing_else_lets_a_response_be_stored(status, said):
    """Neither a span for which it may be stale nor no-cache says that it may be kept.

    Section 3 asks for a lifetime, public, or one of certain codes; hishel showed it.
    """
    told = {"cache-control": said, "etag": STRONG}
    assert our_refusal(Exchange(status=status, told=told)) == "no-lifetime"


# -- for how long it is fresh, and how old it is -----------------------------------


def has_good_date(exchange):
    """Say whether a response's date is one, and past."""
    given = exchange.told.get("date", date(0))
    return given in {date(0), date(-5), date(-3600), date(-90_000)}


@checked(STORED_EXCHANGES)
def test_both_reckon_the_same_lifetime(exchange):
    """For how long it is fresh (RFC 9111 sections 4.2.1 and 4.2.2)."""
    ours = our_stored(exchange).lifetime
    response = their_stored(exchange).response
    theirs = hishel_spec.get_freshness_lifetime(response, is_cache_shared=True)
    if has_nonsense(exchange.told):
        # Hishel takes the last of two, and ignores what is no number; section 4.2.1
        # has us take the response for stale.
        assert ours == 0 or not has_nonsense(used_of(exchange))
        return
    guessed = is_guessed(exchange) and exchange.told.get("last-modified") is not None
    if guessed and exchange.told.get("date", date(0)) != date(0):
        return  # hishel guesses by the present time, we by the response's date
    # Hishel guesses whole seconds, and the most it knows (section 1.2.2) is one less.
    assert min(int(ours), THEIR_MOST) == max(0, theirs or 0)


def used_of(exchange):
    """Give the directives that count: max-age does not beside s-maxage."""
    said = exchange.told.get("cache-control", "").split(",")
    shared = [part for part in said if part.strip().lower().startswith("s-maxage")]
    return {"cache-control": ",".join(shared or said)}


def is_guessed(exchange):
    """Say whether a response does not say for how long it is fresh."""
    return not exchange.says("max-age", "s-maxage") and "expires" not in exchange.told


@checked(STORED_EXCHANGES)
def test_nothing_is_younger_for_us(exchange):
    """How old it is (RFC 9111 section 4.2.3)."""
    THEIR_CLOCK.now = NOW + exchange.waited
    ours = our_stored(exchange).age(THEIR_CLOCK.now)
    theirs = hishel_spec.get_age(their_stored(exchange).response)
    assert ours >= theirs
    # Hishel knows neither Age nor that a clock may be wrong.
    if "age" not in exchange.told and has_good_date(exchange):
        assert ours == theirs
    if exchange.told.get("age") == "4000":
        assert ours >= 4000 + exchange.waited


# -- what it answers ---------------------------------------------------------------


def we_reuse(exchange):
    """Say whether we answer the second request from what is stored, as fresh."""
    return our_reuse(exchange) is Reuse.FRESH


def our_reuse(exchange):
    """Say how we answer the second request; None if we know another variant only."""
    kept = our_stored(exchange)
    first = our_request(exchange, exchange.asked)
    second = our_request(exchange, exchange.again)
    varied = varied_names(kept.response.headers)
    chosen = [
        selected(varied, one.headers, POLICY.normalise) for one in (first, second)
    ]
    if chosen[0] != chosen[1]:
        return None
    return reuse(kept, second.directives, NOW + exchange.waited)


def they_reuse(exchange):
    """Say whether hishel does; its clock stands at the second request."""
    state = hishel.IdleClient(options=OPTIONS).next(
        their_request(exchange, exchange.again), [their_stored(exchange)]
    )
    return isinstance(state, hishel.FromCache)


def varies_by(exchange, *names):
    """Say whether the response varies by one of these."""
    given = exchange.told.get("vary", "").lower()
    return any(name in given.replace(" ", "").split(",") for name in names)


def says_no_cache_twice(exchange):
    """Say whether a response says no-cache of all, and of some fields besides."""
    said = exchange.told.get("cache-control", "").lower()
    return 'no-cache="' in said and "no-cache" in map(str.strip, said.split(","))


ON_REUSE = [
    Difference(
        "Hishel does not know the request's max-age and min-fresh (RFC 9111 sections "
        "5.2.1.1 and 5.2.1.3).",
        ours=False,
        applies=lambda one: one.asks("max-age", "min-fresh"),
        example=Exchange(
            told=FRESH, waited=30, again={"cache-control": "max-age=5"}
        ),
    ),
    Difference(
        "Hishel does not know Pragma (RFC 9111 section 5.4).",
        ours=False,
        applies=lambda one: "pragma" in one.again,
        example=Exchange(told=FRESH, again={"pragma": "no-cache"}),
    ),
    Difference(
        "Hishel asks the origin for every Range; we have the whole, and answer it "
        "(RFC 9110 section 14.2).",
        ours=True,
        applies=lambda one: "range" in one.again,
        example=Exchange(told=FRESH, again={"range": "bytes=0-1"}),
    ),
    Difference(
        "Hishel does not count Age (RFC 9111 section 4.2.3).",
        ours=False,
        applies=lambda one: "age" in one.told,
        example=Exchange(told=FRESH | {"age": "4000"}),
    ),
    Difference(
        "Hishel takes what has no readable date, or one to come, for new for ever, or "
        "until then; we count from when it came.",
        ours=False,
        applies=lambda one: not has_good_date(one),
        example=Exchange(told=FRESH | {"date": date(3600)}, waited=3600),
    ),
    Difference(
        "Hishel takes the last of two lifetimes, and ignores what is no number; it is "
        "stale (RFC 9111 section 4.2.1).",
        ours=False,
        applies=lambda one: has_nonsense(one.told),
        example=Exchange(told={"cache-control": "max-age=1, max-age=3600"}),
    ),
    Difference(
        "Hishel guesses by the present time, so that the lifetime grows with the age; "
        "we do by the response's date.",
        ours=False,
        applies=lambda one: is_guessed(one) and "last-modified" in one.told,
        example=Exchange(
            told={"last-modified": date(-3600), "cache-control": "public"}, waited=365
        ),
    ),
    Difference(
        "Hishel guesses whole seconds only.",
        ours=True,
        applies=lambda one: is_guessed(one) and "last-modified" in one.told,
        example=Exchange(
            told={"last-modified": date(-5), "cache-control": "public"}
        ),
    ),
    Difference(
        "Hishel compares white space, too (RFC 9111 section 4.1).",
        ours=True,
        applies=lambda one: varies_by(one, "accept", "accept-language"),
        example=Exchange(
            asked={"accept": "a,b"}, told=FRESH | {"vary": "Accept"},
            again={"accept": "a, b"},
        ),
    ),
    Difference(
        "Hishel compares the order of codings, too, which means nothing (RFC 9110 "
        "section 12.5.3).",
        ours=True,
        applies=lambda one: varies_by(one, "accept-encoding"),
        example=Exchange(
            asked={"accept-encoding": "gzip, br"},
            told=FRESH | {"vary": "Accept-Encoding"},
            again={"accept-encoding": "br,gzip"},
        ),
    ),
    Difference(
        "Hishel forgets a no-cache over another that names fields; we heed both (RFC "
        "9111 section 5.2.2.4).",
        ours=False,
        applies=says_no_cache_twice,
        example=Exchange(
            told={"cache-control": 'max-age=60, no-cache, no-cache="Set-Cookie"'}
        ),
    ),
]  # fmt: skip


@checked(STORED_EXCHANGES)
def test_both_reuse_the_same(exchange):
    """Whether it answers another request (RFC 9111 section 4)."""
    THEIR_CLOCK.now = NOW + exchange.waited
    ours, theirs = we_reuse(exchange), they_reuse(exchange)
    assert explained(ON_REUSE, exchange, ours=ours, theirs=theirs)


@checked(STORED_EXCHANGES)
def test_nothing_stale_is_served_unless_somebody_says_so(exchange):
    """Hishel knows no windows: it allows all that is stale, or nothing (section 4.2.4).

    So what it never allows, we do not either; the windows have tests of their own.
    """
    THEIR_CLOCK.now = NOW + exchange.waited
    how = our_reuse(exchange)
    if how is Reuse.STALE:
        assert exchange.asks("max-stale")
    if how is Reuse.STALE_MEANWHILE:
        assert exchange.says("stale-while-revalidate")
    # For hishel no-cache="field" forbids it as no-cache does.
    if how in (Reuse.STALE, Reuse.STALE_MEANWHILE) and not exchange.says("no-cache"):
        response = their_stored(exchange).response
        assert hishel_spec.allowed_stale(response, allow_stale_option=True)


# -- what a 304 makes of it ---------------------------------------------------------


def we_update(exchange):
    """Say whether we take a 304 to be about what is stored."""
    return concerns(our_stored(exchange), our_response(304, exchange.newer))


def their_update(exchange):
    """Give what hishel makes of a 304; None if it is about something else."""
    request = their_request(exchange, exchange.again)
    state = hishel.NeedRevalidation(
        request=request,
        original_request=request,
        revalidating_entries=[their_stored(exchange)],
        options=OPTIONS,
    ).next(hishel.Response(304, hishel.Headers(exchange.newer)))
    if not isinstance(state, hishel.NeedToBeUpdated):
        return None
    return state.updating_entries[0].response.headers


def they_update(exchange):
    """Say whether hishel takes a 304 to be about what is stored."""
    return their_update(exchange) is not None


ON_UPDATES = [
    Difference(
        "Hishel takes any 304 without a validator for its only response's; section "
        "4.3.4 has that response lack one, too.",
        ours=False,
        applies=lambda one: not one.newer.keys() & {"etag", "last-modified"},
        example=Exchange(told=FRESH | {"etag": STRONG}),
    ),
    Difference(
        "Hishel lets a strong entity tag match a weak one (RFC 9110 section 8.8.3.2).",
        ours=False,
        applies=lambda one: one.told.get("etag") == WEAK,
        example=Exchange(told=FRESH | {"etag": WEAK}, newer={"etag": STRONG}),
    ),
    Difference(
        "Hishel does not look at a weak entity tag, so that one that has changed "
        "counts for nothing.",
        ours=False,
        applies=lambda one: one.newer.get("etag") == WEAK,
        example=Exchange(told=FRESH | {"etag": OTHER}, newer={"etag": WEAK}),
    ),
    Difference(
        "Nor that one that is the same says enough.",
        ours=True,
        applies=lambda one: one.newer.get("etag") == WEAK,
        example=Exchange(
            told=FRESH | {"etag": WEAK},
            newer={"etag": WEAK, "last-modified": date(0)},
        ),
    ),
    Difference(
        "What is no entity tag is none for us.",
        ours=False,
        applies=lambda one: one.newer.get("etag") == NONSENSE_TAG,
        example=Exchange(
            told=FRESH | {"etag": NONSENSE_TAG, "last-modified": date(0)},
            newer={"etag": NONSENSE_TAG},
        ),
    ),
    Difference(
        "And so it does not keep Last-Modified from being looked at.",
        ours=True,
        applies=lambda one: one.newer.get("etag") == NONSENSE_TAG,
        example=Exchange(
            told=FRESH | {"last-modified": date(0)},
            newer={"etag": NONSENSE_TAG, "last-modified": date(0)},
        ),
    ),
]


@checked(STORED_EXCHANGES)
def test_both_update_the_same(exchange):
    """Whether a 304 is about it, and what its fields are then (section 3.2, 4.3.4)."""
    ours, theirs = we_update(exchange), their_update(exchange)
    assert explained(ON_UPDATES, exchange, ours=ours, theirs=theirs is not None)
    if (
        not ours
        or theirs is None
        or any(says_twice(fields) for fields in (exchange.told, exchange.newer))
    ):
        return
    head = freshened(our_stored(exchange), our_response(304, exchange.newer))
    kept = storable_headers(
        dated(head.headers, NOW), response_directives(head.headers), POLICY
    )
    dropped = {"age"}
    if "X-User" in exchange.newer.get("connection", "") or (
        "X-User" in exchange.told.get("connection", "")
        and "x-user" not in exchange.newer
    ):
        dropped.add("x-user")
    expected = {name: value for name, value in theirs.items() if name not in dropped}
    # It leaves Content-Type as it was; section 3.2 excepts what the stored body depends
    # on, and ours is kept as it came.
    # And its date, if the 304 has none: then it holds as of when that came.
    expected["date"] = exchange.newer.get("date", date(0))
    if "content-type" in exchange.newer:
        expected["content-type"] = exchange.newer["content-type"]
    assert {name.lower(): value for name, value in kept} == expected


def says_twice(fields):
    """Say whether a directive is there about fields, and bare.

    For hishel the last counts, for us both do; the response is not stored, or not used.
    """
    said = fields.get("cache-control", "").lower().replace("no-cache", "private")
    return said.count("private") > 1


# -- what others no longer get -------------------------------------------------------


def they_invalidate(exchange):
    """Say whether hishel forgets what it had for a URL."""
    entry = their_stored(Exchange(told=FRESH))
    state = hishel.IdleClient(options=OPTIONS).next(
        their_request(exchange, {}, exchange.method), [entry]
    )
    if not isinstance(state, hishel.CacheMiss):
        return False
    response = hishel.Response(exchange.status, hishel.Headers({}))
    return isinstance(state.next(response), hishel_spec.InvalidateEntries)


@checked(UNSAFE_EXCHANGES)
def test_both_invalidate_the_same(exchange):
    """What a request changes for others (RFC 9111 section 4.4); without exception.

    Hishel leaves ``Location`` and ``Content-Location`` alone, which it may.
    """
    request = our_request(exchange, {}, exchange.method)
    targets = invalidated(request, our_response(exchange.status, {}))
    assert (request.target in targets) == they_invalidate(exchange)


# -- the differences -----------------------------------------------------------------

CASES = {
    "storing": (ON_STORING, we_store, they_store),
    "reuse": (ON_REUSE, we_reuse, they_reuse),
    "updates": (ON_UPDATES, we_update, they_update),
}


@pytest.mark.parametrize(
    ("about", "difference"),
    [
        pytest.param(name, one, id=f"{name}-{number}")
        for name, (differences, _, _) in CASES.items()
        for number, one in enumerate(differences)
    ],
)
def test_each_difference_is_one(about, difference):
    """Each shows in its example, and nothing else does; else it is to be dropped."""
    differences, ours, theirs = CASES[about]
    example = difference.example
    THEIR_CLOCK.now = NOW + example.waited
    assert ours(example) is difference.ours
    assert theirs(example) is not difference.ours
    others = [one for one in differences if one is not difference]
    shown = [
        one.reason for one in others
        if one.applies(example) and one.ours == difference.ours
    ]  # fmt: skip
    assert shown == []
