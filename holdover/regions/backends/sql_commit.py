"""Invalidation once a SQLAlchemy session has committed, whatever the backend is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from holdover.regions.errors import InvalidArgument

_PENDING = "holdover.after_commit"


def invalidate_after_commit(
    session: Any, invalidate: Callable[..., object], *args: Any, **kwargs: Any
) -> None:
    """Have ``invalidate(*args, **kwargs)`` called once *session* has committed.

    For a cache that is not in the session's database:
    ``invalidate_after_commit(session, region.delete, "k")``. It is called right after
    the commit, in the same thread, and forgotten if the transaction is rolled back. The
    outermost transaction counts: the end of a savepoint neither calls nor forgets. A
    process that dies between the two has not invalidated; where that matters, keep the
    cache in the same database and give ``connection=`` to `Region.delete` or
    `Region.invalidate`.

    Args:
        session: A SQLAlchemy ``Session``, or a ``scoped_session``. (Who works with a
            ``Connection`` commits by himself, and calls after that.)
        invalidate: `Region.delete`, `Region.invalidate` or the like.
        *args: Its arguments.
        **kwargs: Likewise.

    Raises:
        InvalidArgument: *session* is none, or *invalidate* cannot be called.
    """
    if hasattr(session, "registry"):
        session = session()
    if not hasattr(session, "info") or not hasattr(session, "get_bind"):
        raise InvalidArgument(
            f"session must be a SQLAlchemy Session, got {type(session).__name__}"
        )
    if not callable(invalidate):
        raise InvalidArgument(f"invalidate must be callable, got {invalidate!r:.80}")
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        _listen(session)
    session.info[_PENDING].append(lambda: invalidate(*args, **kwargs))


def _listen(session: Any) -> None:
    from sqlalchemy import event  # noqa: PLC0415 - who has a session has it loaded

    event.listen(session, "after_commit", _carry_out)
    event.listen(session, "after_rollback", _forget)


def _carry_out(session: Any) -> None:
    if session.in_nested_transaction():  # a savepoint: nobody else sees its data yet
        return
    pending, session.info[_PENDING] = session.info[_PENDING], []
    with ExitStack() as each:  # one that raises must not keep the others from theirs
        for invalidate in reversed(pending):
            each.callback(invalidate)


def _forget(session: Any) -> None:
    if not session.in_nested_transaction():
        session.info[_PENDING] = []
