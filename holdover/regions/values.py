"""Values that are quickly defined: dataclasses whose methods are not compiled.

`dataclasses.dataclass` writes six methods of a frozen class as text and compiles each,
which takes 0.4 ms. There are fifty such classes behind ``make_region()``, so that it
was a third of what importing it cost. Here only ``__init__`` is compiled (0.1 ms), as
callers want its signature, and a call of it its speed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, TypeVar, cast, dataclass_transform, overload

T = TypeVar("T")


class _Factory:
    """Stands for what was not given, where a factory makes what is then meant."""

    def __repr__(self) -> str:
        return "<factory>"  # as signatures of dataclasses have it


_EMPTY: Any = _Factory()
_NAMES = {"_set": object.__setattr__, "_empty": _EMPTY}


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Any] | None = None, /, *, kw_only: bool = False) -> Any:
    """Do as ``dataclass(frozen=True, slots=True)``, in a quarter of the time.

    What is made is a dataclass for ``fields()``, ``replace()``, ``match`` and pickles,
    and may be inherited from as one that is frozen. Fields are those of ``field()``;
    there is no ``InitVar``, no ``init=False``, no ``order``, no ``unsafe_hash``.

    Args:
        cls: The class.
        kw_only: Whether its fields are given by name only.

    Raises:
        TypeError: Some field is not given by callers, or a class that it inherits from
            is not frozen.
    """
    if cls is None:
        return lambda cls: _defined(cls, kw_only=kw_only, is_frozen=True)
    return _defined(cls, kw_only=kw_only, is_frozen=True)


@overload
def slotted(cls: type[T], /) -> type[T]: ...
@overload
def slotted(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def slotted(cls: type[Any] | None = None, /, *, kw_only: bool = False) -> Any:
    """Do as ``dataclass(slots=True)``, for what may change. See `frozen`."""
    if cls is None:
        return lambda cls: _defined(cls, kw_only=kw_only, is_frozen=False)
    return _defined(cls, kw_only=kw_only, is_frozen=False)


def _defined(cls: type[Any], *, kw_only: bool, is_frozen: bool) -> type[Any]:
    own = set(vars(cls))
    if vars(cls).get("__hash__") is None:  # Python's own, of a class with __eq__
        own.discard("__hash__")
    inherits = any("__dataclass_fields__" in vars(base) for base in cls.__mro__[1:])
    made: type[Any] = dataclass(
        init=False,
        repr=False,
        eq=False,
        slots=True,
        kw_only=kw_only,
        frozen=is_frozen and inherits,  # below a frozen class it wants another one
    )(cls)
    parts = fields(made)
    if not all(part.init for part in parts):
        raise TypeError(f"{cls.__qualname__}: each field is given, or has a default")
    methods: dict[str, Method | None] = {"__repr__": _repr(parts)}
    methods |= _comparing(parts)
    if is_frozen:
        step = "  _set(self, {name!r}, {value})"
        methods |= _refusing(made, parts) | _carrying()
    else:
        step = "  self.{name} = {value}"
        methods["__hash__"] = None
    methods["__init__"] = _init(made, parts, step)
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    known = made.__dataclass_params__
    known.init = known.repr = known.eq = True
    known.frozen = is_frozen
    return made


Parts = tuple[Field[Any], ...]
Method = Callable[..., Any]


def _init(cls: type[Any], parts: Parts, step: str) -> Method:
    """Compile what sets each field, with the signature that dataclasses gives it."""
    names: dict[str, Any] = dict(_NAMES)
    positional: list[str] = []
    named: list[str] = []
    lines = []
    for part in parts:
        text, value = part.name, part.name
        if part.default_factory is not MISSING:
            names[f"_make_{part.name}"] = part.default_factory
            names[f"_default_{part.name}"] = _EMPTY
            value = f"_make_{part.name}() if {part.name} is _empty else {part.name}"
        elif part.default is not MISSING:
            names[f"_default_{part.name}"] = part.default
        if f"_default_{part.name}" in names:
            text += f"=_default_{part.name}"
        (named if part.kw_only else positional).append(text)
        lines.append(step.format(name=part.name, value=value))
    if hasattr(cls, "__post_init__"):
        lines.append("  self.__post_init__()")
    given = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    body = [f" def __init__({given}):", *(lines or ["  pass"]), " return __init__"]
    source = "\n".join([f"def _make({', '.join(names)}):", *body])
    made: dict[str, Any] = {}
    # In the module, where its annotations mean something: as dataclasses does.
    exec(source, vars(sys.modules[cls.__module__]), made)  # noqa: S102
    init = cast("Method", made["_make"](**names))
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = {part.name: part.type for part in parts} | {"return": None}
    return init


def _repr(parts: Parts) -> Method:
    shown = [part.name for part in parts if part.repr]

    @recursive_repr()
    def __repr__(self: Any) -> str:  # noqa: N807 - it is to be called so
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({told})"

    return __repr__


def _comparing(parts: Parts) -> dict[str, Method]:
    values = _getter([part.name for part in parts if part.compare])
    # A field's hash=None means that it is hashed if it is compared.
    hashed = [p.name for p in parts if (p.compare if p.hash is None else p.hash)]
    hash_values = _getter(hashed)

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807
        if type(other) is type(self):
            return values(self) == values(other)
        return NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(hash_values(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda one: tuple(getattr(one, name) for name in names)


def _refusing(cls: type[Any], parts: Parts) -> dict[str, Method]:
    """Freeze the fields, and all of *cls* itself; a subclass may have more."""
    names = frozenset(part.name for part in parts)

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _carrying() -> dict[str, Method]:
    """Let it be pickled, in the form that dataclasses has for frozen ones with slots.

    A subclass that has more fields may share these two: they ask for its own.
    """

    def __getstate__(self: Any) -> list[Any]:  # noqa: N807
        return [getattr(self, part.name) for part in fields(self)]

    def __setstate__(self: Any, state: list[Any]) -> None:  # noqa: N807
        for part, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, part.name, value)

    return {"__getstate__": __getstate__, "__setstate__": __setstate__}
