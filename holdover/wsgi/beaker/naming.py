"""How what Beaker's users call things becomes keys: two things never share one.

Beaker joins texts by spaces, so that ``f("a b", "c")`` and ``f("a", "b c")`` get each
other's values there. Here each part is closed by a sign that no part contains.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from holdover.errors import InvalidArgument, UnkeyableArgument

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_DROPPED = ("self", "cls")
_EXACT = frozenset({int, bool, float, type(None)})  # their texts need no looking at


def _escaping(signs: str) -> dict[int, str]:
    return str.maketrans({sign: f"%{ord(sign):02X}" for sign in f"%{signs}"})


_PARTED = _escaping(";=")
_NAMESPACE = _escaping("|#")


def checked_namespace(namespace: object) -> str:
    """Take the name of a namespace.

    Raises:
        InvalidArgument: It is no text.
    """
    if not isinstance(namespace, str):
        raise InvalidArgument(f"a namespace is a text, got {namespace!r:.80}")
    return namespace


def tag_of(namespace: str) -> str:
    """Give the tag that all entries of a namespace carry."""
    return f"namespace:{namespace}"


class Address:
    """Gives the keys, in its region, of what is in a namespace.

    Args:
        namespace: Its name.
    """

    def __init__(self, namespace: str) -> None:
        self._escaped = namespace.translate(_NAMESPACE)

    def of(self, key: object) -> str:
        """Give the key of *key*.

        Raises:
            UnkeyableArgument: It is no text, and has none that lasts.
        """
        if isinstance(key, str):
            return f"{self._escaped}|{key}"
        return f"{self._escaped}#{_lasting(repr(key), key)}"


def joined(parts: Iterable[object], named: Mapping[str, object] | None = None) -> str:
    """Give the text of a call: of the decorator's words and of the arguments.

    Only the arguments' texts count, as with Beaker: ``1`` and ``"1"`` are alike, so
    that what comes out of a URL reaches what a number made.

    Args:
        parts: What is told by its place.
        named: What is told by its name.

    Raises:
        UnkeyableArgument: The text of one of them is another one in each process.
    """
    texts = [_text_of(part).translate(_PARTED) for part in parts]
    if named:
        texts += [
            f"{name.translate(_PARTED)}={_text_of(value).translate(_PARTED)}"
            for name, value in sorted(named.items())
        ]
    return "".join(f"{text};" for text in texts)


def namespace_of(function: Callable[..., Any]) -> str:
    """Give the namespace of a decorated function: its module and its qualified name.

    Raises:
        InvalidArgument: It has no name, and would share its values with its like.
    """
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str) or not callable(function):
        raise InvalidArgument(
            f"only functions and methods have the name that parts their values from "
            f"others', got {function!r:.80}: wrap it in a function"
        )
    module = getattr(function, "__module__", None) or "?"
    return f"{module}:{name}{_place_of(function) if '<lambda>' in name else ''}"


class Arguments:
    """How the arguments of a function become parts of its keys, as with Beaker.

    The object or class of a method is left out: all share what was created for one.
    Names that follow what is given by place count as places. Defaults do not count.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = list(_parameters(function))
        by_place = [
            one.name if one.kind is one.POSITIONAL_OR_KEYWORD else ""
            for one in parameters
            if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        ]
        self._drops_first = by_place[:1] != [] and by_place[0] in _DROPPED
        self._names = by_place[1:] if self._drops_first else by_place

    def key(
        self, parts: Sequence[object], args: Sequence[Any], named: Mapping[str, Any]
    ) -> str:
        """Give the text of a call with *args* and *named*."""
        return self.key_without_self(
            parts, args[1:] if self._drops_first else args, named
        )

    def key_without_self(
        self, parts: Sequence[object], args: Sequence[Any], named: Mapping[str, Any]
    ) -> str:
        """Do as `key` with the arguments that a method's caller writes."""
        if not named:
            return joined([*parts, *args])
        placed, rest = list(args), dict(named)
        for name in self._names[len(placed) :]:
            if name not in rest:
                break
            placed.append(rest.pop(name))
        return joined([*parts, *placed], rest)


def _parameters(function: Callable[..., Any]) -> Iterable[inspect.Parameter]:
    try:
        return inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions do not tell
        return ()


def _text_of(value: object) -> str:
    if isinstance(value, str) or type(value) in _EXACT:
        return str(value)
    return _lasting(f"{value!s}", value)


def _lasting(text: str, value: object) -> str:
    """Refuse a text with an address in it, which others may have tomorrow.

    Raises:
        UnkeyableArgument: It says what to do.
    """
    if _ADDRESS.search(text):
        kind = type(value).__qualname__
        raise UnkeyableArgument(
            f"no lasting key can be made from a {kind}, whose text is {text!r:.80}: "
            "pass what identifies it (an id, a name), or give its class a __str__"
        )
    return text


def _place_of(function: Callable[..., Any]) -> str:
    """Tell lambdas of one name apart, by where they stand in their file."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    columns = [column for _, _, column, _ in code.co_positions() if column]
    return f"@{code.co_firstlineno}.{min(columns, default=0)}"
