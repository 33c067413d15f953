"""The port: a refresh as data, and what carries it out.

An order is JSON. It names a registered function, so that whoever can write to a queue
cannot choose code; and it carries the lease's token, so that of all the deliveries of
a message only the first one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, field, fields
from reprlib import repr as repr_of
from typing import Any, Protocol

from holdover.regions.codecs import is_plain
from holdover.regions.errors import InvalidOrder
from holdover.regions.numbers import LONGEST_TEXT
from holdover.regions.values import frozen

MESSAGE_VERSION = 1
TASK_NAME = "holdover.refresh"
_LAST_INSTANT = 1e12  # wall clock, seconds; nobody orders then


@frozen(kw_only=True)
class RefreshOrder:
    """One refresh, ready to travel.

    Attributes:
        region: Name of the region.
        function: Name under which the creator is registered.
        args: Positional arguments; JSON values.
        kwargs: Keyword arguments; JSON values.
        key: The key they make, as the ordering process sees it.
        token: Proof of the lease taken for this refresh.
        clock: The region clock's tick when it was ordered.
        not_after: When it has become pointless (wall clock, seconds).
        ordered_at: When it was ordered (wall clock, seconds).
        read_at: When the value was last asked for, as the ordering process knows; 0 if
            it was ordered for nobody in particular.
        context: What the creator needs of the ordering process, by the names that its
            region knows; JSON values.
    """

    region: str
    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    key: str
    token: str
    clock: int
    not_after: float
    ordered_at: float = 0.0
    read_at: float = 0.0
    context: dict[str, Any] = field(default_factory=dict)

    def to_message(self) -> dict[str, Any]:
        """Give the order as a JSON object."""
        return {"version": MESSAGE_VERSION, **asdict(self)}

    @classmethod
    def from_message(cls, message: object) -> RefreshOrder:
        """Read an order from what came out of a queue.

        Raises:
            InvalidOrder: It is not one; the message says what was found.
        """
        return cls(**_parts_of(message, cls))


@frozen(kw_only=True)
class BatchOrder:
    """One refresh of several keys of one function, ready to travel.

    Attributes:
        region: Name of the region.
        function: Name under which the creator of several values is registered.
        args: What it is asked for, one for each key; JSON values.
        keys: The keys they make, as the ordering process sees them.
        tokens: Proofs of the leases taken for this refresh, one for each key.
        not_after: When it has become pointless (wall clock, seconds).
        ordered_at: See `RefreshOrder`, as for the next two.
        read_at: See there.
        context: See there.
    """

    region: str
    function: str
    args: list[Any]
    keys: list[Any]
    tokens: list[Any]
    not_after: float
    ordered_at: float = 0.0
    read_at: float = 0.0
    context: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, orders: Sequence[RefreshOrder]) -> BatchOrder:
        """Put together several orders for one function, of one argument each."""
        return cls(
            region=orders[0].region,
            function=orders[0].function,
            args=[order.args[0] for order in orders],
            keys=[order.key for order in orders],
            tokens=[order.token for order in orders],
            not_after=min(order.not_after for order in orders),
            ordered_at=orders[0].ordered_at,
            read_at=orders[0].read_at,
            context=orders[0].context,
        )

    def to_message(self) -> dict[str, Any]:
        """Give the order as a JSON object."""
        return {"version": MESSAGE_VERSION, **asdict(self)}

    @classmethod
    def from_message(cls, message: object) -> BatchOrder:
        """Read an order from what came out of a queue.

        Raises:
            InvalidOrder: It is not one; the message says what was found.
        """
        order = cls(**_parts_of(message, cls))
        if not len(order.args) == len(order.keys) == len(order.tokens):
            raise InvalidOrder("args, keys and tokens differ in number")
        if not order.keys:
            raise InvalidOrder("no keys")
        for text in [*order.keys, *order.tokens]:
            _check_part("a key or token", text, (str,))
        if len(set(order.keys)) < len(order.keys):
            raise InvalidOrder("a key is there twice")
        return order


def read_order(message: object) -> RefreshOrder | BatchOrder:
    """Read an order of either kind.

    Raises:
        InvalidOrder: It is neither; the message says what was found.
    """
    if isinstance(message, Mapping) and "tokens" in message:
        return BatchOrder.from_message(message)
    return RefreshOrder.from_message(message)


_INSTANT = (float, int)
_KINDS: dict[str, tuple[type, ...]] = {
    "region": (str,),
    "function": (str,),
    "args": (list,),
    "kwargs": (dict,),
    "key": (str,),
    "keys": (list,),
    "token": (str,),
    "tokens": (list,),
    "clock": (int,),
    "not_after": _INSTANT,
    "ordered_at": _INSTANT,
    "read_at": _INSTANT,
    "context": (dict,),
}


def _parts_of(message: object, order: type[Any]) -> dict[str, Any]:
    """Take the fields of *order* from a message, each of its own kind."""
    if not isinstance(message, Mapping):
        raise InvalidOrder(f"an order is an object, got {type(message).__name__}")
    if message.get("version") != MESSAGE_VERSION:
        raise InvalidOrder(
            f"an order of version {repr_of(message.get('version'))}; "
            f"this release reads version {MESSAGE_VERSION}"
        )
    parts = {
        part.name: message.get(part.name)
        for part in fields(order)
        if part.name in message or _is_needed(part)
    }
    for name, part in parts.items():
        _check_part(name, part, _KINDS[name])
    return parts


def _is_needed(part: Field[Any]) -> bool:
    """Say whether a message must have it; the rest is newer than version 1."""
    return part.default is MISSING and part.default_factory is MISSING


def _check_part(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if type(value) not in kinds or not is_plain(value):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidOrder(f"{name} must be {wanted}, got {type(value).__name__}")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise InvalidOrder(f"{name} has {len(value)} characters")
    if kinds is _INSTANT and not 0.0 <= value <= _LAST_INSTANT:  # type: ignore[operator]
        raise InvalidOrder(f"{name} is no time of day")


@frozen(kw_only=True)
class Origin:
    """Where a refresh comes from: what an order tells besides the call and its lease.

    Attributes:
        task_id: The queue's name for it; None if it never left its process.
        ordered_at: See `RefreshOrder`, as for the rest.
        read_at: See there.
        context: See there.
    """

    task_id: str | None = None
    ordered_at: float = 0.0
    read_at: float = 0.0
    context: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, order: RefreshOrder | BatchOrder, task_id: str | None) -> Origin:
        """Take it from an order."""
        return cls(
            task_id=task_id,
            ordered_at=order.ordered_at,
            read_at=order.read_at,
            context=order.context,
        )

    def lag(self, now: float) -> float:
        """Tell for how many seconds it has waited by *now* (wall clock)."""
        # Of an order without that stamp, or from a clock ahead, nothing is known.
        return max(0.0, now - self.ordered_at) if self.ordered_at else 0.0


@frozen
class Outcome:
    """What became of an order in the worker.

    Attributes:
        done: Whether the creator ran and its value was stored.
        reason: Why not, in a few words, or "refreshed".
        cost: Seconds that the creator took.
        lag: Seconds from the order to the moment at which its carrying out began.
    """

    done: bool
    reason: str
    cost: float = 0.0
    lag: float = 0.0


@frozen(kw_only=True)
class Report:
    """What became of one message of a queue.

    Attributes:
        task_id: The queue's name for it.
        region: Name of the region.
        key: The key that was to be refreshed.
        done: Whether a new value was stored.
        reason: Why not, in a few words, or "refreshed".
        cost: Seconds that the creator took.
        lag: Seconds that the message has waited, by the clocks of both hosts.
    """

    task_id: str
    region: str
    key: str
    done: bool
    reason: str
    cost: float
    lag: float = 0.0


Execute = Callable[[object, str | None], Outcome]
"""Carries out a message in this process; the second argument names the task."""


@frozen
class Job:
    """A refresh to hand to a runner.

    Attributes:
        key: What is refreshed, for logs.
        carry_out: Carries it out in this process.
        order: The same as data, or None if it cannot travel.
        task_options: How it is to travel, for the queue that takes it: what the region,
            the function and the call say of it, the nearest deciding.
    """

    key: str
    carry_out: Callable[[], Outcome]
    order: RefreshOrder | BatchOrder | None
    task_options: Mapping[str, Any] = field(default_factory=dict)


class Runner(Protocol):
    """Whatever carries out refreshes.

    Besides what stands here it may have ``modules``, the names of those that its worker
    imports; ``is_eager``, true while it carries out what it is given before it returns;
    ``check_task_options(options)``, which raises `ConfigurationError` for those that it
    does not understand; and for the doctor ``place(options)``, where an order goes, and
    ``worker_command(options)``, how a worker is started, both in words.

    Attributes:
        name: Its name in logs and errors.
        takes_orders: Whether it needs ``job.order``, so that only a registered
            function with JSON arguments can be refreshed by it.
        leaves_process: Whether the creator runs in another process, which must be
            able to import it.
    """

    name: str
    takes_orders: bool
    leaves_process: bool

    def bind(self, execute: Execute) -> None:
        """Tell the runner how this process carries out a message."""

    def submit(self, job: Job) -> None:
        """Take on *job*; may block for as long as a broker is allowed to.

        Raises:
            RunnerUnavailable: It cannot take it now.
        """
