"""Which response it is, which part of it, and whom a change concerns: for anything."""

import pytest
from http_site import PAGE, response, stored
from hypothesis import given
from hypothesis import strategies as st

from holdover.wsgi.http import ranges
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.invalidation import invalidated
from holdover.wsgi.http.messages import Request, Target, host_of
from holdover.wsgi.http.validation import (
    concerns,
    freshened,
    is_not_modified,
    questions,
)
from holdover.wsgi.http.variants import primary_key, selected, varied_names

LATIN = st.text(st.characters(max_codepoint=255), max_size=30)
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)


class TestRanges:
    @given(
        st.lists(
            st.tuples(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40))
        ),
        st.integers(1, 30),
    )
    def test_are_parts_of_what_there_is(self, specs, length):
        """In the order asked for, and together no longer than the whole."""
        spelled = ",".join(
            f"{'' if first is None else first}-{'' if last is None else last}"
            for first, last in specs
        )
        parts = ranges.wanted_parts("bytes=" + spelled, length)
        if parts is None:
            return
        assert all(0 <= one.first < one.end <= length for one in parts)
        assert len(parts) < 2 or sum(one.end - one.first for one in parts) <= length
        wanted = [
            set(range(max(0, length - last), length))
            if first is None
            else set(range(first, min(length, 10**9 if last is None else last + 1)))
            for first, last in specs
        ]
        assert [set(range(one.first, one.end)) for one in parts] == [
            one for one in wanted if one
        ]

    @given(LATIN)
    def test_can_be_read_of_anything(self, text):
        """Nothing is raised."""
        for value in (text, "bytes=" + text, "bytes=0-" + text):
            ranges.wanted_parts(value, 10)


class TestKeys:
    @given(st.lists(st.tuples(PRINTABLE, PRINTABLE, PRINTABLE), min_size=2, max_size=4))
    def test_no_two_urls_share_one(self, parts):
        """Wherever host, path and query begin."""
        targets = {Target("http", *one) for one in parts}
        assert len({primary_key(one) for one in targets}) == len(targets)

    @given(
        st.dictionaries(st.sampled_from(["x-a", "x-b", "x-c"]), PRINTABLE),
        st.dictionaries(st.sampled_from(["x-a", "x-b", "x-c"]), PRINTABLE),
    )
    def test_no_two_variants_share_one(self, one, other):
        """An absent field is not an empty one, and no value reaches into the next."""
        varied = varied_names(Headers([("Vary", "X-B, x-a"), ("Vary", "x-b")]))
        assert varied == ("x-a", "x-b")
        keys = {selected(varied, Headers(each.items()), {}) for each in (one, other)}
        told = [{name: each.get(name) for name in varied} for each in (one, other)]
        assert (len(keys) == 1) is (told[0] == told[1])


class TestAsking:
    @given(LATIN)
    def test_any_condition_is_answered(self, value):
        """By yes or no."""
        kept = stored(fields=[("ETag", '"1"')])
        for name in ("If-None-Match", "If-Modified-Since"):
            asked = Headers([(name, value)])
            assert is_not_modified(kept, asked) in (True, False)
        ranges.answer(kept, Headers([("Range", "bytes=0-1"), ("If-Range", value)]))

    @pytest.mark.parametrize("etag", ["1", '"1', 'w/"1"', '"a b"', '"1", "2"', ""])
    def test_nonsense_is_no_validator(self, etag):
        """Nobody is asked about it."""
        assert questions(stored(fields=[("ETag", etag)])) == []
        assert questions(stored(fields=[("Last-Modified", etag)])) == []

    def test_without_validators_any_304_is_meant(self):
        """Since there is nothing else that it could be about."""
        assert concerns(stored(), response(status=304))
        assert not concerns(stored(fields=[("ETag", '"1"')]), response(status=304))

    def test_each_line_of_a_304_replaces_the_old_ones(self):
        """Whatever their case."""
        kept = stored(fields=[("X-A", "1"), ("x-a", "2"), ("Age", "9")])
        head = freshened(kept, response([("x-A", "3")], 304))
        assert [("Cache-Control", "max-age=60"), ("x-A", "3")] == list(head.headers)
        assert (200, "OK") == (head.status, head.reason)


class TestInvalidation:
    @given(st.sampled_from(["Location", "Content-Location"]), LATIN)
    def test_reaches_no_other_origin(self, name, value):
        """Whatever is named, with control characters and backslashes, too."""
        for text in (value, "//" + value, "\\\\" + value, "http:" + value, "/" + value):
            head = response([(name, text)], 201)
            for target in invalidated(Request("POST", PAGE), head):
                assert (target.scheme, target.host) == ("http", "site.test")

    @pytest.mark.parametrize(
        ("authority", "scheme", "host"),
        [
            ("A.test:80", "http", "a.test"),
            ("A.test:443", "https", "a.test"),
            ("a.test:80", "https", "a.test:80"),
            ("a.test:8080", "http", "a.test:8080"),
        ],
    )
    def test_knows_a_host_by_one_spelling(self, authority, scheme, host):
        """The port that goes without saying is not said."""
        assert host_of(authority, scheme) == host
