"""What is made of the replies of `holdover.redis`'s server: none is taken on trust."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from holdover.regions.errors import BackendError


class Refused(BackendError):
    """The server has answered, and its answer is an error, which is chained."""


def accepted(replies: list[Any]) -> list[Any]:
    """Give *replies* if none of them is an error.

    Raises:
        Refused: One is.
    """
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise Refused(f"Redis answered: {reply}") from reply
    return replies


def transacted(replies: list[Any]) -> None:
    """Check what the server said to that.

    Raises:
        Refused: It refused one of the commands.
    """
    last = accepted(replies)[-1]
    accepted(a_list(last, len(replies) - 2))


def a_list(reply: Any, length: int) -> list[Any]:
    """Give *reply* if it is a list of *length*.

    Raises:
        BackendError: It is something else, such as another command's reply.
    """
    if not isinstance(reply, list) or len(reply) != length:
        raise BackendError(
            f"Redis answered {reply!r:.80} where {length} replies were wanted"
        )
    return reply


def a_number(reply: Any) -> int:
    """Give *reply* if it is a number.

    Raises:
        BackendError: It is something else.
    """
    if not isinstance(reply, int):
        raise BackendError(f"Redis answered {reply!r:.80} where a number was wanted")
    return reply
