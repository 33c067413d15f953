"""RFC 9111 sections 4.3 and 4.4: asking whether a response holds; what changes it."""

import pytest
from http_requirements import left, requires
from http_site import Reply, date

LATER = 11  # seconds, when what is fresh for ten is stale


def confirming(site, **fields):
    """Have the application say that nothing has changed."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return site.says(named, status="304 Not Modified", body=b"")


@requires("9111 4.3.1", "must", "send the entity tag of what is validated")
@requires("9111 4.3.1", "should", "send its Last-Modified, too")
@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', '"a,b"', '""'])
def test_both_validators_are_sent(site, etag):
    """As they were written."""
    fields = {"ETag": etag, "Last-Modified": date(-60)}
    site.caches("max-age=10", fields).ask()
    site.passes(LATER)
    site.ask()
    asked = site.asked[-1]
    assert etag == asked["HTTP_IF_NONE_MATCH"]
    assert date(-60) == asked["HTTP_IF_MODIFIED_SINCE"]


@requires("9111 4.3.1", "-", "begin with the request, or with the fields named by Vary")
def test_a_refresh_asks_with_the_fields_of_the_variant(site):
    """And with none of the visitor's others."""
    control = "max-age=10, stale-while-revalidate=60"
    site.caches(control, {"ETag": '"1"', "Vary": "X-A"})
    asked = {"X-A": "1", "Cookie": "who=me", "Authorization": "Basic YTpi"}
    site.ask(fields={"X-A": "1"})
    site.passes(LATER)
    assert site.ask(fields=asked).is_hit
    refresh = site.asked[-1]
    assert (2, '"1"', "1") == (
        site.times_asked,
        refresh["HTTP_IF_NONE_MATCH"],
        refresh["HTTP_X_A"],
    )
    assert {"HTTP_COOKIE", "HTTP_AUTHORIZATION"}.isdisjoint(refresh)


@requires("9111 4.3.2", "should", "evaluate conditions of requests that it can answer")
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"If-None-Match": '"1"'}, 304),
        ({"If-None-Match": '"0", "1"'}, 304),
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"2"'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-None-Match": "1"}, 200),
        ({"If-Modified-Since": date(-60)}, 304),
        ({"If-Modified-Since": date(0)}, 304),
        ({"If-Modified-Since": date(-61)}, 200),
    ],
)
def test_clients_are_told_that_they_have_it(site, asked, status):
    """Without the application."""
    site.caches("max-age=60", {"ETag": '"1"', "Last-Modified": date(-60)}).ask()
    for method in ("GET", "HEAD"):
        answer = site.ask(fields=asked, method=method)
        assert (status, True) == (answer.status, answer.is_hit)
    assert answer.body == b""


@requires("9111 4.3.2", "must not", "evaluate conditions that are for origins")
@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
def test_conditions_for_origins_are_handed_on(site, name):
    """Such a request is the application's, and what it answers nobody else's."""
    site.caches("max-age=60", {"ETag": '"1"'}).ask()
    answer = site.says(status="412 No").ask(fields={name: "x"})
    assert (412, "bypass") == (answer.status, answer.told["fwd"])
    assert site.asked[-1]["HTTP_" + name.upper().replace("-", "_")] == "x"
    assert site.ask().is_hit


@requires(
    "9111 4.3.2", "must not", "evaluate conditions if nothing is stored for the URI"
)
@requires("9111 4.3.2", "must not", "evaluate them if no stored response would do")
def test_conditions_alone_answer_nothing(site):
    """If-None-Match: * is true of nothing."""
    answer = site.caches("max-age=60").ask(fields={"If-None-Match": "*"})
    assert (200, b"page") == (answer.status, answer.body)
    assert (
        site.says(status="412 No")
        .ask(method="PUT", fields={"If-None-Match": "*"})
        .status
        == 412
    )


@requires("9111 4.3.2", "should", "let Date stand in for Last-Modified")
@pytest.mark.parametrize(("since", "status"), [(-6, 200), (-5, 304)])
def test_date_stands_in_for_last_modified(site, since, status):
    """Or the time when it came."""
    site.caches("max-age=60", {"Date": date(-5)}).ask()
    asked = {"If-Modified-Since": date(since)}
    assert site.ask(fields=asked).status == status
    site.caches("max-age=60").ask("/other")
    assert site.ask("/other", fields={"If-Modified-Since": date(0)}).status == 304


@requires(
    "9111 4.3.2", "must", "answer 200 if a 304 is about no tag that the client has"
)
def test_a_client_with_another_tag_gets_the_page(site):
    """The confirmation was for what is stored here."""
    site.caches("max-age=10", {"ETag": '"1"'}).ask()
    site.passes(LATER)
    confirming(site, ETag='"1"', Cache_Control="max-age=10")
    answer = site.ask(fields={"If-None-Match": '"0"'})
    assert (200, b"page", 304) == (
        answer.status,
        answer.body,
        answer.told["fwd-status"],
    )
    site.passes(LATER)
    assert site.ask(fields={"If-None-Match": '"1"'}).status == 304


left(
    "9111 4.3.2",
    "must not",
    "send the tag of a partial response for the whole",
    result="kept: parts are not stored",
)


@requires("9111 4.3.3", "must", "answer with the full response that comes instead")
def test_what_has_changed_is_sent_and_stored(site):
    """In place of the old one."""
    site.caches("max-age=10", {"ETag": '"1"'}).ask()
    site.passes(LATER)
    assert site.caches("max-age=10", {"ETag": '"2"'}, body=b"new").ask().body == b"new"
    assert site.ask().body == b"new"


@requires("9111 4.3.3", "-", "hand a 5xx on, or serve the stored if that is allowed")
@pytest.mark.parametrize(
    ("status", "sent"), [("500 Oops", 200), ("501 No", 501), ("404 Gone", 404)]
)
def test_errors_are_sent_unless_something_stands_in(site, status, sent):
    """Which is for what a moment may mend."""
    site.caches("max-age=10, stale-if-error=60", {"ETag": '"1"'}).ask()
    site.passes(LATER)
    assert site.says(status=status).ask().status == sent


@requires(
    "9111 4.3.4", "must not", "update anything if no strong validator is the same"
)
@pytest.mark.parametrize(
    ("stored", "told", "holds"),
    [
        ({"ETag": '"1"'}, {"ETag": '"1"'}, True),
        ({"ETag": '"1"'}, {"ETag": '"2"'}, False),
        ({"ETag": 'W/"1"'}, {"ETag": '"1"'}, False),
        ({"ETag": '"1"'}, {"ETag": 'W/"1"'}, True),
        ({"ETag": '"1"'}, {}, False),
        ({"Last-Modified": date(-9)}, {"Last-Modified": date(-9)}, True),
        ({"Last-Modified": date(-9)}, {"Last-Modified": date(-8)}, False),
        ({"Last-Modified": date(-9)}, {"ETag": '"1"'}, False),
    ],
)
def test_a_304_is_about_what_it_names(site, stored, told, holds):
    """Else the application is asked once more, for the whole."""
    site.caches("max-age=10", stored).ask()
    site.passes(LATER)

    def answer(environ):
        is_asked = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"} & set(environ)
        if is_asked:
            return Reply(told, "304 Not Modified", b"")
        return Reply(body=b"new")

    site.reply = answer
    assert site.ask().body == (b"page" if holds else b"new")
    assert site.times_asked == (2 if holds else 3)


@requires("9111 4.3.4", "must", "update the fields of what a 304 is about")
def test_a_304_begins_a_new_lifetime(site):
    """Also without Date: the old one would make it old."""
    site.caches("max-age=10", {"ETag": '"1"', "Age": "3"}).ask()
    for _ in range(3):
        site.passes(LATER)
        confirming(site, ETag='"1"').ask()
        answer = site.ask()
        assert (True, "0", 10) == (answer.is_hit, answer["Age"], answer.told["ttl"])
    assert answer["Date"] == date(3 * LATER)


def test_a_304_that_forbids_storing_is_obeyed(site):
    """Who asked has the page yet; nobody else gets it."""
    site.caches("max-age=10", {"ETag": '"1"'}).ask()
    site.passes(LATER)
    confirming(site, ETag='"1"', Cache_Control="private")
    answer = site.ask()
    assert (200, b"page") == (answer.status, answer.body)
    assert site.says(body=b"mine").ask().body == b"mine"


@requires("9111 4.3.5", "should", "learn from the 200 to a HEAD that was handed on")
@requires("9111 4.3.5", "should", "update what has the same validators and length")
@requires("9111 4.3.5", "must", "use the fields of the HEAD's response for it")
def test_a_head_renews_what_is_stored(site):
    """As a 304 does."""
    site.caches("max-age=10", {"ETag": '"1"', "X-Old": "o"}).ask()
    site.passes(LATER)
    newer = {"ETag": '"1"', "Content-Length": "4", "X-New": "n"}
    site.caches("max-age=10", newer).ask(method="HEAD")
    answer = site.ask()
    assert (True, b"page", "0") == (answer.is_hit, answer.body, answer["Age"])
    assert ("o", "n") == (answer["X-Old"], answer["X-New"])


@requires("9111 4.3.5", "should", "take it for stale if validators or length differ")
@pytest.mark.parametrize(
    "newer",
    [{"ETag": '"2"'}, {"Last-Modified": date(-9)}, {"Content-Length": "5"}],
)
def test_a_head_tells_of_a_change(site, newer):
    """Also of what would be fresh yet."""
    fields = {"ETag": '"1"', "Last-Modified": date(-10)}
    site.caches("max-age=60", fields).ask()
    fields |= newer
    asked = {"Cache-Control": "no-cache"}
    site.caches("max-age=60", fields).ask(method="HEAD", fields=asked)
    assert not site.ask().is_hit


@requires("9111 4.4", "must", "invalidate the URI of an unsafe request that succeeded")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FOO"])
@pytest.mark.parametrize(
    ("status", "holds"),
    [
        ("200 OK", False),
        ("204 Done", False),
        ("303 See", False),
        ("304 Same", False),
        ("400 Bad", True),
        ("404 Gone", True),
        ("500 Oops", True),
    ],
)
def test_a_change_is_not_hidden_by_what_is_stored(site, method, status, holds):
    """All its variants go; what failed has changed nothing."""
    site.caches("max-age=60", {"Vary": "X-A"})
    for value in "12":
        site.ask(fields={"X-A": value})
    site.says(status=status).ask(method=method)
    site.caches("max-age=60", {"Vary": "X-A"})
    assert [site.ask(fields={"X-A": value}).is_hit for value in "12"] == [holds] * 2


@requires("9111 4.4", "must not", "invalidate a URI of another origin")
@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("http://site.test/other", False),
        ("http://site.test:80/other", False),
        ("HTTP://SITE.test/other#part", False),
        ("/other", False),
        ("other", False),
        ("./a/../other", False),
        ("//site.test/other", False),
        ("https://site.test/other", True),
        ("http://site.test:8080/other", True),
        ("http://evil.test/other", True),
        ("//evil.test/other", True),
        ("http://me@site.test/other", True),
        ("http://[", True),
        ("", True),
    ],
)
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
def test_what_a_change_names_goes_if_it_is_of_this_origin(site, name, value, holds):
    """Else anybody could empty another site's cache."""
    site.caches("max-age=60").ask("/other")
    site.says({name: value}, status="201 Created").ask(method="POST")
    assert site.caches("max-age=60").ask("/other").is_hit is holds
