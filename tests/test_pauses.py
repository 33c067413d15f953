"""A creator that is left alone is left alone by those who have an old value only."""

import threading

from holdover import LeaseTerms, Lifetime, make_region
from holdover.regions.flights import FLIGHTS

SOON = 10


def test_a_pause_is_not_shared_with_who_has_no_value(clock, monkeypatch):
    """Who joined a flight of one with an old value tries the creator himself."""
    region = make_region("pauses", time_source=clock).configure(
        "holdover.memory",
        10,
        {"time_source": clock},
        stale_while_revalidate=0,
        stale_if_error=60,
        backoff=60,
        lease=LeaseTerms(wait=SOON),
    )
    region.set("k", "old")
    clock.advance(11)

    def fail():
        raise ZeroDivisionError

    assert region.get_or_create("k", fail) == "old"  # and from now on it is a pause
    joined, answers = threading.Event(), []
    acquire, wait = region._tier.acquire, FLIGHTS.wait

    def acquire_once_joined(*args, **kwargs):
        if not joined.is_set():
            other.start()
            assert joined.wait(SOON)
        return acquire(*args, **kwargs)

    def wait_and_tell(flight, timeout):
        joined.set()
        return wait(flight, timeout)

    def ask_for_less_old_ones():
        impatient = Lifetime(
            expiration_time=10, stale_while_revalidate=0, stale_if_error=0
        )
        made = region.get_or_create("k", lambda: "made", lifetime=impatient)
        answers.append(made)

    other = threading.Thread(target=ask_for_less_old_ones)
    monkeypatch.setattr(region._tier, "acquire", acquire_once_joined)
    monkeypatch.setattr(FLIGHTS, "wait", wait_and_tell)
    assert region.get_or_create("k", fail) == "old"
    other.join(SOON)
    assert answers == ["made"]
