"""What a request's way through the cache stands still for, in threads and in tasks.

The way itself is a generator, written once: it yields what takes time (to render, to
wait), gets what came of that, and returns the response. Whoever drives it knows
whether he may block.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.http.response import HttpResponseBase


class Render:
    """Have the view answer; gives its response, or raises what it raises."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let some time pass.

    Attributes:
        span: Seconds.
    """

    span: float

    def in_thread(self) -> None:
        """Block for it."""
        time.sleep(self.span)

    async def in_task(self) -> None:
        """Let other tasks run meanwhile."""
        await asyncio.sleep(self.span)


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for another request of this process.

    Attributes:
        done: What it completes.
        most: Seconds to wait at most.
    """

    done: Future[None]
    most: float

    def in_thread(self) -> None:
        """Block until then."""
        wait((self.done,), max(0.0, self.most))

    async def in_task(self) -> None:
        """Let other tasks run meanwhile."""
        await asyncio.wait((asyncio.wrap_future(self.done),), timeout=self.most)


Steps = Generator[Render | Pause | Wait, Any, HttpResponseBase]


def driven(steps: Steps, render: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Go the way in this thread."""
    way = _Way(steps)
    try:
        while way.response is None:
            step = way.step
            try:
                got = render() if isinstance(step, Render) else step.in_thread()
            except Exception as error:  # noqa: BLE001 - the view's own
                way.fail(error)
            else:
                way.go(got)
    finally:
        steps.close()
    return way.response


async def adriven(
    steps: Steps, render: Callable[[], Awaitable[HttpResponseBase]]
) -> HttpResponseBase:
    """Go the way in a task. What asks the backend is done in the request's thread."""
    way = await _in_thread(steps, _Way, steps)
    while way.response is None:
        step = way.step
        try:
            if isinstance(step, Render):
                got = await render()
            else:
                got = await step.in_task()
        except Exception as error:  # noqa: BLE001 - the view's own
            await _in_thread(steps, way.fail, error)
        except BaseException:  # cancelled, since nobody wants the response any more
            steps.close()
            raise
        else:
            await _in_thread(steps, way.go, got)
    return way.response


async def _in_thread(steps: Steps, function: Callable[..., Any], *args: Any) -> Any:
    """Call *function* in a thread; if cancelled meanwhile, end the way after that."""
    called = asyncio.ensure_future(sync_to_async(function)(*args))
    try:
        return await asyncio.shield(called)
    except asyncio.CancelledError:
        called.add_done_callback(lambda _: steps.close())
        raise


class _Way:
    """A way that has been gone as far as the next step.

    Attributes:
        step: What it stands still for.
        response: What it ended with; None until it does.
    """

    step: Render | Pause | Wait

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.response: HttpResponseBase | None = None
        self.go(None)

    def go(self, got: Any) -> None:
        """Go on with what came of the step."""
        self._advance(self._steps.send, got)

    def fail(self, error: Exception) -> None:
        """Go on with the error that came of it."""
        self._advance(self._steps.throw, error)

    def _advance(self, onward: Callable[[Any], Any], given: Any) -> None:
        try:
            self.step = onward(given)
        except StopIteration as end:
            self.response = end.value
