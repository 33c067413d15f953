"""Calls of cached functions, as operators write them: ``shop:price_of(17, b='x')``.

Their arguments are literals; nothing that is written here is evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from holdover.regions.errors import InvalidArgument

_CALL = re.compile(r"([\w.:|<>]+)(\(.*\))", re.DOTALL)
_LONGEST = 10_000  # characters; ast is not for texts without end


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call, as it was written.

    Attributes:
        name: The function's name, or the end of it.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def read(cls, text: str) -> WrittenCall | None:
        """Read *text*; None if it is no call of literals."""
        match = _CALL.fullmatch(text)
        if match is None or len(text) > _LONGEST:
            return None
        try:
            # In place of a name that has a colon in it.
            call = ast.parse("f" + match[2], mode="eval").body
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                return None
            args = tuple(map(ast.literal_eval, call.args))
            kwargs = {
                one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg
            }
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return None
        return None if len(kwargs) < len(call.keywords) else cls(match[1], args, kwargs)

    def keys_in(self, functions: Mapping[str, Any]) -> list[str]:
        """Give the keys that it has: one for each function of the name.

        Args:
            functions: Those of a region, by name.

        Raises:
            InvalidArgument: Such a function does not take these arguments.
        """
        return [
            self._key(name, functions[name])
            for name in functions
            if self.name in _spellings(name)
        ]

    def _key(self, name: str, function: Any) -> str:
        try:
            key: str = function.key_for(*self.args, **self.kwargs)
        except Exception as error:  # the application's own key generator may raise
            raise InvalidArgument(f"{name}: {type(error).__name__}: {error}") from error
        return key


def why_no_call(text: str, functions: Collection[str]) -> str:
    """Say why *text*, which looks like a call, is no call of *functions*; "" if it is.

    Args:
        text: What was written, and was taken for a key alone.
        functions: The names of those that there are.
    """
    if "(" not in text:
        return ""
    call = WrittenCall.read(text)
    if call is None:
        return "it is no call either, whose arguments are literals: 'price_of(17)'"
    known = {one for name in functions for one in _spellings(name)}
    if call.name in known:
        return ""
    near = get_close_matches(call.name, sorted(known), 1)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    return f"no function is called {call.name!r}{hint}"


def _spellings(name: str) -> set[str]:
    """Give what a function may be called: in full, or by less, if that will do."""
    base = name.partition("|")[0]
    return {name, base, base.replace(":", "."), base.partition(":")[2]}
