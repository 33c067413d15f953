"""Waiting for what another thread, process or server brings about."""

import threading
import time

from holdover.regions.flights import FLIGHTS

PATIENCE = 30.0  # seconds; bounds a failure, since a success is noticed at once


def wait_until(claim, what="what was waited for", patience=PATIENCE):
    """Wait until *claim()* gives something true, and give that."""
    deadline = time.monotonic() + patience
    while not (found := claim()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)
    return found


def wait_until_joined(count):
    """Wait until so many threads wait for what the calling one creates."""
    me = threading.get_ident()

    def have_joined():
        waiting = [flight.owner for flight in [*FLIGHTS._waiting.values()]]
        return waiting.count(me) >= count

    wait_until(have_joined, f"{count} others")


def at_once(*functions):
    """Call functions at the same time, and wait for them."""
    threads = [threading.Thread(target=one) for one in functions]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
