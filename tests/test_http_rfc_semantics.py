"""RFC 9110: conditions, ranges and statuses, as far as a cache carries them out."""

import re

import pytest
from http_requirements import left, requires
from http_site import date

from holdover.wsgi.http.policy import Policy

LATER = 11  # seconds, when what is fresh for ten is stale
BODY = b"0123456789"


@pytest.fixture
def paged(site):
    """A site with a page of ten bytes, which is stored."""
    fields = {"ETag": '"1"', "Last-Modified": date(-60), "Date": date()}
    fields |= {"Content-Type": "text/plain", "Vary": "X-A", "Expires": date(60)}
    fields |= {"Content-Location": "/page.txt", "Content-Language": "en"}
    site.caches("max-age=60", fields, body=BODY).ask()
    return site


def part(site, spec, **fields):
    """Ask for parts of the page."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return site.ask(fields={"Range": spec, **named})


@requires("9110 6.6.1", "must", "add a Date to what is stored without one")
def test_what_has_no_date_is_given_one(site):
    """That of its coming."""
    site.caches("max-age=60").ask()
    site.passes(5)
    assert site.ask()["Date"] == date()


left(
    "9110 6.6.1",
    "must",
    "add a Date to what is handed on without one",
    result="the server's: WSGI servers add it",
)


@requires("9110 13.1.2", "must", "compare tags of If-None-Match weakly")
@pytest.mark.parametrize("ours", ['"1"', 'W/"1"'])
@pytest.mark.parametrize("theirs", ['"1"', 'W/"1"', '"x,", W/"1"'])
def test_weak_tags_do_for_confirming(site, ours, theirs):
    """The page need not be the same to the byte."""
    site.caches("max-age=60", {"ETag": ours}).ask()
    assert site.ask(fields={"If-None-Match": theirs}).status == 304


@requires("9110 13.1.3", "must", "ignore If-Modified-Since beside If-None-Match")
@requires("9110 13.2.2", "must", "evaluate conditions in the given order")
@pytest.mark.parametrize(
    ("tag", "since", "status"),
    [
        ('"2"', 0, 200),
        ('"1"', -999, 304),
        ("", 0, 200),
    ],
)
def test_tags_outrank_dates(paged, tag, since, status):
    """Also where the list of them is empty."""
    asked = {"If-None-Match": tag, "If-Modified-Since": date(since)}
    assert paged.ask(fields=asked).status == status


@requires("9110 13.1.3", "must", "ignore an If-Modified-Since that is no single date")
@pytest.mark.parametrize("since", ["x", "", f"{date()}, {date()}", "0", "today"])
def test_conditions_without_a_date_are_none(paged, since):
    """The page is sent."""
    assert paged.ask(fields={"If-Modified-Since": since}).status == 200


left(
    "9110 13.1.3",
    "must",
    "ignore If-Modified-Since without a date of modification",
    result="kept as RFC 9111 section 4.3.2 has it for caches: Date stands in",
)


@requires("9110 13.1.3", "must", "read If-Modified-Since by the origin's clock")
def test_conditions_go_by_the_origin_s_clock(site):
    """Its Last-Modified and Date are compared, never the time here."""
    site.caches("max-age=60", {"Date": date(-5000)}).ask()
    site.caches("max-age=9000", {"Date": date(-5000)}).ask("/old")
    answers = [
        site.ask("/old", fields={"If-Modified-Since": date(since)}).status
        for since in (-5001, -5000)
    ]
    assert answers == [200, 304]


@requires("9110 13.1.5", "must", "ignore If-Range without Range")
def test_if_range_alone_means_nothing(paged):
    """The page is sent."""
    answer = paged.ask(fields={"If-Range": '"1"'})
    assert (200, "text/plain") == (answer.status, answer["Content-Type"])


@requires("9110 13.1.5", "must", "evaluate If-Range before Range")
@requires("9110 13.1.5", "must", "ignore Range if If-Range does not hold")
@requires("9110 13.1.5", "should", "process Range if it holds")
@pytest.mark.parametrize(
    ("fields", "wanted", "status"),
    [
        ({"ETag": '"1"'}, '"1"', 206),
        ({"ETag": '"1"'}, '"2"', 200),
        ({"ETag": '"1"'}, 'W/"1"', 200),
        ({"ETag": 'W/"1"'}, 'W/"1"', 200),
        ({"ETag": 'W/"1"'}, '"1"', 200),
        ({}, '"1"', 200),
        ({"Last-Modified": date(-60)}, date(-60), 206),
        ({"Last-Modified": date(-60)}, date(-59), 200),
        ({"Last-Modified": date(-60)}, date(-61), 200),
        ({"Last-Modified": date(0)}, date(0), 200),
        ({}, date(0), 200),
        ({"Last-Modified": date(-60)}, "x", 200),
    ],
)
def test_parts_are_of_the_same_page(site, fields, wanted, status):
    """A tag that is weak says too little, as does a date of the same second."""
    site.caches("max-age=60", {"Date": date(), **fields}).ask()
    assert part(site, "bytes=1-2", If_Range=wanted).status == status


@requires("9110 13.2.1", "must", "ignore conditions if the answer is no 2xx")
@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved"])
def test_conditions_are_about_pages_that_are_there(site, status):
    """And Range, too."""
    site.caches("max-age=60", {"ETag": '"1"'}, status=status).ask()
    asked = {"If-None-Match": '"1"', "Range": "bytes=0-1"}
    answer = site.ask(fields=asked)
    assert (int(status[:3]), b"page") == (answer.status, answer.body)


@requires("9110 13.2.1", "must", "hand conditions on where it cannot act as a cache")
def test_conditions_of_what_passes_by_are_kept(clocked):
    """The application gets what the client sent."""
    site = clocked(Policy(hosts=frozenset({"other.test"})))
    site.ask(fields={"If-None-Match": '"1"', "If-Range": '"1"', "Range": "bytes=0-1"})
    kept = {"HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE", "HTTP_RANGE"}
    assert kept <= set(site.asked[-1])


@requires("9110 14.1.2", "-", "send the parts that there are")
@pytest.mark.parametrize(
    ("spec", "body", "told"),
    [
        ("bytes=0-3", b"0123", "0-3"),
        ("bytes=4-", b"456789", "4-9"),
        ("bytes=8-99", b"89", "8-9"),
        ("bytes=-3", b"789", "7-9"),
        ("bytes=-99", BODY, "0-9"),
        ("Bytes=0-0", b"0", "0-0"),
        ("bytes=00-001", b"01", "0-1"),
        ("bytes= 2-3 , ", b"23", "2-3"),
        ("bytes=2-3, 20-", b"23", "2-3"),
    ],
)
def test_parts(paged, spec, body, told):
    """First and last byte belong to it."""
    answer = part(paged, spec)
    assert (206, body, f"bytes {told}/10") == (
        answer.status,
        answer.body,
        answer["Content-Range"],
    )
    assert (True, str(len(body))) == (answer.is_hit, answer["Content-Length"])


@requires("9110 14.1.2", "must", "read numbers that are very large")
@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ("bytes=5-" + "9" * 30, 206),
        ("bytes=-" + "9" * 5000, 206),
        ("bytes=" + "9" * 5000 + "-", 416),
        ("bytes=" + "0" * 5000 + "5-6", 206),
    ],
)
def test_no_offset_is_too_large(paged, spec, status):
    """They are beyond the end."""
    assert part(paged, spec).status == status


@requires("9110 14.2", "must", "ignore Range with another method than GET")
def test_a_head_has_no_parts(paged):
    """It tells of the whole."""
    answer = paged.ask(method="HEAD", fields={"Range": "bytes=0-1"})
    assert (200, "10") == (answer.status, answer["Content-Length"])


@requires("9110 14.2", "must", "ignore a unit that it does not know")
@requires("9110 14.2", "-", "ignore what cannot be read, or asks for too much")
@pytest.mark.parametrize(
    "spec",
    [
        "pages=0-1",
        "bytes 0-1",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=3-2",
        "bytes=0-1,3-2",
        "bytes=0-1,x",
        "bytes=\u00b2-",
        "bytes=0-9,0-9",
        "bytes=" + ",".join(["0-0"] * 17),
        "bytes=" + "0-," * 30_000,
    ],
)
def test_other_ranges_are_ignored(paged, spec):
    """The whole is sent, which answers all of them."""
    answer = part(paged, spec)
    assert (200, BODY) == (answer.status, answer.body)


@requires("9110 14.2", "-", "evaluate Range after the conditions")
def test_a_client_that_has_the_page_gets_no_part(paged):
    """It is told that it has it."""
    answer = part(paged, "bytes=0-1", If_None_Match='"1"')
    assert (304, b"") == (answer.status, answer.body)


@requires("9110 14.2", "should", "send 206 for what can be satisfied")
@requires(
    "9110 15.3.7.2", "must", "give each part its Content-Range, and the head none"
)
@requires("9110 15.3.7.2", "should", "give each part its Content-Type")
@requires("9110 15.3.7.2", "should", "send the parts in the order asked for")
def test_several_parts(paged):
    """As multipart/byteranges, under a boundary that nobody knows beforehand."""
    answer = part(paged, "bytes=8-, 20-30, 0-1")
    kind, _, boundary = answer["Content-Type"].partition("; boundary=")
    assert (206, "multipart/byteranges", None) == (
        answer.status,
        kind,
        answer["Content-Range"],
    )
    pieces = answer.body.split(f"--{boundary}".encode())
    assert [b"", b"--\r\n"] == [pieces[0], pieces[-1]]
    kind = b"\r\nContent-Type: text/plain\r\nContent-Range: bytes "
    assert pieces[1] == kind + b"8-9/10\r\n\r\n89\r\n"
    assert pieces[2] == kind + b"0-1/10\r\n\r\n01\r\n"
    assert int(answer["Content-Length"]) == len(answer.body)
    assert re.fullmatch("[0-9a-f]{32}", boundary)


@requires("9110 15.3.7.2", "must not", "send multipart for a single range")
def test_one_part_of_several_is_sent_alone(paged):
    """Where the others are beyond the end, too."""
    assert part(paged, "bytes=0-1")["Content-Type"] == "text/plain"
    assert part(paged, "bytes=0-1, 20-")["Content-Type"] == "text/plain"


@requires("9110 14.2", "should", "send 416 for what cannot be satisfied")
@requires("9110 14.4", "should", "say in a 416 how long the whole is")
@requires("9110 15.5.17", "should", "say in a 416 how long the whole is")
@pytest.mark.parametrize("spec", ["bytes=10-", "bytes=20-30, 11-", "bytes=-0"])
def test_what_is_beyond_the_end(paged, spec):
    """Nobody between here and the client keeps that answer."""
    answer = part(paged, spec)
    assert (416, b"", "bytes */10") == (
        answer.status,
        answer.body,
        answer["Content-Range"],
    )
    assert ("no-store", None, None) == (
        answer["Cache-Control"],
        answer["Expires"],
        answer["ETag"],
    )


def test_of_nothing_there_is_no_part(site):
    """RFC 9110 section 14.2 lets a Range be ignored then."""
    site.caches("max-age=60", body=b"").ask()
    for spec in ("bytes=0-", "bytes=-1"):
        assert part(site, spec).status == 200
