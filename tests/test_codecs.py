"""Values become bytes and come back equal, or are refused."""

import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import itertools
import json
import math
import pickle
import sys
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import taken_memory

from holdover import NO_VALUE, make_region
from holdover.errors import (
    ConfigurationError,
    HoldoverError,
    LazyValue,
    MissingDependency,
    UncacheableValue,
)
from holdover.regions.codecs import (
    TAG_LENGTH,
    FunctionCodec,
    JsonCodec,
    PickleCodec,
    is_plain,
    refuse_lazy,
)
from holdover.regions.codecs_msgpack import MsgpackCodec

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
any_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(), inner)
    ),
    max_leaves=12,
)


def round_trip(codec, value):
    """Encode, and decode as an envelope does: from a view of the bytes."""
    return codec.loads(memoryview(codec.dumps(value)))


def same(one, other):
    """Say whether two values are equal, types included."""
    return repr(one) == repr(other)


class Point(collections.namedtuple("Point", "x y")):  # noqa: PYI024 - as users write it
    __slots__ = ()


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("no")


def nested(depth):
    """Give a list in a list in a list."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


# -- pickle --------------------------------------------------------------------


@given(any_values)
def test_pickle_gives_back_what_it_got(value):
    """Any picklable value survives with its types."""
    assert same(value, round_trip(PickleCodec(), value))


@pytest.mark.parametrize(
    "value",
    [lambda: None, Unpicklable(), nested(100_000), (x for x in ())],
    ids=["lambda", "raising", "deep", "generator"],
)
def test_pickle_refuses_with_a_typed_error(value):
    """What cannot be pickled is `UncacheableValue`, whatever pickle itself raised."""
    with pytest.raises(UncacheableValue, match="pickle cannot encode a") as caught:
        PickleCodec().dumps(value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_pickle_lets_an_interrupt_through(error):
    """A BaseException out of the value's own code is nobody's encoding error."""

    class Interrupted:
        def __reduce__(self):
            raise error

    with pytest.raises(error):
        PickleCodec().dumps(Interrupted())


# -- json ----------------------------------------------------------------------


@given(plain_values)
def test_json_gives_back_what_it_got(value):
    """A JSON value survives with its types."""
    assert is_plain(value)
    assert same(value, round_trip(JsonCodec(), value))


NOT_JSON = {
    "tuple": (1, 2),
    "nested tuple": [{"a": [(1,)]}],
    "named tuple": Point(1, 2),
    "int key": {1: "a"},
    "bool key": {True: "a"},
    "None key": {None: "a"},
    "set": {1},
    "bytes": b"a",
    "str subclass": type("Text", (str,), {})("a"),
    "int subclass": type("Number", (int,), {})(1),
    "dict subclass": collections.OrderedDict(a=1),
    "list subclass": type("Many", (list,), {})([1]),
    "complex": 1j,
    "object": object(),
    "deep": nested(100_000),
    "huge int": 10**5_000,
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_json_refuses_what_it_would_change(value):
    """Anything that JSON would give back as something else is a typed error."""
    with pytest.raises(UncacheableValue, match="json cannot encode a"):
        JsonCodec().dumps(value)


def test_json_refuses_what_contains_itself():
    """A cycle is a typed error, not a crash."""
    value = []
    value.append(value)
    with pytest.raises(UncacheableValue):
        JsonCodec().dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_and_numbers_that_json_does_not_have(value):
    """NaN and the infinities come back as they were, or are refused; never else."""
    try:
        back = round_trip(JsonCodec(), value)
    except UncacheableValue:
        return
    assert same(value, back)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "\0",
        "\u2028",
        "\ud800",
        "\ud83d\ude00",
        "\U0001d518☃",
        -0.0,
        5e-324,
        2**70,
        {"": []},
    ],
    ids=ascii,
)
def test_json_edges(value):
    """Odd text and numbers come back exactly, or are refused."""
    try:
        back = round_trip(JsonCodec(), value)
    except UncacheableValue:
        return
    assert same(value, back)


def test_json_is_json():
    """What is stored can be read by any JSON parser."""
    stored = JsonCodec().dumps({"a": [1, None, "ü"]})
    assert json.loads(stored.decode("utf-8")) == {"a": [1, None, "ü"]}


# -- MessagePack ---------------------------------------------------------------

packable_atoms = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
)
packable_values = st.recursive(
    packable_atoms,
    lambda inner: st.lists(inner) | st.dictionaries(packable_atoms, inner),
    max_leaves=12,
)


@given(packable_values)
def test_msgpack_gives_back_what_it_got(value):
    """A value that is taken survives with its types, keys' too."""
    assert same(value, round_trip(MsgpackCodec(), value))


@given(any_values | packable_values)
def test_msgpack_never_changes_a_value(value):
    """Any value comes back as it was, or is refused."""
    try:
        back = round_trip(MsgpackCodec(), value)
    except UncacheableValue:
        return
    assert same(value, back)


class Colour(enum.IntEnum):
    RED = 1


@dataclasses.dataclass
class Pair:
    x: int = 1


NOT_MSGPACK = {
    name: NOT_JSON[name]
    for name in (
        "tuple", "nested tuple", "named tuple", "set", "str subclass", "int subclass",
        "dict subclass", "list subclass", "complex", "object", "deep",
    )
} | {
    "2**64": 2**64,
    "less than -2**63": -(2**63) - 1,
    "int of a billion": 10**1_000,
    "tuple key": {(1, 2): "a"},
    "frozenset key": {frozenset({1}): "a"},
    "bytearray": bytearray(b"a"),
    "memoryview": memoryview(b"a"),
    "date": dt.date(2020, 1, 1),
    "datetime": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "decimal": decimal.Decimal(1),
    "uuid": uuid.UUID(int=1),
    "enum": Colour.RED,
    "enum key": {Colour.RED: 1},
    "dataclass": Pair(),
    "lone surrogate": "\ud800",
    "lone surrogate key": {"\ud800": 1},
    "struct": msgspec.defstruct("Struct", ["x"])(1),
    "ext": msgspec.msgpack.Ext(1, b"a"),
}  # fmt: skip


@pytest.mark.parametrize("value", NOT_MSGPACK.values(), ids=NOT_MSGPACK)
def test_msgpack_refuses_what_it_would_change(value):
    """Anything that MessagePack would give back as something else is a typed error."""
    with pytest.raises(UncacheableValue, match="msgpack cannot encode a"):
        MsgpackCodec().dumps(value)


def test_msgpack_refuses_what_contains_itself():
    """A cycle is a typed error, not a crash."""
    value = {}
    value["again"] = value
    with pytest.raises(UncacheableValue):
        MsgpackCodec().dumps(value)


HOSTILE_MSGPACK = {
    "array of 2**28": b"\xdd\x0f\xff\xff\xff",
    "map of 2**28": b"\xdf\x0f\xff\xff\xff",
    "4 GB of bytes": b"\xc6\xff\xff\xff\xff",
    "4 GB of text": b"\xdb\xff\xff\xff\xff",
    "4 GB of extension": b"\xc9\xff\xff\xff\xff\x01",
    "arrays in arrays": b"\x91" * 100_000 + b"\xc0",
    "large arrays in arrays": b"\xdc\xff\xff" * 500,
    "trailing bytes": b"\xc0\xc0",
    "nothing": b"",
}


@pytest.mark.parametrize("raw", HOSTILE_MSGPACK.values(), ids=HOSTILE_MSGPACK)
def test_hostile_msgpack(raw):
    """Lengths that lie and nesting without end raise at once, and take no memory."""
    hostile = pytest.raises((msgspec.DecodeError, RecursionError))
    with taken_memory() as taken, hostile:
        MsgpackCodec().loads(memoryview(raw))
    assert taken.most < 1_000_000


def test_msgpack_by_name(tmp_path):
    """A region uses it when asked to."""
    region = make_region("packed")
    region.configure("holdover.file", 10, {"path": tmp_path / "c"}, codec="msgpack")
    assert region.get_or_create("k", lambda: {"a": b"\0", 1: [None]}) == {
        "a": b"\0",
        1: [None],
    }
    assert region.get("k") == {"a": b"\0", 1: [None]}
    stored, _ = region.backend.read("packed:k", "packed")
    assert msgspec.msgpack.encode({"a": b"\0", 1: [None]}) in stored


def test_msgpack_without_its_library(monkeypatch):
    """Where msgspec is not installed, the error names the extra."""
    monkeypatch.setitem(sys.modules, "msgspec", None)
    monkeypatch.delitem(sys.modules, "holdover.regions.codecs_msgpack")
    with pytest.raises(MissingDependency, match=r"pip install holdover\[msgpack\]"):
        make_region().configure("holdover.memory", codec="msgpack")


# -- a codec of one's own ------------------------------------------------------


@pytest.mark.parametrize("tag", [b"", b"too long.", "text", None], ids=repr)
def test_a_codec_with_a_bad_tag(tag):
    """A tag that no envelope could carry is told at once, not as misses for ever."""
    codec = JsonCodec()
    codec.tag = tag
    with pytest.raises(ConfigurationError, match="tag must be 1 to 8 bytes"):
        make_region().configure("holdover.memory", codec=codec)


# -- dogpile.cache's hooks -----------------------------------------------------


def test_function_codec_uses_the_pair():
    """The serializer gets the value, the deserializer real bytes."""
    seen = []

    def deserialize(payload):
        seen.append(type(payload))
        return int(payload)

    codec = FunctionCodec(lambda value: str(value).encode(), deserialize)
    assert round_trip(codec, 42) == 42
    assert [bytes] == seen


def test_function_codec_types_the_serializer_s_errors():
    """Whatever a user's serializer raises is `UncacheableValue`, chained."""
    codec = FunctionCodec(lambda value: 1 / 0, bytes)
    with pytest.raises(UncacheableValue, match="serializer") as caught:
        codec.dumps("v")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "codec",
    [PickleCodec(), JsonCodec(), MsgpackCodec(), FunctionCodec(bytes, bytes)],
)
def test_tags(codec):
    """Each codec has a short ASCII tag of its own to write into envelopes."""
    assert 0 < len(codec.tag) <= TAG_LENGTH
    assert codec.tag.isascii()


def test_tags_differ():
    """No codec is asked to read another one's bytes."""
    codecs = PickleCodec, JsonCodec, MsgpackCodec, FunctionCodec
    assert len({codec.tag for codec in codecs}) == 4


# -- lazy values ---------------------------------------------------------------


async def awaited():
    """Be awaited."""


async def yielding():
    """Be iterated asynchronously."""
    yield 1


LAZY = {
    "generator": lambda: (x for x in ()),
    "map": lambda: map(str, ()),
    "zip": lambda: zip((), (), strict=True),
    "iterator": lambda: iter([1]),
    "count": itertools.count,
    "coroutine": awaited,
    "async generator": yielding,
    "future": lambda: asyncio.new_event_loop().create_future(),
}


@pytest.mark.parametrize("make", LAZY.values(), ids=LAZY)
def test_lazy_values_are_refused(make):
    """What could be read only once is refused, with advice."""
    value = make()
    try:
        with pytest.raises(LazyValue, match="return a list"):
            refuse_lazy(value)
    finally:
        if hasattr(value, "get_loop"):
            value.get_loop().close()
        elif hasattr(value, "cr_code"):
            value.close()


@pytest.mark.parametrize(
    "value",
    [None, [], (), {}, {1: 2}.items(), range(3), "text", b"bytes", object(), print],
    ids=lambda value: type(value).__name__,
)
def test_finished_values_pass(value):
    """A container may be read again and again: it is not lazy."""
    assert refuse_lazy(value) is None


def test_a_lazy_value_is_a_type_error():
    """Callers who know nothing of Holdover can catch what Python would raise."""
    assert issubclass(LazyValue, UncacheableValue)
    assert issubclass(LazyValue, HoldoverError)
    assert issubclass(LazyValue, TypeError)


class TestInMemory:
    """What a codec has written stays in its entry there: no envelope is made."""

    @pytest.fixture
    def backend(self):
        """A store that regions share."""
        return make_region().configure("holdover.memory").backend

    def test_every_reader_gets_a_copy(self, backend):
        """Also of what was created by a lookup, from the second on."""
        region = make_region("region").configure(backend, codec="pickle")
        stored = ["a"]
        region.set("key", stored)
        stored.append("b")
        region.get("key").append("c")
        assert region.get("key") == ["a"]

    def test_nobody_reads_what_another_codec_has_written(self, backend):
        """Nor a region that keeps objects, nor one with a codec what that has kept."""
        pickles = make_region("region").configure(backend, codec="pickle")
        texts = make_region("region").configure(backend, codec="json")
        objects = make_region("region").configure(backend)
        pickles.set("key", [1])
        assert (texts.get("key"), objects.get("key")) == (NO_VALUE, NO_VALUE)
        texts.set("key", [1])
        assert (pickles.get("key"), objects.get("key")) == (NO_VALUE, NO_VALUE)
        objects.set("key", pickle.dumps([1]))
        assert (texts.get("key"), pickles.get("key")) == (NO_VALUE, NO_VALUE)

    def test_what_cannot_be_read_back_is_a_miss(self, backend):
        """A class may raise while it is unpickled."""
        region = make_region("region").configure(backend, codec="pickle")
        region.set("key", Fickle())
        assert region.get("key") is NO_VALUE


class Fickle:
    """It can be pickled, and not unpickled."""

    def __setstate__(self, state):
        raise RuntimeError("fickle")

    def __getstate__(self):
        return {"some": "state"}
