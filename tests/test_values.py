"""Values are the dataclasses that `dataclass(frozen=True, slots=True)` would make."""

import copy
import inspect
import pickle
from dataclasses import (
    FrozenInstanceError,
    asdict,
    astuple,
    dataclass,
    field,
    fields,
    is_dataclass,
    replace,
)
from typing import get_type_hints

import pytest

from holdover import Cached, LeaseTerms, Lifetime, events
from holdover.regions.values import frozen, slotted


def by_hand(cls=None, **options):
    """Do what it is to be like."""
    return dataclass(cls, frozen=True, slots=True, **options)


def spans(make):
    """Make a class with all kinds of fields."""

    @make
    class Span:
        """A span."""

        start: float
        end: float = 1.0
        notes: list[str] = field(default_factory=list, hash=False)
        secret: str = field(default="", repr=False, compare=False)

        def __post_init__(self):
            object.__setattr__(self, "start", float(self.start))

    return Span


def options(make):
    """Make one whose fields are given by name."""

    @make(kw_only=True)
    class Options:
        """Given by name."""

        least: int
        most: int | None = None

    return Options


PAIRS = [(kind(frozen), kind(by_hand)) for kind in (spans, options)]
VALUES = [
    ({"start": 1}, {"start": 2}),
    ({"least": 1}, {"least": 1, "most": 3}),
]
CASES = [(*pair, *values) for pair, values in zip(PAIRS, VALUES, strict=True)]


@frozen
class Place:
    """One that can be found again by its name, as pickles need it."""

    city: str
    street: str = "High Street"


@frozen(kw_only=True)
class House(Place):
    """One that inherits."""

    number: int = 1


class Palace(House):
    """One that inherits and is not decorated, as some events are."""


@pytest.mark.parametrize(("ours", "theirs", "one", "other"), CASES)
class TestLikeADataclass:
    def test_signature(self, ours, theirs, one, other):
        """Callers and documentation see the same parameters."""
        assert str(inspect.signature(theirs)) == str(inspect.signature(ours))
        assert theirs.__init__.__annotations__ == ours.__init__.__annotations__
        assert theirs.__init__.__qualname__ == ours.__init__.__qualname__
        assert theirs.__init__.__globals__ is globals()
        assert ours.__init__.__globals__ is globals()

    def test_fields(self, ours, theirs, one, other):
        """What takes dataclasses apart takes these apart."""
        assert is_dataclass(ours)
        assert [f.name for f in fields(theirs)] == [f.name for f in fields(ours)]
        assert theirs.__match_args__ == ours.__match_args__
        assert theirs.__slots__ == ours.__slots__
        assert asdict(theirs(**one)) == asdict(ours(**one))
        assert astuple(theirs(**other)) == astuple(ours(**other))

    def test_text(self, ours, theirs, one, other):
        """They look the same."""
        assert repr(theirs(**one)) == repr(ours(**one))
        assert theirs.__doc__ == ours.__doc__

    def test_equality(self, ours, theirs, one, other):
        """Equal fields make equal values, of the same class only."""
        assert ours(**one) == ours(**one)
        assert ours(**one) != ours(**other)
        assert ours(**one) != theirs(**one)
        assert hash(ours(**one)) == hash(ours(**one)) == hash(theirs(**one))

    def test_frozen(self, ours, theirs, one, other):
        """Nobody changes one, or adds to it."""
        value = ours(**one)
        for name in (*one, "unknown"):
            with pytest.raises(FrozenInstanceError, match="cannot assign to field"):
                setattr(value, name, 1)
            with pytest.raises(FrozenInstanceError, match="cannot delete field"):
                delattr(value, name)
        assert not hasattr(value, "__dict__")

    def test_replaced(self, ours, theirs, one, other):
        """A changed copy is a new value."""
        assert ours(**other) == replace(ours(**one), **other)

    def test_wrong_arguments(self, ours, theirs, one, other):
        """Mistakes are told as of any function."""
        with pytest.raises(TypeError) as told:
            theirs()
        with pytest.raises(TypeError) as found:
            ours()
        assert str(told.value) == str(found.value)


@pytest.mark.parametrize("kind", [Cached, Lifetime, events.Hit, LeaseTerms])
def test_annotations_can_be_read(kind):
    """Who makes forms or checks of signatures finds what they mean."""
    hints = get_type_hints(kind.__init__)
    found = inspect.signature(kind, eval_str=True).parameters
    assert [part.name for part in fields(kind)] == list(found)
    for part in fields(kind):
        assert get_type_hints(kind)[part.name] == hints[part.name]
        assert found[part.name].annotation == hints[part.name]


def test_what_is_not_compared():
    """`field()` keeps its meaning."""
    ours = spans(frozen)
    assert ours(1, secret="a") == ours(1, secret="b")
    assert "secret" not in repr(ours(1, secret="a"))
    assert ours(1).notes is not ours(1).notes
    assert hash(ours(1, notes=["not hashed"])) == hash(ours(1))


def test_methods_of_the_class_stay():
    """What a class says itself is not written over."""

    @frozen
    class Loose:  # noqa: PLW1641 - dataclasses adds it
        """One that equals all of its kind."""

        number: int

        def __eq__(self, other):
            return isinstance(other, Loose)

        def __repr__(self):
            return "<loose>"

    assert Loose(1) == Loose(2)
    assert repr(Loose(1)) == "<loose>"
    assert hash((1,)) == hash(Loose(1))  # as dataclasses has it


@pytest.mark.parametrize(
    "value", [Place("Bern"), House("Bern", number=3), Palace("Bern", number=2)]
)
def test_carried_about(value):
    """A pickle or a copy is the same value, of the same class."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        there_and_back = pickle.loads(pickle.dumps(value, protocol))
        assert value == there_and_back
        assert type(value) is type(there_and_back)
    assert value == copy.copy(value) == copy.deepcopy(value)


def test_inherited():
    """Who inherits has all fields, and is as frozen."""
    assert "House(city='Bern', street='High Street', number=3)" == repr(
        House("Bern", number=3)
    )
    with pytest.raises(FrozenInstanceError):
        House("Bern").city = "Basel"
    with pytest.raises(FrozenInstanceError):
        Palace("Bern").number = 2
    palace = Palace("Bern")
    palace.owner = "nobody"  # a class of one's own may have more
    assert "nobody" == palace.owner


def test_inherited_by_a_dataclass():
    """A user's own dataclass may inherit from a value, such as an event."""

    @dataclass(frozen=True, kw_only=True)
    class Castle(Place):
        towers: int = 4

    castle = Castle("Bern")
    assert 4 == castle.towers
    with pytest.raises(FrozenInstanceError):
        castle.city = "Basel"


@pytest.mark.parametrize("make", [frozen, slotted])
def test_what_callers_cannot_give(make):
    """It is refused, and not made a parameter of."""
    with pytest.raises(TypeError, match="each field is given"):

        @make
        class Square:
            """One that would work its area out."""

            side: int
            area: int = field(init=False, default=0)


def test_what_may_change_inherits_from_its_like():
    """As everywhere: what is frozen is so from top to bottom, or not at all."""

    @slotted
    class Seat:
        """A seat."""

        number: int

    @slotted
    class Sofa(Seat):
        """One for several."""

        seats: int = 2

    sofa = Sofa(1)
    sofa.number = sofa.seats = 3
    assert Sofa(3, 3) == sofa
    with pytest.raises(TypeError, match="cannot inherit frozen"):
        frozen(type("Frozen", (Seat,), {}))
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):
        slotted(type("Thawed", (Place,), {}))


def test_what_may_change():
    """One that is not frozen is changed in place, compared, and never hashed."""

    @slotted
    class Seat:
        """A seat."""

        number: int
        taken: bool = False

    seat = Seat(1)
    seat.taken = True
    assert Seat(1, taken=True) == seat
    assert copy.copy(seat) == seat == replace(Seat(1), taken=True)
    with pytest.raises(TypeError, match="unhashable"):
        hash(seat)
    with pytest.raises(AttributeError):
        seat.row = 2


def test_a_value_within_itself():
    """A value that holds itself can be shown."""
    ours = spans(frozen)
    notes = []
    value = ours(1, notes=notes)
    notes.append(value)
    assert "..." in repr(value)
