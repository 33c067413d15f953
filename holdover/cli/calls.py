"""Calls of cached functions, as an operator has written them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdover.cli.exits import CannotBegin

if TYPE_CHECKING:
    from holdover import Region
    from holdover.regions.written_calls import WrittenCall


def keys_in(region: Region, call: WrittenCall) -> list[str]:
    """Give the keys that a call has in *region*: one for each function of the name.

    Raises:
        CannotBegin: Such a function does not take these arguments.
    """
    from holdover import errors

    try:
        return call.keys_in(region.functions)
    except errors.InvalidArgument as error:
        raise CannotBegin(" ".join(str(error).split())) from error
