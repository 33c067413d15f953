"""Header fields (RFC 9110 section 5): what they may be; dates and numbers in them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator, Sequence

_MONTHS: tuple[str, ...] = ("jan", "feb", "mar", "apr", "may", "jun")
_MONTHS += ("jul", "aug", "sep", "oct", "nov", "dec")

_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TIME = r"(\d\d):(\d\d):(\d\d)"
_FLAGS = re.ASCII | re.IGNORECASE  # of case though it counts (RFC 9111 section 4.2)
_DATES = (
    re.compile(rf"[a-z]{{3}}, (\d\d) ([a-z]{{3}}) (\d{{4}}) {_TIME} GMT", _FLAGS),
    re.compile(rf"[a-z]{{6,9}}, (\d\d)-([a-z]{{3}})-(\d\d) {_TIME} GMT", _FLAGS),
)
_ASCTIME = re.compile(rf"[a-z]{{3}} ([a-z]{{3}}) ([ \d]\d) {_TIME} (\d{{4}})", _FLAGS)

MOST_SECONDS = 2**31
"""What a larger number of seconds is taken for (RFC 9111 section 1.2.2)."""


class Headers:
    """The header fields of a message, in their order.

    Args:
        fields: Names and values, as WSGI has them.
    """

    __slots__ = ("_by_name", "_fields")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)
        self._by_name: dict[str, list[str]] = {}
        for name, value in self._fields:
            self._by_name.setdefault(name.lower(), []).append(value)

    def all(self, name: str) -> Sequence[str]:
        """Give the values of each line of a field; *name* is in lower case."""
        return self._by_name.get(name, ())

    def joined(self, name: str) -> str | None:
        """Give a field's value, its lines joined by commas; None without any.

        That is what several lines of a list mean (RFC 9110 section 5.2).
        """
        found = self._by_name.get(name)
        return None if found is None else ", ".join(found)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Say whether any of some fields is there; their names are in lower case."""
        return not self._by_name.keys().isdisjoint(names)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and tuple(other) == tuple(self)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def without(self, names: Iterable[str]) -> Headers:
        """Give all but those that are called so, in lower case."""
        unwanted = frozenset(names)
        if not any(name in self for name in unwanted):
            return self
        return Headers(one for one in self if one[0].lower() not in unwanted)


def is_token(text: str) -> bool:
    """Say whether a text is one word, as names are (RFC 9110 section 5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


def is_field(name: str, value: str) -> bool:
    """Say whether a field can be sent as one (RFC 9110 section 5)."""
    return is_token(name) and is_value(value)


def is_value(text: str) -> bool:
    """Say whether a text stands on one line, and can be sent (section 5.5)."""
    return _VALUE.fullmatch(text) is not None


def has_its_length(headers: Headers, length: int) -> bool:
    """Say whether a body is as long as its head says, if it does."""
    said = headers.all("content-length")
    return not said or set(said) == {str(length)}


def delta_seconds(text: str) -> int | None:
    """Read a number of seconds (RFC 9111 section 1.2.2); None if it is none."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return min(int(digits), MOST_SECONDS) if len(digits) < _LONG else MOST_SECONDS


_LONG = 12  # digits; Python refuses to read very many


def date_in(headers: Headers, name: str, now: float) -> float | None:
    """Give the date that a field says; None if it says none, or two.

    Args:
        headers: Of the message.
        name: The field's, in lower case.
        now: See `http_date`.

    Returns:
        Unix time.
    """
    lines = headers.all(name)
    return http_date(lines[0], now) if len(lines) == 1 else None


def http_date(text: str, now: float) -> float | None:
    """Read a date in any of the three forms (RFC 9110 section 5.6.7).

    Args:
        text: The date.
        now: Unix time; a year of two digits is in the last 50 years or the next.

    Returns:
        Unix time; None if it is no date.
    """
    for form in _DATES:
        if found := form.fullmatch(text):
            day, month, year, *clock = found.groups()
            if len(year) == len("94"):
                return _recent(int(year), now, month, day, clock)
            return _instant(int(year), month, day, clock)
    if found := _ASCTIME.fullmatch(text):
        month, day, *clock, year = found.groups()
        return _instant(int(year), month, day, clock)
    return None


def _recent(
    year: int, now: float, month: str, day: str, clock: Sequence[str]
) -> float | None:
    """Read a date without its century: the last one that is not too far ahead."""
    century = (1970 + int(now // _YEAR)) // 100 * 100
    for first in (century + 100, century, century - 100):
        instant = _instant(first + year, month, day, clock)
        if instant is not None and instant <= now + 50 * _YEAR:
            return instant
    return None


_YEAR = 31_556_952  # seconds, leap years counted in


def _instant(year: int, month: str, day: str, clock: Sequence[str]) -> float | None:
    hour, minute, second = map(int, clock)
    if month.lower() not in _MONTHS or hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004
        return None
    number = _MONTHS.index(month.lower()) + 1
    if year < 1 or not 1 <= int(day) <= calendar.monthrange(year, number)[1]:
        return None
    return float(calendar.timegm((year, number, int(day), hour, minute, second)))
