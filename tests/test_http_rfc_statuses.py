"""RFC 9110 section 15: what a 206 and a 304 have, and which statuses are known."""

import pytest
from http_requirements import left, requires
from http_site import date

from holdover.wsgi.http.policy import Policy

NEEDED = {
    "Content-Location": "/page.txt",
    "Date": date(),
    "ETag": '"1"',
    "Vary": "X-A",
    "Cache-Control": "max-age=60",
    "Expires": date(60),
}
OF_THE_PAGE = {
    "Content-Type": "text/plain",
    "Content-Language": "en",
    "Content-Encoding": "x",
    "Last-Modified": date(-60),
}
OTHERS = {"Access-Control-Allow-Origin": "*", "X-New": "1"}


@pytest.fixture
def paged(site):
    """A site with a page that is stored, with many fields."""
    site.says(NEEDED | OF_THE_PAGE | OTHERS).ask()
    return site


def told(answer, names):
    """Give those of an answer's fields."""
    return {name: answer[name] for name in names if answer[name] is not None}


@requires("9110 15.3.7", "must", "give a 206 the fields that a 200 would have")
def test_a_part_has_the_fields_of_the_whole(paged):
    """Those that say what to do with it, and those of the representation."""
    answer = paged.ask(fields={"Range": "bytes=0-1"})
    expected = NEEDED | OF_THE_PAGE | OTHERS
    assert (206, expected) == (answer.status, told(answer, expected))


@requires("9110 15.3.7", "should not", "repeat those of the page if there is If-Range")
def test_who_has_the_page_gets_only_the_part(paged):
    """Its fields are there, too."""
    answer = paged.ask(fields={"Range": "bytes=0-1", "If-Range": '"1"'})
    expected = NEEDED | OTHERS
    assert (206, expected) == (answer.status, told(answer, expected | OF_THE_PAGE))


@requires("9110 15.4.5", "must", "give a 304 the fields by which caches go")
@requires("9110 15.4.5", "should not", "give a 304 other fields of the page")
def test_a_304_has_what_is_needed(paged):
    """Last-Modified only where there is no tag."""
    answer = paged.ask(fields={"If-None-Match": '"1"'})
    assert (304, NEEDED | OTHERS) == (
        answer.status,
        told(answer, NEEDED | OTHERS | OF_THE_PAGE),
    )
    paged.caches("max-age=60", {"Last-Modified": date(-60)}).ask("/other")
    answer = paged.ask("/other", fields={"If-Modified-Since": date()})
    assert (304, date(-60)) == (answer.status, answer["Last-Modified"])


@requires("9110 15.4.5", "should", "hand the 304 on to a client whose condition it was")
def test_who_has_what_still_holds_is_told_so(paged):
    """After asking, too."""
    paged.passes(61)
    paged.says({"ETag": '"1"'}, status="304 Not Modified", body=b"")
    answer = paged.ask(fields={"If-None-Match": '"1"'})
    assert (304, 304) == (answer.status, answer.told["fwd-status"])


@requires(
    "9110 15.1", "-", "reuse some statuses without a lifetime, others only with one"
)
@pytest.mark.parametrize(
    ("code", "is_known"),
    [
        *((code, True) for code in (200, 203, 204, 300, 301, 308, 404, 405, 410)),
        *((code, True) for code in (414, 501)),
        *((code, False) for code in (201, 202, 302, 303, 307, 400, 403, 500, 503)),
        *((code, False) for code in (299, 418, 599)),
    ],
)
def test_statuses(clocked, code, is_known):
    """Each final one is stored with a lifetime, also one that nobody knows."""
    site = clocked(Policy(heuristic_fraction=0.1))
    status, modified = f"{code} X", {"Last-Modified": date(-100)}
    site.says(modified, status=status).ask()
    assert (site.ask().is_hit, site.times_asked) == (is_known, 1 if is_known else 2)
    site.caches("max-age=60", modified, status=status).ask("/other")
    answer = site.ask("/other")
    assert (code, True) == (answer.status, answer.is_hit)


left(
    "9110 7.6.1",
    "must",
    "remove Connection, and what it names, also from what is not stored",
    result="the server's: WSGI forbids applications to send such fields",
)
left(
    "9110 7.6.3",
    "must",
    "add Via to requests that are handed on",
    result="the server's: the application is called, no message is sent",
)
left(
    "9110 14.4",
    "must not",
    "combine parts whose Content-Range is not understood or not valid",
    result="kept: parts are not stored, so that none are combined",
)
left(
    "9110 15.3.7.3",
    "must",
    "combine parts only under the same strong validator",
    result="kept: parts are not stored, so that none are combined",
)
