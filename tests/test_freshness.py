"""How usable is a value, and which spans of time make sense?"""

import dataclasses
import math
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover.errors import ConfigurationError, InvalidLifetime
from holdover.regions.envelope import ABSENT, FOREVER, Entry
from holdover.regions.freshness import Freshness, Standing, assess
from holdover.regions.lifetime import (
    DAY,
    LeaseTerms,
    Lifetime,
    seconds,
    seconds_or_none,
)

FRESH, STALE, FALLBACK, GONE = Freshness
CURRENT, SOFT, HARD = Standing
NOW = 1_000_000_000.0
ORDER = [FRESH, STALE, FALLBACK, GONE]

spans = st.floats(0.0, 100.0).map(lambda span: round(span, 1))
lifetimes = st.builds(
    Lifetime,
    expiration_time=st.none() | spans.filter(bool),
    stale_while_revalidate=st.none() | spans,
    stale_if_error=st.none() | spans,
)


def aged(age, *, kept_until=FOREVER, lifetime=None):
    """Give an entry that was made *age* seconds before NOW."""
    return Entry(
        "v", created_at=NOW - age, kept_until=kept_until, lifetime=lifetime, fence=1
    )


def life(expiration_time=10.0, swr=None, sie=None):
    """Give a lifetime in few letters."""
    return Lifetime(
        expiration_time=expiration_time,
        stale_while_revalidate=swr,
        stale_if_error=sie,
    )


@pytest.mark.parametrize(
    ("lifetime", "age", "expected"),
    [
        # within expiration_time
        (life(), 0.0, FRESH),
        (life(), 9.9, FRESH),
        (life(), 10.0, STALE),
        # swr=None: as long as the entry is kept
        (life(swr=None), 1e9, STALE),
        (life(swr=None, sie=0), 1e9, STALE),
        # swr=0: never stale
        (life(swr=0), 9.9, FRESH),
        (life(swr=0), 10.0, GONE),
        (life(swr=0, sie=0), 10.0, GONE),
        # swr finite
        (life(swr=5), 14.9, STALE),
        (life(swr=5), 15.0, GONE),
        # both windows begin at expiry (RFC 5861 sections 3 and 4)
        (life(swr=5, sie=20), 14.9, STALE),
        (life(swr=5, sie=20), 15.0, FALLBACK),
        (life(swr=5, sie=20), 29.9, FALLBACK),
        (life(swr=5, sie=20), 30.0, GONE),
        (life(swr=0, sie=20), 10.0, FALLBACK),
        (life(swr=0, sie=20), 30.0, GONE),
        (life(swr=20, sie=5), 29.9, STALE),
        (life(swr=20, sie=5), 30.0, GONE),
        # no expiry: always fresh
        (life(None), 1e9, FRESH),
        (life(None, swr=0, sie=0), 1e9, FRESH),
    ],
)
def test_the_four_states(lifetime, age, expected):
    """Age decides: fresh, then stale, then fallback, then gone."""
    assert expected is assess(aged(age), lifetime, NOW)


@pytest.mark.parametrize(
    ("lifetime", "age", "expected"),
    [
        (life(), -0.1, FRESH),
        (life(), -10.0, FRESH),
        (life(), -10.1, STALE),
        (life(swr=0), -10.1, GONE),
        (life(swr=0, sie=1), -10.1, FALLBACK),
        (life(None), -1e9, FRESH),
    ],
)
def test_a_stamp_from_the_future(lifetime, age, expected):
    """It counts as age 0; more than one lifetime ahead, as just expired."""
    assert expected is assess(aged(age), lifetime, NOW)


@pytest.mark.parametrize(
    ("lifetime", "age", "standing", "expected"),
    [
        (life(), 0.0, HARD, GONE),
        (life(None), 0.0, HARD, GONE),
        (life(sie=100), 20.0, HARD, GONE),
        (life(), 0.0, SOFT, STALE),
        (life(None), 0.0, SOFT, STALE),
        (life(), -5.0, SOFT, STALE),
        (life(swr=0), 0.0, SOFT, GONE),
        (life(swr=0, sie=5), 0.0, SOFT, FALLBACK),
        (life(swr=5), 14.9, SOFT, STALE),
        (life(swr=5), 15.0, SOFT, GONE),
    ],
)
def test_invalidation(lifetime, age, standing, expected):
    """Hard means gone; soft means expired, no more and no less."""
    assert expected is assess(aged(age), lifetime, NOW, standing)


@pytest.mark.parametrize(
    ("kept_for", "expected"), [(0.1, FRESH), (0.0, GONE), (-1, GONE)]
)
def test_kept_until_ends_everything(kept_for, expected):
    """What the backend may have removed is never served, however fresh."""
    assert expected is assess(aged(1.0, kept_until=NOW + kept_for), life(), NOW)


def test_absent_is_gone():
    """The entry that stands for "nothing there" is unusable at any time."""
    for now in (-1e12, 0.0, NOW, 1e300):
        assert GONE is assess(ABSENT, Lifetime(), now)


@pytest.mark.parametrize("age", [0.0, 4.9, 5.0, 6.0, 50.0])
def test_an_entry_s_own_lifetime_wins(age):
    """An entry that carries a lifetime is judged by it, not by the reader's."""
    own = life(5, swr=0, sie=10)
    expected = assess(aged(age), own, NOW)
    for reader in (life(), life(None), life(0.1, swr=0)):
        assert expected is assess(aged(age, lifetime=own), reader, NOW)


def test_the_reader_s_lifetime_may_change():
    """Age is judged when the value is read, so a longer policy revives it."""
    entry = aged(20.0)
    assert GONE is assess(entry, life(10, swr=0), NOW)
    assert FRESH is assess(entry, life(30, swr=0), NOW)


@given(lifetimes, st.floats(0, 500), st.floats(0, 500), st.sampled_from(Standing))
def test_a_value_never_gets_better(lifetime, age, more, standing):
    """As time passes, a value's state only moves from fresh towards gone."""
    now = assess(aged(age), lifetime, NOW, standing)
    later = assess(aged(age), lifetime, NOW + more, standing)
    assert ORDER.index(now) <= ORDER.index(later)


@given(lifetimes, st.floats(-500, 500), st.floats(-100, 100))
def test_standing_never_makes_a_value_better(lifetime, age, kept_for):
    """Current, soft, hard: each is at most as good as the one before."""
    entry = aged(age, kept_until=NOW + kept_for)
    states = [ORDER.index(assess(entry, lifetime, NOW, one)) for one in Standing]
    assert sorted(states) == states
    assert GONE is assess(entry, lifetime, NOW, HARD)
    assert FRESH is not assess(entry, lifetime, NOW, SOFT)


@given(lifetimes, spans)
def test_against_the_table_of_the_design(lifetime, age):
    """For ages that can be, the state is what DESIGN section 4 says."""
    expiry, swr = lifetime.expiration_time, lifetime.stale_while_revalidate
    if expiry is None or age < expiry:
        expected = FRESH
    elif swr is None or age - expiry < swr:
        expected = STALE
    elif lifetime.stale_if_error is not None and age - expiry < lifetime.stale_if_error:
        expected = FALLBACK
    else:
        expected = GONE
    entry = Entry("v", created_at=0.0)
    assert expected is assess(entry, lifetime, age)


# -- spans ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_span", "expected"),
    [
        (1, 1.0),
        (0.25, 0.25),
        (timedelta(minutes=2), 120.0),
        (timedelta(milliseconds=1), 0.001),
        (10**15, 1e15),
    ],
)
def test_seconds(given_span, expected):
    """Numbers of seconds and timedeltas become floats."""
    span = seconds(given_span, "x")
    assert expected == span
    assert float is type(span)


BAD_SPANS = [
    -1,
    -0.001,
    timedelta(seconds=-1),
    math.nan,
    math.inf,
    -math.inf,
    True,
    False,
    "10",
    b"10",
    Decimal(10),
    1j,
    [],
    object(),
]


@pytest.mark.parametrize("bad", BAD_SPANS, ids=[repr(one)[:12] for one in BAD_SPANS])
@pytest.mark.parametrize("zero", [True, False])
def test_what_is_no_span(bad, zero):
    """Anything else is a typed error that names the option and what was found."""
    with pytest.raises(InvalidLifetime, match="the_option"):
        seconds(bad, "the_option", zero=zero)


def test_a_number_beyond_all_floats():
    """An int that no float can hold is not finite, as infinity is not."""
    with pytest.raises(InvalidLifetime, match="the_option"):
        seconds(10**400, "the_option")


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, timedelta(0)])
def test_zero_only_where_it_makes_sense(zero):
    """A span of no length is refused unless it is said to mean something."""
    assert seconds(zero, "x", zero=True) == 0.0
    with pytest.raises(InvalidLifetime, match="more than 0"):
        seconds(zero, "x")


def test_none_is_no_bound():
    """None passes only where it stands for "no bound"."""
    assert seconds_or_none(None, "x") is None
    assert seconds_or_none(1, "x") == 1.0
    with pytest.raises(InvalidLifetime):
        seconds(None, "x")


LIFETIME_FIELDS = [field.name for field in dataclasses.fields(Lifetime)]
TERM_FIELDS = [field.name for field in dataclasses.fields(LeaseTerms)]


@pytest.mark.parametrize("bad", BAD_SPANS, ids=[repr(one)[:12] for one in BAD_SPANS])
@pytest.mark.parametrize("name", LIFETIME_FIELDS)
def test_a_lifetime_is_checked_when_made(name, bad):
    """No impossible lifetime exists; the error names the span."""
    with pytest.raises(InvalidLifetime, match=name):
        Lifetime(**{name: bad})


@pytest.mark.parametrize("bad", [*BAD_SPANS, None], ids=lambda bad: repr(bad)[:12])
@pytest.mark.parametrize("name", TERM_FIELDS)
def test_lease_terms_are_checked_when_made(name, bad):
    """No impossible terms exist; None is no span for any of them."""
    with pytest.raises(InvalidLifetime, match=name):
        LeaseTerms(**{name: bad})


def test_zero_in_policies():
    """0 means "never stale", "not kept", "do not wait"; elsewhere it is an error."""
    made = Lifetime(stale_while_revalidate=0, stale_if_error=0, keep_for=0)
    assert (
        made.stale_while_revalidate,
        made.stale_if_error,
        made.keep_for,
    ) == (0.0, 0.0, 0.0)
    assert LeaseTerms(wait=0).wait == 0.0
    with pytest.raises(InvalidLifetime, match="expiration_time"):
        Lifetime(expiration_time=0)
    for name in ("ttl", "queue_ttl", "max_hold"):
        with pytest.raises(InvalidLifetime, match=name):
            LeaseTerms(**{name: 0})


def test_policies_convert_timedeltas():
    """A timedelta is accepted at the door and kept as seconds."""
    assert Lifetime(expiration_time=timedelta(hours=1)).expiration_time == 3600.0
    assert LeaseTerms(ttl=timedelta(seconds=2)).ttl == 2.0


@pytest.mark.parametrize("policy", [Lifetime(), LeaseTerms()])
def test_policies_are_values(policy):
    """A policy cannot be changed after it was checked, and compares by content."""
    name = dataclasses.fields(policy)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(policy, name, 1.0)
    assert type(policy)() == policy


def test_a_wrong_span_is_also_a_value_error():
    """Callers who know nothing of Holdover can catch what Python would raise."""
    assert issubclass(InvalidLifetime, ConfigurationError)
    assert issubclass(InvalidLifetime, ValueError)


# -- what follows from a lifetime ----------------------------------------------


@pytest.mark.parametrize(
    ("given_spans", "expected"),
    [
        ({}, None),
        ({"expiration_time": 10}, 10 + DAY),
        ({"expiration_time": 10, "keep_for": None}, None),
        ({"expiration_time": 10, "keep_for": 0}, 10),
        ({"expiration_time": 10, "keep_for": 5}, 15),
        ({"expiration_time": 10, "keep_for": 5, "stale_while_revalidate": 20}, 30),
        ({"expiration_time": 10, "keep_for": 5, "stale_if_error": 30}, 40),
        ({"expiration_time": 10, "keep_for": 50, "stale_if_error": 30}, 60),
        ({"keep_for": 5}, None),
    ],
)
def test_ttl(given_spans, expected):
    """An entry is kept for `keep_for` past expiry, never less than its windows."""
    assert expected == Lifetime(**given_spans).ttl


@given(lifetimes, st.floats(0, 500))
def test_the_ttl_covers_the_windows(lifetime, age):
    """The store never removes what a bounded window would still serve."""
    bounded = dataclasses.replace(lifetime, keep_for=0)
    if bounded.stale_while_revalidate is None or bounded.ttl is None:
        return
    if assess(Entry("v", created_at=0.0), bounded, age) is not GONE:
        assert bounded.ttl >= age


def test_expiring_in():
    """One call may have an expiry of its own; -1 means never, as in dogpile.cache."""
    base = life(10, swr=5, sie=7)
    assert life(3, swr=5, sie=7) == base.expiring_in(3)
    assert life(60, swr=5, sie=7) == base.expiring_in(timedelta(minutes=1))
    assert life(None, swr=5, sie=7) == base.expiring_in(-1)
    for bad in (0, -2, math.nan, True, "5"):
        with pytest.raises(InvalidLifetime):
            base.expiring_in(bad)
