"""RFC 9111 sections 4, 4.1 and 4.2: when a stored response answers."""

import time

import pytest
from http_requirements import left, requires
from http_site import NOW, Reply, date

from holdover.wsgi.http.policy import Policy


@requires("9111 4", "must not", "reuse a response for another URI")
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/pagE", {}),
        ("/page/", {}),
        ("/page?", {"QUERY_STRING": "a"}),
        ("/p%61ge", {"RAW_URI": "/p%61ge"}),
        ("/page", {"HTTP_HOST": "other.test"}),
        ("/page", {"HTTP_HOST": "site.test:8080"}),
        ("/page", {"wsgi.url_scheme": "https"}),
    ],
)
def test_another_uri_has_another_response(site, path, more):
    """Scheme, host, path and query count, as they were sent."""
    site.caches("max-age=60").ask()
    assert not site.ask(path, **more).is_hit
    assert site.ask(HTTP_HOST="SITE.test:80").is_hit


@requires("9111 4", "must not", "reuse a response unless its method allows it")
def test_a_get_answers_a_head_and_nothing_answers_a_post(site):
    """A HEAD is answered by what a GET would give, without the body."""
    site.caches("max-age=60").ask()
    head = site.ask(method="HEAD")
    assert (True, b"", "4") == (head.is_hit, head.body, head["Content-Length"])
    site.ask(method="POST")
    assert site.asked[-1]["REQUEST_METHOD"] == "POST"


@requires("9111 4", "must not", "answer a GET by what came for a HEAD")
def test_a_head_is_no_answer_to_a_get(site):
    """There is no body to give."""
    site.caches("max-age=60").ask(method="HEAD")
    assert site.ask().body == b"page"


@requires("9111 4", "must not", "reuse what says no-cache without validating it")
@requires(
    "9111 5.2.2.4", "must not", "use what says no-cache without a successful answer"
)
@pytest.mark.parametrize("control", ["no-cache, max-age=60", 'no-cache="", max-age=60'])
def test_no_cache_is_asked_about_each_time(site, control):
    """It is stored all the same, so that the answer may be short."""
    site.caches(control, {"ETag": '"1"'}).ask()
    site.says({"ETag": '"1"'}, status="304 Not Modified", body=b"")
    answer = site.ask()
    assert (200, b"page", 2) == (answer.status, answer.body, site.times_asked)
    site.says(status="503 Down").ask()
    assert site.ask().status == 503


@requires("9111 4", "must not", "reuse a response that is neither fresh nor allowed")
@requires(
    "9111 4.2", "-", "take a response for fresh while its age is below its lifetime"
)
def test_a_response_is_used_while_it_is_fresh(site):
    """To the second: at its lifetime it is stale."""
    site.caches("max-age=60").ask()
    site.passes(59)
    assert site.ask().is_hit
    site.passes(1)
    assert not site.ask().is_hit


@requires("9111 4", "must", "give the current Age in place of the stored one")
def test_age_is_told(site):
    """Whole seconds since it was made, those on the way included."""
    site.reply = Reply({"Cache-Control": "max-age=60", "Age": "5"}, takes=2)
    site.ask()
    site.passes(3)
    assert site.ask()["Age"] == "10"


@requires("9111 4", "must", "hand on unsafe requests, and answer only then")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FOO"])
def test_unsafe_requests_reach_the_application(site, method):
    """Whatever is stored for the URL."""
    site.caches("max-age=60").ask()
    answer = site.says(status="201 Created", body=b"new").ask(method=method)
    assert (201, b"new") == (answer.status, answer.body)
    assert "method" == answer.told["fwd"]


@requires("9111 4", "must", "use the most recent of several responses that would do")
def test_the_newest_response_is_used(site):
    """There is one for each URL and variant, and it is the last that came."""
    site.caches("max-age=60", body=b"old").ask()
    site.caches("max-age=60", body=b"new").ask(fields={"Cache-Control": "no-cache"})
    assert site.ask().body == b"new"


left(
    "9111 4",
    "must",
    "validate each time without a clock",
    result="kept: there is a clock wherever Python runs",
)


@requires("9111 4.1", "must not", "use a response if a field named by Vary differs")
@requires("9110 12.5.5", "must not", "use a response if a field named by Vary differs")
@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ({"X-A": "1"}, {"X-A": "1"}, True),
        ({"X-A": "1"}, {"X-A": "2"}, False),
        ({"X-A": "1"}, {"X-A": "1", "X-B": "2"}, True),
        ({"X-A": "a"}, {"X-A": "A"}, False),
        ({"X-A": "a b"}, {"X-A": "ab"}, False),
        ({"X-A": "a, b"}, {"X-A": "a,b"}, False),
        ({"X-A": "1 "}, {"X-A": "1"}, True),
        ({"Accept-Language": "de, en"}, {"Accept-Language": "de,en"}, True),
        ({"Accept-Language": "de, en"}, {"Accept-Language": "en, de"}, False),
        ({"Accept-Encoding": "br, gzip"}, {"Accept-Encoding": "gzip,BR"}, True),
        ({"Accept-Encoding": "gzip"}, {"Accept-Encoding": "deflate"}, False),
        ({"Accept-Encoding": "br, gzip;q=0"}, {"Accept-Encoding": "br"}, False),
    ],
)
def test_variants_are_told_apart(site, first, second, is_same):
    """Only what is known to mean the same is the same."""
    vary = {"Vary": "x-a, Accept-Language, accept-encoding"}
    site.caches("max-age=60", vary).ask(fields=first)
    assert site.ask(fields=second).is_hit is is_same
    assert site.ask(fields=first).is_hit


@requires("9111 4.1", "-", "take an absent field for another than any that is there")
def test_an_absent_field_is_no_empty_one(site):
    """Who names no codings takes all, who names the empty list takes none."""
    site.caches("max-age=60", {"Vary": "Accept-Encoding"}).ask()
    assert not site.ask(fields={"Accept-Encoding": ""}).is_hit
    assert site.ask().is_hit


@requires("9111 4.1", "-", "take Vary: * for what never matches")
@pytest.mark.parametrize("vary", ["*", "Accept, *", ["Accept", "*"]])
def test_what_varies_by_anything_is_never_reused(site, vary):
    """Also if something else is named besides."""
    assert not site.stores("max-age=60", {"Vary": vary})


@requires("9111 4.1", "should", "prefer the newest response that has Vary")
def test_a_default_response_without_vary_hides_no_variant(site):
    """What came last says whether the URL has variants."""
    site.caches("max-age=60", body=b"default").ask()
    site.caches("max-age=60", {"Vary": "X-A"}, body=b"new").ask(
        fields={"X-A": "1", "Cache-Control": "no-cache"}
    )
    assert site.ask(fields={"X-A": "1"}).body == b"new"
    site.says(body=b"other")
    assert site.ask(fields={"X-A": "2"}).body == b"other"


@requires("9111 4.2", "should", "read dates whatever their case")
@requires("9111 4.2", "should", "take a date in another zone than GMT for none")
@pytest.mark.parametrize(
    ("expires", "is_fresh"),
    [
        (date(60), True),
        (date(60).upper(), True),
        (date(60).lower(), True),
        (date(60).replace("GMT", "UTC"), False),
        (date(60).replace("GMT", "EST"), False),
        (date(60).replace("GMT", "+0000"), False),
        ("Sunday, 09-Sep-01 01:47:40 GMT", True),
        ("Sun Sep  9 01:47:40 2001", True),
    ],
)
def test_dates_are_read_in_each_form(site, expires, is_fresh):
    """Three forms, of which two are old."""
    site.says({"Expires": expires}).ask()
    assert site.ask().is_hit is is_fresh


@requires("9111 4.2", "must not", "go by local time zones")
def test_the_zone_of_the_host_does_not_matter(site, monkeypatch):
    """Nor does its summer."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert site.says({"Expires": date(60)}).ask().told["stored"]
        assert site.ask().told["ttl"] == 60
    finally:
        monkeypatch.undo()
        time.tzset()


left(
    "9111 4.2",
    "must",
    "round Expires down where the own clock is coarser",
    result="kept: the own clock is finer than seconds",
)


@requires("9111 4.2.1", "-", "prefer s-maxage to max-age, and that to Expires")
@requires("9111 5.3", "must", "ignore Expires if there is max-age or s-maxage")
@requires("9111 5.2.2.10", "-", "let s-maxage outrank max-age and Expires")
@pytest.mark.parametrize(
    ("control", "ttl"),
    [
        ("s-maxage=10, max-age=20", 10),
        ("max-age=20", 20),
        ("public", 30),
        ("max-age=20, s-maxage=10", 10),
        ('s-maxage="10"', 10),
        ("S-MaxAge=10", 10),
    ],
)
def test_the_lifetime_is_the_one_for_shared_caches(site, control, ttl):
    """Of several, the most particular counts."""
    site.caches(control, {"Expires": date(30), "Date": date()}).ask()
    assert site.ask().told["ttl"] == ttl


@requires("9111 4.2.1", "-", "take nonsense, and what is said twice, for stale")
@requires("9111 5.3", "must", "take an Expires that is no date for past")
@pytest.mark.parametrize(
    "fields",
    [
        {"Cache-Control": "max-age=x"},
        {"Cache-Control": "max-age"},
        {"Cache-Control": "max-age=-1"},
        {"Cache-Control": "max-age=1.5"},
        {"Cache-Control": "max-age=60, max-age=61"},
        {"Cache-Control": "s-maxage=x, max-age=60"},
        {"Expires": "0"},
        {"Expires": "-1"},
        {"Expires": ""},
        {"Expires": "Sun, 00 Jan 0000 00:00:00 GMT"},
        {"Expires": [date(60), date(70)]},
        {"Cache-Control": "max-age=x", "Expires": date(60)},
    ],
)
def test_nonsense_is_not_fresh(site, fields):
    """It is stored if it can be asked about, and asked about."""
    site.says({"ETag": '"1"', **fields}).ask()
    assert "stale" == site.ask().told["fwd"]


@requires(
    "9111 4.2.1", "-", "count Expires from Date, or from when it came without one"
)
def test_expires_is_counted_from_date(site):
    """The origin's clock may differ from this one."""
    site.says({"Expires": date(1060), "Date": date(1000)}).ask()
    assert site.ask().told["ttl"] == 60
    site.says({"Expires": date(30)}).ask("/other")
    assert site.ask("/other").told["ttl"] == 30


@requires("9111 4.2.2", "must not", "guess a lifetime where one is given")
@requires("9111 4.2.2", "-", "guess only for known statuses, and with public")
@pytest.mark.parametrize(
    ("fields", "status", "ttl"),
    [
        ({}, "200 OK", 100),
        ({}, "404 Not Found", 100),
        ({}, "500 Oops", None),
        ({"Cache-Control": "public"}, "500 Oops", 100),
        ({"Cache-Control": "max-age=7"}, "200 OK", 7),
        ({"Expires": "0"}, "200 OK", None),
        ({"Expires": date(7)}, "200 OK", 7),
    ],
)
def test_a_lifetime_is_guessed_only_if_none_is_said(clocked, fields, status, ttl):
    """A part of the time since the last change, where the site wants that."""
    site = clocked(Policy(heuristic_fraction=0.1))
    site.says({"Last-Modified": date(-1000), **fields}, status=status).ask()
    assert site.ask().told.get("ttl") == ttl


def test_no_lifetime_is_guessed_unless_the_site_wants_it(site):
    """What says nothing was never meant to be shared, most likely."""
    assert not site.says({"Last-Modified": date(-1000)}).ask().told.get("stored")


@requires("9111 4.2.3", "must", "count Age from when the response was asked for")
@pytest.mark.parametrize(
    ("fields", "takes", "age"),
    [
        ({}, 0, "0"),
        ({}, 3, "3"),
        ({"Age": "5"}, 3, "8"),
        ({"Date": date(-7)}, 0, "7"),
        ({"Date": date(-7), "Age": "5"}, 3, "10"),
        ({"Date": date(+100)}, 0, "0"),
        ({"Date": "x"}, 0, "0"),
    ],
)
def test_age_is_the_larger_of_both_reckonings(site, fields, takes, age):
    """By Date, and by Age and the time it took."""
    site.caches("max-age=60", fields, takes=takes).ask()
    assert site.ask()["Age"] == age


def test_a_clock_that_goes_back_makes_nothing_younger(site):
    """The age is the one that it came with, at least."""
    site.caches("max-age=60", {"Age": "5"}).ask()
    site.clock.set_wall(NOW - 3600)
    assert site.ask()["Age"] == "5"


@requires("9111 4.2.4", "must not", "serve stale what forbids it")
@requires("9111 5.2.2.2", "must not", "serve stale what says must-revalidate")
@requires("9111 5.2.2.8", "must not", "serve stale what says proxy-revalidate")
@requires("9111 5.2.2.10", "must not", "serve stale what says s-maxage")
@pytest.mark.parametrize(
    "control",
    [
        "max-age=10, must-revalidate",
        "max-age=10, proxy-revalidate",
        "s-maxage=10",
        "max-age=10, no-cache",
    ],
)
def test_some_responses_are_never_served_stale(clocked, control):
    """Whatever they, the site and the client say besides, and if all fails."""
    site = clocked(Policy(stale_while_revalidate=60, stale_if_error=60))
    spans = ", stale-while-revalidate=60, stale-if-error=60"
    site.caches(control + spans, {"ETag": '"1"'}).ask()
    site.passes(11)
    asked = {"Cache-Control": "max-stale, stale-if-error=60"}
    assert site.says(status="503 Down").ask(fields=asked).status == 503


@requires("9111 4.2.4", "must not", "serve stale unless someone allows it")
def test_nothing_is_served_stale_without_allowance(site):
    """Not even if the application fails."""
    site.caches("max-age=10", {"ETag": '"1"'}).ask()
    site.passes(11)
    assert site.says(status="500 Oops").ask().status == 500
    assert site.ask(fields={"Cache-Control": "max-stale=5"}).body == b"page"
