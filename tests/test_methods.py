"""Cached methods behave as methods do, and their handles know their object."""

import abc
import copy
import dataclasses
import enum
import functools
import inspect
import itertools
import pickle
import pydoc
import sys
import weakref
from types import MethodType
from typing import NamedTuple, Protocol, get_type_hints, runtime_checkable
from unittest import mock

import pytest
from dogpile.cache.util import function_key_generator

from holdover import NO_VALUE, make_region
from holdover.errors import ConfigurationError, InvalidArgument, UnkeyableArgument
from holdover.regions import bound
from holdover.regions.bound import CachedMethod
from holdover.regions.region import Region

region = make_region("methods").configure("holdover.memory", 60)
second = make_region("second").configure("holdover.memory", 60)
CALLS = []


class Base:
    """A class with one of each kind."""

    registry = "base"

    def __init__(self, number=0):
        self.number = number

    def __cache_key__(self):
        return self.number

    @region.cache_on_arguments()
    def method(self, x=1, *, y=2):
        """Say who was asked for what."""
        CALLS.append("method")
        return "Base.method", self.number, x, y

    @classmethod
    @region.cache_on_arguments()
    def class_inside(cls, x=1):
        """Be decorated first."""
        CALLS.append("class_inside")
        return "Base.class_inside", cls.__name__, x

    @region.cache_on_arguments()
    @classmethod
    def class_outside(cls, x=1):
        """Be a class method first."""
        CALLS.append("class_outside")
        return "Base.class_outside", cls.__name__, x

    @staticmethod
    @region.cache_on_arguments()
    def static_inside(x=1):
        """Be decorated first."""
        CALLS.append("static_inside")
        return "Base.static_inside", x

    @region.cache_on_arguments()
    @staticmethod
    def static_outside(x=1):
        """Be a static method first."""
        CALLS.append("static_outside")
        return "Base.static_outside", x

    @property
    @region.cache_on_arguments()
    def total(self):
        """Be a property."""
        CALLS.append("total")
        return "Base.total", self.number

    @functools.cached_property
    @region.cache_on_arguments()
    def once(self):
        """Be computed once per object."""
        CALLS.append("once")
        return "Base.once", self.number

    @region.cache_on_arguments()
    def inherited(self, x):
        """Not be overridden."""
        return "Base.inherited", type(self).__name__, x


class Child(Base):
    """Overrides some."""

    @region.cache_on_arguments()
    def method(self, x=1, *, y=2):
        """Ask the parent."""
        return ("Child.method", *super().method(x, y=y))

    @region.cache_on_arguments()
    @classmethod
    def class_outside(cls, x=1):
        """Ask the parent."""
        return ("Child.class_outside", *super().class_outside(x))


class Stranger:
    """Has a method of the same name."""

    number = 0

    def __cache_key__(self):
        return self.number

    @region.cache_on_arguments()
    def method(self, x=1, *, y=2):
        """Be somebody else's."""
        return "Stranger.method", x


@pytest.fixture(autouse=True)
def empty():
    """Begin without values."""
    region.invalidate()
    second.invalidate()
    CALLS.clear()


# What is called, and what it gives for 5.
ON_OBJECTS = {
    "method": (lambda: Base(7).method, ("Base.method", 7, 5, 2)),
    "inherited": (lambda: Child(7).inherited, ("Base.inherited", "Child", 5)),
    "override": (lambda: Child(7).method, ("Child.method", "Base.method", 7, 5, 2)),
    "class method": (lambda: Base(7).class_outside, ("Base.class_outside", "Base", 5)),
    "on the class": (lambda: Base.class_outside, ("Base.class_outside", "Base", 5)),
    "on a child": (
        lambda: Child.class_outside,
        ("Child.class_outside", "Base.class_outside", "Child", 5),
    ),
    "static method": (lambda: Base(7).static_outside, ("Base.static_outside", 5)),
    "static on the class": (lambda: Child.static_outside, ("Base.static_outside", 5)),
    "static inside": (lambda: Base(7).static_inside, ("Base.static_inside", 5)),
    "static inside, class": (lambda: Base.static_inside, ("Base.static_inside", 5)),
}
if sys.version_info < (3, 13):
    ON_OBJECTS |= {
        "class inside": (lambda: Base.class_inside, ("Base.class_inside", "Base", 5)),
        "class inside, object": (
            lambda: Child(7).class_inside,
            ("Base.class_inside", "Child", 5),
        ),
    }


@pytest.mark.parametrize(("look_up", "expected"), ON_OBJECTS.values(), ids=ON_OBJECTS)
def test_bound_handles(look_up, expected):
    """Every handle, asked on an object or a class, is about that one's value."""
    assert look_up().get(5) is NO_VALUE
    assert expected == look_up()(5)
    assert expected == look_up()(x=5) == look_up().get(5)
    assert region.get(look_up().key_for(5)) == expected
    look_up().set("set", 5)
    assert look_up()(5) == look_up().get(x=5) == "set"
    assert expected == look_up().refresh(5)
    look_up().invalidate(5)
    assert look_up().get(5) is NO_VALUE
    assert expected == look_up().original(5)
    assert look_up().get(5) is NO_VALUE


@pytest.mark.parametrize(("look_up", "expected"), ON_OBJECTS.values(), ids=ON_OBJECTS)
def test_a_handle_acts_on_one_key(look_up, expected):
    """``invalidate(5)`` never drops a value of other arguments, nor keeps its own."""
    others = (1, 6) if expected[0] != "Base.inherited" else (6, 7)
    for x in (5, *others):
        look_up()(x)
    look_up().invalidate(5)
    assert look_up().get(5) is NO_VALUE
    assert all(look_up().get(other) is not NO_VALUE for other in others)


def test_unbound_handles():
    """Asked on the class, a method and its handles take the object themselves."""
    base = Base(3)
    assert Base.method(base, 5) == base.method(5)
    assert Base.method.key_for(base, 5) == base.method.key_for(5)
    assert Base.method.get(base, 5) == base.method(5)
    Base.method.set("set", base, 5)
    assert base.method(5) == "set"
    assert Base.method.refresh(base, x=5) == ("Base.method", 3, 5, 2)
    Base.method.invalidate(base, 5)
    assert base.method.get(5) is NO_VALUE
    assert inspect.isfunction(Base.method.original)


def test_objects_have_values_of_their_own():
    """Two objects that differ share no key; two that do not, do."""
    assert Base(1).method(5) != Base(2).method(5)
    assert Base(1).method.key_for(5) == Base(1).method.key_for(5)
    Base(1).method.invalidate(5)
    assert Base(2).method.get(5) is not NO_VALUE


def test_same_named_methods():
    """Classes with a method of the same name share no key."""
    keys = {kind(1).method.key_for(5) for kind in (Base, Child)}
    keys.add(Stranger().method.key_for(5))
    keys.add(super(Child, Child(1)).method.key_for(5))
    assert len(keys) == 4
    assert Stranger().method(5) == ("Stranger.method", 5)


def test_an_inherited_method_is_keyed_by_both_classes():
    """The key names the class that defines it, and the object's own."""
    key = Child(1).inherited.key_for(5)
    assert key.startswith("test_methods:Base.inherited(")
    assert "Child" in key
    assert key != Base(1).inherited.key_for(5)


def test_super():
    """An override calls what it overrides, and both are cached."""
    child = Child(4)
    assert child.method(5) == ("Child.method", "Base.method", 4, 5, 2)
    assert child.method(5) == ("Child.method", "Base.method", 4, 5, 2)
    assert CALLS == ["method"]
    assert super(Child, child).method.get(5) == ("Base.method", 4, 5, 2)
    super(Child, child).method.invalidate(5)
    assert child.method.get(5) is not NO_VALUE


# -- @classmethod above the decorator ------------------------------------------


def test_class_methods_of_either_order():
    """However the decorators stand, the class is in the key."""
    assert Base.class_inside(5) == ("Base.class_inside", "Base", 5)
    assert Child.class_inside(5) == ("Base.class_inside", "Child", 5)
    assert Child(1).class_inside(5) == Child.class_inside(x=5)
    assert CALLS == ["class_inside"] * 2


@pytest.mark.parametrize("handle", bound.HANDLES)
def test_a_class_method_that_hides_its_class(monkeypatch, handle):
    """From Python 3.13 on, ``@classmethod`` hides its class: refused, not guessed."""
    monkeypatch.setattr(bound, "_CLASSMETHOD_BINDS", False)
    Base.class_inside(1)
    as_python_313_does = MethodType(vars(Base)["class_inside"].__func__, Base)
    assert as_python_313_does(1) == ("Base.class_inside", "Base", 1)
    with pytest.raises(ConfigurationError, match="above @classmethod"):
        getattr(as_python_313_does, handle)(5)
    assert as_python_313_does.original(Base) == ("Base.class_inside", "Base", 1)


@pytest.mark.parametrize("inside", [classmethod, staticmethod])
def test_local_classes_are_not_guessed_about(monkeypatch, inside):
    """Where the class cannot be looked up, a handle below either is refused."""

    class Local:
        @inside
        @region.cache_on_arguments()
        def method(one, x=1):  # noqa: N805 - either
            return x

    monkeypatch.setattr(bound, "_CLASSMETHOD_BINDS", False)
    hidden = MethodType(vars(Local)["method"].__func__, Local)
    with pytest.raises(ConfigurationError, match="cannot see the class"):
        hidden.invalidate(5)


def test_other_handles_are_seen_there(monkeypatch):
    """Static methods, properties and unbound methods lose nothing by that."""
    monkeypatch.setattr(bound, "_CLASSMETHOD_BINDS", False)
    base = Base(1)
    assert base.total == ("Base.total", 1)
    Base.total.fget.invalidate(base)
    assert base.total == ("Base.total", 1)
    assert CALLS == ["total"] * 2
    assert Base.static_inside(5) == Base.static_inside.get(5)
    assert Base.method.get(base, 5) is NO_VALUE

    @region.cache_on_arguments()
    def free(self):
        return self

    free.set("set", 1)
    assert free(1) == "set"


# -- under other decorators, on top of others ----------------------------------


def test_properties():
    """A property on top reads the cache."""
    assert Base(2).total == Base(2).total == ("Base.total", 2)
    assert CALLS == ["total"]
    assert Base.total.__doc__ == "Be a property."


def test_cached_properties():
    """So does a cached property, once per object."""
    base = Base(2)
    assert base.once == base.once == Base(2).once == ("Base.once", 2)
    assert CALLS == ["once"]


@pytest.mark.parametrize("wrong", [property, functools.cached_property])
def test_properties_below(wrong):
    """Below the decorator they are refused, and it is said where they belong."""
    with pytest.raises(InvalidArgument, match="write @property"):
        region.cache_on_arguments()(wrong(lambda self: 1))


class Stacked:
    """Methods that two regions cache."""

    def __cache_key__(self):
        return 0

    @second.cache_on_arguments()
    @region.cache_on_arguments()
    def method(self, x):
        """Be cached twice."""
        return x

    @second.cache_on_arguments()
    @region.cache_on_arguments()
    @classmethod
    def of_class(cls, x):
        """Be cached twice."""
        return cls, x


@pytest.mark.parametrize("owner", [Stacked().method, Stacked.of_class])
def test_stacked_regions(owner):
    """The outer region's handles are the outer ones."""
    expected = owner(5)
    owner.invalidate(5)
    assert owner.get(5) is NO_VALUE
    assert owner.original.__self__ is owner.__self__
    assert owner.original(5) == expected
    assert second.get(owner.key_for(5)) is NO_VALUE
    assert region.get(owner.key_for(5)) == expected


def noting(method):
    """Decorate as other people do."""

    @functools.wraps(method)
    def outer(*args, **kwargs):
        return method(*args, **kwargs)

    return outer


def test_wrapped_by_others():
    """What `functools.wraps` copies has no handle that would take 5 for self."""

    class Local:
        def __cache_key__(self):
            return 0

        @noting
        @region.cache_on_arguments()
        def above(self, x=1):
            """Keep its text."""
            return x

        like_base = noting(Base.method)
        like_bound = noting(Base(1).method)

    local = Local()
    assert local.above(5) == 5
    assert Local.above.__doc__ == "Keep its text."
    assert Local.above.__name__ == "above"
    for name in ("above", "like_base", "like_bound"):
        for handle in bound.HANDLES:
            assert not hasattr(getattr(local, name), handle)


class Below:
    """Methods that were decorated by others first."""

    def __cache_key__(self):
        return 0

    @region.cache_on_arguments()
    @noting
    def noted(self, x=1):
        """Be decorated twice."""
        return x

    @region.cache_on_arguments()
    @functools.lru_cache  # noqa: B019 - the case
    def remembered(self, x=1):
        """Be remembered elsewhere too."""
        return x


@pytest.mark.parametrize("name", ["noted", "remembered"])
def test_over_other_decorators(name):
    """A method that others have decorated has bound handles all the same."""
    method = getattr(Below(), name)
    assert method(5) == 5
    method.set("set", 5)
    assert method(5) == "set"
    assert method.key_for(5) == getattr(Below, name).key_for(Below(), 5)


# -- all kinds of classes ------------------------------------------------------


class Slotted:
    """Has no ``__dict__``."""

    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return self.number

    @region.cache_on_arguments()
    def method(self, x):
        """Be cached."""
        return self.number, x


@dataclasses.dataclass(frozen=True)
class Point:
    """Is its own key."""

    x: int
    y: int = 0

    @region.cache_on_arguments()
    def moved(self, by):
        """Be cached."""
        return self.x + by


@dataclasses.dataclass(slots=True)
class SlottedPoint:
    """Is made twice by its decorator."""

    x: int

    @region.cache_on_arguments()
    def moved(self, by):
        """Be cached."""
        return self.x + by


def test_slots_and_dataclasses():
    """Neither is in the way; a dataclass is its own key."""
    assert Slotted(1).method(5) == (1, 5)
    Slotted(1).method.invalidate(5)
    assert Slotted(1).method.get(5) is NO_VALUE
    for kind in (Point, SlottedPoint):
        assert dataclasses.fields(kind)[0].name == "x"
        assert kind(1).moved(5) == 6
        kind(1).moved.set("set", 5)
        assert kind(1).moved(5) == "set"
        assert kind(2).moved(5) == 7


class Colour(enum.Enum):
    """Has members, of which a method is none."""

    RED = "red"
    BLUE = "blue"

    @region.cache_on_arguments()
    def shade(self, depth):
        """Be cached."""
        return self.name, depth


class Pair(NamedTuple):
    """Is its own key, as tuples are."""

    x: int
    y: int

    @region.cache_on_arguments()
    def plus(self, by=1):
        """Be cached."""
        return self.x + by


def test_enums_and_named_tuples():
    """Their methods are cached like others, and add no member."""
    assert list(Colour) == [Colour.RED, Colour.BLUE]
    assert Colour.RED.shade(1) == ("RED", 1)
    Colour.RED.shade.invalidate(1)
    assert Colour.RED.shade.get(1) is NO_VALUE
    assert Pair(1, 2).plus(2) == 3
    assert Pair.plus.get(Pair(1, 2), 2) == Pair(1, 2).plus.get(2) == 3
    assert Pair(1, 3).plus.get(2) is NO_VALUE


class Abstract(abc.ABC):
    """Has abstract methods."""

    @region.cache_on_arguments()
    @abc.abstractmethod
    def inside(self):
        """Be abstract."""

    @abc.abstractmethod
    @region.cache_on_arguments()
    def outside(self):
        """Be abstract."""

    @region.cache_on_arguments()
    @classmethod
    @abc.abstractmethod
    def of_class(cls):
        """Be abstract."""


class Concrete(Abstract):
    """Is not."""

    def inside(self):
        """Be there."""

    def outside(self):
        """Be there."""

    @classmethod
    def of_class(cls):
        """Be there."""


def test_abstract_methods():
    """They stay abstract, whichever decorator comes first."""
    assert Abstract.__abstractmethods__ == {"inside", "outside", "of_class"}
    with pytest.raises(TypeError, match="abstract"):
        Abstract()
    assert Concrete().inside() is None


@runtime_checkable
class Moving(Protocol):
    """Has a method `moved`."""

    def moved(self, by):
        """Move."""


def test_protocols():
    """A cached method is a member as any other."""
    assert isinstance(Point(1), Moving)
    assert not isinstance(Base(), Moving)


class Meta(type):
    """A class whose methods are those of classes."""

    @region.cache_on_arguments()
    def of_class(cls, x):
        """Be called on a class."""
        return cls.__name__, x


class Made(metaclass=Meta):
    """Made by it."""


def test_metaclasses():
    """Methods of a metaclass are bound to its classes."""
    assert Made.of_class(5) == ("Made", 5)
    Made.of_class.set("set", 5)
    assert Made.of_class(5) == "set"


@region.cache_on_arguments()
def attached(self, x=1):
    """Be written outside, for a class."""
    return type(self).__name__, x


def test_methods_that_are_attached_later():
    """A function that takes ``self`` is bound wherever it is put."""
    assert attached(5) == ("int", 1)
    Base.more = attached
    try:
        assert Child(1).more(5) == ("Child", 5)
        Child(1).more.invalidate(5)
        assert Child(1).more.get(5) is NO_VALUE
        assert attached.get(5) == ("int", 1)
    finally:
        del Base.more


# -- ignore --------------------------------------------------------------------


class Keyless:
    """Has no key."""

    @region.cache_on_arguments(ignore=("self", "db"))
    def method(self, x, db=None):
        """Be keyed by x alone."""
        return x, next(db)

    @region.cache_on_arguments()
    def refused(self, x):
        """Have no key."""


def test_ignored_parameters():
    """They are handed to the creator, and are no part of the key."""
    db = itertools.count(1)
    assert Keyless().method(5, db) == (5, 1)
    assert Keyless().method(5, db=object()) == (5, 1)
    assert Keyless().method(6, db) == (6, 2)
    Keyless().method.invalidate(5)
    assert Keyless().method(5, db) == (5, 3)


def test_the_error_tells_all_ways_out():
    """Who meets an object without a key reads what can be done."""
    with pytest.raises(UnkeyableArgument) as found:
        Keyless().refused(5)
    for said in (
        "'self' of test_methods:Keyless.refused",
        "test_methods.Keyless",
        "what identifies it",
        "__cache_key__()",
        "dataclass",
        "ignore=('self',)",
    ):
        assert said in str(found.value)


def test_a_class_that_nobody_could_import():
    """A class method of a local class says which class has no lasting name."""

    class Local:
        @region.cache_on_arguments()
        @classmethod
        def method(cls):
            return 1

    with pytest.raises(UnkeyableArgument, match=r"<locals>\.Local, which no import"):
        Local.method()


def test_uses_that_ignore_different_parameters():
    """Two uses of a function that leave out different parameters share no key."""

    def pair(a, b):
        return a, b

    first, other, whole, both = (
        region.cache_on_arguments(ignore=ignore)(pair)
        for ignore in (["a"], ["b"], [], ("b", "a"))
    )
    assert first.key_for(1, 1) != other.key_for(1, 1)
    assert len({use.key_for(1, 1) for use in (first, other, whole, both)}) == 4
    assert first(1, 2) == first(3, 2) == (1, 2)


@pytest.mark.parametrize("ignore", [["args"], ["kwargs"], ["a", "args", "kwargs"]])
def test_the_rest_can_be_ignored(ignore):
    """So can ``*args`` and ``**kwargs``, by name."""
    function = region.cache_on_arguments(ignore=ignore)(
        lambda a, *args, **kwargs: (a, args, kwargs)
    )
    keys = {function.key_for(1, 2, c=3), function.key_for(1, 2)}
    assert len(keys) == (1 if "kwargs" in ignore else 2)
    assert function(1, object() if "args" in ignore else 2)[0] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": ["slf"]}, "no parameter of .* 'slf'. Did you mean 'self'"),
        ({"ignore": "self"}, "must list names"),
        ({"ignore": [1]}, "must list names"),
        (
            {"ignore": ["x"], "function_key_generator": lambda *_: str},
            "one of the two",
        ),
    ],
)
def test_wrong_things_to_ignore(options, message):
    """A name that is no parameter is told of when decorating."""
    with pytest.raises(ConfigurationError, match=message):

        @region.cache_on_arguments(**options)
        def method(self, x):
            """Do nothing."""


# -- what it looks like --------------------------------------------------------


def test_metadata():
    """A bound handle has the method's name, text, module and signature."""
    method, plain = Base(1).method, Base.method.original
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        assert getattr(plain, name) == getattr(method, name)
        assert getattr(plain, name) == getattr(Base.method, name)
    assert inspect.signature(method) == inspect.signature(plain.__get__(Base(1)))
    assert inspect.signature(Base.method) == inspect.signature(plain)
    assert str(inspect.signature(Base.class_outside)) == "(x=1)"
    assert inspect.getdoc(method) == "Say who was asked for what."
    assert inspect.isroutine(method)
    assert method.__self__.number == 1
    assert "Base.method" in repr(method)
    assert "Base.method" in repr(Base.method)


def test_help():
    """``help()`` shows methods among methods, with signature and text."""
    page = pydoc.plain(pydoc.render_doc(Base))
    assert "method(self, x=1, *, y=2)" in page
    assert "Say who was asked for what." in page
    bound_page = pydoc.plain(pydoc.render_doc(Base(1).method))
    assert "(x=1, *, y=2)" in bound_page
    assert "Say who was asked for what." in bound_page


def test_wraps():
    """`functools.wraps` takes over what it does from a method."""
    wrapped = functools.wraps(Base(1).method)(lambda: None)
    assert wrapped.__name__ == "method"
    assert wrapped.__module__ == __name__
    assert wrapped.__doc__ == "Say who was asked for what."


def test_equality():
    """Bound to one object, it is equal to itself; to another, not."""
    one, two = Base(1), Base(1)
    assert one.method == one.method
    assert hash(one.method) == hash(one.method)
    assert one.method != two.method
    assert one.method != one.inherited
    assert one.method != "method"


def test_pickles_and_copies():
    """A bound handle travels with its object, and is a handle on the other side."""
    method = Base(3).method
    for again in (pickle.loads(pickle.dumps(method)), copy.deepcopy(method)):
        assert again.key_for(5) == method.key_for(5)
        assert again.__self__ is not method.__self__
    assert copy.copy(method) == method
    assert pickle.loads(pickle.dumps(Base.method)) is Base.method
    assert copy.copy(Base.method) is copy.deepcopy(Base.method) is Base.method
    assert pickle.loads(pickle.dumps(attached)) is attached
    assert pickle.loads(pickle.dumps(Base.class_outside)) == Base.class_outside


def test_weak_references():
    """`weakref.WeakMethod` knows it for a method."""
    base = Base(1)
    method = weakref.WeakMethod(base.method)
    assert method() == base.method
    del base
    assert method() is None


def test_partial():
    """A partial method call is a method call."""
    assert functools.partial(Base(1).method, 5)(y=3) == ("Base.method", 1, 5, 3)
    assert functools.partial(Base.method, Base(1))(5) == ("Base.method", 1, 5, 2)

    class Local(Base):
        fifth = functools.partialmethod(Base.method, 5)

    assert Local(1).fifth() == ("Base.method", 1, 5, 2)


def test_attributes():
    """What a function carries is found on the method; what it has not, is not."""

    class Local:
        def __cache_key__(self):
            return 0

        def method(self):
            """Carry something."""

        method.mark = "mark"
        method = region.cache_on_arguments()(method)

    assert Local.method.mark == Local().method.mark == "mark"
    for method in (Local.method, Local().method):
        with pytest.raises(AttributeError, match="no_such"):
            _ = method.no_such
    with pytest.raises(AttributeError):
        Local().method.mark = "other"


@pytest.mark.parametrize("target", [Base, Base(1)], ids=["class", "object"])
@pytest.mark.parametrize("autospec", [None, True])
def test_mocks(target, autospec):
    """`mock.patch.object` replaces a method, and puts the same one back."""
    before = vars(Base)["method"]
    with mock.patch.object(target, "method", autospec=autospec) as double:
        double.return_value = "mocked"
        owner = Base(1) if target is Base else target
        assert owner.method(5) == "mocked"
        assert owner.inherited(5) != "mocked"
    assert vars(Base)["method"] is before
    assert Base(1).method(5) == ("Base.method", 1, 5, 2)


def test_free_functions_are_plain():
    """Outside classes nothing is in between: a function is made of a function."""

    @region.cache_on_arguments()
    def free(x, self=None):
        return x

    assert inspect.isfunction(free)
    assert inspect.isfunction(region.cache_on_arguments("lambda")(lambda x: x))
    assert not isinstance(region.cache_on_arguments()(str.upper), CachedMethod)


def test_dogpile_s_key_generators():
    """Bound handles work with keys that leave ``self`` out, as dogpile.cache's do."""

    class Local:
        @region.cache_on_arguments(function_key_generator=function_key_generator)
        def method(self, x=1):
            return x

    Local().method(5)
    Local().method(1)
    Local().method.invalidate(5)
    assert Local().method.get(5) is NO_VALUE
    assert Local().method.get() == 1


def test_type_hints():
    """`typing.get_type_hints` sees the annotations of the method."""

    class Local:
        @region.cache_on_arguments()
        def method(self, x: int) -> "Base":
            """Be annotated."""

    expected = {"x": int, "return": Base}
    assert get_type_hints(Local.method) == get_type_hints(Local().method) == expected


def test_dogpile_s_way():
    """A region may leave the handles to the caller, as dogpile.cache does."""

    class Preset(Region):
        bound_handles = False

    preset = Preset("preset").configure("holdover.memory", 60)

    class Local:
        def __cache_key__(self):
            return 0

        @preset.cache_on_arguments()
        def method(self, x):
            return x

    local = Local()
    assert local.method(5) == 5
    local.method.invalidate(local, 5)
    assert local.method.get(local, 5) is NO_VALUE
    assert inspect.isfunction(Local.method)
