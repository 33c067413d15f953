"""Calls of cached functions, as an operator writes them: ``shop:price_of(17, b='x')``.

Their arguments are literals; nothing that is written here is evaluated.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdover.cli.ending import in_a_line
from holdover.cli.exits import CannotBegin

if TYPE_CHECKING:
    from holdover import Region

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

    def keys_in(self, region: Region) -> list[str]:
        """Give the keys that it has in *region*: one for each function of the name.

        Raises:
            CannotBegin: Such a function does not take these arguments.
        """
        functions = region.functions
        return [
            self._key(name, functions[name])
            for name in functions
            if self.name in _spellings(name)
        ]

    def _key(self, name: str, function: Any) -> str:
        try:
            key: str = function.key_for(*self.args, **self.kwargs)
        except Exception as error:
            raise CannotBegin(f"{name}: {in_a_line(error)}") from error
        return key


def _spellings(name: str) -> set[str]:
    """Give what a function may be called: in full, or by less, if that will do."""
    base = name.partition("|")[0]
    return {name, base, base.replace(":", "."), base.partition(":")[2]}
