"""What is stored comes back whole, or is no value at all."""

import dataclasses
import math
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import taken_memory

from holdover.regions import envelope as module
from holdover.regions.codecs import FunctionCodec, JsonCodec, PickleCodec
from holdover.regions.compression import Compression
from holdover.regions.decoding import Unreadable
from holdover.regions.envelope import (
    ABSENT,
    FOREVER,
    MAGIC,
    TRAILER_SIZE,
    Entry,
    fence_of,
    open_sealed,
    seal,
)
from holdover.regions.lifetime import Lifetime
from holdover.regions.signing import Keyring

PICKLE = PickleCodec()
KEY = "region:key"
SIGNER = Keyring.of("a secret of the tests").signer("envelope", "region")

keys = st.text(st.characters(), max_size=600) | st.just("lone \ud800")
moments = st.floats(0, 1e12)
numbers = st.integers(0, 2**64 - 1)
spans = st.none() | st.floats(0.001, 1e9)
lifetimes = st.builds(
    Lifetime,
    expiration_time=spans,
    stale_while_revalidate=spans,
    stale_if_error=spans,
)
tags = st.lists(st.text(min_size=1).filter(lambda tag: "\n" not in tag)).map(tuple)
entries = st.builds(
    Entry,
    value=st.none() | st.text() | st.binary() | st.lists(st.integers()),
    created_at=moments,
    kept_until=moments | st.just(FOREVER),
    fence=numbers,
    clock=numbers,
    cost=st.floats(0, 1000, width=32),
    lifetime=st.none() | lifetimes,
    tags=tags,
)


def sealed(value="v", key=KEY, codec=PICKLE, **known):
    """Give an envelope around *value*."""
    return seal(Entry(value, created_at=1.0, fence=7, **known), key, codec)


class Spy:
    """A codec that notes what it is given to decode."""

    tag = b"spy"

    def __init__(self):
        self.payloads = []

    def dumps(self, value):
        return value

    def loads(self, payload):
        self.payloads.append(payload)
        return bytes(payload)


@given(entries, keys)
def test_round_trip(entry, key):
    """Everything that is known of a value survives, for any key."""
    assert entry == open_sealed(seal(entry, key, PICKLE), key, PICKLE)


@given(st.lists(st.text(max_size=5), max_size=5).map(tuple))
def test_tags_come_back(given_tags):
    """Tags are any texts, with any characters, in their order."""
    entry = Entry("v", created_at=1.0, tags=given_tags)
    assert given_tags == open_sealed(seal(entry, KEY, PICKLE), KEY, PICKLE).tags


@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_000])
def test_sizes(size):
    """Empty and large payloads come back alike."""
    value = b"x" * size
    codec = Spy()
    assert value == open_sealed(sealed(value, codec=codec), KEY, codec).value


@pytest.mark.parametrize(
    "own",
    [
        Lifetime(),
        Lifetime(expiration_time=5),
        Lifetime(expiration_time=5, stale_while_revalidate=0, stale_if_error=9),
    ],
)
def test_own_lifetime(own):
    """A lifetime that an entry carries comes back; without one, None does."""
    assert own == open_sealed(sealed(lifetime=own), KEY, PICKLE).lifetime
    assert open_sealed(sealed(), KEY, PICKLE).lifetime is None


@pytest.mark.parametrize("signer", [None, SIGNER])
def test_a_large_value_is_not_copied(signer):
    """It is encoded, and gets its end where it is: pickle alone takes half more."""
    entry = Entry(bytes(5_000_000), created_at=1.0)
    with taken_memory() as taken:
        seal(entry, "k", PickleCodec(), signer)
    assert 0 < taken.most < 1.6 * len(entry.value)


def test_a_cached_none_is_a_value():
    """None in an envelope is not the same as nothing there."""
    entry = open_sealed(sealed(None), KEY, PICKLE)
    assert entry.value is None
    assert entry is not ABSENT
    assert math.isinf(entry.kept_until)


# -- damage --------------------------------------------------------------------


@pytest.mark.parametrize("codec", [PICKLE, JsonCodec()], ids=["pickle", "json"])
def test_every_flipped_bit_is_noticed(codec):
    """A value with one wrong bit anywhere, metadata included, is no value."""
    raw = sealed(["some", 1, "value"], codec=codec, tags=("t",), lifetime=Lifetime())
    for position in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(Unreadable):
            open_sealed(bytes(damaged), KEY, codec)


def test_every_truncation_is_noticed():
    """A torn value, at its beginning or its end, is no value."""
    raw = sealed(list(range(100)), tags=("a", "b"))
    for cut in range(len(raw)):
        for part in (raw[:cut], raw[len(raw) - cut :], raw[:cut] + raw[cut + 1 :]):
            with pytest.raises(Unreadable):
                open_sealed(part, KEY, PICKLE)


@pytest.mark.parametrize("more", [b"\0", b"x" * 100, sealed()])
def test_added_bytes_are_noticed(more):
    """A value with something before or behind it is no value."""
    for raw in (sealed("w") + more, more + sealed("w")):
        with pytest.raises(Unreadable):
            open_sealed(raw, KEY, PICKLE)


@given(st.binary(max_size=400))
def test_random_bytes(raw):
    """Foreign bytes are `Unreadable` and never raise anything else."""
    with pytest.raises(Unreadable):
        open_sealed(raw, KEY, PICKLE)


@given(st.binary(min_size=TRAILER_SIZE, max_size=400))
def test_random_bytes_with_a_good_end(raw):
    """Nor do those that end like an envelope."""
    for end in (MAGIC, sealed()[-12:], sealed()[-40:]):
        with pytest.raises(Unreadable):
            open_sealed(raw[: -len(end)] + end, KEY, PICKLE)


def test_many_random_changes():
    """Runs of random bytes written over an envelope are noticed."""
    dice = random.Random(7)
    raw = sealed("some text that is long enough", tags=("x",))
    for _ in range(2_000):
        damaged = bytearray(raw)
        start = dice.randrange(len(raw))
        damaged[start : start + 8] = dice.randbytes(8)[: len(raw) - start]
        if bytes(damaged) != raw:
            with pytest.raises(Unreadable):
                open_sealed(bytes(damaged), KEY, PICKLE)


# -- foreign -------------------------------------------------------------------


@pytest.mark.parametrize("other", ["", "region:kez", KEY + " ", KEY.upper(), "k" * 600])
def test_another_key_s_value(other):
    """A value that was stored for another key is no value here."""
    with pytest.raises(Unreadable, match="another key"):
        open_sealed(sealed(key=other), KEY, PICKLE)
    with pytest.raises(Unreadable, match="another key"):
        open_sealed(sealed(), other, PICKLE)


def test_two_long_keys():
    """Keys too long to be stored whole are still told apart."""
    one, other = "k" * 5_000 + "1", "k" * 5_000 + "2"
    assert open_sealed(sealed(key=one), one, PICKLE).value == "v"
    with pytest.raises(Unreadable, match="another key"):
        open_sealed(sealed(key=one), other, PICKLE)


def test_another_codec_s_value():
    """A region reads only its own codec's bytes: nothing falls back to pickle."""
    with pytest.raises(Unreadable, match="codec"):
        open_sealed(sealed(), KEY, JsonCodec())
    with pytest.raises(Unreadable, match="codec"):
        open_sealed(sealed(codec=JsonCodec()), KEY, PICKLE)


def test_a_foreign_pickle_is_never_run():
    """Decoding begins only when key, codec and checksum are right."""
    ran = []
    spy = FunctionCodec(bytes, ran.append)
    spy.tag = PICKLE.tag
    raw = bytearray(sealed())
    raw[0] ^= 1
    for hostile in (bytes(raw), sealed(key="other"), sealed(codec=JsonCodec())):
        with pytest.raises(Unreadable):
            open_sealed(hostile, KEY, spy)
    assert ran == []


def test_another_version(monkeypatch):
    """A value of another release's format is a miss, in both directions."""
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    newer = sealed()
    with monkeypatch.context() as context:
        context.setattr(module, "VERSION", module.VERSION - 1)
        with pytest.raises(Unreadable, match="version"):
            open_sealed(newer, KEY, PICKLE)
        older = sealed()
    with pytest.raises(Unreadable, match="version"):
        open_sealed(older, KEY, PICKLE)


@pytest.mark.parametrize("error", [ValueError, MemoryError, RecursionError, KeyError])
def test_a_decoder_that_raises(error):
    """Whatever a decoder raises is `Unreadable`, with its cause."""

    def loads(payload):
        raise error("no")

    codec = FunctionCodec(lambda value: b"payload", loads)
    with pytest.raises(Unreadable, match="undecodable") as caught:
        open_sealed(sealed(codec=codec), KEY, codec)
    assert isinstance(caught.value.__cause__, error)


def test_an_impossible_lifetime():
    """An entry whose lifetime no one could have made is unreadable."""
    impossible = Lifetime()
    object.__setattr__(impossible, "expiration_time", -5.0)
    with pytest.raises(Unreadable, match="lifetime"):
        open_sealed(sealed(lifetime=impossible), KEY, PICKLE)


# -- forged with a good checksum -----------------------------------------------

FIELDS = ["created_at", "kept_until", "expiration", "revalidate", "error", "cost"]
FLAGS = 12  # its place among the trailer's fields


def forged(raw, place, value):
    """Change one field of an envelope's trailer, and make the checksum right again."""
    fields = list(module.TRAILER.unpack(raw[-TRAILER_SIZE:]))
    fields[place] = value
    checked = raw[:-TRAILER_SIZE] + module.TRAILER.pack(*fields)[:-8]
    return checked + zlib.crc32(checked).to_bytes(4, "little") + MAGIC


@given(st.integers(0, 255))
def test_flags_of_another_release(flags):
    """A flag that this release does not know makes it no value, never a wrong one."""
    raw = forged(sealed(), FLAGS, flags)
    if flags in (0, 1, 8, 9):
        assert open_sealed(raw, KEY, PICKLE).value == "v"
        return
    with pytest.raises(Unreadable):
        open_sealed(raw, KEY, PICKLE)


def test_a_flag_is_named():
    """The reason says whether a release or a secret differs."""
    for flags, reason in (
        (16, "another release"),
        (4, "no secret"),
        (2, "undecodable"),
    ):
        with pytest.raises(Unreadable, match=reason):
            open_sealed(forged(sealed(), FLAGS, flags), KEY, PICKLE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_at", math.nan),
        ("kept_until", math.nan),
        ("cost", math.nan),
        ("cost", math.inf),
        ("cost", -1.0),
    ],
)
def test_impossible_times(name, value):
    """Times that are no numbers never reach what reckons with them."""
    raw = forged(sealed(), FIELDS.index(name), value)
    with pytest.raises(Unreadable, match="impossible times"):
        open_sealed(raw, KEY, PICKLE)


@pytest.mark.parametrize(
    "tags",
    [b"5", b'"text"', b'{"a": 1}', b"[1]", b"null", b"[", b"[" * 99_999, b"\xff"],
)
def test_tags_that_are_none(tags, monkeypatch):
    """What stands where tags should is no reason to fail."""
    dumps = module.json.dumps
    monkeypatch.setattr(module.json, "dumps", lambda given: "x" * len(tags))
    raw = sealed(tags=("t",))
    monkeypatch.setattr(module.json, "dumps", dumps)
    body = raw[: -TRAILER_SIZE - len(tags)] + tags + raw[-TRAILER_SIZE:]
    with pytest.raises(Unreadable, match="undecodable"):
        open_sealed(forged(body, FLAGS, 0), KEY, PICKLE)


@given(st.integers(8, 10), st.integers(0, 2**32 - 1))
def test_lengths_that_lie(place, length):
    """Lengths are compared with what is there before anything is done with them."""
    length %= 2**16 if place == 10 else 2**32
    raw = sealed(tags=("t",))
    honest = module.TRAILER.unpack(raw[-TRAILER_SIZE:])[place]
    if length != honest:
        with pytest.raises(Unreadable):
            open_sealed(forged(raw, place, length), KEY, PICKLE)


# -- without a copy ------------------------------------------------------------


def test_the_payload_is_decoded_where_it_lies():
    """The decoder gets an exact view into the stored bytes, not a copy."""
    codec = Spy()
    raw = sealed(b"p" * 1_000, codec=codec)
    open_sealed(raw, KEY, codec)
    (payload,) = codec.payloads
    assert isinstance(payload, memoryview)
    assert payload.obj is raw
    assert payload == b"p" * 1_000


@pytest.mark.parametrize("signer", [None, SIGNER], ids=["unsigned", "signed"])
def test_reading_takes_no_second_copy(signer):
    """100 KB are verified where they lie; only the value itself takes memory."""
    value = bytes(range(256)) * 400
    raw = seal(Entry(value, created_at=1.0), KEY, PICKLE, signer)
    with taken_memory() as taken:
        assert open_sealed(raw, KEY, PICKLE, signer).value == value
    assert 0 < taken.most < len(value) * 1.2


# -- the fence -----------------------------------------------------------------


@given(numbers, st.binary(max_size=200))
def test_fence_of(fence, value):
    """The fence is found in an entry, in its envelope and in its tail alone."""
    entry = Entry(value, created_at=1.0, fence=fence)
    raw = seal(entry, KEY, PICKLE)
    assert fence == fence_of(entry)
    assert fence == fence_of(raw)
    assert fence == fence_of(raw[-TRAILER_SIZE:])


@given(numbers, st.sampled_from([None, SIGNER]), st.sampled_from(["v", "v" * 5_000]))
def test_where_the_fence_lies(fence, signer, value):
    """Backends may rely on it: a little-endian number 48 bytes before the end."""
    entry = Entry(value, created_at=1.0, fence=fence)
    for compression in (None, Compression()):
        raw = seal(entry, KEY, PICKLE, signer, compression)
        assert raw[-48:-40] == fence.to_bytes(8, "little")
        assert raw[-4:] == MAGIC == b"HLD1"
    assert TRAILER_SIZE == 92


@given(st.binary(max_size=300))
def test_fence_of_garbage(raw):
    """Bytes that are no envelope give 0."""
    assert fence_of(raw.removesuffix(MAGIC)) == 0


@pytest.mark.parametrize("raw", [b"", MAGIC, b"x" * (TRAILER_SIZE - 5) + MAGIC])
def test_fence_of_too_little(raw):
    """Nor does a piece of an envelope have a fence."""
    assert fence_of(raw) == 0


def test_entries_are_compared_by_content():
    """Two readings of the same bytes are equal."""
    raw = sealed({"a": 1})
    first, second = (open_sealed(raw, KEY, PICKLE) for _ in range(2))
    assert first == second
    assert dataclasses.replace(first, fence=8) != second
