"""The atomic steps of `holdover.redis` for servers that run no scripts.

Each step reads under WATCH, decides here, and has the changes carried out by
MULTI/EXEC, unless somebody else has changed what was read; then it begins again. Keys,
arguments and replies are those of `redis_scripts`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from holdover.regions.backends.redis_commands import Command
from holdover.regions.backends.redis_conversation import Conversation, Way
from holdover.regions.backends.redis_records import (
    FENCE,
    KINDS,
    RECORD_LENGTH,
    TOKEN,
    above,
    clock_record,
    mark_of,
    mark_record,
    state_of,
    tick_of,
)
from holdover.regions.backends.redis_replies import accepted
from holdover.regions.envelope import TRAILER_SIZE, fence_of
from holdover.regions.errors import BackendError
from holdover.regions.ticks import ClockState

_FENCE_FORM = struct.Struct("<Q")
_MOST_TRIES = 50  # while others keep changing the same key

Words = Sequence[bytes]
Decision = tuple[Any, list[Command]]
Plan = Callable[[Conversation, Words, Words], Decision]
"""Reads through a conversation; gives the reply and the changes to carry out."""


def run_watched(link: Way, plan: Plan, keys: Words, args: Words) -> Any:
    """Carry out one step; give its reply.

    Raises:
        Refused: The server refused it.
        BackendError: It broke, or others kept changing what it is about.
    """
    for _ in range(_MOST_TRIES):
        with link.conversation_about(keys[0]) as conversation:
            accepted(conversation.ask(("WATCH", *keys)))
            reply, changes = plan(conversation, keys, args)
            if not changes:
                accepted(conversation.ask(("UNWATCH",)))
                return reply
            replies = accepted(conversation.ask(("MULTI",), *changes, ("EXEC",)))
        if replies[-1] is not None:
            accepted(replies[-1])
            return reply
    raise BackendError(f"{keys[0]!r:.80} was changed by others all the time")


# -- what is read ----------------------------------------------------------------


def _one(conversation: Conversation, *command: Any) -> Any:
    return conversation.ask(command)[0]


def _fence_at(conversation: Conversation, name: bytes) -> bytes:
    tail = _one(conversation, "GETRANGE", name, -TRAILER_SIZE, -1)
    if not isinstance(tail, bytes) or not tail:
        return b""
    return _FENCE_FORM.pack(fence_of(tail))


def _held_at(conversation: Conversation, name: bytes) -> bytes:
    held = _one(conversation, "GET", name)
    return held if isinstance(held, bytes) else b""


def _clock_at(conversation: Conversation, keys: Words, epoch: bytes) -> Decision:
    """Read the clock; if it is lost, give a new one and the changes that make it.

    Without an *epoch* it is nothing, and is to be made elsewhere.
    """
    name, marks = keys
    clock = _one(conversation, "GET", name)
    if tick_of(clock) is not None:
        return clock, []
    if not epoch:
        return b"", []
    return _seeded(conversation, name, marks, epoch)


def _seeded(
    conversation: Conversation,
    name: bytes,
    marks: bytes,
    epoch: bytes,
    floor: bytes = b"0",
) -> Decision:
    now = max(_now(conversation), above(int(floor)))
    seeded = ClockState.seeded(now, epoch=int(epoch))
    clock = clock_record(seeded)
    return clock, [("SET", name, clock), ("DEL", marks)]


def _now(conversation: Conversation) -> float:
    seconds, microseconds = accepted([_one(conversation, "TIME")])[0]
    return int(seconds) + int(microseconds) / 1e6


def _storing(name: bytes, stored: bytes, px: bytes) -> Command:
    return ("SET", name, stored, "PX", px) if px else ("SET", name, stored)


# -- the steps -------------------------------------------------------------------


def acquire(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.ACQUIRE`."""
    value, lease, *clock_keys = keys
    seen, record, px, overtaking, epoch = args
    clock, seeding = _clock_at(conversation, clock_keys, epoch)
    if _fence_at(conversation, value) not in (b"", seen):
        stored = accepted([_one(conversation, "GET", value)])[0]
        return [b"changed", stored, clock], seeding
    held = _held_at(conversation, lease)
    is_lease = len(held) >= RECORD_LENGTH and held[:1] in KINDS.encode()
    if is_lease and held[:1] not in overtaking:
        left = _one(conversation, "PTTL", lease)
        if isinstance(left, int) and left > 0:
            return [b"busy", held, left], seeding
    return [b"lease", clock], [*seeding, ("SET", lease, record, "PX", px)]


def renew(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.RENEW`."""
    if _held_at(conversation, keys[0])[TOKEN] != args[0]:
        return 0, []
    return 1, [("PEXPIRE", keys[0], args[1])]


def adopt(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.ADOPT`."""
    lease, *clock_keys = keys
    token, new_token, px, epoch = args
    held = _held_at(conversation, lease)
    if held[TOKEN] != token:
        return None, []
    clock, seeding = _clock_at(conversation, clock_keys, epoch)
    adopted = b"H" + new_token + held[FENCE]
    return [held[FENCE], clock], [*seeding, ("SET", lease, adopted, "PX", px)]


def commit(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.COMMIT`."""
    value, lease, *clock_keys = keys
    fence, stored, px, epoch = args
    if _held_at(conversation, lease)[FENCE] != fence:
        return None, []
    clock, seeding = _clock_at(conversation, clock_keys, epoch)
    return clock, [*seeding, _storing(value, stored, px), ("DEL", lease)]


def release(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.RELEASE`."""
    if _held_at(conversation, keys[0])[TOKEN] != args[0]:
        return 0, []
    return 1, [("DEL", keys[0])]


def back_off(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.BACK_OFF`."""
    token, record, px = args
    if _held_at(conversation, keys[0])[TOKEN] != token:
        return 0, []
    return 1, [("SET", keys[0], record, "PX", px)]


def write(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.WRITE`."""
    value, lease, clock = keys
    tick, stored, px = args
    found = _one(conversation, "GET", clock)
    if tick_of(found) != int(tick):
        return found if isinstance(found, bytes) else b"", []
    return found, [_storing(value, stored, px), ("DEL", lease)]


def swap(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.SWAP`."""
    seen, stored, px = args
    if _fence_at(conversation, keys[0]) != seen:
        return 0, []
    return 1, [_storing(keys[0], stored, px), ("DEL", keys[1])]


def seed(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.SEED`."""
    name, marks = keys
    epoch, floor = args
    clock, has_marks = conversation.ask(("GET", name), ("EXISTS", marks))
    state = state_of(clock, has_marks, [])
    if state is not None and state.tick >= int(floor):
        return clock, []
    return _seeded(conversation, name, marks, epoch, floor)


def publish(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.PUBLISH`."""
    record, tick = args
    there = tick_of(_one(conversation, "GET", keys[0]))
    if there is not None and there >= int(tick):
        return 1, []
    return 1, [("SET", keys[0], record)]


def advance(conversation: Conversation, keys: Words, args: Words) -> Decision:
    """See `redis_scripts.ADVANCE`."""
    name, marks = keys
    epoch, floor, is_hard, *members = args
    whole = ("ZRANGE", marks, 0, -1, "WITHSCORES")
    clock, listed = conversation.ask(("GET", name), whole)
    listed = [] if isinstance(listed, ResponseError) else listed
    now = _now(conversation)
    state = state_of(clock, bool(listed), listed)
    if state is None or state.tick < int(floor):
        state = ClockState.seeded(max(now, above(int(floor))), epoch=int(epoch))
    reaches = [mark_of(member).reach for member in members]
    state = state.advanced(now, hard=is_hard == b"1", reaches=reaches)
    changes: list[Command] = [("SET", name, clock_record(state)), ("DEL", marks)]
    pairs = [(str(at).encode(), mark_record(mark)) for mark, at in state.marks.items()]
    flat = [word for pair in pairs for word in pair]
    if flat:
        changes.append(("ZADD", marks, *flat))
    kept = [word for at, member in pairs for word in (member, at)]
    return [clock_record(state), len(pairs), kept], changes
