"""Waiting for what another thread, process or server brings about."""

import threading
import time

PATIENCE = 20.0  # seconds; bounds a failure, since a success is noticed at once


def wait_until(claim, what="what was waited for", patience=PATIENCE):
    """Wait until *claim()* gives something true, and give that."""
    deadline = time.monotonic() + patience
    while not (found := claim()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)
    return found


def at_once(*functions):
    """Call functions at the same time, and wait for them."""
    threads = [threading.Thread(target=one) for one in functions]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
