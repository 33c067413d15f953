"""The record of the calls that a region is asked for most, as checked values.

It is JSON. A call stands in it as a text, the JSON of its function's registered name
and its arguments, so that processes can add to it without knowing the functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from holdover.regions.codecs import is_plain
from holdover.regions.numbers import is_number
from holdover.regions.warmth import HotCall, WarmCall

_VERSION = 1
_HALF_LIFE = 6 * 3600.0  # seconds after which what was asked for counts half
_WRONG_CLOCK = 86_400.0  # seconds; nobody's clock goes that far ahead
_LONGEST_TEXT = 2_048  # characters of one call
_LONGEST_RECORD = 512 * 1024  # characters of all
_LEAST_WEIGHT = 0.5
_MOST_CALLS = 20_000
_CALLS_IN_RESERVE = 2  # so that what becomes hot is not forgotten at each merging


def text_of(function: str, args: list[Any], kwargs: dict[str, Any]) -> str | None:
    """Give a call as it is recorded; None if it is too long for that."""
    text = json.dumps([function, args, kwargs], separators=(",", ":"))
    return text if len(text) <= _LONGEST_TEXT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """How hot each call was at one time.

    Attributes:
        at: When that was (wall clock, seconds).
        weights: How often each was asked for, by its text; the past counts less.
    """

    at: float
    weights: Mapping[str, float]

    @classmethod
    def from_dict(cls, held: object) -> Self | None:
        """Read a record; None if it is none."""
        if not isinstance(held, Mapping) or held.get("version") != _VERSION:
            return None
        at, weights = held.get("at"), held.get("calls")
        if not is_number(at) or not isinstance(weights, Mapping):
            return None
        if len(weights) > _MOST_CALLS:
            return None
        if not all(isinstance(t, str) and is_number(w) for t, w in weights.items()):
            return None
        return cls(at=at, weights=dict(weights))

    def as_dict(self) -> dict[str, Any]:
        """Give the record as JSON values."""
        return {"version": _VERSION, "at": self.at, "calls": dict(self.weights)}

    def joined(self, newer: Mapping[str, float], now: float, most: int) -> Heat:
        """Add what was asked for since, and keep the hottest.

        Args:
            newer: The weights to add, by text.
            now: The time (wall clock, seconds).
            most: How many calls are wanted; some more are kept in reserve.
        """
        # A clock that is behind the last writer's lets nothing cool, or grow.
        fading = 0.5 ** (max(0.0, now - self.at) / _HALF_LIFE)
        weights = {text: weight * fading for text, weight in self.weights.items()}
        for text, weight in newer.items():
            weights[text] = weights.get(text, 0.0) + weight
        kept, room = {}, _LONGEST_RECORD
        for text in _hottest(weights, most * _CALLS_IN_RESERVE):
            room -= len(text)
            if room < 0:
                break
            kept[text] = weights[text]
        is_wrong = self.at > now + _WRONG_CLOCK
        return Heat(at=now if is_wrong else max(now, self.at), weights=kept)

    def calls(self, most: int) -> Iterator[HotCall]:
        """Give the hottest calls, hottest first; what is no call is left out."""
        given = 0
        for text in _hottest(self.weights, len(self.weights)):
            call = _call(text, self.weights[text])
            if call is not None and given < most:
                given += 1
                yield call


NO_HEAT = Heat(at=0.0, weights={})


def _hottest(weights: Mapping[str, float], most: int) -> list[str]:
    lasting = [text for text, weight in weights.items() if weight >= _LEAST_WEIGHT]
    return sorted(lasting, key=lambda text: (-weights[text], text))[:most]


def _call(text: str, weight: float) -> HotCall | None:
    """Read one call; None if it is none."""
    if len(text) > _LONGEST_TEXT:
        return None
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or [type(part) for part in parts] != [
        str,
        list,
        dict,
    ]:
        return None
    function, args, kwargs = parts
    if not is_plain(parts):
        return None
    call = WarmCall(tuple(args), kwargs)
    return HotCall(function=function, call=call, weight=weight)
