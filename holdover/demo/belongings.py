"""What a run puts on servers that are not its own, and takes away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from holdover.demo import journal, stores
from holdover.demo.errors import Unreachable
from holdover.demo.means import REDIS
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
        WrongOption: There is no such backend.
        Unreachable: The backend or the broker cannot be used.
    """
    with ExitStack() as used:
        if not settings.means.is_own:
            stores.check(settings)
            used.callback(_try, _remove_values, settings, console)
        if settings.means.broker is not None:
            from holdover.demo import broker

            broker.check(settings.means)
            used.callback(_try, _remove_queue, settings, console)
        yield


def _try(
    remove: Callable[[Settings], None], settings: Settings, console: Console
) -> None:
    try:
        remove(settings)
    except Unreachable as error:
        console.print(f"Not all of {settings.means.run} could be removed: {error}")


def _remove_values(settings: Settings) -> None:
    from holdover.demo.site import search

    queries = _searched(settings)
    stores.remove(settings, [search.key_for(query) for query in queries])
    if settings.means.kind == REDIS:
        from holdover.demo import redis_pages

        redis_pages.remove(settings, queries)


def _remove_queue(settings: Settings) -> None:
    from holdover.demo import broker

    broker.remove(settings.means)


def _searched(settings: Settings) -> set[str]:
    """Give all queries, those of people who visited a site left up among them."""
    journals = settings.directory.glob("*/runs.jsonl")
    searched = {run["query"] for file in journals for run in journal.read(file)}
    return searched | set(QUERIES)
