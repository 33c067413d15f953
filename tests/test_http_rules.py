"""What is stored and reused, each rule by itself, for anything that may come."""

from dataclasses import replace

import http_sf
import pytest
from http_site import NOW, PAGE, response, stored
from hypothesis import given
from hypothesis import strategies as st

from holdover.wsgi.http.cache_status import cache_status
from holdover.wsgi.http.directives import RequestDirectives, response_directives
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.freshness import explicit_lifetime, initial_age
from holdover.wsgi.http.looking_up import why_not_looked_up
from holdover.wsgi.http.messages import Request, Response
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.reuse import Reuse, is_fresh, may_stand_in, reuse
from holdover.wsgi.http.steering import ResponseCache
from holdover.wsgi.http.storing import (
    directives_of,
    read_storable,
)

SPANS = st.integers(0, 100)
QUALIFIED_ETAG = [("ETag", '"1"'), ("Cache-Control", 'no-cache="etag"')]
CONTROLS = st.lists(
    st.sampled_from(
        [
            "no-store",
            "no-cache",
            "private",
            "public",
            "must-revalidate",
            "proxy-revalidate",
            "must-understand",
            "immutable",
            "max-age=60",
            "max-age=0",
            "max-age=x",
            "s-maxage=30",
            "stale-while-revalidate=20",
            "stale-if-error=40",
            'no-cache="set-cookie"',
            'private="x-a"',
        ]
    ),
    max_size=5,
).map(", ".join)


class TestLookingUp:
    @pytest.mark.parametrize(
        ("request_", "why"),
        [
            (Request("GET", PAGE), None),
            (Request("HEAD", PAGE), None),
            (Request("get", PAGE), "method"),
            (Request("OPTIONS", PAGE), "method"),
            (Request("GET", PAGE, has_body=True), "request-body"),
            (Request("GET", PAGE, Headers([("Upgrade", "h2c")])), "upgrade"),
            (Request("GET", PAGE, Headers([("If-Match", "*")])), "precondition"),
            (Request("GET", PAGE, Headers([("X-Original-URL", "/a")])), "unkeyed"),
            (Request("GET", replace(PAGE, host="")), "host"),
            (Request("GET", replace(PAGE, host="a/b")), "host"),
            (Request("GET", replace(PAGE, host="a b")), "host"),
            (Request("GET", replace(PAGE, host="a,b")), "host"),
            (Request("GET", replace(PAGE, host="me@a")), "host"),
            (Request("GET", replace(PAGE, host="[::1]:80")), None),
        ],
    )
    def test_passes_some_requests_by(self, request_, why):
        """Each for a reason that can be told."""
        assert why_not_looked_up(request_, Policy()) == why

    def test_is_for_the_site_s_own_hosts(self):
        """If it names any."""
        policy = Policy(hosts=frozenset({"site.test"}))
        other = Request("GET", replace(PAGE, host="evil.test"))
        assert why_not_looked_up(Request("GET", PAGE), policy) is None
        assert why_not_looked_up(other, policy) == "host"


def why_not_stored(request, head):
    """Say why a response is not stored; None if it is."""
    found = read_storable(request, head, b"", Policy(), ResponseCache())
    return found if isinstance(found, str) else None


class TestStoring:
    @pytest.mark.parametrize(
        ("method", "asked", "fields", "status", "why"),
        [
            ("GET", [], [], 200, None),
            ("HEAD", [], [], 200, "method"),
            ("GET", [("Range", "bytes=0-1")], [], 200, "range"),
            ("GET", [("Authorization", "x")], [], 200, "authorization"),
            ("GET", [], [], 206, "partial"),
            ("GET", [], [], 304, "not-modified"),
            ("GET", [], [], 103, "interim"),
            ("GET", [], [("Set-Cookie", "a=b")], 200, "set-cookie"),
            ("GET", [], [("Vary", "*")], 200, "vary"),
            ("GET", [], [("Vary", "a b")], 200, "vary"),
            ("GET", [], [("Cache-Control", "private")], 200, "private"),
            ("GET", [], [("Cache-Control", "no-store")], 200, "no-store"),
            ("GET", [], [("Cache-Control", "no-cache")], 200, "no-validator"),
            ("GET", [], [("Age", "61")], 200, "stale"),
            # What is not stored cannot be asked by later.
            ("GET", [], [("Age", "61"), ("ETag", '"1"')], 200, None),
            ("GET", [], [("Age", "61"), *QUALIFIED_ETAG], 200, "stale"),
        ],
    )
    def test_has_reasons(self, method, asked, fields, status, why):
        """Each of them is told."""
        head = response([("Cache-Control", "max-age=60"), *fields], status)
        request = Request(method, PAGE, Headers(asked))
        assert why_not_stored(request, head) == why

    @pytest.mark.parametrize(
        ("path", "kind", "why"),
        [
            ("/account/x.css", "text/html", "static-suffix"),
            ("/account/x.CSS", "Text/HTML; charset=utf-8", "static-suffix"),
            ("/account;x.js", "application/xhtml+xml", "static-suffix"),
            ("/x.css", "text/css", None),
            ("/account/css", "text/html", None),
            ("/x.css/", "text/html", None),
            ("/page.html", "text/html", None),
        ],
    )
    def test_refuses_pages_in_disguise(self, path, kind, why):
        """Whoever is lured to such a path does not leave his page there."""
        head = response([("Cache-Control", "max-age=60"), ("Content-Type", kind)])
        request = Request("GET", replace(PAGE, path=path))
        assert why_not_stored(request, head) == why

    def test_goes_by_the_site_s_own_word(self):
        """Which stands in place of the response's."""
        policy = Policy(override=lambda _, __, said: replace(said, max_age=5))
        assert stored("no-transform", policy=policy).lifetime == 5

    @given(CONTROLS, st.sampled_from([200, 404, 500, 299]), st.booleans())
    def test_never_keeps_what_is_forbidden(self, control, status, is_somebody_s):
        """Whatever else is said with it."""
        asked = [("Authorization", "x")] if is_somebody_s else []
        head = response([("Cache-Control", control), ("ETag", '"1"')], status)
        request = Request("GET", PAGE, Headers(asked))
        found = read_storable(request, head, b"", Policy(), ResponseCache())
        said = response_directives(head.headers)
        if isinstance(found, str):
            return
        assert not said.private
        assert not said.no_store or said.must_understand
        allowed = said.public or said.must_revalidate or said.s_maxage is not None
        assert allowed or not is_somebody_s
        assert "x-a" not in found.response.headers


class TestAge:
    @given(CONTROLS, SPANS, SPANS, SPANS, SPANS)
    def test_is_never_below_what_is_known(self, control, age, delay, since, later):
        """Not what the last cache said, nor the time since it came."""
        head = Response(
            200,
            "OK",
            Headers([("Cache-Control", control), ("Age", str(age))]),
            NOW - delay,
            NOW,
        )
        assert initial_age(head) == age + delay
        kept = replace(stored(), response=head, initial_age=initial_age(head))
        assert kept.age(NOW + later) == age + delay + later
        assert kept.age(NOW - since) == age + delay

    @given(CONTROLS)
    def test_belongs_to_a_lifetime_that_is_said(self, control):
        """s-maxage before max-age; nonsense is none at all."""
        said = explicit_lifetime(
            response(), response_directives(Headers([("Cache-Control", control)]))
        )
        several = len(
            set(control.split(", ")) & {"max-age=60", "max-age=0", "max-age=x"}
        )
        if "s-maxage" in control:
            assert said == 30
        elif several > 1:
            assert said == 0
        else:
            assert said in (None, 60, 0)


SOME = st.none() | SPANS
ASKED = st.builds(
    RequestDirectives,
    SOME,
    SOME,
    SOME,
    SOME,
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
KEPT = st.builds(
    lambda lifetime, swr, sie, needs, no_stale, immutable: replace(
        stored(),
        lifetime=float(lifetime),
        stale_while_revalidate=0.0 if no_stale else float(swr),
        stale_if_error=0.0 if no_stale else float(sie),
        needs_validation=needs,
        no_stale=no_stale,
        immutable=immutable,
    ),
    SPANS, SPANS, SPANS, st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


class TestReuse:
    @given(KEPT, ASKED, st.integers(0, 200), st.booleans())
    def test_is_always_allowed_by_somebody(self, kept, asked, age, expired):
        """Nothing is served stale that forbids it, nor older than is agreed."""
        now = NOW + age
        how = reuse(kept, asked, now, expired=expired)
        if how is Reuse.NOT_WITHOUT_ASKING:
            return
        assert not kept.needs_validation
        assert not asked.no_cache
        fresh = is_fresh(kept, now, expired=expired)
        assert (how is Reuse.FRESH) is fresh
        if fresh:
            assert age < kept.lifetime
            return
        assert not kept.no_stale
        stale_for = max(0, age - kept.lifetime)
        spans = {
            Reuse.STALE_MEANWHILE: kept.stale_while_revalidate,
            Reuse.STALE: (asked.max_stale or 0) + 0.5,
        }
        assert stale_for < spans[how]

    @given(KEPT, st.integers(0, 200))
    def test_needs_nobody_who_asks_for_nothing(self, kept, age):
        """What is fresh is served, and the stale within its own span."""
        how = reuse(kept, RequestDirectives(), NOW + age)
        if kept.needs_validation:
            assert how is Reuse.NOT_WITHOUT_ASKING
        elif age < kept.lifetime:
            assert how is Reuse.FRESH
        elif age - kept.lifetime < kept.stale_while_revalidate:
            assert how is Reuse.STALE_MEANWHILE
        else:
            assert how is Reuse.NOT_WITHOUT_ASKING

    @given(KEPT, ASKED, st.sampled_from([None, 500, 502, 503, 504, 200, 404, 501]))
    def test_stands_in_for_errors_only(self, kept, asked, status):
        """And only where that is allowed."""
        for age in (0, 50, 150, 250):
            if may_stand_in(kept, asked, status, NOW + age):
                assert status in (None, 500, 502, 503, 504)
                assert not kept.needs_validation
                assert not kept.no_stale
                most = max(kept.stale_if_error, asked.stale_if_error or 0)
                assert age < kept.lifetime + most


class TestTelling:
    @given(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1),
        st.none() | st.floats(-1e9, 1e9),
        st.none() | st.sampled_from(["bypass", "uri-miss", "stale"]),
        st.none() | st.integers(100, 999),
        st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    )
    def test_can_always_be_read(self, name, ttl, forwarded, status, detail):
        """As a list of structured fields, with one member."""
        value = cache_status(
            name,
            ttl=ttl,
            forwarded=forwarded,
            status=status,
            stored=True,
            collapsed=True,
            detail=detail,
        )
        ((read, said),) = http_sf.parse(value.encode("ascii"), tltype="list")
        assert read == name
        assert ("hit" in said) is (forwarded is None)
        assert said.get("ttl") == (None if ttl is None else ttl // 1)
        assert said.get("detail") == detail
        if forwarded is not None:
            assert isinstance(said["fwd"], http_sf.Token)


def test_targeted_fields_are_found_by_the_policy():
    """CDN-Cache-Control is, unless the site says otherwise."""
    head = response(
        [("CDN-Cache-Control", "max-age=7"), ("Cache-Control", "max-age=9")]
    )
    request = Request("GET", PAGE)
    assert directives_of(request, head, Policy()).max_age == 7
    assert directives_of(request, head, Policy(targets=())).max_age == 9
