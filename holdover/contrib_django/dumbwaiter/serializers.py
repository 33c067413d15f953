"""How values become bytes, as DUMBWAITER_SERIALIZER and PICKLE_PROTOCOL say."""

from __future__ import annotations

import pickle
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from holdover.regions.codecs import PickleCodec, uncacheable

_TEXT, _BYTES = b"t", b"b"


def codec_of_project() -> Any:
    """Choose the codec of values.

    Raises:
        ImproperlyConfigured: A setting is wrong.
    """
    path = getattr(settings, "DUMBWAITER_SERIALIZER", None)
    if path is None:
        return ProtocolPickle(_protocol())
    module = _module(path)
    # django-dumbwaiter's modules have an object of that name; functions will do.
    return SerializerCodec(getattr(module, "serializer", module), path)


def _module(path: object) -> Any:
    # A path that begins with a dot would be relative to a package that nobody names.
    if not isinstance(path, str) or not path or path.startswith("."):
        raise ImproperlyConfigured(
            f"DUMBWAITER_SERIALIZER is a module's dotted path, got {path!r:.80}"
        )
    try:
        return import_module(path)
    except (Exception, SystemExit) as error:  # whatever stands at its top
        raise ImproperlyConfigured(
            f"DUMBWAITER_SERIALIZER: importing {path!r:.80} failed: {error!r:.200}"
        ) from error


def _protocol() -> int:
    for name in ("DUMBWAITER_PICKLE_PROTOCOL", "PICKLE_PROTOCOL"):
        if hasattr(settings, name):
            return _checked_protocol(name, getattr(settings, name))
    return pickle.HIGHEST_PROTOCOL


def _checked_protocol(name: str, protocol: Any) -> int:
    known = range(pickle.HIGHEST_PROTOCOL + 1)
    if type(protocol) is not int or protocol not in known:
        raise ImproperlyConfigured(
            f"{name} is a number from 0 to {known[-1]}, got {protocol!r:.80}"
        )
    return protocol


class ProtocolPickle(PickleCodec):
    """Pickles with one protocol, which older Pythons may read; it reads all of them.

    Args:
        protocol: Its number.
    """

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol

    def dumps(self, value: Any) -> bytes:
        """Encode."""
        try:
            return pickle.dumps(value, self._protocol)
        except Exception as error:  # pickling runs the value's own code
            raise uncacheable(value, "pickle", error) from error


class SerializerCodec:
    """What a project's own serializer makes of values: texts, or bytes.

    Args:
        serializer: Has ``serialize(value)`` and ``deserialize(text)``.
        path: Where it was found, for errors.

    Raises:
        ImproperlyConfigured: It has not.
    """

    tag = b"dumbwait"

    def __init__(self, serializer: Any, path: str) -> None:
        for name in ("serialize", "deserialize"):
            if not callable(getattr(serializer, name, None)):
                raise ImproperlyConfigured(
                    f"DUMBWAITER_SERIALIZER: {path}.serializer has no {name}()"
                )
        self._serializer = serializer

    def dumps(self, value: Any) -> bytes:
        """Encode, and note whether it was a text."""
        try:
            made = self._serializer.serialize(value)
            return _TEXT + made.encode() if isinstance(made, str) else _BYTES + made
        except Exception as error:  # the project's own code
            raise uncacheable(value, "DUMBWAITER_SERIALIZER", error) from error

    def loads(self, payload: memoryview) -> Any:
        """Decode what the serializer gave, of the kind that it gave."""
        kind, made = bytes(payload[:1]), bytes(payload[1:])
        return self._serializer.deserialize(made.decode() if kind == _TEXT else made)
