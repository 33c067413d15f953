"""RFC 9110 section 5: how fields are read, as far as caches go by them."""

import pytest
from http_requirements import requires
from http_site import date


@requires("9110 5.1", "-", "take the names of fields in any case")
@pytest.mark.parametrize("name", ["Cache-Control", "CACHE-CONTROL", "cache-control"])
def test_names_are_read_in_any_case(site, name):
    """As the application writes them."""
    site.says({name: "max-age=60"}).ask()
    assert site.ask().is_hit


@requires("9110 5.2", "-", "read several lines of a list as one")
def test_lines_of_a_list_are_one(site):
    """In their order."""
    site.says({"Cache-Control": ["max-age=60", "no-store"]}).ask()
    assert not site.ask().is_hit
    site.says({"Cache-Control": "max-age=60", "Vary": ["X-A", "X-B"]})
    site.ask(fields={"X-A": "1", "X-B": "1"})
    assert not site.ask(fields={"X-A": "1", "X-B": "2"}).is_hit


@requires("9110 5.6.1.2", "must", "pass over empty members of a list")
@pytest.mark.parametrize("control", [",max-age=60", "max-age=60, ,", ", ,, max-age=60"])
def test_empty_members_do_not_count(site, control):
    """However many there are."""
    site.caches(control).ask()
    assert site.ask().told["ttl"] == 60


@requires("9110 5.6.4", "must", "read what is escaped in a quotation as itself")
def test_quotations_may_escape_anything(site):
    """Also what needs no escape."""
    site.caches('max-age="6\\0", private="\\x-a", x="\\", no-store, \\""', {"X-A": "1"})
    site.ask()
    answer = site.ask()
    assert (60, None) == (answer.told["ttl"], answer["X-A"])


@requires("9110 5.6.7", "must", "accept dates in all three forms")
@pytest.mark.parametrize(
    "until",
    [date(60), "Sunday, 09-Sep-01 01:47:40 GMT", "Sun Sep  9 01:47:40 2001"],
)
def test_dates_have_three_forms(site, until):
    """Of which only the first is written any more."""
    site.says({"Expires": until}).ask()
    assert site.ask().told["ttl"] == 60


@requires("9110 5.6.7", "must", "take years of two digits for at most fifty ahead")
@pytest.mark.parametrize(("day", "is_hit"), [("08-Sep-51", True), ("10-Sep-51", False)])
def test_years_of_two_digits(site, day, is_hit):
    """It is the ninth of September 2001."""
    site.says({"Expires": f"Sunday, {day} 01:47:40 GMT"}).ask()
    assert site.ask().is_hit is is_hit
