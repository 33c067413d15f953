"""Options as an ini file has them: flat keys that say whose they are, and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from holdover import errors
from holdover.regions.texts import is_readable, read_text

CACHE = ("cache.", "beaker.cache.")
SESSION = ("session.", "beaker.session.")

Names = dict[str, tuple[str, Any]]  # by option: the key as it was written, the value


def bare(key: object, prefixes: Iterable[str]) -> str | None:
    """Give the option's name in a key, which begins with a prefix; None if it does not.

    A key that is no text counts as its text.
    """
    text = str(key)
    start = next((one for one in prefixes if text.startswith(one)), None)
    return None if start is None else text.removeprefix(start)


def below(config: Mapping[Any, Any], prefixes: Iterable[str]) -> Names:
    """Give what stands under any of the prefixes.

    Raises:
        ConfigurationError: An option is given under two of them.
    """
    found: Names = {}
    for key, value in config.items():
        name = bare(key, prefixes)
        if name is not None:
            put_once(found, name, str(key), value)
    return found


def put_once(found: Names, name: str, key: str, value: Any) -> None:
    """Add an option.

    Raises:
        ConfigurationError: It is there.
    """
    if name in found:
        raise errors.ConfigurationError(
            f"{name} is given twice: as {found[name][0]} and as {key}"
        )
    found[name] = (key, value)


def types_of(kind: type[Any], **known: Any) -> Mapping[str, Any]:
    """Give what each option of a dataclass takes, by name.

    Args:
        kind: The dataclass.
        **known: What it names, but imports for type checkers only.
    """
    hints = get_type_hints(kind, localns=known)
    return {one.name: hints[one.name] for one in fields(kind)}


def read_as(wanted: Any, value: Any, key: str) -> Any:
    """Read a text as what an option takes, if that can be; others stay as they are.

    Raises:
        ConfigurationError: It is something else; the message names the key.
    """
    if isinstance(value, str) and is_readable(wanted):
        return read_text(value, wanted, key)
    return value
