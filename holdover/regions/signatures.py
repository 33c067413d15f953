"""From a function's signature to wrappers that have it, compiled once.

Python itself binds the arguments: positional and keyword calls make the same key, and
no call pays for `inspect`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from textwrap import indent
from types import CodeType
from typing import Any, TypeVar, cast

from holdover.regions.at_hand import KINDS, STEPS, Seen, uses_of
from holdover.regions.errors import ConfigurationError, UnkeyableArgument, unknown
from holdover.regions.familiar import Read
from holdover.regions.keys import ATOMS, encode_arguments, has_key

R = TypeVar("R")

Asked = tuple[tuple[Any, ...] | None, Read | None]
Fetch = Callable[[str, tuple[Any, ...], dict[str, Any]], R]
Look = Callable[[Asked, str, tuple[Any, ...], dict[str, Any]], R]
KeyGenerator = Callable[..., str]

_OWN = "_holdover"  # begins every name of ours in the compiled source
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_KEYWORD = (inspect.Parameter.KEYWORD_ONLY,)


class Template:
    """The source of a function's wrappers, which differ in what they do with a key."""

    def __init__(
        self,
        function: Callable[..., Any],
        namespace: str | None,
        generator: KeyGenerator | None,
        ignore: Sequence[str] = (),
        schema: str | None = None,
    ) -> None:
        try:
            self._parameters = list(inspect.signature(function).parameters.values())
        except ValueError:  # some built-in functions do not tell
            self._parameters = list(inspect.signature(_anything).parameters.values())
        self._keyed = _without(self._parameters, ignore, function)
        self._generator = generator and parted(generator, schema)
        self._prefix = prefix_of(function, namespace, ignore) + _schema_part(schema)
        self._own = _OWN
        while any(p.name.startswith(self._own) for p in self._parameters):
            self._own += "_"  # so that no parameter's name is one of ours
        name = getattr(function, "__name__", "function")
        self._name = getattr(function, "__qualname__", name)
        self._file = f"<cached {name}>"
        self._code = compile(self._source(), self._file, "exec")

    def takes(self, name: str) -> bool:
        """Say whether a call may give an argument of that name."""
        return any(p.name == name or p.kind is p.VAR_KEYWORD for p in self._parameters)

    def compiled(self, fetch: Fetch[R]) -> Callable[..., R]:
        """Make a function with the signature, which calls *fetch* with key and call."""
        return self._made(self._code, {"fetch": fetch})

    def looking(self, look: Look[R], seen: Seen) -> Callable[..., R]:
        """Make one that looks first at what is at hand, and calls *look* if need be.

        That gets the arguments by which a value may be found in *seen* the next time,
        None if they do not tell calls apart; and what was read, None if nothing was.
        """
        if self._generator is not None or not self._has_plain_parameters:
            return self.compiled(partial(look, (None, None)))
        uses = {
            **uses_of(seen),
            "look": look,
            "kinds": KINDS,
        }
        return self._made(self._looking_code, uses)

    @cached_property
    def _looking_code(self) -> CodeType:
        return compile(self._looking_source(), self._file, "exec")

    def _made(self, code: CodeType, uses: Mapping[str, object]) -> Callable[..., Any]:
        own = self._own
        namespace = {
            **{f"{own}_{name}": used for name, used in uses.items()},
            f"{own}_atoms": ATOMS,
            f"{own}_encode": self._encoder(),
            f"{own}_prefix": self._prefix,
            f"{own}_generator": self._generator,
            f"{own}_defaults": {p.name: p.default for p in self._parameters},
            f"{own}_type": type,
            f"{own}_too_long": ValueError,  # from an int that Python will not print
        }
        exec(code, namespace)  # noqa: S102 - the source is made here, of names only
        made = cast("Callable[..., Any]", namespace[f"{own}_wrapper"])
        made.__qualname__ = self._name  # what a TypeError calls it
        return made

    def _encoder(self) -> Callable[[tuple[Any, ...]], str]:
        """Make what turns the arguments into text, and says which one has none."""
        stand_ins = self._stand_ins()

        def encode(values: tuple[Any, ...]) -> str:
            try:
                return encode_arguments(values, stand_ins)
            except UnkeyableArgument as error:
                raise self._named(error, values) from None

        return encode

    def _named(
        self, error: UnkeyableArgument, values: tuple[Any, ...]
    ) -> UnkeyableArgument:
        """Say to which parameter an argument without a key was given."""
        without = (
            parameter.name
            for parameter, value in zip(self._keyed, values, strict=True)
            if not has_key(value)
        )
        name = next(without, None)
        if name is None:  # it has found a key meanwhile: its own code decides that
            return error
        return UnkeyableArgument(
            f"argument {name!r} of {self._prefix}: {error}; or leave it out of the "
            f"key: cache_on_arguments(ignore=({name!r},))"
        )

    def _stand_ins(self) -> dict[int, str]:
        """Texts for defaults such as ``object()``, which mean "not given"."""
        return {
            id(p.default): f"<default of {p.name}>"
            for p in self._parameters
            if p.default is not inspect.Parameter.empty and not has_key(p.default)
        }

    def _source(self) -> str:
        own = self._own
        call = f"{own}_key, {self._positional()}, {self._keywords()}"
        return "\n".join(
            [
                f"def {own}_wrapper({self._declaration()}):",
                *self._key_lines(),
                f"    return {own}_fetch({call})",
            ]
        )

    def _looking_source(self) -> str:
        """The source with the steps of `at_hand` before those that make a key."""
        own, names = self._own, [parameter.name for parameter in self._keyed]
        known = [f"{own}_type({name}) in {own}_kinds" for name in names]
        arguments = f"({''.join(f'{name}, ' for name in names)})"
        asked = f"({own}_arguments, {own}_read)"
        call = f"{asked}, {own}_key, {self._positional()}, {self._keywords()}"
        return "\n".join(
            [
                f"def {own}_wrapper({self._declaration()}):",
                f"    {own}_arguments = {own}_read = None",
                f"    if {' and '.join(known) or 'True'}:",
                f"        {own}_arguments = {arguments}",
                indent(STEPS.format(own=own), " " * 8),
                *self._key_lines(),
                f"    return {own}_look({call})",
            ]
        )

    @property
    def _has_plain_parameters(self) -> bool:
        """Whether each argument that counts has a name."""
        return all(p.kind in _POSITIONAL + _KEYWORD for p in self._keyed)

    def _key_lines(self) -> list[str]:
        """The statements that make the key."""
        own = self._own
        if self._generator is not None:
            call = f"*{self._positional()}, **{self._keywords()}"
            return [f"    {own}_key = {own}_generator({call})"]
        names = [parameter.name for parameter in self._keyed]
        values = f"({''.join(f'{name}, ' for name in names)})"
        in_general = f"{own}_key = {own}_prefix + {own}_encode({values})"
        if not self._has_plain_parameters:
            return [f"    {in_general}"]
        # 0.2 us instead of 1.1 for three arguments of plain types
        plain = [f"{own}_type({name}) in {own}_atoms" for name in names]
        texts = ",".join(f"{{{name}!r}}" for name in names)
        return [
            f"    if {' and '.join(plain) or 'True'}:",
            "        try:",
            f"            {own}_key = f'{{{own}_prefix}}({texts})'",
            f"        except {own}_too_long:",
            f"            {in_general}",
            "    else:",
            f"        {in_general}",
        ]

    def _declaration(self) -> str:
        """The parameter list, with the defaults' values taken from a dictionary."""
        defaults = {
            p.name: _Default(self._own, p.name)
            for p in self._parameters
            if p.default is not inspect.Parameter.empty
        }
        bare = [
            p.replace(
                annotation=inspect.Parameter.empty,
                default=defaults.get(p.name, inspect.Parameter.empty),
            )
            for p in self._parameters
        ]
        return str(inspect.Signature(bare))[1:-1]

    def _positional(self) -> str:
        parts = [p.name for p in self._parameters if p.kind in _POSITIONAL]
        rest = [f"*{p.name}" for p in self._parameters if p.kind is p.VAR_POSITIONAL]
        return f"({''.join(f'{part}, ' for part in parts + rest)})"

    def _keywords(self) -> str:
        parts = [
            f"{p.name!r}: {p.name}" for p in self._parameters if p.kind in _KEYWORD
        ]
        rest = [f"**{p.name}" for p in self._parameters if p.kind is p.VAR_KEYWORD]
        return f"{{{', '.join(parts + rest)}}}"


class _Default:
    """Prints as the expression that looks a default value up."""

    def __init__(self, own: str, name: str) -> None:
        self._expression = f"{own}_defaults[{name!r}]"

    def __repr__(self) -> str:
        return self._expression


def _anything(*args: Any, **kwargs: Any) -> None:
    """Stands for the signature of a function that does not tell its own."""


def _without(
    parameters: Sequence[inspect.Parameter],
    ignore: Sequence[str],
    function: Callable[..., Any],
) -> list[inspect.Parameter]:
    """Give the parameters that make the key.

    Raises:
        ConfigurationError: *ignore* is no list of names, or names a parameter that the
            function has not.
    """
    if isinstance(ignore, str) or not all(isinstance(name, str) for name in ignore):
        raise ConfigurationError(
            f"ignore must list names of parameters, ('self', 'db'), got {ignore!r}"
        )
    known = [parameter.name for parameter in parameters]
    for name in ignore:
        if name not in known:
            kind = f"parameter of {prefix_of(function, None)}"
            raise ConfigurationError(f"ignore: {unknown(kind, name, known)}")
    return [parameter for parameter in parameters if parameter.name not in ignore]


def prefix_of(
    function: Callable[..., Any], namespace: str | None, ignore: Sequence[str] = ()
) -> str:
    """Give what the keys of *function* begin with."""
    module = getattr(function, "__module__", None) or "?"
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    # repr: a namespace of any characters stays apart from what follows it.
    part = "" if namespace is None else f"|{namespace!r}"
    return f"{module}:{name}{part}{left_out(ignore)}"


def left_out(ignore: Sequence[str]) -> str:
    """Part uses of one function that ignore different parameters."""
    return f"|-{','.join(sorted(ignore))}" if ignore else ""


def parted(generator: KeyGenerator, schema: str | None) -> KeyGenerator:
    """Make *generator*'s keys those of one *schema*; None leaves them as they are."""
    if schema is None:
        return generator
    part = _schema_part(schema)
    return lambda *args, **kwargs: f"{part}:{generator(*args, **kwargs)}"


def _schema_part(schema: str | None) -> str:
    return "" if schema is None else f"@{schema!r}"
