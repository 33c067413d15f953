"""Lists in header fields, and what is quoted in them (RFC 9110 section 5.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TEXT = r'"[^"\\]*(?:\\.[^"\\]*)*'  # what is quoted, without its last mark
_MEMBER = re.compile(rf'(?:[^,"]|{_TEXT}")+', re.DOTALL)
_MARKS = re.compile(rf'(^|=|,[ \t]*)?{_TEXT}("?)', re.DOTALL)
_QUOTED = re.compile(rf'{_TEXT}"', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)


def members(values: Iterable[str]) -> list[str]:
    """Give the members of a list, over all its lines; empty ones do not count.

    A comma within a quoted text parts nothing (RFC 9110 section 5.6.1). Where a
    quotation has no end, or begins amid a word, every comma parts, so that it hides no
    directive.
    """
    found = (trimmed(one) for value in values for one in _parted(value))
    return [one for one in found if one]


def trimmed(text: str) -> str:
    """Take away the white space around a value (RFC 9110 section 5.6.3).

    That is blanks and tabs. What Python would strip besides, such as a no-break space,
    is a part of the value: an application may go by it.
    """
    return text.strip(" \t")


def _parted(value: str) -> list[str]:
    return _MEMBER.findall(value) if is_sound(value) else value.split(",")


def is_sound(value: str) -> bool:
    """Say whether every quotation has an end, and begins where one may."""
    return '"' not in value or all(
        begin is not None and end
        for begin, end in (one.groups() for one in _MARKS.finditer(value))
    )


def names(values: Iterable[str]) -> frozenset[str]:
    """Give the names of a list, such as those of fields, in lower case."""
    return frozenset(one.lower() for one in members(values))


def unquoted(text: str) -> str:
    """Give what a quoted text says; anything else as it is (RFC 9110 section 5.6.4)."""
    if not _QUOTED.fullmatch(text):
        return text
    return _PAIR.sub(r"\1", text[1:-1])
