"""From a call to a key: two different calls never share one, whatever their arguments.

Types count (``1``, ``"1"`` and ``True`` differ, nested too) and so does structure.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import functools
import hashlib
import pathlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from holdover.regions.encoding import to_bytes
from holdover.regions.errors import ConfigurationError, UnkeyableArgument

ATOMS = frozenset({str, int, bool, float, bytes, type(None)})
"""Types whose ``repr`` is exact and alike for no two different values."""

LONGEST_KEY = 512  # characters; longer ones are shortened to a digest
_SHORTENED = "\x7f"  # ends every shortened key, and no other one
_READABLE = 64

_BY_REPR = frozenset({complex, range, dt.date, dt.timedelta})
# Whoever has one of these has imported its module, which we need not: 5 ms.
_OTHERS_BY_REPR = {"decimal": "Decimal", "fractions": "Fraction", "uuid": "UUID"}


def name_of(function: Callable[..., Any]) -> str | None:
    """Give the name by which another process could find *function* again.

    None for lambdas, closures, bound methods and callables without a name.
    """
    module = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    if not module or not qualname or "<" in qualname or hasattr(function, "__self__"):
        return None
    return f"{module}:{qualname}"


def bounded(key: str) -> str:
    """Shorten a long key, keeping its beginning readable and the whole distinct."""
    if len(key) <= LONGEST_KEY and not key.endswith(_SHORTENED):
        return key
    digest = hashlib.blake2b(to_bytes(key), digest_size=20)
    return f"{key[:_READABLE]}~{digest.hexdigest()}{_SHORTENED}"


class Reserved(enum.Enum):
    """What is kept beside values, and how its keys begin.

    No region's keys begin so: a percent sign in its name is escaped.
    """

    SLOTS = "%schedules:"
    HISTORY = "%history:"
    READERS = "%read:"
    HOT = "%hot:"
    FIGURES = "%figures:"

    def key(self, rest: str) -> str:
        """Give the key of *rest* among what is kept for this use."""
        return bounded(self.value + rest)


PROBE = "%doctor:"
"""What the keys of probes begin with, behind the region's prefix, and their orders."""


def may_begin_with(key: str, prefix: str) -> bool:
    """Say whether *key* began with *prefix* before it was shortened, or may have."""
    if key.startswith(prefix):
        return True
    return key.endswith(_SHORTENED) and prefix.startswith(key[:_READABLE])


def shared_beginning(prefix: str) -> str:
    """Give what all keys with *prefix* begin with, also once they are shortened."""
    return prefix[:_READABLE]


def region_prefix(name: str | None, schema: str | None = None) -> str:
    """Give what parts a region's keys from other regions' in the same backend.

    Args:
        name: The region's name.
        schema: Parts its keys from those of its other schemas.
    """
    part = "" if schema is None else f"@{_escaped(schema)}"
    return f"{_escaped(name or '')}{part}:"


def schema_of(given: object) -> str | None:
    """Read a ``schema`` setting: a number or a text, which are alike; None means none.

    Raises:
        ConfigurationError: It is something else, or empty.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | str) or given == "":
        raise ConfigurationError(f"schema must be an int or a text, got {given!r}")
    return str(given)


def _escaped(text: str) -> str:
    """Free *text* of the characters that part a prefix."""
    return text.replace("%", "%25").replace(":", "%3A").replace("@", "%40")


def encode_arguments(
    values: tuple[Any, ...], stand_ins: Mapping[int, str] | None = None
) -> str:
    """Give the text of a call's arguments.

    Args:
        values: The arguments.
        stand_ins: Texts for objects that mean "not given", by their ``id``.

    Raises:
        UnkeyableArgument: One of them has no lasting text.
    """
    try:
        if stand_ins:
            texts = [stand_ins.get(id(value)) or encode(value) for value in values]
        else:
            texts = [encode(value) for value in values]
        return f"({','.join(texts)})"
    except RecursionError:
        raise UnkeyableArgument("an argument contains itself") from None


def has_key(value: Any) -> bool:
    """Say whether *value* can be encoded."""
    try:
        encode(value)
    except (UnkeyableArgument, RecursionError):
        return False
    return True


def encode(value: Any) -> str:
    """Give a text that no other value has, in this process or another.

    An object of a class of your own is encoded by its ``__cache_key__()``, which
    returns anything that can be encoded; a dataclass by its fields.
    """
    kind = type(value)
    if kind is int:
        return _integer(value)
    if kind in ATOMS:
        return repr(value)
    encoder = _CONTAINERS.get(kind)
    if encoder is not None:
        return encoder(value)
    return f"{kind.__module__}:{kind.__qualname__}:{_inner(value, kind)}"


def _integer(value: int) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to print very long ones in decimal
        return hex(value)


def _inner(value: Any, kind: type) -> str:  # noqa: PLR0911 - one line per kind
    if _is_known_by_repr(kind) or isinstance(value, pathlib.PurePath):
        return repr(value)
    if hasattr(kind, "__cache_key__"):
        return encode(value.__cache_key__())
    if isinstance(value, enum.Enum):
        return repr(value.name or value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _dataclass(value, kind)
    if kind in (dt.datetime, dt.time):
        return f"{value.isoformat()} {_zone(value)} {value.fold}"
    if isinstance(value, collections.OrderedDict):
        return encode(list(value.items()))
    if callable(value) and (name := name_of(value)) and found_by(name) is value:
        return name
    return _as_base(value, kind) or _refuse(value, kind)


def _is_known_by_repr(kind: type) -> bool:
    if kind in _BY_REPR:
        return True
    name = _OTHERS_BY_REPR.get(kind.__module__)
    module = sys.modules.get(kind.__module__)
    return name is not None and kind is getattr(module, name, None)


def _dataclass(value: Any, kind: type) -> str:
    held = {field.name: getattr(value, field.name) for field in _fields(value)}
    return _mapping(held) + _as_base(value, kind)


def _zone(value: dt.datetime | dt.time) -> str:
    """Tell time zones apart even where they happen to agree."""
    zone, zoneinfo = value.tzinfo, sys.modules.get("zoneinfo")  # as above: 2 ms
    if zoneinfo is not None and isinstance(zone, zoneinfo.ZoneInfo):
        return repr(zone.key or value.tzname())
    return repr((type(zone).__qualname__, value.utcoffset(), value.tzname()))


def found_by(name: str) -> Any:
    """Give what *name* stands for; a wrapper that copied the name is not it."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _as_base(value: Any, kind: type) -> str:
    """Encode what an instance holds as one of a type that can be encoded, if it is."""
    for base in kind.__mro__[1:]:
        if base in ATOMS:
            return str(base.__repr__(value))  # type: ignore[call-arg] # unbound
        if base in _CONTAINERS:
            return _CONTAINERS[base](value)
    return ""


def _refuse(value: Any, kind: type) -> NoReturn:
    what = f"a {kind.__module__}.{kind.__qualname__}"
    if isinstance(value, type | types.FunctionType):
        what = f"{value.__module__}.{value.__qualname__}, which no import would find"
    raise UnkeyableArgument(
        f"no lasting key can be made from {what}: "
        "pass what identifies it (an id, a name), give its class a method "
        "__cache_key__() that returns that, or make it a dataclass"
    )


def _fields(value: Any) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(field for field in dataclasses.fields(value) if field.compare)


def _mapping(value: dict[Any, Any]) -> str:
    items = sorted(f"{encode(key)}:{encode(held)}" for key, held in value.items())
    return f"{{{','.join(items)}}}"


def _sequence(opening: str, closing: str) -> Callable[[Any], str]:
    return lambda value: f"{opening}{','.join(map(encode, value))}{closing}"


def _unordered(name: str) -> Callable[[Any], str]:
    return lambda value: f"{name}{{{','.join(sorted(map(encode, value)))}}}"


_CONTAINERS: dict[type, Callable[[Any], str]] = {
    list: _sequence("[", "]"),
    tuple: _sequence("(", ")"),
    dict: _mapping,
    set: _unordered("set"),
    frozenset: _unordered("frozenset"),
}


def identity_of(function: Callable[..., Any]) -> tuple[object, ...]:
    """Tell functions apart that have no name of their own.

    Two closures, partials or bound methods have the same identity if they run the same
    code over the same captured values.
    """
    if isinstance(function, functools.partial):
        held = [function.args, function.keywords]
        return (*identity_of(function.func), *map(_trace, held))
    if isinstance(function, types.MethodType):
        return (*identity_of(function.__func__), _trace(function.__self__))
    code = getattr(function, "__code__", None)
    if code is None:
        return (_trace(function),)
    return (code, *map(_held_in, function.__closure__ or ()))


def _held_in(cell: types.CellType) -> str:
    try:
        return _trace(cell.cell_contents)
    except ValueError:  # nothing yet: it will hold this very function
        return "itself"


def _trace(value: Any) -> str:
    try:
        return encode(value)
    except UnkeyableArgument:
        return f"{type(value).__qualname__} at {id(value)}"
