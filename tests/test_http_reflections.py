"""In test mode: what repeats a request field that is not in its key is not stored."""

import gzip
import html
import json
import warnings
from urllib.parse import quote

import pytest
from http_shop import Site, page

from holdover.wsgi import HTTPCachePolicy, ReflectedFieldWarning, response_cache

MINUTE = ("Cache-Control", "max-age=60")
FINDING = HTTPCachePolicy(find_reflections=True)
MARK = {"X-Theme": 'reflected <"mark">'}
PLAIN = ("Content-Type", "text/plain")


def repeating(*head, write=str):
    """Make a view that writes a field of its request into its page."""

    def view(environ, start_response):
        start_response("200 OK", [PLAIN, MINUTE, *head])
        return [b"in ", write(environ.get("HTTP_X_THEME", "plain")).encode(), b" style"]

    return view


@pytest.fixture
def site():
    """One that looks for reflections."""
    return Site(view=repeating(), policy=FINDING)


def reports(site, *args, **kwargs):
    """Ask for a page; give it, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reply = site.ask(*args, **kwargs)
    return reply, [one for one in caught if one.category is ReflectedFieldWarning]


@pytest.mark.parametrize(
    "write",
    [str, str.upper, html.escape, quote, lambda text: quote(text, safe=""), json.dumps],
)
def test_a_body_that_repeats_a_field(site, write):
    """Raw, or as HTML, URLs and JSON write it: it is named, and not stored."""
    site.view = repeating(write=write)
    reply, told = reports(site, "/a?b", fields=MARK)
    assert reply.text == f"in {write(MARK['X-Theme'])} style"
    assert len(told) == 1
    assert "http://shop.example/a?b repeats the request field 'x-theme'" in str(
        told[0].message
    )
    assert site.ask("/a?b").text == f"in {write('plain')} style"


def test_the_same_without_the_option():
    """Is stored, and everybody gets it: what the option is there to find."""
    site = Site(view=repeating(), policy=HTTPCachePolicy())
    site.ask(fields=MARK)
    assert "mark" in site.ask().text


def test_a_head_that_repeats_a_field(site):
    """Is told in `Cache-Status`, too."""

    def view(environ, start_response):
        field = ("Location", environ["HTTP_X_THEME"] + "/next")
        start_response("301 Moved Permanently", [PLAIN, MINUTE, field])
        return [b"moved"]

    site.view = view
    reply, told = reports(site, fields={"X-Theme": "https://evil.example"})
    assert reply.cache == 'fwd=uri-miss;detail="reflected"'
    assert len(told) == 1


def test_a_body_in_gzip(site):
    """Is looked into."""

    def view(environ, start_response):
        start_response("200 OK", [PLAIN, MINUTE, ("Content-Encoding", "gzip")])
        return [gzip.compress(environ["HTTP_X_THEME"].encode())]

    site.view = view
    assert len(reports(site, fields=MARK)[1]) == 1
    site.view = page("no gzip", MINUTE, ("Content-Encoding", "gzip"))
    assert reports(site, "/torn", fields=MARK)[1] == []


def test_a_body_in_many_chunks(site):
    """Also where the value lies across two of them."""

    def view(environ, start_response):
        start_response("200 OK", [PLAIN, MINUTE])
        return (one.encode() for one in environ["HTTP_X_THEME"])

    site.view = view
    assert len(reports(site, fields=MARK)[1]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"Cookie": "a=1; name=reflected-value; b=2"},
        {"Authorization": "Bearer reflected-value"},
        {"Origin": "reflected-value"},
        {"User-Agent": "reflected-value"},
        {"Accept-Language": "reflected-value"},
    ],
)
def test_parts_of_fields(site, fields):
    """One cookie is enough."""
    site.view = page("reflected-value", ("Cache-Control", "public, max-age=60"))
    _, told = reports(site, fields=fields)
    assert [repr(next(iter(fields)).lower()) in str(one.message) for one in told] == [
        True
    ]


def test_what_is_in_the_key(site):
    """May be repeated: the fields in Vary, and the URL in whatever field."""
    site.view = repeating(("Vary", "X-Theme"))
    reply, told = reports(site, fields=MARK)
    assert (reply.cache, told) == ("fwd=uri-miss;stored", [])
    site.view = page("at http://shop.example/path?query", MINUTE)
    fields = {"Referer": "http://shop.example/path?query", "X-Any": "Shop.Example"}
    reply, told = reports(site, "/path?query", fields=fields)
    assert (reply.cache, told) == ("fwd=uri-miss;stored", [])


def test_a_host_that_is_not_in_the_key():
    """Where a proxy's is."""
    policy = HTTPCachePolicy(find_reflections=True, trust_forwarded=True)
    site = Site(view=page("http://inner.example/", MINUTE), policy=policy)
    fields = {"Host": "inner.example", "X-Forwarded-Host": "shop.example"}
    _, told = reports(site, fields=fields)
    assert ["'host'" in str(one.message) for one in told] == [True]


def test_what_pages_and_requests_have_in_common(site):
    """Is no sign of anything: short values, media types, codings, validators."""
    head = [MINUTE, ("ETag", '"a-long-validator"'), ("Vary", "Accept-Encoding")]
    site.view = page("text/plain, gzip, identity, keep-alive, en", *head)
    fields = {
        "Accept": "text/plain", "Accept-Encoding": "gzip, identity",
        "Connection": "keep-alive", "Accept-Language": "en", "DNT": "1",
        "If-None-Match": '"a-long-validator"', "X-Short": "identit",
    }  # fmt: skip
    reply, told = reports(site, fields=fields)
    assert (reply.cache, told) == ("fwd=uri-miss;stored", [])


def test_what_is_not_stored_anyway(site):
    """Is nobody's business."""
    site.view = repeating(("Cache-Control", "private"))
    assert reports(site, fields=MARK)[1] == []


def test_an_old_page_that_is_asked_about(site):
    """A 304, or the answer to a HEAD, may bring such a field, too; the page stays."""
    tag = ("ETag", '"1"')
    for method in ("GET", "HEAD"):
        path = f"/{method}"
        site.view = page("page", ("Cache-Control", "max-age=60"), tag)
        site.ask(path)

        def view(environ, start_response, method=method):
            status = "200 OK" if method == "HEAD" else "304 Not Modified"
            mark = ("X-Style", environ["HTTP_X_THEME"])
            kind = [PLAIN, ("Content-Length", "4")] if method == "HEAD" else []
            start_response(status, [*kind, MINUTE, tag, mark])
            return []

        site.view = view
        fields = {**MARK, "Cache-Control": "no-cache"}
        assert len(reports(site, path, method, fields=fields)[1]) == 1
        reply = site.ask(path)
        assert (reply.text, reply["X-Style"]) == ("page", None)


def test_as_an_error(site):
    """Where a test suite makes warnings errors, the test fails, and nobody waits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ReflectedFieldWarning)
        with pytest.raises(ReflectedFieldWarning, match="x-theme"):
            site.ask(fields=MARK)
    assert site.ask().text == "in plain style"


def test_it_names_the_line_of_the_test(site):
    """Not one of ours."""
    view = response_cache(tags=["a"])(repeating())
    site.view = view
    _, told = reports(site, fields=MARK)
    assert "holdover/wsgi" not in told[0].filename
