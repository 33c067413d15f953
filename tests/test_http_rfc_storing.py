"""RFC 9111 section 3: what a shared cache stores, and what of it."""

import pytest
from http_requirements import left, requires
from http_site import date

from holdover.wsgi.http.policy import Policy


@requires("9111 3", "must not", "store a response to a method that is not understood")
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "FOO", "get"])
def test_other_methods_store_nothing(site, method):
    """Only a GET has a response that is stored."""
    site.caches("max-age=60").ask(method=method)
    site.ask()
    assert site.times_asked == 2
    site.ask(method=method)
    assert site.times_asked == 3


@requires("9111 3", "must not", "store a response that is not final")
@pytest.mark.parametrize("status", ["102 Processing", "199 What"])
def test_interim_responses_are_not_stored(site, status):
    """A response below 200 is followed by another."""
    assert not site.stores("max-age=60", status=status)


@requires("9111 3", "must not", "store a 206 or a 304 that it does not understand")
@pytest.mark.parametrize("status", ["206 Partial Content", "304 Not Modified"])
def test_parts_and_confirmations_are_not_stored(site, status):
    """They are no responses by themselves."""
    fields = {"Content-Range": "bytes 0-3/9", "ETag": '"a"'}
    assert not site.stores("max-age=60", fields, status=status)


@requires(
    "9111 3", "must not", "store with must-understand a status that is not understood"
)
@pytest.mark.parametrize(
    ("control", "status", "stored"),
    [
        ("max-age=60, must-understand", "299 New", False),
        ("max-age=60, must-understand", "200 OK", True),
        ("max-age=60", "299 New", True),
    ],
)
def test_must_understand_is_about_the_status(site, control, status, stored):
    """Who does not ask for understanding is stored whatever the status means."""
    assert site.stores(control, status=status) is stored


@requires("9111 3", "must not", "store what says no-store")
@pytest.mark.parametrize(
    "control",
    [
        "no-store",
        "max-age=60, no-store",
        "NO-STORE, max-age=60",
        'max-age=60, no-store="why"',
        ["max-age=60", "No-Store"],
        'max-age=60, x="y, no-store',
    ],
)
def test_no_store_is_obeyed_however_it_is_written(site, control):
    """Case, lines, arguments and broken quotations hide nothing."""
    assert not site.stores(control)


@requires("9111 3", "must not", "store as a shared cache what says private")
@pytest.mark.parametrize(
    "control", ["private, max-age=60", "Private, s-maxage=60", 'max-age=60, private=""']
)
def test_private_responses_are_not_stored(site, control):
    """They are somebody's, whatever else is said."""
    assert not site.stores(control)


@requires(
    "9111 3",
    "must not",
    "store what was asked for with Authorization unless a directive allows it",
)
@requires("9111 3.5", "must not", "use it for others unless a directive allows it")
@pytest.mark.parametrize(
    ("control", "stored"),
    [
        ("max-age=60", False),
        ("public", False),
        ("public, max-age=60", True),
        ("must-revalidate, max-age=60", True),
        ("s-maxage=60", True),
        ("proxy-revalidate, max-age=60", False),
        ("private, public, max-age=60", False),
    ],
)
def test_authorized_responses_are_shared_only_if_allowed(site, control, stored):
    """public, must-revalidate and s-maxage allow it, and nothing else."""
    site.caches(control).ask(fields={"Authorization": "Basic YTpi"})
    assert site.ask().is_hit is stored


@requires("9111 3.5", "must", "conform to the directive that allows it")
def test_s_maxage_allows_it_only_where_it_is_kept(clocked):
    """Who lets it be served stale cannot take it for an allowance."""
    site = clocked(Policy(stale_with_s_maxage=True))
    site.caches("s-maxage=60").ask(fields={"Authorization": "Basic YTpi"})
    assert not site.ask().is_hit


@requires(
    "9111 3",
    "must not",
    "store what has no public, Expires, max-age, s-maxage nor a known status",
)
@pytest.mark.parametrize(
    ("fields", "status", "stored"),
    [
        ({}, "200 OK", False),
        ({"Cache-Control": "max-age=60"}, "500 Oops", True),
        ({"Cache-Control": "s-maxage=60"}, "500 Oops", True),
        ({"Expires": date(60)}, "500 Oops", True),
        ({"Cache-Control": "public"}, "500 Oops", True),
        ({"Cache-Control": "no-cache"}, "500 Oops", False),
        ({"Cache-Control": "must-revalidate"}, "500 Oops", False),
        ({"Cache-Control": "no-cache"}, "200 OK", True),
    ],
)
def test_something_must_allow_the_storing(site, fields, status, stored):
    """Of an error, its mere status is not enough; a validator makes all of use."""
    site.says({"ETag": '"1"', **fields}, status=status).ask()
    site.ask()
    assert ("HTTP_IF_NONE_MATCH" in site.asked[-1] or site.times_asked == 1) is stored


def test_a_site_s_stale_spans_store_nothing_that_says_nothing(clocked):
    """Only of what may be stored does a policy say for how long it may be stale."""
    site = clocked(Policy(stale_while_revalidate=60, stale_if_error=60))
    site.says({}).ask()
    assert not site.ask().is_hit


@requires("9111 3.1", "must", "store all fields, also those that nobody knows")
def test_unknown_fields_are_stored(site):
    """Each with all its lines, in their order, as they were written."""
    site.caches("max-age=60", {"X-New": ["b", "a"], "x-nEW2": ""}).ask()
    answer = site.ask()
    assert [
        one for one in answer.headers if one[0].startswith(("X-New", "x-nEW2"))
    ] == [
        ("X-New", "b"),
        ("X-New", "a"),
        ("x-nEW2", ""),
    ]


@requires("9111 3.1", "must", "remove Connection, and what it names, before passing on")
def test_what_concerns_one_connection_is_not_stored(site):
    """The next client has another connection."""
    hop = {"Connection": "X-Hop, close", "X-Hop": "1", "Keep-Alive": "timeout=5"}
    hop |= {"Transfer-Encoding": "chunked", "Upgrade": "x", "TE": "x", "Trailer": "x"}
    site.caches("max-age=60", hop).ask()
    assert not {name.lower() for name, _ in site.ask().headers} & {
        name.lower() for name in hop
    }


@requires("9111 3.1", "must not", "store fields of the proxy that was used")
@pytest.mark.parametrize(
    "name",
    ["Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"],
)
def test_fields_of_a_proxy_are_not_stored(site, name):
    """They are between this cache and that proxy."""
    site.caches("max-age=60", {name: "x"}).ask()
    assert site.ask()[name] is None


@requires(
    "9111 3.2", "must", "replace stored fields by those of a 304, and add new ones"
)
def test_a_304_renews_the_fields(site):
    """All its lines take the place of all old ones; others stay."""
    first = {"ETag": '"1"', "X-Old": "o", "X-Two": ["1", "2"], "Content-Type": "a/b"}
    site.caches("max-age=1", first).ask()
    site.passes(2)
    newer = {"ETag": '"1"', "X-Two": "3", "X-New": "n", "Content-Type": "c/d"}
    site.caches("max-age=60", newer, status="304 Not Modified", body=b"").ask()
    answer = site.ask()
    assert answer.is_hit
    assert ("o", "3", "n") == (answer["X-Old"], answer["X-Two"], answer["X-New"])
    assert (b"page", "c/d") == (answer.body, answer["Content-Type"])


@requires("9111 3.2", "must", "leave Content-Length out of such an update")
@requires("9111 3.2", "should", "leave out else only what the stored body depends on")
@pytest.mark.parametrize(
    "name", ["Content-Length", "Content-Encoding", "Content-Range"]
)
def test_a_304_does_not_change_how_the_body_is_written(site, name):
    """The body is the old one, so these are, too."""
    site.caches("max-age=1", {"ETag": '"1"', "Content-Length": "4"}).ask()
    site.passes(2)
    newer = {"ETag": '"1"', name: "7"}
    answer = site.caches("max-age=60", newer, status="304 Not Modified", body=b"").ask()
    assert (200, b"page", "4") == (answer.status, answer.body, answer["Content-Length"])
    assert name == "Content-Length" or answer[name] is None


@requires("9111 3.2", "must", "leave out what is not stored either")
def test_a_304_brings_nothing_that_is_not_stored(site):
    """But who asked for it gets it, as he would have got it with a 200."""
    site.caches('max-age=1, no-cache="set-cookie"', {"ETag": '"1"'}).ask()
    site.passes(2)
    control = 'max-age=60, no-cache="set-cookie"'
    newer = {"ETag": '"1"', "Set-Cookie": "a=b", "Connection": "X-Hop", "X-Hop": "1"}
    asked = site.caches(control, newer, status="304 Not Modified", body=b"").ask()
    assert ("a=b", None) == (asked["Set-Cookie"], asked["X-Hop"])
    other = site.ask()
    assert (True, None, None) == (other.is_hit, other["Set-Cookie"], other["X-Hop"])


@requires("9111 3.3", "must not", "store incomplete responses unless ranges are known")
@requires("9111 3.3", "must not", "answer with an incomplete response")
def test_incomplete_responses_are_not_stored(site):
    """A body that is shorter, or longer, than its head says is not the whole."""
    assert not site.stores("max-age=60", {"Content-Length": "5"})
    assert not site.stores("max-age=60", {"Content-Length": "3"})
    assert site.stores("max-age=60", {"Content-Length": "4"})


@requires("9111 3.3", "must not", "send a part with another status than 206")
def test_a_part_is_sent_as_206(site):
    """And the whole as what it is."""
    site.caches("max-age=60").ask()
    part = site.ask(fields={"Range": "bytes=1-2"})
    assert (206, b"ag") == (part.status, part.body)
    assert (200, b"page") == (site.ask().status, site.ask().body)


def test_set_cookie_keeps_a_response_from_being_stored(site):
    """RFC 9111 section 7.3 leaves that to caches; a session is nobody else's."""
    assert not site.stores("public, max-age=60", {"Set-Cookie": "a=b"})


def test_vary_is_never_lost(site):
    """What would be stored without it, or varies by no field, is not stored."""
    assert not site.stores('max-age=60, no-cache="vary"', {"Vary": "Cookie"})
    assert not site.stores('max-age=60, private="Vary"', {"Vary": "Cookie"})
    assert not site.stores("max-age=60", {"Vary": "Cookie", "Connection": "vary"})
    assert not site.stores("max-age=60", {"Vary": 'Cookie, "X'})


left(
    "9111 3.1",
    "must not",
    "combine trailers with fields of the head",
    result="the server's: WSGI has no trailers",
)
left(
    "9111 3.4",
    "must",
    "update the fields when parts are combined",
    result="kept: parts are not stored, so that none are combined",
)
