"""How `holdover.redis_cluster` talks to its nodes: as `redis_link.Link` does to one.

Commands go to the node that has what they are about: those for one node in one write,
and to all nodes before the first answer is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from redis.exceptions import AskError, MovedError, ResponseError, TryAgainError

from holdover.regions.backends.redis_commands import Command, transaction
from holdover.regions.backends.redis_conversation import Conversation
from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_nodes import Nodes
from holdover.regions.backends.redis_replies import Refused, transacted
from holdover.regions.backends.redis_slots import bucket_in
from holdover.regions.errors import BackendError

_WORDS = {MovedError: "MOVED ", AskError: "ASK ", TryAgainError: "TRYAGAIN "}
_SCRIPTS = {"EVAL", "EVALSHA"}
_MOST_HOPS = 3  # from one node that has moved something to the next


@dataclass(slots=True)
class _Job:
    """Commands about one bucket that are sent together, once or not at all.

    Attributes:
        bucket: Which.
        commands: What is sent.
        replies: What came back; empty until then.
    """

    bucket: int
    commands: Sequence[Command]
    replies: list[Any] = field(default_factory=list)

    def redirected(self, kind: type[AskError]) -> str | None:
        """Give where a node says that this job belongs; None if it says nothing."""
        for reply in self.replies:
            if _is(reply, kind):
                return str(reply).split()[-1]
        return None


class _Errand:
    """All jobs for one node, of which the commands are sent in one write."""

    def __init__(self, way: Link) -> None:
        self.way = way
        self.jobs: list[_Job] = []

    def send(self) -> None:
        commands = [command for job in self.jobs for command in job.commands]
        self._exchange = self.way.exchange(commands)
        next(self._exchange)

    def receive(self) -> None:
        replies = iter(next(self._exchange))
        for job in self.jobs:
            job.replies = list(islice(replies, len(job.commands)))
        self._exchange.close()


class Routes:
    """The way to whichever node has what a command is about.

    Args:
        nodes: Which has what.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def fetch(self, bucket: int, packed: bytes) -> Any:
        """Send one packed command about a bucket; see `Link.fetch`.

        Raises:
            BackendError: There is no reply, or it is an error; `ask` may do better.
        """
        way = self._nodes.way_to(bucket)
        try:
            return way.fetch(packed)
        except Refused:
            raise
        except BackendError:
            self._nodes.lose(way)
            raise

    def ask(self, *commands: Command) -> list[Any]:
        """Send commands once, each to its node; give each one's reply, or its error.

        Raises:
            BackendError: Not all replies came; what was carried out is not known.
        """
        jobs = [_Job(_bucket_of(command), (command,)) for command in commands]
        self._carry_out(jobs)
        return [job.replies[0] for job in jobs]

    def transact(self, transactions: Sequence[Sequence[Command]]) -> None:
        """Have each of *transactions*, about a bucket each, carried out in one step.

        Raises:
            Refused: A node refused one of them; others may have been carried out.
            BackendError: What was carried out is not known.
        """
        jobs = [_Job(_bucket_of(one[0]), transaction(one)) for one in transactions]
        self._carry_out(jobs)
        for job in jobs:
            transacted(job.replies)

    @contextmanager
    def conversation_about(self, name: bytes) -> Iterator[Conversation]:
        """Hold a connection to the node that has *name*; see `Link.conversation`."""
        bucket = bucket_in(name)
        way = self._nodes.way_to(bucket)
        try:
            with way.conversation() as conversation:
                yield conversation
        except Refused as error:
            self._follow(_Job(bucket, (), [error.__cause__]))
            raise
        except BackendError:
            self._nodes.lose(way)
            raise

    # -- small steps -----------------------------------------------------------

    def _carry_out(self, jobs: Sequence[_Job]) -> None:
        todo = jobs
        for _ in range(_MOST_HOPS):
            self._send_out(todo)
            todo = [job for job in todo if self._follow(job)]
            if not todo:
                return

    def _send_out(self, jobs: Sequence[_Job]) -> None:
        """Get all replies that can be had.

        Raises:
            BackendError: Of the first node that did not answer; the others have.
        """
        failures: list[BackendError] = []
        errands: dict[Link, _Errand] = {}
        for job in jobs:
            try:
                way = self._nodes.way_to(job.bucket)
            except BackendError as error:
                failures.append(error)
            else:
                errands.setdefault(way, _Errand(way)).jobs.append(job)
        went = [one for one in errands.values() if self._went(one, one.send, failures)]
        for one in went:
            self._went(one, one.receive, failures)
        if failures:
            raise failures[0]

    def _went(
        self, errand: _Errand, step: Callable[[], None], failures: list[BackendError]
    ) -> bool:
        try:
            step()
        except BackendError as error:
            self._nodes.lose(errand.way)
            failures.append(error)
            return False
        return True

    def _follow(self, job: _Job) -> bool:
        """Go where a node has sent us; say whether the job is to be sent once more."""
        moved = job.redirected(MovedError)
        if moved is not None:
            self._nodes.moved(job.bucket, moved)
            return True
        asking = job.redirected(AskError)
        if asking is not None:  # this once, while the slot is on its way
            way = self._nodes.link_at(asking, job.bucket)
            job.replies = way.ask(("ASKING",), *job.commands)[1:]
        return False


def is_moving(reply: Any) -> bool:
    """Say whether a node could not answer since it has a part of the names only."""
    return _is(reply, TryAgainError)


def _is(reply: Any, kind: type[ResponseError]) -> bool:
    """Say whether a reply is that error, which older redis-py's tell by its first word.

    redis-py counts "MOVED" as a kind of "ASK".
    """
    if not isinstance(reply, ResponseError):
        return False
    return type(reply) is kind or str(reply).startswith(_WORDS[kind])


def _bucket_of(command: Command) -> int:
    """Tell what a command is about, which is in its first name."""
    name = command[3 if command[0] in _SCRIPTS else 1]
    if not isinstance(name, bytes):
        raise TypeError(f"{command!r:.80} begins with no name of ours")
    return bucket_in(name)
