"""Two different calls never share a key; equal ones do."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import math
import pathlib
import re
import subprocess
import sys
import types
import uuid
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdover import make_region
from holdover.errors import HoldoverError, UnkeyableArgument
from holdover.regions.keys import (
    ATOMS,
    LONGEST_KEY,
    bounded,
    encode,
    encode_arguments,
)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Shade(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Text(enum.StrEnum):
    RED = "RED"


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass
class Place:
    x: int
    y: object = None


@dataclasses.dataclass(frozen=True)
class Spot:
    x: int
    y: object = None


@dataclasses.dataclass
class Noted:
    x: int
    note: str = dataclasses.field(compare=False)


class Pair(collections.namedtuple("Pair", "x y")):  # noqa: PYI024 - as users write it
    __slots__ = ()


class MyStr(str):
    __slots__ = ()


class MyInt(int):
    pass


class MyList(list):
    pass


class User:
    """Identified by what its key says."""

    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return self.number


class Admin(User):
    pass


class Plain:
    """Has nothing that identifies it."""


def function():
    """Be an argument."""


def other_function():
    """Be another one."""


BERLIN, LONDON = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London")
ABIDJAN = ZoneInfo("Africa/Abidjan")
UTC = dt.UTC
NOON = dt.datetime(2024, 1, 1, 12)  # noqa: DTZ001 - naive is one of the cases

# Every two of these are different arguments.
DIFFERENT = [
    # types count
    1, "1", True, 1.0, b"1", 1 + 0j, decimal.Decimal(1), fractions.Fraction(1),
    MyInt(1), MyStr("1"), Number.ONE, Colour.RED, Shade.RED, Text.RED, "RED",
    "Colour.RED", 0, "0", False, 0.0, -0.0, b"0", None, "None", "", b"",
    "True", "1.0", "b'1'", "'1'", '"1"', "(1)", "[1]",
    # so does structure
    (), [], {}, set(), frozenset(), ((),), [[]], ([],), [()],
    (1,), [1], {1}, frozenset({1}), (1, 2), [1, 2], {1, 2}, ((1,), 2), (1, (2,)),
    ("a:b", "c"), ("a", "b:c"), ("a,b",), ("a", "b"), ("a','b",), ["a:b", "c"],
    {"a": "b"}, {"a:'b'"}, ("a:'b'",), {("a", "b")}, {"a": {"b": 1}}, {"a": 1, "b": 2},
    {1: "x"}, {"1": "x"}, {True: "x"}, {1.0: "y"}, {1: {2: 3}}, {1: 2, 3: None},
    (("a", 1), ("b", 2)), {"x": 1, "y": None}, (1, None), [None], [[None]], (None,),
    # numbers
    2**70, -(2**70), 1e300, math.inf, -math.inf, math.nan, 1j, -1j,
    decimal.Decimal("1.0"), decimal.Decimal("1.00"), decimal.Decimal("NaN"),
    fractions.Fraction(1, 3), range(3), range(0, 3, 2), range(4), 10**30,
    # text
    "a", "A", "ä", "a\u0308", "a\0", "\ud800", "\\ud800", "\n", "\\n", " a", "a ",
    # enums
    Colour.BLUE, Flags.A, Flags.B, Flags.A | Flags.B, Flags(0),
    # dataclasses and relatives
    Place(1), Spot(1), Place(1, 2), Place(1, "2"), Pair(1, 2), Pair("1", 2),
    Place(1, Place(1)), Place(1, Spot(1)),
    # subclasses
    MyList([1]), collections.OrderedDict(a=1, b=2), collections.Counter({"a": 1}),
    collections.defaultdict(list, {"a": 1}),
    # objects that say what identifies them
    User(1), User("1"), Admin(1), User((1, 2)), User(Admin(1)),
    # time
    NOON, NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=BERLIN), NOON.date(),
    NOON.time(), NOON.replace(microsecond=1), NOON.replace(fold=1),
    NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
    NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "CET?")),
    NOON.time().replace(tzinfo=UTC), dt.timedelta(1), dt.timedelta(0, 1),
    str(NOON), NOON.isoformat(),
    # names of things
    pathlib.Path("a"), pathlib.Path("a/b"), pathlib.PureWindowsPath("a"),
    pathlib.PurePosixPath("a"), "a/b", uuid.UUID(int=1), uuid.UUID(int=2),
    str(uuid.UUID(int=1)), function, other_function, Plain, User, int, str,
]  # fmt: skip


def test_no_two_different_arguments_share_a_text():
    """Each value of a long list has a text that no other one has."""
    texts = collections.defaultdict(list)
    for value in DIFFERENT:
        texts[encode(value)].append(value)
    assert [sharing for sharing in texts.values() if len(sharing) > 1] == []


@pytest.mark.parametrize("wrap", [lambda v: (v,), lambda v: [[v]], lambda v: {"k": v}])
def test_nor_when_nested(wrap):
    """Types and structure count at any depth."""
    texts = {encode(wrap(value)) for value in DIFFERENT}
    assert len(texts) == len({encode(value) for value in DIFFERENT})


def test_argument_lists_do_not_run_together():
    """How values are spread over arguments matters."""
    calls = [
        (), ((),), (1,), ((1,),), (1, 2), ((1, 2),), ((1,), 2), (1, (2,)), ([1], 2),
        ("1,2",), ("1", "2"), ("a", "b:c"), ("a:b", "c"), ("a", "b", "c"), ("a,b", "c"),
        ("a", "b,c"), ("a'", "'b"), ("a','b",), (None,), ("",), ("", ""), (",",),
    ]  # fmt: skip
    assert len(calls) == len({encode_arguments(call) for call in calls})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, -0.0, math.inf])
    | st.text("a'\",:(){}[]\\1", max_size=4)
    | st.binary(max_size=2)
    | st.sampled_from([*Colour, Number.ONE, decimal.Decimal(1), pathlib.Path("a")])
    | st.builds(Place, st.integers(0, 1), st.none() | st.text("a,", max_size=2)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.integers(0, 2) | st.text("a:1", max_size=2), inner, max_size=3
        )
        | st.frozensets(st.integers(0, 2) | st.text("a,", max_size=2), max_size=3)
        | st.builds(Place, st.just(1), inner)
    ),
    max_leaves=6,
)


def shape(value):
    """Give *value* in a form in which only what is the same is equal.

    Independent of the code under test: types beside values, dictionaries and sets as
    sorted sequences.
    """
    if isinstance(value, dict):
        inner = sorted(((shape(k), shape(v)) for k, v in value.items()), key=repr)
    elif isinstance(value, frozenset):
        inner = sorted(map(shape, value), key=repr)
    elif isinstance(value, list | tuple):
        inner = list(map(shape, value))
    elif isinstance(value, Place):
        inner = [shape(value.x), shape(value.y)]
    else:
        inner = repr(value)
    return type(value).__qualname__, inner


@given(st.lists(values, max_size=3).map(tuple), st.lists(values, max_size=3).map(tuple))
def test_injective(one, other):
    """Two calls share a key exactly when their arguments are the same."""
    same = shape(one) == shape(other)
    assert same is (encode_arguments(one) == encode_arguments(other))


@given(values)
def test_one_argument_or_its_parts(value):
    """A container as one argument is not its elements as several."""
    if isinstance(value, tuple):
        assert encode_arguments(value) != encode_arguments((value,))


@given(st.dictionaries(st.integers() | st.text(), st.integers()))
def test_the_order_of_a_dict_does_not_matter(given_dict):
    """Equal dictionaries have one key, in whatever order they were filled."""
    backwards = dict(reversed(given_dict.items()))
    assert encode(given_dict) == encode(backwards)


@given(st.sets(st.integers() | st.text()))
def test_the_order_of_a_set_does_not_matter(given_set):
    """Equal sets have one key."""
    again = set()
    for value in reversed(list(given_set)):
        again.add(value)
    assert encode(given_set) == encode(again)


def test_an_ordered_dict_s_order_matters():
    """Two that Python calls different are different arguments."""
    one = collections.OrderedDict([("a", 1), ("b", 2)])
    other = collections.OrderedDict([("b", 2), ("a", 1)])
    assert one != other
    assert encode(one) != encode(other)


def test_fields_that_do_not_compare_do_not_count():
    """A dataclass is identified by what makes it equal to another."""
    assert encode(Noted(1, "a")) == encode(Noted(1, "b"))
    assert encode(Noted(1, "a")) != encode(Noted(2, "a"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # London has summer time, Abidjan has none: half a year later they differ.
        (NOON.replace(tzinfo=LONDON), NOON.replace(tzinfo=ABIDJAN)),
        (NOON.time(), NOON.time().replace(tzinfo=BERLIN)),
        (NOON.time().replace(tzinfo=LONDON), NOON.time().replace(tzinfo=BERLIN)),
    ],
    ids=["datetimes", "naive time", "times"],
)
def test_zones_that_happen_to_agree(one, other):
    """A zone is more than its offset and name at one moment."""
    assert encode(one) != encode(other)


def test_types_of_one_dotted_name():
    """Class b.C of module a is not class C of module a.b."""
    nested, top = type("C", (int,), {}), type("C", (int,), {})
    nested.__module__, nested.__qualname__ = "a", "b.C"
    top.__module__ = "a.b"
    assert encode(nested(1)) != encode(top(1))


def test_a_dataclass_that_is_also_a_container():
    """What it inherited counts besides its fields."""

    @dataclasses.dataclass
    class Tagged(list):
        tag: str = "t"

    one, other = Tagged(), Tagged()
    one.append(1)
    other.append(2)
    assert encode(one) != encode(other)


def test_a_function_and_what_was_wrapped_around_it():
    """A decorated function is not the function itself."""

    @functools.wraps(function)
    def decorated():
        return 1

    try:
        assert encode(function) != encode(decorated)
    except UnkeyableArgument:
        return


# -- from process to process ---------------------------------------------------


def test_keys_last():
    """Another process, with another hash seed, makes the same texts."""
    script = (
        "import datetime, decimal, pathlib\n"
        "from holdover.regions.keys import encode_arguments as encode\n"
        "print(encode(({'b': 1, 'a': {3, 'x', None, (1, 2)}}, frozenset('hello'),"
        " decimal.Decimal('1.5'), datetime.date(2024, 1, 1), pathlib.Path('p'))))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_no_address_in_a_key():
    """Nothing that is made anew in each process gets into a key."""
    for value in DIFFERENT:
        assert re.search(r"0x[0-9a-f]{6}", encode(value)) is None


# -- what has no key -----------------------------------------------------------


UNKEYABLE = {
    "object": object(),
    "own class": Plain(),
    "lambda": lambda: None,
    "generator": (x for x in ()),
    "partial": functools.partial(function),
    "bound method": Plain().__eq__,
    "module": types,
    "bytearray": bytearray(b"1"),
    "memoryview": memoryview(b"1"),
    "deque": collections.deque([1]),
    "local class": type("Local", (), {"__qualname__": "f.<locals>.Local"}),
    "compiled": re.compile("a"),
    "nested": [{"a": (object(),)}],
    "in a field": Place(1, object()),
    "key of a dict": {Plain(): 1},
}


@pytest.mark.parametrize("value", UNKEYABLE.values(), ids=UNKEYABLE)
def test_unkeyable_arguments(value):
    """An argument without a lasting text is a typed error with advice."""
    with pytest.raises(UnkeyableArgument, match="__cache_key__"):
        encode_arguments((1, value))


def test_arguments_that_contain_themselves():
    """A cycle is a typed error, not a crash."""
    value = []
    value.append(value)
    with pytest.raises(UnkeyableArgument, match="contains itself"):
        encode_arguments((value,))


def test_an_int_too_long_to_print():
    """Python refuses to print it; it has a key or a typed error all the same."""
    try:
        texts = {encode_arguments((10**5_000 + add,)) for add in range(2)}
    except UnkeyableArgument:
        return
    assert len(texts) == 2


def test_an_unkeyable_argument_is_a_type_error():
    """Callers who know nothing of Holdover can catch what Python would raise."""
    assert issubclass(UnkeyableArgument, TypeError)
    assert issubclass(UnkeyableArgument, HoldoverError)


def test_an_error_of_cache_key_is_its_own():
    """What a user's method raises comes through unchanged."""

    class Broken:
        def __cache_key__(self):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        encode(Broken())


@pytest.mark.parametrize("kind", sorted(ATOMS, key=repr), ids=repr)
def test_atoms_are_encoded_by_their_repr(kind):
    """The compiled wrapper's quick way and the careful way agree on atoms."""
    samples = {
        int: 5, str: "a'b", bool: True, float: -0.0, bytes: b"\0", type(None): None
    }  # fmt: skip
    value = samples[kind]
    assert repr(value) == encode(value)
    assert f"({value!r},{value!r})" == encode_arguments((value, value))


# -- length --------------------------------------------------------------------


@given(st.text(max_size=LONGEST_KEY).filter(lambda key: not key.endswith("\x7f")))
def test_short_keys_are_left_alone(key):
    """A key that fits, and does not look like a shortened one, is used as it is."""
    assert key == bounded(key)


@given(st.text("ab\ud800☃", min_size=1), st.text("ab", max_size=3))
def test_long_keys_are_shortened(part, end):
    """A long key fits, begins readably, and stays distinct."""
    key = part * (LONGEST_KEY + 1) + end
    assert len(bounded(key)) <= LONGEST_KEY
    assert bounded(key).startswith(key[:64])
    assert bounded(key) == bounded(key)
    assert bounded(key) != bounded(key + "c")


def test_no_key_is_another_one_shortened():
    """Whoever chooses a key cannot reach a long key's value with a short one."""
    long = "k" * 10_000
    assert bounded(long) != bounded(bounded(long))


# -- regions that share a backend ----------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("shop", "eu:1"), ("shop:eu", "1")),
        ((None, "shop:1"), ("shop", "1")),
        (("a", ":b"), ("a:", "b")),
    ],
)
def test_regions_keep_apart(one, other):
    """Two regions of one backend never share an entry, whatever their names."""
    (name, key), (other_name, other_key) = one, other
    region = make_region(name).configure("holdover.memory")
    neighbour = make_region(other_name).configure(region.backend)
    region.set(key, "mine")
    neighbour.set(other_key, "theirs")
    assert region.get(key) == "mine"
