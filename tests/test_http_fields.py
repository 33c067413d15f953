"""Header fields are read tolerantly where they may, strictly where it is safer."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.wsgi.http import invalidation, ranges, validation, variants
from holdover.wsgi.http.directives import request_directives, response_directives
from holdover.wsgi.http.fields import MOST_SECONDS, Headers, delta_seconds, http_date
from holdover.wsgi.http.messages import Request, Response, Stored, Target
from holdover.wsgi.http.policy import as_list, content_coding
from holdover.wsgi.lists import members, names, unquoted

NOW = 1_000_000_000.0
LONG = 100_000  # characters
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
WORDS = st.text("abcxyz-", min_size=1, max_size=8)


class TestHeaders:
    def test_are_found_whatever_their_case(self):
        """Each line with its own value, in their order."""
        headers = Headers([("X-A", "1"), ("x-a", "2"), ("B", "")])
        assert ["1", "2"] == list(headers.all("x-a"))
        assert ("1, 2", "", None) == tuple(map(headers.joined, ("x-a", "b", "c")))
        assert ("x-a" in headers, "X-A" in headers, "c" in headers) == (
            True,
            False,
            False,
        )
        assert [("B", "")] == list(headers.without(["x-a"]))

    def test_are_values(self):
        """Two with the same lines are the same."""
        one, same, other = (Headers([("A", value)]) for value in "112")
        assert one == same
        assert hash(one) == hash(same)
        assert one != other
        assert repr(one) == "Headers([('A', '1')])"


class TestMembers:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            (["a, b"], ["a", "b"]),
            (["a", "b,c"], ["a", "b", "c"]),
            ([" a ,\t,, b\t"], ["a", "b"]),
            ([""], []),
            (['a="b, c", d'], ['a="b, c"', "d"]),
            (['a="b\\", c", d'], ['a="b\\", c"', "d"]),
            (['a="b\\\\", c'], ['a="b\\\\"', "c"]),
            (['"a, b", c'], ['"a, b"', "c"]),
            # Nothing hides behind a quotation without an end, or amid a word.
            (['a="b, c'], ['a="b', "c"]),
            (['a="b, c\\'], ['a="b', "c\\"]),
            (['a="b, c\\"'], ['a="b', 'c\\"']),
            (['a=b"c, d, e"'], ['a=b"c', "d", 'e"']),
            (['a= "b, c"'], ['a= "b', 'c"']),
            (['a="b" "c, d"'], ['a="b" "c', 'd"']),
        ],
    )
    def test_are_parted_by_commas(self, lines, expected):
        """Over all lines; white space and empty ones mean nothing."""
        assert members(lines) == expected

    @given(st.lists(LATIN, max_size=3))
    def test_can_be_read_of_anything(self, lines):
        """No member is empty, none begins or ends with a blank or a tab."""
        assert all(one and one == one.strip(" \t") for one in members(lines))

    @given(LATIN)
    def test_no_directive_hides_in_nonsense(self, rest):
        """Unless what comes before quotes it soundly."""
        found = members([f"{rest}, no-store"])
        assert "no-store" in found or rest.count('"') > 1

    def test_names_are_in_lower_case(self):
        """Since their case does not count."""
        assert names(["A, b", "B"]) == {"a", "b"}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('"a"', "a"),
            ('""', ""),
            ('"a\\"b\\\\"', 'a"b\\'),
            ("a", "a"),
            ('"a', '"a'),
            ('a"', 'a"'),
            ('"a" ', '"a" '),
            ('"', '"'),
        ],
    )
    def test_quotations_say_what_they_quote(self, text, expected):
        """Other texts are left as they are."""
        assert unquoted(text) == expected


class TestSeconds:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0", 0),
            ("60", 60),
            ("0060", 60),
            ("2147483648", MOST_SECONDS),
            ("2147483649", MOST_SECONDS),
            ("9" * 10_000, MOST_SECONDS),
            ("0" * 10_000 + "7", 7),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1e3", None),
            ("1_000", None),
            (" 1", None),
            ("\u00b2", None),
            ("\u0663", None),
        ],
    )
    def test_are_digits_only(self, text, expected):
        """Those of ASCII, as many as there are."""
        assert delta_seconds(text) == expected

    @given(LATIN)
    def test_can_be_read_of_anything(self, text):
        """A number within bounds, or none."""
        read = delta_seconds(text)
        assert read is None or 0 <= read <= MOST_SECONDS


class TestDates:
    @pytest.mark.parametrize(
        "text",
        [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ],
    )
    def test_have_three_forms(self, text):
        """The name of the day does not count."""
        assert http_date(text, NOW) == 784111777.0

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0",
            "-1",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Xyz 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1995 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, x",
            "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ],
    )
    def test_have_no_other_form(self, text):
        """A day that no month has is none."""
        assert http_date(text, NOW) is None

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Sun, 29 Feb 2004 00:00:00 GMT", 1078012800.0),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800.0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
            ("Mon, 01 Jan 0001 00:00:00 GMT", -62135596800.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799.0),
        ],
    )
    def test_reach_far(self, text, expected):
        """Leap days and leap seconds too."""
        assert http_date(text, NOW) == expected

    @pytest.mark.parametrize(
        ("now", "text", "expected"),
        [
            (NOW, "06-Sep-51", 2051),  # it is September 2001
            (NOW, "06-Nov-51", 1951),
            (NOW, "06-Nov-01", 2001),
            (NOW, "06-Nov-00", 2000),
            (NOW, "29-Feb-00", 2000),
            (NOW - 3e8, "06-Nov-01", 2001),
            (NOW - 3e8, "06-Nov-99", 1999),
            (NOW + 3e9, "06-Nov-01", 2101),
        ],
    )
    def test_of_two_digits_are_at_most_fifty_years_ahead(self, now, text, expected):
        """RFC 9110 section 5.6.7."""
        read = http_date(f"Sunday, {text} 08:49:37 GMT", now)
        assert read is not None
        assert time.gmtime(read).tm_year == expected

    @given(
        st.one_of(LATIN, st.from_regex(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"))
    )
    def test_can_be_read_of_anything(self, text):
        """Nothing is raised."""
        assert isinstance(http_date(text, NOW), float | None)


class TestSummingUp:
    @given(st.permutations(["gzip", "br", "deflate;q=0.5", "*;q=0"]))
    def test_the_order_of_codings_does_not_matter(self, codings):
        """Nor do white space and case."""
        expected = content_coding("*;q=0,br,deflate;q=0.5,gzip")
        assert (
            content_coding(" , ".join(codings).replace(";", " ; ").upper()) == expected
        )

    @given(st.lists(WORDS, unique=True), st.lists(WORDS, unique=True))
    def test_what_is_asked_for_is_never_lost(self, one, other):
        """Two sets of codings that differ have two variants."""
        same = content_coding(",".join(one)) == content_coding(",".join(other))
        assert same is (set(one) == set(other))

    def test_white_space_in_lists_means_nothing(self):
        """Their order may."""
        assert as_list(" de ,\ten;q=0.5,") == "de,en;q=0.5"
        assert as_list("de, en") != as_list("en, de")


TAGGED = Stored(Response(200, "OK", Headers([("ETag", '"1"')]), NOW, NOW), b"", 60, 0)
HOSTILE = [
    '"' * LONG,
    '"\\' * (LONG // 2),
    ',"' * (LONG // 2),
    'a="' * (LONG // 3),
    '\\"' * (LONG // 2),
    "a=," * (LONG // 3),
    "," * LONG,
    " " * LONG,
    "=" * LONG,
    "(" * LONG,
    "a;b" * (LONG // 3),
    "W/" * (LONG // 2),
    'W/"' * (LONG // 3),
    "0-," * (LONG // 3),
    "9" * LONG,
    "a " * (LONG // 2),
    ", \t" * (LONG // 3),
    "../" * (LONG // 3),
    "q=0." + "0" * LONG,
]


@pytest.mark.parametrize("value", HOSTILE, ids=[repr(one[:6]) for one in HOSTILE])
@pytest.mark.parametrize(
    "read",
    [
        lambda value: response_directives(Headers([("Cache-Control", value)])),
        lambda value: request_directives(Headers([("Cache-Control", value)])),
        lambda value: request_directives(Headers([("Pragma", value)])),
        lambda value: response_directives(Headers([("X", value)]), ["x"]),
        lambda value: http_date(value, NOW),
        lambda value: validation.etag_of(Headers([("ETag", value)])),
        lambda value: ranges.wanted_parts("bytes=" + value, 10),
        content_coding,
        as_list,
        lambda value: variants.varied_names(Headers([("Vary", value)])),
        lambda value: variants.primary_key(Target("http", "a", "/", value)),
        lambda value: validation.is_not_modified(
            TAGGED, Headers([("If-None-Match", value)])
        ),
        lambda value: invalidation.invalidated(
            Request("POST", Target("http", "a", "/")),
            Response(200, "OK", Headers([("Location", value)]), NOW, NOW),
        ),
    ],
)
def test_long_values_take_no_time(read, value):
    """A hundred thousand characters are read in a blink: nothing is quadratic."""
    spent = []
    for _ in range(3):
        begun = time.thread_time()
        read(value)
        spent.append(time.thread_time() - begun)
    assert min(spent) < 0.5
