"""RFC 5861, 8246, 9211 and 9213: stale on purpose, immutable, told, targeted."""

import http_sf
import pytest
from http_requirements import left, requires
from http_site import date

from holdover.wsgi.http.policy import Policy

LATER = 11  # seconds, when what is fresh for ten is stale


@requires("5861 3", "should", "have made anew what it serves stale, without waiting")
def test_stale_while_revalidate(site):
    """The next one gets the new page."""
    site.caches("max-age=10, stale-while-revalidate=20").ask()
    site.passes(LATER)
    site.caches("max-age=10, stale-while-revalidate=20", body=b"new")
    answer = site.ask()
    assert (b"page", "11", -1) == (answer.body, answer["Age"], answer.told["ttl"])
    answer = site.ask()
    assert (b"new", True, 2) == (answer.body, answer.is_hit, site.times_asked)


@requires("5861 3", "should not", "serve it after that span")
@pytest.mark.parametrize(("age", "is_hit"), [(29, True), (30, False)])
def test_stale_while_revalidate_ends(site, age, is_hit):
    """Then the visitor waits."""
    control = "max-age=10, stale-while-revalidate=20"
    site.caches(control, {"ETag": '"1"'}).ask()
    site.passes(age)
    assert site.ask().is_hit is is_hit


@requires("5861 4", "should not", "serve it in place of an error after that span")
@requires("5861 4", "should", "show in Age that it is stale")
@pytest.mark.parametrize("code", [500, 502, 503, 504])
@pytest.mark.parametrize(("age", "stands_in"), [(29, True), (30, False)])
@pytest.mark.parametrize("validator", [{}, {"ETag": '"1"'}])
def test_stale_if_error(site, code, age, stands_in, validator):
    """Of the errors that pass; whether it can be asked about or not."""
    site.caches("max-age=10, stale-if-error=20", validator).ask()
    site.passes(age)
    answer = site.says(status=f"{code} Oops", body=b"error").ask()
    if not stands_in:
        assert (code, b"error") == (answer.status, answer.body)
        return
    assert (200, b"page", str(age)) == (answer.status, answer.body, answer["Age"])
    assert ("stale", code) == (answer.told["fwd"], answer.told["fwd-status"])


@pytest.mark.parametrize("validator", [{}, {"ETag": '"1"'}])
def test_an_application_that_raises_has_failed_too(site, validator):
    """Nobody sees more of it than the old page."""
    site.caches("max-age=10, stale-if-error=20", validator).ask()
    site.passes(LATER)

    def fail(environ):
        raise OSError(environ["PATH_INFO"])

    site.reply = fail
    assert site.ask().body == b"page"
    site.passes(20)
    with pytest.raises(OSError, match="/page"):
        site.ask()


@requires("5861 4", "-", "let a request say so, for itself")
@pytest.mark.parametrize(("span", "status"), [(2, 200), (1, 503)])
def test_stale_if_error_of_a_request(site, span, status):
    """Others get the error."""
    site.caches("max-age=10", {"ETag": '"1"'}).ask()
    site.passes(LATER)
    site.says(status="503 Down")
    asked = {"Cache-Control": f"stale-if-error={span}"}
    assert site.ask(fields=asked).status == status
    assert site.ask().status == 503


@requires(
    "8246 2",
    "should",
    "not ask about what is immutable while it is fresh, unless the client insists",
)
@pytest.mark.parametrize(
    ("asked", "is_hit"),
    [("max-age=0", True), ("no-cache", False), ("min-fresh=60", False)],
)
def test_immutable(site, asked, is_hit):
    """A reload is not reason enough; no-cache is."""
    site.caches("max-age=60, immutable").ask()
    site.passes(5)
    assert site.ask(fields={"Cache-Control": asked}).is_hit is is_hit
    site.passes(60)
    assert not site.ask().is_hit


@requires("9211 2", "should not", "tell of responses that come from nowhere")
def test_own_errors_tell_nothing(site):
    """The 504 for only-if-cached."""
    answer = site.ask(fields={"Cache-Control": "only-if-cached"})
    assert (504, None) == (answer.status, answer["Cache-Status"])


@requires("9211 2", "should", "keep what other caches tell, before its own")
def test_other_caches_are_heard(site):
    """Of what is stored and of what is not."""
    other = {"Cache-Status": "Origin; hit"}
    for control in ("max-age=60", "no-store"):
        site.caches(control, other)
        for _ in range(2):
            told = http_sf.parse(site.ask()["Cache-Status"].encode(), tltype="list")
            names = [str(one[0]) for one in told]
            assert names == ["Origin", "Holdover"]


@requires("9211 2", "must", "give its name as a string or token")
@requires("9211 2.2", "-", "give the reason as a token")
@requires("9211 2.1", "-", "tell either of hit or of fwd")
@requires("9211 2.2", "should", "tell the most particular reason")
def test_what_is_told(site):
    """Of each way of answering."""
    site.caches("max-age=10", {"ETag": '"1"', "Vary": "X-A"})
    first = site.ask()
    assert first["Cache-Status"] == '"Holdover";fwd=uri-miss;stored'
    assert site.ask()["Cache-Status"] == '"Holdover";hit;ttl=10'
    other = site.ask(fields={"X-A": "1"})
    assert other["Cache-Status"] == '"Holdover";fwd=vary-miss;stored'
    again = site.ask(fields={"Cache-Control": "no-cache"})
    assert again["Cache-Status"] == '"Holdover";fwd=request;stored'
    site.passes(LATER)
    site.says({"ETag": '"1"'}, status="304 Not Modified", body=b"")
    same = site.ask()
    assert same["Cache-Status"] == '"Holdover";fwd=stale;fwd-status=304;ttl=10'
    site.says()
    assert site.ask(method="POST").told == {"fwd": "method"}
    assert site.ask(method="OPTIONS").told == {"fwd": "method", "detail": "method"}
    upgrading = site.ask(fields={"Upgrade": "x"})
    assert upgrading.told == {"fwd": "bypass", "detail": "upgrade"}
    assert site.ask("/none").told == {"fwd": "uri-miss", "detail": "no-lifetime"}


TARGETS = ("mine-cache-control", "cdn-cache-control")


@requires("9213 2.1", "must", "ignore a targeted field that is empty or no dictionary")
@requires("9213 2.2", "must", "go by the first one on its list that is valid")
@requires("9213 2.2", "must", "ignore Cache-Control and Expires then")
@requires("9213 2.1", "should not", "read values of a wrong type")
@pytest.mark.parametrize(
    ("fields", "ttl"),
    [
        ({"CDN-Cache-Control": "max-age=20"}, 20),
        ({"CDN-Cache-Control": "max-age=20", "Mine-Cache-Control": "max-age=30"}, 30),
        ({"CDN-Cache-Control": "max-age=20", "Mine-Cache-Control": "="}, 20),
        ({"CDN-Cache-Control": "max-age=20", "Mine-Cache-Control": ""}, 20),
        ({"CDN-Cache-Control": "max-age=20", "Mine-Cache-Control": "x"}, None),
        ({"CDN-Cache-Control": ["max-age=20", "public"]}, 20),
        ({"CDN-Cache-Control": "max-age=20;x=1"}, 20),
        ({"CDN-Cache-Control": "no-store"}, None),
        ({"CDN-Cache-Control": "private, max-age=20"}, None),
        ({"CDN-Cache-Control": "public"}, None),
        ({"CDN-Cache-Control": 'max-age="20"'}, None),
        ({"CDN-Cache-Control": "max-age=20.0"}, None),
        ({"CDN-Cache-Control": "MAX-AGE=20"}, 10),
        ({"CDN-Cache-Control": "max-age=20, no-store=?0"}, 20),
        ({"CDN-Cache-Control": 'max-age=20, private="x-a"'}, 20),
        ({"Other-Cache-Control": "max-age=20"}, 10),
        ({}, 10),
    ],
)
def test_targeted_fields(clocked, fields, ttl):
    """And by nothing else."""
    site = clocked(Policy(targets=TARGETS))
    site.caches("max-age=10", {"Expires": date(40), **fields}).ask()
    assert site.ask().told.get("ttl") == ttl


@requires(
    "9213 2.2", "must", "know max-age, must-revalidate, no-store, no-cache, private"
)
@requires("9213 2.2", "should", "know there whatever it knows in Cache-Control")
def test_targeted_directives_mean_the_same(site):
    """Of those that show: must-revalidate, no-cache, stale-while-revalidate."""
    fields = {"CDN-Cache-Control": "max-age=10, stale-while-revalidate=60"}
    site.caches("no-store", fields).ask()
    site.passes(LATER)
    assert site.ask().is_hit
    tag = {"ETag": '"1"'}
    fields = {"CDN-Cache-Control": "max-age=10, must-revalidate", **tag}
    site.caches("no-store", fields).ask("/strict")
    site.passes(LATER)
    asked = {"Cache-Control": "max-stale"}
    assert site.ask("/strict", fields=asked).told["fwd"] == "stale"
    fields = {"CDN-Cache-Control": "max-age=10, no-cache", **tag}
    site.caches("max-age=10", fields).ask("/asked")
    assert site.ask("/asked").told["fwd"] == "stale"


@requires("9213 2.2", "must", "hand on what is targeted at others, and not go by it")
def test_fields_for_other_caches_are_handed_on(site):
    """Those for this one, too: the next cache may be another of its kind."""
    fields = {"Other-Cache-Control": "no-store", "CDN-Cache-Control": "max-age=5"}
    site.caches("max-age=10", {"ETag": '"1"', **fields}).ask()
    for asked in ({}, {"If-None-Match": '"1"'}, {"Range": "bytes=0-1"}):
        answer = site.ask(fields=asked)
        got = {name: answer[name] for name in fields}
        assert (True, fields) == (answer.is_hit, got)


left(
    "9213 2.4",
    "must not",
    "take a field for a targeted one by its ending alone",
    result="kept: the list is the policy's",
)
