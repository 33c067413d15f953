"""Payloads made smaller, and never larger again than they were.

A compressed payload begins with its own length before compression and the algorithm;
both are judged before a byte is decompressed.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from holdover.regions.errors import ConfigurationError, MissingDependency, unknown
from holdover.regions.values import frozen

_HEADER = struct.Struct("<QB")  # length of the raw payload, number of the algorithm
_NUMBERS = {"zstd": 1, "zlib": 2}
_HOMES_OF_ZSTD = ("compression.zstd", "backports.zstd")  # Python 3.14's own first
_WINDOW_LOGS = range(10, 32)  # what a zstd window may be the logarithm of
_FASTEST = 1


@frozen(kw_only=True)
class Compression:
    """When and how payloads are compressed, and how far they may grow again.

    Attributes:
        algorithm: "zstd" or "zlib"; None means zstd if it is installed, else zlib.
            Whichever it is, values that were compressed by the other can be read.
        level: The algorithm's own; None means 1, its fast end.
        above: Bytes from which on a payload is worth it.
        max_size: Bytes that a payload may have when decompressed. A larger one is
            stored as it is, and refused if it is read.
        max_ratio: How many times smaller a payload may become. One that shrinks more
            is stored as it is, and refused if it is read.
    """

    algorithm: str | None = None
    level: int | None = None
    above: int = 1024
    max_size: int = 64 * 1024 * 1024
    max_ratio: float = 100.0

    def __post_init__(self) -> None:
        if self.algorithm is None:
            best = "zlib" if _zstd() is None else "zstd"
            object.__setattr__(self, "algorithm", best)
        if self.algorithm not in _NUMBERS:
            raise ConfigurationError(
                unknown("compression algorithm", self.algorithm, _NUMBERS)
            )
        if self.algorithm == "zstd":
            _needed_zstd()
        _check_number("above", self.above, least=0)
        _check_number("max_size", self.max_size, least=1)
        _check_number("max_ratio", self.max_ratio, least=1, kinds=(int, float))
        if self.level is not None:
            _check_level(str(self.algorithm), self.level)

    @classmethod
    def of(cls, given: object) -> Compression | None:
        """Read a setting: None or False, True, an algorithm, options, or one of these.

        Raises:
            ConfigurationError: It is something else, or an option is wrong.
            MissingDependency: zstd is asked for and not installed.
        """
        if given is None or given is False:
            return None
        if given is True:
            return cls()
        if isinstance(given, str):
            return cls(algorithm=given)
        if isinstance(given, Mapping):
            return cls(**_options(given))
        if not isinstance(given, Compression):
            raise ConfigurationError(
                "compress must be True, False, the name of an algorithm, a "
                f"Compression or a mapping of its options, got {given!r}"
            )
        return given

    def pack(self, payload: bytes) -> bytes | None:
        """Give a smaller form of *payload*; None if there is none worth having."""
        size = len(payload)
        if not self.above <= size <= self.max_size:
            return None
        name, level = str(self.algorithm), self.level
        packed = _PACKERS[name](payload, _FASTEST if level is None else level)
        if len(packed) + _HEADER.size >= size or size > self.max_ratio * len(packed):
            return None
        return _HEADER.pack(size, _NUMBERS[name]) + packed

    def unpack(self, packed: memoryview) -> bytes:
        """Give back what `pack` got, whichever algorithm it used.

        Raises:
            Exception: These are not such bytes, or would grow beyond the limits; no
                more memory was taken than they allow.
        """
        size, number = _HEADER.unpack_from(packed)
        body = packed[_HEADER.size :]
        if size > self.max_size or size > self.max_ratio * len(body):
            raise ValueError(f"{len(body)} bytes that would grow to {size}")
        raw = _UNPACKERS[number](body, size)
        if len(raw) != size:
            raise ValueError(f"{size} bytes were announced, not {len(raw)}")
        return raw


def _options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {f"compress.{one.name}" for one in fields(Compression)}
    for name in given:
        if f"compress.{name}" not in known:
            raise ConfigurationError(unknown("option", f"compress.{name}", known))
    return given


def _check_level(algorithm: str, level: object) -> None:
    least, most = -1, zlib.Z_BEST_COMPRESSION
    if algorithm == "zstd":
        least, most = _needed_zstd().CompressionParameter.compression_level.bounds()
    _check_number("level", level, least=least, most=most)


def _check_number(
    name: str,
    value: object,
    *,
    least: int,
    most: float = math.inf,
    kinds: type | tuple[type, ...] = int,
) -> None:
    good = isinstance(value, kinds) and not isinstance(value, bool)
    if not good or not least <= cast("float", value) <= most:
        upto = "on" if most == math.inf else f"to {most}"
        raise ConfigurationError(
            f"Compression.{name} must be a number from {least} {upto}, got {value!r}"
        )


def _zstd() -> ModuleType | None:
    """Load zstd where this Python has it; None if it has none."""
    for home in _HOMES_OF_ZSTD:
        try:
            return import_module(home)
        except ImportError:
            continue
    return None


def _needed_zstd() -> Any:
    module = _zstd()
    if module is None:
        raise MissingDependency(
            "the compression 'zstd' needs 'backports.zstd': "
            'pip install holdover[zstd]; or use compress="zlib"'
        )
    return module


def _pack_by_zstd(payload: bytes, level: int) -> bytes:
    packed: bytes = _needed_zstd().compress(payload, level)
    return packed


def _unpack_by_zstd(body: memoryview, size: int) -> bytes:
    zstd = _needed_zstd()
    # A frame may ask for a window of 128 MB whatever its size; ours never need more
    # than the payload itself.
    log = min(max(size.bit_length(), _WINDOW_LOGS[0]), _WINDOW_LOGS[-1])
    bounded = {zstd.DecompressionParameter.window_log_max: log}
    return _whole(zstd.ZstdDecompressor(options=bounded), body, size)


def _unpack_by_zlib(body: memoryview, size: int) -> bytes:
    return _whole(zlib.decompressobj(), body, size)


def _whole(decompressor: Any, body: memoryview, size: int) -> bytes:
    """Decompress at most *size* bytes, one more to see whether that is the end."""
    raw: bytes = decompressor.decompress(body, size + 1)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("more or less than one compressed payload")
    return raw


_PACKERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "zstd": _pack_by_zstd,
    "zlib": zlib.compress,
}
_UNPACKERS: Mapping[int, Callable[[memoryview, int], bytes]] = {
    _NUMBERS["zstd"]: _unpack_by_zstd,
    _NUMBERS["zlib"]: _unpack_by_zlib,
}
READABLE = Compression(algorithm="zlib")
"""The limits for reading where nothing is said: who stops compressing reads on."""
