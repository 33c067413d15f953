"""A decorated function is called as it was written, and keyed by its call."""

import functools
import inspect
import itertools
import operator
import string

import pytest
from dogpile.cache.util import (
    function_key_generator,
    kwarg_function_key_generator,
)

from holdover import NO_VALUE, make_region
from holdover.errors import ConfigurationError, InvalidLifetime, UnkeyableArgument
from holdover.regions.keys import encode_arguments
from holdover.testing import FakeClock

EXPIRY = 10.0


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return FakeClock()


@pytest.fixture
def region(clock):
    """A region in memory."""
    made = make_region("r", time_source=clock)
    return made.configure("holdover.memory", EXPIRY, {"time_source": clock})


@pytest.fixture
def cached(region):
    """Decorate a function plainly."""
    return region.cache_on_arguments()


def collect(function):
    """Give the list in which *function*'s calls are noted, and a noting copy of it."""
    calls = []

    @functools.wraps(function)
    def noting(*args, **kwargs):
        calls.append((args, kwargs))
        return function(*args, **kwargs)

    return calls, noting


# -- every kind of parameter ---------------------------------------------------


def positional(a, b):
    """Take two by position or name."""
    return a, b


def positional_only(a, b, /):
    """Take two by position."""
    return a, b


def defaults(a, b=2, c="three"):
    """Take what may be left out."""
    return a, b, c


def keyword_only(a, *, b, c=3):
    """Take some by name only."""
    return a, b, c


def variadic(a, *args):
    """Take any number."""
    return a, args


def named(a, **kwargs):
    """Take any names."""
    return a, kwargs


def everything(a, b=2, /, c=3, *args, d, e=5, **kwargs):
    """Take all kinds at once."""
    return a, b, c, args, d, e, kwargs


def nothing():
    """Take nothing."""
    return ()


CALLS = [
    (positional, [((1, 2), {}), ((1,), {"b": 2}), ((), {"a": 1, "b": 2})]),
    (positional_only, [((1, 2), {})]),
    (
        defaults,
        [
            ((1,), {}),
            ((1, 2), {}),
            ((1, 2, "three"), {}),
            ((), {"a": 1}),
            ((1,), {"c": "three", "b": 2}),
        ],
    ),
    (
        keyword_only,
        [((1,), {"b": 2}), ((1,), {"c": 3, "b": 2}), ((), {"a": 1, "b": 2})],
    ),
    (variadic, [((1, 2, 3), {})]),
    (variadic, [((1,), {}), ((), {"a": 1})]),
    (named, [((1,), {"x": 1, "y": 2}), ((), {"y": 2, "a": 1, "x": 1})]),
    (
        everything,
        [
            ((1,), {"d": 4}),
            ((1, 2, 3), {"d": 4, "e": 5}),
            ((1, 2), {"e": 5, "d": 4, "c": 3}),
        ],
    ),
    (
        everything,
        [
            ((1, 2, 3, 4), {"d": 4, "x": 1, "y": 2}),
            ((1, 2, 3, 4), {"y": 2, "x": 1, "e": 5, "d": 4}),
        ],
    ),
    (nothing, [((), {})]),
]


@pytest.mark.parametrize(("function", "calls"), CALLS)
def test_each_way_to_write_a_call_is_one_call(cached, function, calls):
    """Positions, names and defaults in any mixture give one key and the one value."""
    noted, noting = collect(function)
    wrapper = cached(noting)
    (key,) = {wrapper.key_for(*args, **kwargs) for args, kwargs in calls}
    for args, kwargs in calls:
        assert function(*args, **kwargs) == wrapper(*args, **kwargs)
    assert len(noted) == 1
    assert wrapper(*calls[0][0], **calls[0][1]) == wrapper.get(*args, **kwargs)
    assert "test_cached:" in key


DIFFERENT_CALLS = [
    (positional, [((1, 2), {}), ((2, 1), {}), ((1, "2"), {}), (("1", 2), {})]),
    (positional, [(("a:b", "c"), {}), (("a", "b:c"), {}), (("a,b", "c"), {})]),
    (variadic, [((1, 2), {}), ((1, 2, 3), {}), ((1, (2, 3)), {}), ((1,), {})]),
    (named, [((1,), {"x": 1}), ((1,), {"y": 1}), ((1,), {}), ((1,), {"x": "1"})]),
    (named, [((1,), {"x": 1, "y": 2}), ((1,), {"x": 2, "y": 1})]),
    (
        everything,
        [
            ((1, 2, 3), {"d": 4}),
            ((1, 2, 3, 4), {"d": 4}),
            ((1, 2, 3), {"d": 4, "f": 4}),
            ((1, 2, 3), {"d": 4, "e": 4}),
            ((1, 2, 3), {"d": 4, "a": 1}),  # `a` is positional-only: a free name
        ],
    ),
]


@pytest.mark.parametrize(("function", "calls"), DIFFERENT_CALLS)
def test_different_calls_have_different_keys(cached, function, calls):
    """No two calls with different arguments share a value."""
    wrapper = cached(function)
    assert len(calls) == len({wrapper.key_for(*a, **kw) for a, kw in calls})
    for args, kwargs in calls:
        assert function(*args, **kwargs) == wrapper(*args, **kwargs)


WRONG_CALLS = [
    (positional, (1,), {}),
    (positional, (1, 2, 3), {}),
    (positional, (1, 2), {"a": 1}),
    (positional, (1, 2), {"c": 1}),
    (positional_only, (1,), {"b": 2}),
    (keyword_only, (1, 2), {}),
    (keyword_only, (1,), {}),
    (nothing, (1,), {}),
    (everything, (), {"d": 1}),
    (everything, (1,), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), WRONG_CALLS)
def test_a_wrong_call_is_python_s_own_error(cached, function, args, kwargs):
    """Wrong arguments raise what the function itself would raise, word for word."""
    wrapper = cached(function)
    with pytest.raises(TypeError) as expected:
        function(*args, **kwargs)
    with pytest.raises(TypeError) as found:
        wrapper(*args, **kwargs)
    assert str(expected.value) == str(found.value)
    for handle in (wrapper.get, wrapper.refresh, wrapper.invalidate, wrapper.key_for):
        with pytest.raises(TypeError):
            handle(*args, **kwargs)


# -- defaults ------------------------------------------------------------------


def test_a_mutable_default_is_the_function_s_own(cached):
    """The default is the same object as in the function that was written."""

    @cached
    def grow(x, seen=[]):  # noqa: B006 - the case
        seen.append(x)
        return list(seen)

    assert grow(1) == [1]
    assert grow(2) == [1, 2]
    assert (
        grow.original.__defaults__[0]
        is inspect.signature(grow).parameters["seen"].default
    )


class Shouting:
    """A default whose repr is Python that must never be run."""

    def __repr__(self):
        return "__import__('os').abort()"

    def __cache_key__(self):
        return "shouting"


@pytest.mark.parametrize(
    "default",
    [Shouting(), "'", '"""', "\\", "{x}", "{", b"\xff", -0.0, ..., int, (1, [2])],
    ids=repr,
)
def test_odd_defaults(cached, default):
    """A default's value is used as it is and never read as source."""

    @cached
    def give(x, y=default):
        return y

    assert default is give(1)
    assert give.key_for(1, default) == give.key_for(1)


def test_a_default_without_a_key(cached):
    """``object()`` as a default stands for "not given", and has a key; others not."""
    not_given = object()

    @cached
    def give(x, y=not_given):
        return y is not_given

    assert give(1) is True
    assert give.key_for(1, not_given) == give.key_for(1)
    assert give.key_for(1, "<default of y>") != give.key_for(1)
    with pytest.raises(UnkeyableArgument):
        give(1, object())


def test_annotations_are_not_run(cached):
    """What stands in an annotation does not matter."""

    def annotated(x: "no such name", *, y: 1 / 2 = 3) -> "nor this":  # noqa: F722
        return x, y

    assert cached(annotated)(1) == (1, 3)


# -- names ---------------------------------------------------------------------


def with_parameter(name, kind="{}"):
    """Write a function of two parameters, one of them called *name*."""
    namespace = {}
    declared = kind.format(name)
    exec(f"def named(first, {declared}):\n    return (first, {name})", namespace)
    return namespace["named"]


INTERNALS = [
    "__key", "__fetch", "__prefix", "__atoms", "__encode", "__generator", "__defaults",
    "__wrapper", "__builtins__", "__name__", "_", "__", "key", "args", "kwargs",
    "value", "self", "cls", "type", "repr", "tuple", "dict", "str", "print", "ü",
    "match",    "call", "region", "function", "f", "r", "b",
]  # fmt: skip


@pytest.mark.parametrize("name", INTERNALS)
@pytest.mark.parametrize("kind", ["{}", "*, {}", "{}=None"])
def test_any_parameter_name_works(cached, name, kind):
    """No name of a parameter collides with what the wrapper is made of."""
    function = with_parameter(name, kind)
    wrapper = cached(function)
    for value in (5, "text", ["a list"]):
        assert (1, value) == wrapper(1, **{name: value})
        assert (1, value) == wrapper.refresh(1, **{name: value})
        assert (1, value) == wrapper.get(1, **{name: value})
        wrapper.set("set", 1, **{name: value})
        assert wrapper(1, **{name: value}) == "set"
        wrapper.invalidate(1, **{name: value})
        assert NO_VALUE is wrapper.get(1, **{name: value})
    keys = {wrapper.key_for(1, **{name: value}) for value in (5, 6, "5", (5,), [5])}
    assert len(keys) == 5


@pytest.mark.parametrize("name", INTERNALS)
def test_any_parameter_name_works_with_a_generator(region, name):
    """Nor does it where somebody else makes the keys."""
    decorate = region.cache_on_arguments(
        function_key_generator=kwarg_function_key_generator
    )
    wrapper = decorate(with_parameter(name))
    assert wrapper(1, **{name: 2}) == (1, 2)
    assert wrapper(1, 3) == (1, 3)


@pytest.mark.parametrize("name", ["*args", "**kwargs", "*__key", "**type", "*__fetch"])
def test_any_name_of_the_rest_works(cached, name):
    """Nor do those of ``*args`` and ``**kwargs``."""
    namespace = {}
    bare = name.strip("*")
    exec(f"def named(first, {name}):\n    return (first, {bare})", namespace)
    wrapper = cached(namespace["named"])
    if name.startswith("**"):
        assert wrapper(1, x=2) == (1, {"x": 2})
        assert wrapper.key_for(1, x=2) != wrapper.key_for(1, x=3)
    else:
        assert wrapper(1, 2) == (1, (2,))
        assert wrapper.key_for(1, 2) != wrapper.key_for(1, 3)


@pytest.mark.parametrize("name", ["<lambda>", "a b", "class", "", "x" * 1000, "a\nb"])
def test_names_that_are_no_identifiers(cached, name):
    """A function may be called anything."""

    def odd(x):
        return x

    odd.__name__ = name
    wrapper = cached(odd)
    assert wrapper(1) == 1
    assert name == wrapper.__name__


NAMESPACES = [
    None, "", "a", "'", '"', "a|b", "a:b", "{x}", "{", "\\", "\n", "\0", "☃", "\ud800",
    "test_cached:nothing", "|'a'", "x" * 1000,
]  # fmt: skip


def test_strange_namespaces(region):
    """Any text parts one use of a function from another, and is only text."""
    uses = [region.cache_on_arguments(namespace)(nothing) for namespace in NAMESPACES]
    assert len(NAMESPACES) == len({use.key_for() for use in uses})
    for number, use in enumerate(uses):
        use.set(number)
    assert list(range(len(uses))) == [use.get() for use in uses]


# -- keys ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [(), (1,), ("a'b", b"\0"), (None, True, 0.0), ("{x}", "\\"), ("\ud800",), ("☃",)],
    ids=ascii,
)
def test_the_fast_path_and_the_slow_path_agree(cached, args):
    """Plain arguments are keyed in a quick way, to the same key."""
    letters = string.ascii_lowercase[: len(args)]
    namespace = {}
    exec(f"def quick({','.join(letters)}): pass", namespace)
    key = cached(namespace["quick"]).key_for(*args)
    assert key.endswith(encode_arguments(args))
    assert key.removesuffix(encode_arguments(args)) == "?:quick"


def test_a_mixed_call_agrees_too(cached):
    """One argument that is not plain does not change how the others are keyed."""
    wrapper = cached(positional)
    assert f"test_cached:positional{encode_arguments((1, [2]))}" == wrapper.key_for(
        1, [2]
    )


@pytest.mark.parametrize("ignore", ["a", "b"])
def test_ignoring_a_parameter(region, ignore):
    """What is ignored is in neither way of keying; everything else is in both."""
    wrapper = region.cache_on_arguments(ignore=[ignore])(positional)
    start = f"test_cached:positional|-{ignore}"
    for value in (1, [2]):
        call = {"a": value, "b": value, ignore: object()}
        assert f"{start}{encode_arguments((value,))}" == wrapper.key_for(**call)


def test_key_for_is_the_region_s_key(region, cached):
    """What a wrapper calls a key, the region's own methods call so too."""
    wrapper = cached(positional)
    assert wrapper(1, 2) == (1, 2)
    assert region.get(wrapper.key_for(1, 2)) == (1, 2)
    region.delete(wrapper.key_for(1, 2))
    assert wrapper.get(1, 2) is NO_VALUE


def test_functions_of_one_name_in_two_modules(cached):
    """The module is a part of the key."""
    functions = []
    for module in ("one", "two"):
        namespace = {"__name__": module}
        exec(f"def same(): return {module!r}", namespace)
        functions.append(cached(namespace["same"]))
    assert [function() for function in functions] == ["one", "two"]


class First:
    @staticmethod
    def method(x):
        return "first", x


class Second:
    @staticmethod
    def method(x):
        return "second", x


def test_functions_of_one_name_in_two_classes(cached):
    """The qualified name is a part of the key."""
    assert cached(First.method)(1) == ("first", 1)
    assert cached(Second.method)(1) == ("second", 1)


def make_adder(number):
    """Give one of many functions of one name."""

    def add(x):
        return x + number

    return add


class Adder:
    def __init__(self, number):
        self.number = number

    def __call__(self, x):
        return x + self.number

    def add(self, x):
        return x + self.number


SIBLINGS = {
    "lambdas": (lambda x: x + 1, lambda x: x + 100),
    "closures": (make_adder(1), make_adder(100)),
    "partials": (
        functools.partial(operator.add, 1),
        functools.partial(operator.add, 100),
    ),
    "partials of two functions": (
        functools.partial(operator.add, 1),
        functools.partial(operator.mul, 100),
    ),
    "callable objects": (Adder(1), Adder(100)),
    "bound methods": (Adder(1).add, Adder(100).add),
}


@pytest.mark.parametrize(("one", "other"), SIBLINGS.values(), ids=SIBLINGS)
def test_functions_that_share_a_name(region, one, other):
    """Two of them never give each other's values; or the second is refused."""
    try:
        first = region.cache_on_arguments()(one)
        second = region.cache_on_arguments()(other)
    except ConfigurationError:
        return
    assert one(3) == first(3)
    assert other(3) == second(3)


@pytest.mark.parametrize(("one", "other"), SIBLINGS.values(), ids=SIBLINGS)
def test_a_namespace_parts_functions_that_share_a_name(region, one, other):
    """With a namespace each, they can be cached in one region."""
    first = region.cache_on_arguments("one")(one)
    second = region.cache_on_arguments("other")(other)
    assert one(3) == first(3)
    assert other(3) == second(3)


def test_unkeyable_arguments(cached):
    """An argument that has no key is told of before anything is run."""
    calls, noting = collect(positional)
    with pytest.raises(UnkeyableArgument, match=r"builtins\.object"):
        cached(noting)(1, object())
    assert calls == []


# -- handles -------------------------------------------------------------------


@pytest.fixture
def count(cached):
    """A decorated function that counts its runs."""
    numbers = itertools.count(1)

    @cached
    def counting(x, y=0):
        return next(numbers)

    return counting


def test_get(count, clock):
    """`get` reads and never creates; what has expired is no value."""
    assert count.get(1) is NO_VALUE
    assert count(1) == 1
    assert count.get(1) == count.get(x=1, y=0) == 1
    clock.advance(EXPIRY)
    assert count.get(1) is NO_VALUE
    assert count.get(2) is NO_VALUE


def test_set(count):
    """`set` stores for these arguments, given in any way."""
    count.set("set", 1, y=0)
    assert count(1) == "set"
    assert count(2) == 1
    count.set(None, x=2)
    assert count(2) is None


def test_refresh(count):
    """`refresh` creates now, whatever there is, and stores."""
    assert count(1) == 1
    assert count.refresh(1) == 2
    assert count(x=1) == 2


def test_invalidate(count):
    """`invalidate` removes the value of these arguments and no others."""
    assert count(1) == 1
    assert count(2) == 2
    count.invalidate(y=0, x=1)
    assert count.get(1) is NO_VALUE
    assert count.get(2) == 2
    assert count(1) == 3


def test_original(region):
    """`original` is the function as it was written."""
    assert region.cache_on_arguments()(positional).original is positional


def test_handles_judge_by_the_function_s_own_expiry(region, clock):
    """`get` gives a value only while a call would give it without creating."""
    wrapper = region.cache_on_arguments(expiration_time=2)(nothing)
    wrapper()
    clock.advance(3)
    assert wrapper.get() is NO_VALUE


def test_one_function_in_two_regions(region, clock):
    """Each decorated copy has handles and values of its own."""
    other = make_region("other", time_source=clock).configure(region.backend)
    numbers = itertools.count()

    def counting():
        return next(numbers)

    mine, theirs = (one.cache_on_arguments()(counting) for one in (region, other))
    assert mine() == 0
    assert theirs() == 1
    mine.invalidate()
    assert theirs() == 1
    assert mine() == 2


def test_stacked_decorators(region, clock):
    """A cached function can be cached again; the outer handles are the outer ones."""
    other = make_region("other", time_source=clock).configure(region.backend)
    inner = other.cache_on_arguments()(positional)
    outer = region.cache_on_arguments()(inner)
    assert outer(1, 2) == (1, 2)
    assert outer.original is inner
    outer.invalidate(1, 2)
    assert outer.get(1, 2) is NO_VALUE
    assert inner.get(1, 2) == (1, 2)


# -- what it looks like --------------------------------------------------------


def test_metadata(cached):
    """The wrapper has the function's name, text, signature and attributes."""

    def documented(a: int, b: str = "x", *, c: float = 0.5) -> bool:
        """Say something."""

    documented.attribute = 1
    wrapper = cached(documented)
    for name in functools.WRAPPER_ASSIGNMENTS:
        assert getattr(documented, name) == getattr(wrapper, name)
    assert wrapper.attribute == 1
    assert wrapper.__wrapped__ is documented
    assert inspect.signature(documented) == inspect.signature(wrapper)
    assert inspect.isfunction(wrapper)


def test_the_wrapper_has_the_parameters_itself(cached):
    """Its signature is real and not only copied."""
    wrapper = cached(everything)
    del wrapper.__wrapped__
    found = inspect.signature(wrapper).parameters
    expected = inspect.signature(everything).parameters
    assert list(expected) == list(found)
    assert [p.kind for p in expected.values()] == [p.kind for p in found.values()]


@pytest.mark.parametrize(
    ("builtin", "args", "expected"),
    [
        (max, (3, 1), 3),
        (len, ("abc",), 3),
        (int, ("5",), 5),
        (dict, (), {}),
        (operator.add, (1, 2), 3),
        (str.upper, ("a",), "A"),
        (sorted, ([2, 1],), [1, 2]),
        (getattr, ("a", "nope", 5), 5),
    ],
)
def test_builtins(cached, builtin, args, expected):
    """Functions that tell no signature, or an odd one, can be cached."""
    wrapper = cached(builtin)
    assert expected == wrapper(*args)
    assert expected == wrapper.get(*args)
    with pytest.raises(TypeError):
        wrapper(1, 2, 3, 4, no_such_name=5)


def test_classes_and_objects(cached):
    """A class is a creator, and so is an object that can be called."""
    assert cached(Adder)(7).number == 7
    assert cached(Adder(5))(1) == 6


def test_partials(cached):
    """A partial function keeps its own signature."""
    wrapper = cached(functools.partial(everything, 1, d=4))
    assert wrapper() == (1, 2, 3, (), 4, 5, {})
    assert wrapper(d=5) == (1, 2, 3, (), 5, 5, {})


def test_many_parameters(cached):
    """Hundreds of them are no trouble."""
    names = [f"p{number}" for number in range(300)]
    namespace = {}
    exec(f"def many({','.join(names)}): return p299", namespace)
    assert cached(namespace["many"])(*range(300)) == 299


# -- dogpile.cache's hooks -----------------------------------------------------


def test_dogpile_s_key_generators(clock):
    """A region made with one uses it, and calls by name work with it as well."""
    region = make_region("r", function_key_generator=function_key_generator)
    region.configure("holdover.memory", EXPIRY)
    wrapper = region.cache_on_arguments("ns")(defaults)
    assert wrapper(1) == (1, 2, "three")
    assert wrapper.key_for(1) == "test_cached:defaults|ns|1 2 three"
    assert wrapper.key_for(c="three", a=1) == wrapper.key_for(1)


def test_one_function_s_key_generator(region):
    """One decorator can have a generator of its own."""
    decorate = region.cache_on_arguments(
        function_key_generator=lambda namespace, function: (
            lambda *args, **kwargs: f"{function.__name__}!{args}{kwargs}"
        )
    )
    wrapper = decorate(keyword_only)
    assert wrapper.key_for(1, b=2) == "keyword_only!(1,){'b': 2, 'c': 3}"
    assert wrapper(1, b=2) == (1, 2, 3)
    assert region.get("keyword_only!(1,){'b': 2, 'c': 3}") == (1, 2, 3)


def test_to_str(region):
    """A generator gets `to_str` if it is not the usual one."""
    decorate = region.cache_on_arguments(
        to_str=repr, function_key_generator=function_key_generator
    )
    assert decorate(positional).key_for("a", 1) == "test_cached:positional|'a' 1"


def test_dogpile_s_generator_refuses_keyword_only(region):
    """What a generator raises comes through unchanged."""
    decorate = region.cache_on_arguments(function_key_generator=function_key_generator)
    with pytest.raises(ValueError, match="does not accept keyword"):
        decorate(keyword_only)(1, b=2)


# -- the decorator's options ---------------------------------------------------


def test_expiration_time(region, clock, counter):
    """A function can have an expiry of its own, as number or timedelta; -1: never."""
    short = region.cache_on_arguments("s", expiration_time=2)(counter)
    never = region.cache_on_arguments("n", expiration_time=-1)(counter)
    assert [short(), never()] == [1, 2]
    clock.advance(2)
    assert [short(), never()] == [3, 2]
    clock.advance(1e6)
    assert never() == 2


def test_expiration_time_as_a_function(region, clock, counter):
    """It is asked at each call, so that it can change."""
    spans = [5]
    wrapper = region.cache_on_arguments(expiration_time=lambda: spans[0])(counter)
    assert wrapper() == 1
    clock.advance(3)
    assert wrapper() == 1
    spans[0] = 2
    assert wrapper() == 2
    spans[0] = None  # the region's
    clock.advance(EXPIRY - 1)
    assert wrapper() == 2
    clock.advance(1)
    assert wrapper() == 3
    spans[0] = 0
    with pytest.raises(InvalidLifetime):
        wrapper()


@pytest.mark.parametrize("bad", [0, -5, float("nan"), "10", True])
def test_a_wrong_expiration_time_is_told_at_once(region, bad):
    """Not at the first call, but where it was written."""
    with pytest.raises(InvalidLifetime, match="expiration_time"):
        region.cache_on_arguments(expiration_time=bad)


def test_should_cache_fn(region, counter):
    """A value that is not wanted is returned and not stored."""
    wrapper = region.cache_on_arguments(should_cache_fn=lambda value: value > 2)(
        counter
    )
    assert [wrapper() for _ in range(4)] == [1, 2, 3, 3]


def test_decorating_before_configuring(clock):
    """A region decorates at import time and is configured later."""
    region = make_region("late", time_source=clock)
    wrapper = region.cache_on_arguments()(positional)
    region.configure("holdover.memory", EXPIRY)
    assert wrapper(1, 2) == (1, 2)


def test_an_exception_comes_through(cached):
    """What the function raises is raised unchanged, and nothing is stored."""
    error = LookupError("mine")

    def failing():
        raise error

    wrapper = cached(failing)
    with pytest.raises(LookupError) as caught:
        wrapper()
    assert error is caught.value
    assert wrapper.get() is NO_VALUE
