"""From text to value: what stands in a file, a URL or an environment variable.

A text is read as what its option wants, never by what it looks like: ``300`` is a
number for ``expiration_time`` and a text for a path.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

from holdover.regions.errors import ConfigurationError

_TRUTHS = {"true": True, "yes": True, "on": True}
_TRUTHS |= {"false": False, "no": False, "off": False}
_BITS = {"1": True, "0": False}
_SEQUENCES = (list, tuple, set, frozenset, Sequence)
_NUMBER = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(nan|inf|infinity)", re.ASCII
)
_WHOLE = re.compile(r"[-+]?\d{1,4000}", re.ASCII)  # longer ones Python refuses
_SECRET = re.compile(r"secret|password|passwd", re.IGNORECASE)
_HIDDEN = "***"


def read_text(text: str, wanted: Any, key: str) -> Any:
    """Read *text* as one of the types that *wanted* names.

    ==================  =========================================================
    type                text
    ==================  =========================================================
    None                ``none``
    bool                ``true`` ``yes`` ``on`` ``1``, ``false`` ``no`` ``off`` ``0``
    int, float          a number without a unit; spans of time are seconds
    list, tuple         values with commas (or line ends) between them
    str                 the text itself
    ==================  =========================================================

    Where several fit, the first in this table is taken; what may be any object is read
    as all of these but numbers. Capitals make no difference, nor does white space
    around.

    Args:
        text: What the user wrote.
        wanted: A type, or a union of types.
        key: What the user calls the option, for the error.

    Raises:
        ConfigurationError: It cannot be read as any of them.
    """
    kinds = _kinds(wanted)
    if not is_readable(wanted):
        raise ConfigurationError(f"{key} cannot be written as text: give it in Python")
    bare = text.strip()
    read_list = partial(_read_list, key=key)
    for read in (_read_none, _read_truth, _read_number, read_list, _read_str):
        found = read(bare, kinds)
        if found is not _UNREAD:
            return found
    raise ConfigurationError(
        f"{key} must be {' or '.join(_named(kinds))}, got {shown(key, text)}"
    )


def is_readable(wanted: Any) -> bool:
    """Say whether any text at all can be read as *wanted*."""
    kinds = _kinds(wanted)
    readable = {bool, int, float, str, object, *_SEQUENCES}
    return any(_bare(kind) in readable for kind in kinds)


def listed(text: str) -> list[str]:
    """Part a text at its commas and line ends; nothing between two counts for nothing.

    The parts lose the white space around them.
    """
    parts = (part.strip() for part in text.replace("\n", ",").split(","))
    return [part for part in parts if part]


def is_secret(key: str) -> bool:
    """Say whether what is called so is a secret."""
    return _SECRET.search(key) is not None


def shown(key: str, value: object) -> str:
    """Show *value* in an error, unless it is or holds a secret."""
    return repr(_HIDDEN) if is_secret(key) else masked(repr(value))


def masked(text: str) -> str:
    """Hide the users and passwords of all URLs in *text*."""
    # Up to the last "@": a password may contain anything, even what should have been
    # encoded. To hide a word too many is the smaller harm.
    text = re.sub(r"(?s)://.*@", f"://{_HIDDEN}@", text)
    return re.sub(r"(?i)([?&][\w.]*(?:secret|passw)[\w.]*=)[^&\s'\"]+", r"\1***", text)


# -- one reader for each kind --------------------------------------------------

_UNREAD: Any = object()


def _read_none(text: str, kinds: Sequence[Any]) -> Any:
    may_be_none = type(None) in kinds or object in kinds
    return None if may_be_none and text.lower() == "none" else _UNREAD


def _read_truth(text: str, kinds: Sequence[Any]) -> Any:
    if bool not in kinds and object not in kinds:
        return _UNREAD
    digits_are_more = not {int, float, object}.isdisjoint(kinds)
    words = _TRUTHS if digits_are_more else _TRUTHS | _BITS
    return words.get(text.lower(), _UNREAD)


def _read_number(text: str, kinds: Sequence[Any]) -> Any:
    if int in kinds and _WHOLE.fullmatch(text):
        return int(text)
    if float in kinds and _NUMBER.fullmatch(text.lower()):
        return float(text)
    return _UNREAD


def _read_list(text: str, kinds: Sequence[Any], key: str) -> Any:
    lists = [kind for kind in kinds if _bare(kind) in _SEQUENCES]
    one_will_do = str in kinds or object in kinds
    parts = listed(text)
    if not (lists or object in kinds) or (one_will_do and len(parts) <= 1):
        return _UNREAD
    if not lists:
        return parts
    wanted = next(iter(get_args(lists[0])), str)
    values = [read_text(part, wanted, key) for part in parts]
    made = _bare(lists[0])
    return values if made is Sequence else made(values)


def _read_str(text: str, kinds: Sequence[Any]) -> Any:
    return text if str in kinds or object in kinds else _UNREAD


# -- types ---------------------------------------------------------------------


def _kinds(wanted: Any) -> tuple[Any, ...]:
    """Take a union apart."""
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return tuple(kind for part in get_args(wanted) for kind in _kinds(part))
    if origin is Literal:
        return tuple({type(choice) for choice in get_args(wanted)})
    if origin is typing.Annotated:
        return _kinds(get_args(wanted)[0])
    return (object,) if wanted is Any else (wanted,)


def _bare(kind: Any) -> Any:
    """Take what is in a list's brackets away."""
    return get_origin(kind) or kind


def _named(kinds: Sequence[Any]) -> list[str]:
    """Name the kinds for people, each once."""
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number without a unit (spans of time are seconds)",
        type(None): "'none'",
    }
    return list(dict.fromkeys(names[kind] for kind in names if kind in kinds))
