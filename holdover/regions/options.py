"""The options of a region by their flat names, whoever writes them and wherever.

A flat name is what stands in a file: ``expiration_time``, ``lease.ttl``,
``arguments.path``. What there is and how it is read follows from the dataclasses
`Lifetime` and `Settings`, so that a new setting is known here without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

from dogpile.cache.util import coerce_string_conf

from holdover.regions.assembling import Settings, backend_maker
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.lifetime import Lifetime
from holdover.regions.texts import is_readable, masked, read_text, shown

ARGUMENTS = "arguments."
NEVER = "never"


@dataclass(frozen=True, slots=True)
class Written:
    """The value of one option, as somebody wrote it.

    Attributes:
        key: What he calls it, for errors: "cache.prices.lease.ttl".
        value: The value.
        is_text: Whether it stands in a file or the like, so that numbers are texts.
    """

    key: str
    value: Any
    is_text: bool


Options = Mapping[str, Written]


def setting_types() -> dict[str, Any]:
    """Give the types of a region's settings by their flat names."""
    found = dict(_hints(Lifetime))
    for name, wanted in _hints(Settings).items():
        if name == "lifetime":  # its parts stand beside the others
            continue
        kind = _dataclass(wanted)
        if kind is not None:
            found |= {f"{name}.{part}": of for part, of in _hints(kind).items()}
        if kind is None or is_readable(wanted):
            found[name] = wanted
    return found


def option_types() -> dict[str, Any]:
    """Give the types of all options of a region, but for the backend's arguments."""
    return setting_types() | {
        "backend": str,
        "url": str,
        "replace_existing_backend": bool,
        "wrap": Mapping,  # which is to say, no text
        "region_invalidator": Mapping,
    }


def dataclasses() -> dict[str, type]:
    """Give the classes of those settings that have parts, such as "lease"."""
    found = {name: _dataclass(wanted) for name, wanted in _hints(Settings).items()}
    return {name: kind for name, kind in found.items() if kind and name != "lifetime"}


def flat(options: Mapping[str, Any]) -> dict[str, Written]:
    """Give the arguments of ``Region.configure()`` by their flat names."""
    found = {}
    for name, value in options.items():
        parts = _parts(name, value)
        if parts is not None:
            for part, held in parts.items():
                found[f"{name}.{part}"] = Written(f"{name}.{part}", held, is_text=False)
        elif name != "arguments" or value is not None:
            found[name] = Written(name, value, is_text=False)
    return found


def put_once(found: dict[str, Written], name: str, written: Written) -> None:
    """Add an option to those that were *found*.

    Raises:
        ConfigurationError: It is there already; the message names both places.
    """
    if name in found:
        raise ConfigurationError(
            f"{name} is given twice: as {found[name].key} and as {written.key}"
        )
    found[name] = written


def layered(shared: Options, own: Options) -> dict[str, Written]:
    """Give a region's *own* options, and the *shared* ones of which it says nothing.

    One that has another backend takes none of the shared one's arguments.
    """
    of_both = [layer["backend"].value for layer in (shared, own) if "backend" in layer]
    if len(of_both) > 1 and of_both[0] != of_both[1]:
        shared = {name: held for name, held in shared.items() if not is_argument(name)}
    return {**shared, **own}


def is_known(name: str) -> bool:
    """Say whether a flat name is that of an option."""
    return is_argument(name) or name in option_types()


def is_argument(name: str) -> bool:
    """Say whether a flat name is that of an argument of the backend."""
    return name.startswith(ARGUMENTS)


def nested(options: Options) -> dict[str, Any]:
    """Read all texts, and give the arguments of ``Region.configure()``.

    Raises:
        ConfigurationError: A text is not what its option wants, or an option is given
            as a whole and in parts.
    """
    wanted = option_types()
    types = argument_types(options["backend"].value) if "backend" in options else None
    found: dict[str, Any] = {}
    for name, written in options.items():
        if is_argument(name):
            value = _argument(written, name.removeprefix(ARGUMENTS), types)
            found.setdefault("arguments", {})[name.removeprefix(ARGUMENTS)] = value
            continue
        value = _setting(written, name, wanted)
        whole, _, part = name.partition(".")
        if part:
            _put_part(found, whole, part, value, written.key)
        else:
            _put_whole(found, name, value, written.key)
    return _joined(found)


def argument_types(backend: object) -> Mapping[str, Any] | None:
    """Give the types of a backend's arguments, None if it does not tell them.

    Raises:
        UnknownName: There is no such backend.
    """
    if not isinstance(backend, str):
        return None
    known = getattr(backend_maker(backend.strip()), "known_arguments", None)
    return known if isinstance(known, Mapping) else None


def argument_names(options: Options, backend: str = "backend") -> list[str]:
    """Give the flat names of the arguments that the options' backend takes.

    Only what can be written as text is named. Without a backend that tells, dots stand
    for all of them.
    """
    named = options.get(backend)
    types = None
    if named is not None and isinstance(named.value, str):
        with suppress(ConfigurationError):  # which will be raised where it matters
            types = argument_types(named.value)
    if types is None:
        return [f"{ARGUMENTS}..."]
    return [ARGUMENTS + name for name, wanted in types.items() if is_readable(wanted)]


def check_known(
    name: str, written: Written, arguments: Iterable[str], spell: Callable[[str], str]
) -> None:
    """Refuse an option that there is not.

    Args:
        name: Its flat name.
        written: As it was written.
        arguments: The flat names of the backend's arguments, for the error.
        spell: How a flat name is written there, for the error.

    Raises:
        ConfigurationError: It names the option and the nearest right one.
    """
    if not is_known(name):
        spelled = map(spell, [*option_types(), *arguments])
        raise ConfigurationError(unknown("option", written.key, spelled))


@contextmanager
def blamed_on(options: Options) -> Iterator[None]:
    """Let errors say which of *options* is wrong, as it was written, and no secrets."""
    try:
        yield
    except ConfigurationError as error:
        said = str(error)
        key = _culprit(said, options)
        told = masked(_without_secrets(said, options))
        told = told if key is None or key in told else f"{key}: {told}"
        reword(error, told)
        if told != said and masked(said) != said:
            raise error from None  # the cause would tell what this does not
        raise


@contextmanager
def saying(where: str) -> Iterator[None]:
    """Let errors begin by saying *where*, unless they do say it."""
    try:
        yield
    except ConfigurationError as error:
        if where not in str(error):
            reword(error, f"{where}: {error}")
        raise


def reword(error: Exception, message: str) -> None:
    """Let *error* say something else, and be what it is."""
    error.args = (message,)
    if isinstance(error, ImportError):  # which keeps its message here as well
        error.msg = message


# -- small steps ---------------------------------------------------------------


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind)}


def _dataclass(wanted: Any) -> type | None:
    """Give the dataclass that an option may be, if it may be one."""
    kinds = (wanted, *get_args(wanted))
    return next((k for k in kinds if isinstance(k, type) and is_dataclass(k)), None)


def _parts(name: str, value: object) -> Mapping[str, Any] | None:
    """Take an option apart that has parts; None if it is, or is given as, a whole."""
    if name == "arguments":
        return value if isinstance(value, Mapping) else None
    kind = dataclasses().get(name)
    if kind is not None and isinstance(value, kind):
        return {part: getattr(value, part) for part in _hints(kind)}
    return value if kind is not None and isinstance(value, Mapping) else None


def _joined(found: dict[str, Any]) -> dict[str, Any]:
    """Make the dataclasses of what was given in parts."""
    for name, kind in dataclasses().items():
        parts = found.get(name)
        if isinstance(parts, dict) and parts.keys() <= _hints(kind).keys():
            found[name] = kind(**parts)
    return found  # what has unknown parts is told of by whoever takes it


def _setting(written: Written, name: str, wanted: Mapping[str, Any]) -> Any:
    if not (written.is_text and isinstance(written.value, str)) or name not in wanted:
        return written.value
    # Of other spans it would be hard to say what "never" means.
    if name == "expiration_time" and written.value.strip().lower() == NEVER:
        return None
    return read_text(written.value, wanted[name], written.key)


def _argument(written: Written, name: str, types: Mapping[str, Any] | None) -> Any:
    if not (written.is_text and isinstance(written.value, str)):
        return written.value
    if types is None:  # as dogpile.cache does for its own
        return coerce_string_conf({name: written.value})[name]  # type: ignore[no-untyped-call]
    if name not in types:
        return written.value  # the backend says what it knows
    return read_text(written.value, types[name], written.key)


def _put_part(
    found: dict[str, Any], whole: str, part: str, value: Any, key: str
) -> None:
    parts = found.setdefault(whole, {})
    if not isinstance(parts, dict):
        raise ConfigurationError(
            f"{key}: {whole} is given as a whole, {shown(whole, parts)}, and in parts"
        )
    parts[part] = value


def _put_whole(found: dict[str, Any], name: str, value: Any, key: str) -> None:
    if name in found:
        raise ConfigurationError(f"{key}: {name} is given as a whole and in parts")
    found[name] = value


def _culprit(message: str, options: Options) -> str | None:
    """Find the option that an error speaks of: the first that it names, or shows.

    What checks a value knows its name only, "ttl", not that it was written
    "cache.prices.lease.ttl"; and it is checked with all the others at once, since
    some are wrong only together.
    """
    places = []
    for name, written in options.items():
        last = name.removeprefix(ARGUMENTS).rpartition(".")[2]
        place = re.search(rf"(?<![\w.]){re.escape(last)}(?!\w)", message)
        if place is not None:
            places.append((place.start(), -len(name), written.key))
    if places:
        return min(places)[2]
    told = (
        written.key for written in options.values() if repr(written.value) in message
    )
    return next(told, None)


def _without_secrets(message: str, options: Options) -> str:
    for written in options.values():
        value = written.value
        if isinstance(value, str) and value and shown(written.key, value) == "'***'":
            message = message.replace(repr(value), "'***'")
    return message
