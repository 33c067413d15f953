"""Pickles, read as plain data: nothing in them is called, imported or believed.

Whatever Beaker stores stands in a pickle, sessions in JSON too, and who can write where
pickles are kept can run code in whoever loads them. So the steps of one are looked at
before the first is done: none may name anything outside of it. Where sessions
themselves are pickles, something that does nothing stands in for whatever a class had
made.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

_MOST_STEPS = 100_000
_PLAIN = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "MEMOIZE",
    "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "FLOAT", "BINFLOAT",
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS",
    "EMPTY_SET", "FROZENSET", "ADDITEMS",
})  # fmt: skip
_OF_OBJECTS = _PLAIN | {
    "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD",
}  # fmt: skip
_Load = Callable[[Any], None]


class NotPlain(ValueError):
    """A pickle that is broken, too long, or more than plain data."""


class Unknown:
    """Stands in for what some class had made: takes all that it is given, does none."""

    __slots__ = ()

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Take what a constructor would."""

    def __call__(self, *args: object, **kwargs: object) -> Unknown:
        """Take what a function would."""
        return self

    def __setstate__(self, state: object) -> None:
        """Take what an object would."""

    def __setitem__(self, key: object, value: object) -> None:
        """Take what a mapping would."""

    def append(self, value: object) -> None:
        """Take what a list would; so do the next two."""

    extend = add = append


def read_plain(data: bytes, *, objects: bool = False) -> Any:
    """Read a pickle.

    Args:
        data: The pickle; whoever gives it bounds its length.
        objects: Whether there may be objects in it, which are `Unknown` then.

    Raises:
        NotPlain: It is broken, does too much, or (without *objects*) names a class.
    """
    try:
        _check_steps(data, _OF_OBJECTS if objects else _PLAIN)
        return _Reader(io.BytesIO(data)).load()
    except NotPlain:
        raise
    except Exception as error:  # broken ones raise whatever they run into
        raise NotPlain(f"a broken pickle: {type(error).__name__}") from error


def _check_steps(data: bytes, allowed: frozenset[str]) -> None:
    for count, (step, _, _) in enumerate(pickletools.genops(data)):
        if step.name not in allowed:
            raise NotPlain(f"a pickle that does {step.name}")
        if count >= _MOST_STEPS:
            raise NotPlain(f"a pickle of more than {_MOST_STEPS} steps")


def _unhashed(key: Any) -> Any:
    """Replace a key that would be hashed part by part; plain data have none.

    In a pickle, a tuple can stand in many places of the next one: a few bytes make a
    hash that takes years.
    """
    return Unknown() if isinstance(key, tuple | frozenset) else key


def _guarded(load: _Load, keys: slice) -> _Load:
    """Do a step that hashes the *keys* among what lies on the stack for it."""

    def guarded(reader: Any) -> None:
        reader.stack[keys] = map(_unhashed, reader.stack[keys])
        load(reader)

    return guarded


_HASHED = {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}
# The one that is written in Python, whose steps can be guarded.
_Steps: Any = pickle._Unpickler  # noqa: SLF001


class _Reader(_Steps):  # type: ignore[misc]
    dispatch = _Steps.dispatch | {
        step[0]: _guarded(_Steps.dispatch[step[0]], keys)
        for step, keys in _HASHED.items()
    }

    def find_class(self, module: str, name: str) -> Any:
        """Find nothing, whatever is looked for."""
        return Unknown
