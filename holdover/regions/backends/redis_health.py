"""What a Redis server tells of itself: its clock, what it evicts, what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_replies import Refused, a_list, accepted
from holdover.regions.errors import BackendError
from holdover.regions.findings import Finding, Health

_LASTING = "the clocks of regions, leases and the records of schedules"


def time_of(link: Link) -> float:
    """Tell the time of day by the server's clock.

    Raises:
        BackendError: It does not answer, or is not allowed to.
    """
    reply = a_list(accepted(link.ask(("TIME",)))[0], 2)
    try:
        seconds, micros = (int(part) for part in reply)
    except ValueError as error:
        raise BackendError(f"Redis answered {reply!r:.80} to TIME") from error
    return seconds + micros / 1e6


def diagnose(link: Link, *, lasting: bool) -> Iterator[Finding]:
    """Look at what the server evicts, and what it keeps over a restart.

    Args:
        link: The way to it.
        lasting: Whether the records of schedules are kept here.

    Raises:
        BackendError: It does not answer.
    """
    try:
        told = _info(link)
    except Refused as error:
        advice = "nothing, or let the user run INFO"
        yield Finding("eviction", Health.WARN, f"it cannot be seen: {error}", advice)
        return
    yield _eviction(told, lasting=lasting)
    if lasting and told.get("aof_enabled") == "0":
        found = "no append-only file: a restart may forget which slots were begun"
        advice = "set appendonly yes; a slot may else be run twice, or passed over"
        yield Finding("persistence", Health.WARN, found, advice)


def _eviction(told: Mapping[str, str], *, lasting: bool) -> Finding:
    policy, most = told.get("maxmemory_policy", ""), told.get("maxmemory", "0")
    found = f"maxmemory {most} bytes, maxmemory-policy {policy}"
    if most == "0":
        return Finding("eviction", Health.OK, "nothing is evicted: maxmemory is 0")
    if policy == "noeviction":
        advice = "set maxmemory-policy volatile-lru: a full server refuses all writes"
        return Finding("eviction", Health.WARN, found, advice)
    if policy.startswith("allkeys") and lasting:
        advice = f"set maxmemory-policy volatile-lru: allkeys-* evicts {_LASTING}"
        return Finding("eviction", Health.WARN, found, advice)
    return Finding("eviction", Health.OK, found)


def _info(link: Link) -> dict[str, str]:
    """Read what the server says of its memory and its persistence.

    Raises:
        Refused: It may not tell.
        BackendError: It does not answer.
    """
    replies: list[Any] = accepted(link.ask(("INFO", "memory"), ("INFO", "persistence")))
    text = b"\n".join(one for one in replies if isinstance(one, bytes))
    lines = text.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: value.strip() for name, _, value in pairs}
