"""Payloads become smaller, and never larger than they were."""

import random
import struct
import sys
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from memory import taken_memory

from holdover import Compression
from holdover.errors import ConfigurationError, MissingDependency
from holdover.regions.codecs import PickleCodec
from holdover.regions.compression import READABLE
from holdover.regions.decoding import Unreadable
from holdover.regions.envelope import Entry, open_sealed, seal

ALGORITHMS = ["zstd", "zlib"]
NUMBERS = {"zstd": 1, "zlib": 2}
KEY = "region:key"
PICKLE = PickleCodec()
TEXT = b" ".join(b"%d green articles" % number for number in range(2_000))
SQUEEZE = {"zstd": zstd.compress, "zlib": zlib.compress}


def header(size, number):
    """What a compressed payload begins with."""
    return struct.pack("<QB", size, number)


def unpack(packed, by=READABLE):
    """Decompress as an envelope does: from a view of the bytes."""
    return by.unpack(memoryview(packed))


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    """Each algorithm in turn."""
    return request.param


@given(st.binary(max_size=3_000), st.sampled_from(ALGORITHMS), st.integers(1, 50))
def test_round_trip(part, algorithm, times):
    """What is packed comes back, and is smaller."""
    compression = Compression(algorithm=algorithm, above=0)
    payload = part * times
    packed = compression.pack(payload)
    if packed is not None:
        assert len(packed) < len(payload)
        assert unpack(packed) == payload


@pytest.mark.parametrize("level", [1, 3, 9])
def test_levels(algorithm, level):
    """Every level's product can be read."""
    compression = Compression(algorithm=algorithm, level=level)
    assert unpack(compression.pack(TEXT)) == TEXT


def test_what_is_not_worth_it(algorithm):
    """Small, random, too large and too uniform payloads stay as they are."""
    compression = Compression(algorithm=algorithm, max_size=1_000_000)
    assert compression.pack(b"a b c " * 170) is None  # 1,020 bytes
    assert compression.pack(b"a b c " * 171) is not None  # 1,026
    assert compression.pack(random.Random(1).randbytes(5_000)) is None
    assert compression.pack(TEXT * 30) is None
    assert compression.pack(bytes(900_000)) is None


def test_what_is_packed_can_be_read(algorithm):
    """At the very limits, what `pack` accepts `unpack` accepts."""
    compression = Compression(algorithm=algorithm, max_size=len(TEXT), max_ratio=50)
    assert unpack(compression.pack(TEXT), compression) == TEXT
    for size in range(1_500, 40_000, 500):
        payload = bytes(size) + random.Random(1).randbytes(size // 10)
        packed = compression.pack(payload)
        assert packed is None or unpack(packed, compression) == payload


@given(st.data(), st.sampled_from(ALGORITHMS))
def test_damage(data, algorithm):
    """Any change is an error or gives the same, and never more than was announced."""
    packed = Compression(algorithm=algorithm).pack(TEXT)
    start = data.draw(st.integers(0, len(packed)))
    end = data.draw(st.integers(start, min(start + 50, len(packed))))
    changed = packed[:start] + data.draw(st.binary(max_size=50)) + packed[end:]
    try:
        raw = unpack(changed)
    except Exception:
        return
    assert len(raw) <= READABLE.max_size


# -- bombs ---------------------------------------------------------------------


def peak_of(packed, by=READABLE):
    """Decompress what must fail; give the bytes of memory that this took."""
    any_error = pytest.raises(Exception)  # noqa: PT011 - it becomes a miss
    with taken_memory() as taken, any_error:
        unpack(packed, by)
    return taken.most


def test_an_honest_bomb(algorithm):
    """A payload that says how far it would grow is refused for that."""
    body = SQUEEZE[algorithm](bytes(50_000_000))
    assert peak_of(header(50_000_000, NUMBERS[algorithm]) + body) < 100_000
    with pytest.raises(ValueError, match="would grow to"):
        unpack(header(50_000_000, NUMBERS[algorithm]) + body)


def test_a_bomb_that_lies(algorithm):
    """One that says less is stopped where it says that it ends."""
    body = SQUEEZE[algorithm](bytes(50_000_000))
    assert peak_of(header(10_000, NUMBERS[algorithm]) + body) < 1_000_000


def test_a_promise_that_is_not_kept(algorithm):
    """One that says more is refused, and no memory is taken on its word."""
    body = SQUEEZE[algorithm](random.Random(1).randbytes(2_000))
    assert peak_of(header(100_000, NUMBERS[algorithm]) + body) < 500_000
    assert peak_of(header(2**63, NUMBERS[algorithm]) + body) < 100_000


def test_too_large_a_value(algorithm):
    """The reader's own limits count, whatever the writer's were."""
    packed = Compression(algorithm=algorithm).pack(TEXT)
    assert unpack(packed) == TEXT
    peak_of(packed, Compression(max_size=len(TEXT) - 1))
    peak_of(packed, Compression(max_ratio=1.5))


def test_a_window_larger_than_the_payload():
    """A zstd frame that asks for a window of many megabytes gets none."""
    options = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    made = zstd.ZstdCompressor(options=options)
    body = made.compress(TEXT) + made.flush()  # of unknown size when it was begun
    assert zstd.ZstdDecompressor().decompress(body) == TEXT
    with pytest.raises(zstd.ZstdError):
        unpack(header(len(TEXT), 1) + body)


@pytest.mark.parametrize("number", [0, 3, 255])
def test_an_unknown_algorithm(number):
    """A later release's algorithm is an error, not nonsense."""
    with pytest.raises(KeyError):
        unpack(header(10, number) + b"x" * 10)


@pytest.mark.parametrize("raw", [b"", b"x", header(1, 1), header(0, 2), bytes(9)])
def test_too_little(raw):
    """Nor is a piece of a payload one."""
    peak_of(raw)


def test_two_payloads_in_one(algorithm):
    """What follows the end is not ignored."""
    packed = Compression(algorithm=algorithm).pack(TEXT)
    peak_of(packed + b"x")
    peak_of(packed + packed)


# -- in an envelope ------------------------------------------------------------


def sealed(value, compression):
    """Give an envelope with a compressed payload."""
    return seal(Entry(value, created_at=1.0, fence=7), KEY, PICKLE, None, compression)


@pytest.mark.parametrize("reader", [*ALGORITHMS, None])
def test_every_reader_reads(algorithm, reader):
    """The other algorithm's values are read, also by who compresses no more."""
    value = TEXT.decode()
    raw = sealed(value, Compression(algorithm=algorithm))
    assert len(raw) < len(value) / 2
    reading = reader and Compression(algorithm=reader)
    assert open_sealed(raw, KEY, PICKLE, None, reading).value == value


def test_a_small_value_is_as_it_was():
    """Below the limit the bytes are those of no compression."""
    assert sealed("v", Compression()) == sealed("v", None)


def test_a_bomb_is_unreadable(algorithm):
    """In an envelope, a bomb is a miss with a reason."""
    bomb = header(10**9, NUMBERS[algorithm]) + SQUEEZE[algorithm](bytes(10**6))

    class Smuggler(Compression):
        def pack(self, payload):
            return bomb

    with pytest.raises(Unreadable, match="would grow to 1000000000"):
        open_sealed(sealed("v" * 2_000, Smuggler()), KEY, PICKLE)


def test_zstd_that_this_process_does_not_have(monkeypatch):
    """Where zstd is missing, its values are misses, and zlib is what is written."""
    raw = sealed(TEXT, Compression(algorithm="zstd"))
    forget_zstd(monkeypatch)
    with pytest.raises(Unreadable, match=r"holdover\[zstd\]"):
        open_sealed(raw, KEY, PICKLE)
    assert Compression.of(True).algorithm == "zlib"
    with pytest.raises(MissingDependency, match=r"pip install holdover\[zstd\]"):
        Compression(algorithm="zstd")


def forget_zstd(monkeypatch):
    """Make zstd impossible to import."""
    for home in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, home, None)


# -- the setting ---------------------------------------------------------------


@pytest.mark.parametrize("off", [None, False])
def test_off(off):
    """None and False mean no compression."""
    assert Compression.of(off) is None


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (True, Compression(algorithm="zstd")),
        ("zlib", Compression(algorithm="zlib")),
        ({"algorithm": "zlib", "level": 9}, Compression(algorithm="zlib", level=9)),
        (Compression(above=5), Compression(above=5)),
    ],
)
def test_on(given, meant):
    """True, a name, a mapping and an object say the same."""
    assert Compression.of(given) == meant


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("zstt", "Did you mean 'zstd'"),
        ("", "compression algorithm"),
        (7, "got 7"),
        ({"algorithm": "lz4"}, "'lz4'"),
        ({"levle": 3}, "Did you mean 'compress.level'"),
        ({"level": 10, "algorithm": "zlib"}, "from -1 to 9, got 10"),
        ({"level": 99}, "to 22, got 99"),
        ({"level": "3"}, "got '3'"),
        ({"above": -1}, "from 0 on, got -1"),
        ({"above": 1.5}, "above"),
        ({"max_size": 0}, "max_size"),
        ({"max_size": True}, "got True"),
        ({"max_ratio": 0.5}, "max_ratio"),
        ({"max_ratio": float("nan")}, "got nan"),
    ],
)
def test_a_wrong_setting(given, message):
    """Every wrong setting is named, with what was wanted."""
    with pytest.raises(ConfigurationError, match=message):
        Compression.of(given)
