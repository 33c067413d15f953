"""A session's fields in one request, and which of them it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover import errors
from holdover.wsgi.sessions.record import Changes

_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
_BYTES = "something of type bytes"
_MOST_PARTS = 10_000  # of a value, which may contain itself


class TrackedFields:
    """Fields that know what was changed since they were read or saved.

    A list or dictionary that was handed out may be changed in place, without anybody
    being told. So what it looked like is noted first: plain data that differ have
    different texts (``repr``), which compare types too and cost little.

    Args:
        values: The fields as they were read; theirs from now on.

    Attributes:
        values: The fields as they are now.
    """

    __slots__ = ("_handed", "_put", "_removed", "values")

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self._put: set[str] = set()
        self._removed: set[str] = set()
        self._handed: dict[str, str] = {}

    def take(self, name: str) -> Any:
        """Give a field's value.

        Raises:
            KeyError: There is none.
        """
        value = self.values[name]
        if (
            type(value) not in _ATOMS
            and name not in self._put
            and name not in self._handed
        ):
            self._handed[name] = _look(value)
        return value

    def put(self, name: str, value: Any) -> None:
        """Set a field."""
        self.values[name] = value
        self._put.add(name)
        self._removed.discard(name)

    def remove(self, name: str) -> None:
        """Remove a field.

        Raises:
            KeyError: There is none.
        """
        del self.values[name]
        self._removed.add(name)
        self._put.discard(name)
        self._handed.pop(name, None)

    def changes(self) -> Changes:
        """Tell what has changed, also within what was handed out."""
        values = self.values
        put = {name: values[name] for name in self._put}
        for name, seen in self._handed.items():
            if name not in put and _look(values[name]) != seen:
                put[name] = values[name]
        return Changes(put, frozenset(self._removed))

    def saved_as(self, values: dict[str, Any]) -> None:
        """Begin anew with what was saved: *values*, to which others may have added.

        Whoever still holds an object that was handed out goes on changing the
        session's, unless another request has replaced it.
        """
        handed = {}
        for name in (*self._put, *self._handed):
            held = self.values.get(name)
            if name not in values or type(held) in _ATOMS:
                continue
            text = _look(held)
            if values[name] is held or _look(values[name]) == text:
                values[name], handed[name] = held, text
        self.values, self._handed = values, handed
        self._put, self._removed = set(), set()


def _look(value: Any) -> str:
    """Give the text of a value; none of one that is too deep, and no codec takes."""
    try:
        return repr(value)
    except RecursionError:
        return ""


def by_field(
    values: Mapping[str, Any], error: errors.UncacheableValue
) -> errors.UncacheableValue:
    """Word the *error* of storing *values* so that it names the one that it was."""
    found = [(name, _misfit_in(value)) for name, value in values.items()]
    # Bytes are one to JSON only, so whatever else there is comes first.
    found.sort(key=lambda one: one[1] == _BYTES)
    for name, misfit in found:
        if misfit:
            return errors.UncacheableValue(
                f"session[{name!r}] has {misfit} in it: a session keeps None, bool, "
                "numbers, texts, lists, and dictionaries by texts, and with "
                'codec="msgpack" bytes'
            )
    return errors.UncacheableValue(str(error))


def _misfit_in(value: Any) -> str:
    """Tell what is no plain data, in *value* or within it."""
    parts = [value]
    for _ in range(_MOST_PARTS):
        if not parts:
            break
        part = parts.pop()
        if type(part) is list:
            parts += part
        elif type(part) is dict:
            odd = [key for key in part if type(key) is not str]
            if odd:
                return f"a key of type {_kind(odd[0])}"
            parts += part.values()
        elif type(part) not in _ATOMS or type(part) is bytes:
            return f"something of type {_kind(part)}"
    return ""


def _kind(value: object) -> str:
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{home}{kind.__qualname__}"
