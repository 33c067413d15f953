"""The options of a region by their flat names, whoever writes them and wherever.

A flat name is what stands in a file: ``expiration_time``, ``lease.ttl``,
``arguments.path``. What there is and how it is read follows from the dataclasses
`Lifetime` and `Settings`, so that a new setting is known here without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

from dogpile.cache.util import coerce_string_conf

from holdover.regions.assembling import backend_maker
from holdover.regions.errors import ConfigurationError, unknown
from holdover.regions.lifetime import Lifetime
from holdover.regions.settings import Settings
from holdover.regions.texts import is_readable, is_secret, read_text

ARGUMENTS = "arguments."
TASK_OPTIONS = "task_options."
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
    return is_argument(name) or name in option_types() or is_task_option(name)


def is_argument(name: str) -> bool:
    """Say whether a flat name is that of an argument of the backend."""
    return name.startswith(ARGUMENTS)


def is_task_option(name: str) -> bool:
    """Say whether a flat name is that of an option for the queue, which knows it."""
    return name.startswith(TASK_OPTIONS)


def nested(options: Options) -> dict[str, Any]:
    """Read all texts, and give the arguments of ``Region.configure()``.

    Raises:
        ConfigurationError: A text is not what its option wants, or an option is given
            as a whole and in parts.
    """
    _refuse_both(options)
    wanted = option_types()
    types = argument_types(options["backend"].value) if "backend" in options else None
    found: dict[str, Any] = {}
    for name, written in options.items():
        if is_argument(name):
            arguments = found.setdefault("arguments", {})
            _put_argument(arguments, name.removeprefix(ARGUMENTS), written, types)
            continue
        _put(found, name, _setting(written, name, wanted))
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


def is_part(argument: str, types: Collection[str]) -> bool:
    """Say whether an argument's name is that of a part of one that is a mapping.

    Args:
        argument: Its name, "connection_kwargs.ssl_ca_certs".
        types: The backend's arguments; without their types, none of them is one.
    """
    whole, dot, _ = argument.partition(".")
    return bool(dot) and isinstance(types, Mapping) and types.get(whole) is Mapping


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
    if not (written.is_text and isinstance(written.value, str)):
        return written.value
    if is_task_option(name):
        return _guessed(written)
    if name not in wanted:
        return written.value
    # Of other spans it would be hard to say what "never" means.
    if name == "expiration_time" and written.value.strip().lower() == NEVER:
        return None
    return read_text(written.value, wanted[name], written.key)


def _argument(written: Written, name: str, types: Mapping[str, Any] | None) -> Any:
    if not (written.is_text and isinstance(written.value, str)):
        return written.value
    if types is None or is_part(name, types):
        return _guessed(written)
    if name not in types:
        return written.value  # the backend says what it knows
    return read_text(written.value, types[name], written.key)


def _guessed(written: Written) -> Any:
    """Read what has no type by what it looks like, as dogpile.cache does."""
    if is_secret(written.key):
        return written.value  # "007" is another password than 7
    return coerce_string_conf({"value": written.value})["value"]  # type: ignore[no-untyped-call]


def _put_argument(
    found: dict[str, Any], name: str, written: Written, types: Mapping[str, Any] | None
) -> None:
    value = _argument(written, name, types)
    if types is not None and is_part(name, types):
        _put(found, name, value)
    else:
        found[name] = value


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    """Put a value where its name says, below the name of its whole if it is a part."""
    whole, _, part = name.partition(".")
    if part:
        found.setdefault(whole, {})[part] = value
    else:
        found[name] = value


def _refuse_both(options: Options) -> None:
    for name, written in options.items():
        whole = name.rpartition(".")[0]
        if whole in options:
            raise ConfigurationError(
                f"{written.key}: {whole} is given as a whole and in parts"
            )
