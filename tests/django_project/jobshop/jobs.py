"""Its jobs; those for real workers note who fetched."""

import os
import time
from pathlib import Path

from holdover.contrib_django.jobs import Job, QuerySetFilterJob, cacheback

calls = []  # of the tests' own process
failing = []


class Price(Job):
    """Gives its arguments and a number that grows with every fetch."""

    def fetch(self, *args, **kwargs):
        """Count, and fail if the test wants it."""
        if failing:
            raise LookupError("no price")
        calls.append((args, kwargs))
        return [list(args), len(calls)]


class Hooked(Price):
    """Overrides everything; what was asked is noted."""

    asked = ()

    def note(self, *what):
        """See `Job`."""
        Hooked.asked = (*Hooked.asked, what)

    def prepare_args(self, *args):
        """See `Job`."""
        return tuple(f"prepared {one}" for one in args)

    def prepare_kwargs(self, **kwargs):
        """See `Job`."""
        return {name: f"prepared {held}" for name, held in kwargs.items()}

    def process_result(self, result, call, cache_status, sync_fetch=None):
        """See `Job`."""
        self.note(call, cache_status, sync_fetch)
        return ("processed", result)

    def empty(self):
        """See `Job`."""
        return "empty"

    def expiry(self, *args, **kwargs):
        """See `Job`."""
        return time.time() + 10

    def timeout(self, *args, **kwargs):
        """See `Job`."""
        return time.time() + 200

    def key(self, *args, **kwargs):
        """See `Job`."""
        named = [f"{name}={held}" for name, held in kwargs.items()]
        return "hooked:" + "-".join([*args, *named]).replace(" ", "_")


class Told(Job):
    """Is made with an argument, and called with a model's instance."""

    def __init__(self, currency):
        super().__init__()
        self.currency = currency

    def get_init_args(self):
        """See `Job`."""
        return (self.currency,)

    def fetch(self, book, **kwargs):
        """Read the instance."""
        calls.append((book, kwargs))
        return f"{book.title}: {book.price} {self.currency}"


class Noted(Job):
    """Notes which process fetched."""

    lifetime = 600
    fetch_on_miss = False

    def fetch(self, article):
        """Note it."""
        place = Path(os.environ["JOBS_FOLDER"]) / article
        with place.open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        return place.read_text().split()


class Titles(QuerySetFilterJob):
    """Has nothing of its own."""


@cacheback(900)
def decorated(number, unit="m"):
    """Count, as `Price` does."""
    calls.append(number)
    return f"{number} {unit} {len(calls)}"


def plain(number):
    """Be cached inline."""
    calls.append(number)
    return number + len(calls)
