"""The load generator, a process of its own: ``python -m holdover.demo.visitors LOAD``.

Visitors first ask every query once, together. Then each thinks, asks, reads, and thinks
again, independently of the others. Lines of JSON tell how it goes; the last one holds
all requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any
from urllib.parse import urlencode

from holdover.demo.http_client import BadAnswer, Connection
from holdover.demo.lifeline import end_with_parent
from holdover.demo.load import Load, Request
from holdover.demo.placement import share_one_processor
from holdover.demo.queries import QUERIES, popularity

_TELL_EVERY = 0.25  # seconds
_PATIENCE = 15.0  # seconds until a request counts as failed

# A wall clock that nobody can set back while we measure.
_EPOCH = time.time() - time.perf_counter()


class Visitors:
    """Everybody who visits the site in one phase.

    Args:
        load: What they do.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self.requests: list[Request] = []
        self.first_pass_ended_at = 0.0

    async def come(self) -> None:
        """Make all requests; returns when the last answer has been read."""
        load = self._load
        ends = time.perf_counter() + load.seconds
        visitors = [_Visitor(load, number) for number in range(load.visitors)]
        try:
            unasked = iter(QUERIES[: load.queries])
            await asyncio.gather(*(self._ask_all(v, unasked) for v in visitors))
            now = time.perf_counter()
            self.first_pass_ended_at = _EPOCH + now
            # On a slow machine that may have been most of the time.
            ends = max(ends, now + load.seconds / 2)
            await asyncio.gather(*(self._keep_asking(v, ends) for v in visitors))
        finally:
            for visitor in visitors:
                visitor.leave()

    async def _ask_all(self, visitor: _Visitor, unasked: Iterator[str]) -> None:
        for query in unasked:
            self.requests.append(await visitor.ask(query, first_pass=True))

    async def _keep_asking(self, visitor: _Visitor, ends: float) -> None:
        # Once in any case: of nothing there are no figures.
        for number, (query, pause) in enumerate(visitor.plan()):
            await asyncio.sleep(pause)
            if number and time.perf_counter() >= ends:
                return
            self.requests.append(await visitor.ask(query))


class _Visitor:
    """One of them, with dice and a connection of his own."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._dice = random.Random(f"{load.seed} {number}")  # noqa: S311 - no secret
        self._connection: Connection | None = None

    def plan(self) -> Iterator[tuple[str, float]]:
        """Give queries by Zipf's law, and how long to think before each; endless."""
        queries = QUERIES[: self._load.queries]
        weights = list(itertools.accumulate(popularity(len(queries))))
        while True:
            query = self._dice.choices(queries, cum_weights=weights)[0]
            yield query, self._dice.expovariate(1 / self._load.think_time)

    async def ask(self, query: str, *, first_pass: bool = False) -> Request:
        """Make one request, and tell how it went."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(_PATIENCE):
                connection = await self._connected()
                age = await connection.get(f"/?{urlencode({'q': query})}")
        except (OSError, EOFError, BadAnswer):
            self.leave()
            age, failed = 0.0, True
        else:
            failed = False
        latency = time.perf_counter() - started
        return Request(_EPOCH + started, latency, age, first_pass, failed)

    async def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = await Connection.open(self._load.url)
        return self._connection

    def leave(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def main() -> None:
    """Carry out the load of the first argument."""
    end_with_parent()
    share_one_processor()
    asyncio.run(_visit(Load.from_json(sys.argv[1])))


async def _visit(load: Load) -> None:
    visitors = Visitors(load)
    telling = asyncio.create_task(_keep_telling(visitors.requests))
    await visitors.come()
    telling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await telling
    _say(
        first_pass_ended_at=visitors.first_pass_ended_at,
        requests=[astuple(request) for request in visitors.requests],
    )


async def _keep_telling(requests: Sequence[Request]) -> None:
    told = 0
    while True:
        await asyncio.sleep(_TELL_EVERY)
        latencies = [round(request.latency, 6) for request in requests[told:]]
        told += len(latencies)
        _say(latencies=latencies)


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
