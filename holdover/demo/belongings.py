"""What a run puts on servers that are not its own, and takes away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from holdover.demo import journal, stores
from holdover.demo.errors import DemoError
from holdover.demo.queries import QUERIES
from holdover.demo.settings import Settings


@contextmanager
def removed_afterwards(settings: Settings, console: Console) -> Iterator[None]:
    """Use the backend and the broker of a run, and leave nothing there.

    However the block ends. What could not be removed is told, and is no error.

    Args:
        settings: Of the run; in its directory stand those of the phases.
        console: Where to tell.

    Raises:
        DemoError: The backend or the broker cannot be used.
    """
    stores.check(settings)
    if settings.means.broker is not None:
        from holdover.demo import broker

        broker.check(settings.means)
    try:
        yield
    finally:
        _remove(settings, console)


def _remove(settings: Settings, console: Console) -> None:
    try:
        stores.remove(settings, _queries(settings))
        if settings.means.broker is not None:
            from holdover.demo import broker

            broker.remove(settings.means)
    except DemoError as error:
        console.print(f"Not all of {settings.means.run} could be removed: {error}")


def _queries(settings: Settings) -> set[str]:
    """Give all that was searched for, by visitors of a site left up, too."""
    journals = settings.directory.glob("*/runs.jsonl")
    searched = {run["query"] for file in journals for run in journal.read(file)}
    return searched | set(QUERIES)
