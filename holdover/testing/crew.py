"""Several who do the same to one store at the same moment, each for himself."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Self

from holdover.regions.backends.base import Backend

Work = Callable[[Backend, int, Any], Any]
"""What one of them does: with his backend, his number, and what all are told."""

_PATIENCE = 30.0  # seconds; bounds a failure


class Crew:
    """Workers who wait for the word and then begin together.

    Args:
        make: Makes a backend on the shared store; called by each.
        works: What they can do, by name.
        in_processes: Whether each is a forked process; else each is a thread, for
            stores that are not shared by processes.
        count: How many there are.
    """

    def __init__(
        self,
        make: Callable[[], Backend],
        works: Mapping[str, Work],
        *,
        in_processes: bool = True,
        count: int = 8,
    ) -> None:
        context = multiprocessing.get_context("fork")
        hire: Any = context.Process if in_processes else threading.Thread
        self._make = make
        self._works = works
        self._barrier: Any = (
            context.Barrier(count) if in_processes else threading.Barrier(count)
        )
        pairs = [context.Pipe() for _ in range(count)]
        self._ends = [ours for ours, _ in pairs]
        self._workers = [
            hire(target=self._serve, args=(number, theirs), daemon=True)
            for number, (_, theirs) in enumerate(pairs)
        ]

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.send(None)
        for worker in self._workers:
            worker.join(_PATIENCE)

    def do(self, name: str, told: Any = None) -> list[Any]:
        """Have all of them do the work of that name at the same moment.

        Returns:
            What came of it, by number.

        Raises:
            AssertionError: One of them failed, or never answered.
        """
        for end in self._ends:
            end.send((name, told))
        answers = []
        for end in self._ends:
            assert end.poll(_PATIENCE), f"nobody answers {name!r}"
            answers.append(end.recv())
        failures = [problem for problem, _ in answers if problem]
        assert not failures, failures
        return [result for _, result in answers]

    def _serve(self, number: int, end: Connection) -> None:
        backend = self._make()
        while (asked := end.recv()) is not None:
            name, told = asked
            try:
                self._barrier.wait(_PATIENCE)
                answer = ("", self._works[name](backend, number, told))
            except Exception as problem:  # noqa: BLE001 - it is told to who asked
                answer = (f"{number}: {problem!r}", None)
            end.send(answer)
