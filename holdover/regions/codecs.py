"""How values become bytes and come back."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Protocol

from holdover.regions.errors import ConfigurationError, LazyValue, UncacheableValue

TAG_LENGTH = 8

_NUMBERS = frozenset({bool, int, float, type(None)})
_ATOMS = _NUMBERS | {str}
_TEXT = frozenset({str})
# What is certainly not lazy: to ask three abstract classes takes a microsecond.
_FINISHED = _NUMBERS | {str, bytes, list, tuple, dict, set}

# json.dumps() would make one each time, which costs more than it does.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().raw_decode  # not to look for white space (1 us of 3)


class Codec(Protocol):
    """Turns values into bytes and back.

    Attributes:
        tag: At most eight ASCII bytes, stored with every value. A region reads only
            the values that carry its own codec's tag.
    """

    tag: bytes

    def dumps(self, value: Any) -> bytes:
        """Encode *value*.

        Raises:
            UncacheableValue: This codec cannot keep it.
        """

    def loads(self, payload: memoryview) -> Any:
        """Decode exactly *payload*; may raise anything if the bytes are no good."""


def check_tag(codec: Codec) -> None:
    """Refuse a codec whose values could not be told from others'.

    Raises:
        ConfigurationError: Its tag is no bytes, empty or too long.
    """
    tag: object = codec.tag
    if not isinstance(tag, bytes) or not 0 < len(tag) <= TAG_LENGTH:
        raise ConfigurationError(
            f"a codec's tag must be 1 to {TAG_LENGTH} bytes, got {tag!r}"
        )


def refuse_lazy_function(function: Callable[..., Any]) -> None:
    """Refuse a creator whose every value could be read only once.

    Raises:
        LazyValue: It is a generator function or an ``async def``.
    """
    checks = {
        "a generator function": inspect.isgeneratorfunction,
        "an async def": inspect.iscoroutinefunction,
        "an async generator function": inspect.isasyncgenfunction,
    }
    for kind, is_kind in checks.items():
        if is_kind(function):
            raise LazyValue(
                f"{getattr(function, '__qualname__', function)} is {kind}: what it "
                "returns can be used only once and so cannot be cached"
            )


def refuse_lazy(value: Any) -> None:
    """Refuse what could be read only once.

    Raises:
        LazyValue: It is a generator, another iterator, or something to be awaited.
    """
    if type(value) in _FINISHED:
        return
    if isinstance(value, Iterator | AsyncIterator | Awaitable):
        raise LazyValue(
            f"a creator returned {type(value).__name__!r}, which can be used only once "
            "and so cannot be cached: return a list (or another finished value)"
        )


class PickleCodec:
    """Any picklable value. Read it only from a store that nobody else can write."""

    tag = b"pickle"

    def dumps(self, value: Any) -> bytes:
        """Encode with the newest pickle protocol."""
        try:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # pickling runs the value's own code
            raise uncacheable(value, "pickle", error) from error

    def loads(self, payload: memoryview) -> Any:
        """Decode; runs whatever the pickle says."""
        return pickle.loads(payload)


class JsonCodec:
    """JSON values only: None, bool, numbers, str, lists, and dicts with str keys.

    What JSON would give back as something else (tuples, other keys) is refused, so
    that a cached value always equals the created one.
    """

    tag = b"json"

    def dumps(self, value: Any) -> bytes:
        """Encode as UTF-8 JSON text."""
        try:
            _check_types(value)
            return _encode(value).encode()  # which fails for lone surrogates
        except (TypeError, ValueError, RecursionError) as error:
            raise uncacheable(value, "json", error) from error

    def loads(self, payload: memoryview) -> Any:
        """Decode UTF-8 JSON text."""
        return _decoded(str(payload, "utf-8"))


class FunctionCodec:
    """dogpile.cache's pair of a serializer and a deserializer."""

    tag = b"custom"

    def __init__(
        self, serializer: Callable[[Any], bytes], deserializer: Callable[[bytes], Any]
    ) -> None:
        self._serializer = serializer
        self._deserializer = deserializer

    def dumps(self, value: Any) -> bytes:
        """Encode with the serializer."""
        try:
            return self._serializer(value)
        except Exception as error:  # the user's own code
            raise uncacheable(value, "the region's serializer", error) from error

    def loads(self, payload: memoryview) -> Any:
        """Decode with the deserializer."""
        return self._deserializer(bytes(payload))


def is_plain(value: Any) -> bool:
    """Say whether JSON gives *value* back with its types unchanged."""
    try:
        return _is_plain(value)
    except RecursionError:  # nor would JSON read it
        return False


def _is_plain(value: Any) -> bool:
    return _has_plain_types(value) and _is_all_unicode(value)


def _has_plain_types(value: Any) -> bool:
    """Say whether *value* consists of what JSON has, its texts not looked at.

    Raises:
        RecursionError: It contains itself, or is too deep.
    """
    # In loops, since `all()` over a generator takes twice as long.
    kind = type(value)
    if kind is dict:
        if not _TEXT.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list:
        return kind in _ATOMS
    for one in value:
        if type(one) not in _ATOMS and not _has_plain_types(one):
            return False
    return True


def _is_all_unicode(value: Any) -> bool:
    """Say so of what has plain types."""
    if type(value) is str:
        return is_unicode(value)
    if type(value) is dict:
        return all(map(is_unicode, value)) and all(map(_is_all_unicode, value.values()))
    return type(value) is not list or all(map(_is_all_unicode, value))


def is_unicode(text: str) -> bool:
    """Say whether *text* is free of lone surrogates, which JSON may join."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_types(value: Any) -> None:
    if not _has_plain_types(value):
        raise TypeError("JSON would not give the same value back")


def _decoded(text: str) -> Any:
    """Decode what is nothing but JSON, as `dumps` has written it."""
    value, end = _decode(text)
    if end != len(text):
        raise ValueError(f"{len(text) - end} characters follow the value")
    return value


def uncacheable(value: Any, codec: str, error: Exception) -> UncacheableValue:
    """Word the error of a *codec* that cannot encode *value*."""
    return UncacheableValue(
        f"{codec} cannot encode a {type(value).__module__}.{type(value).__qualname__}: "
        f"{error}"
    )


def written_by(codec: Codec, value: object) -> bytes:
    """Give the bytes that a codec makes of a value.

    Raises:
        UncacheableValue: It cannot, or gives something else.
    """
    payload: object = codec.dumps(value)
    if not isinstance(payload, bytes):
        raise UncacheableValue(
            f"codec {codec.tag!r} gave a {type(payload).__name__} in place of bytes"
        )
    return payload
