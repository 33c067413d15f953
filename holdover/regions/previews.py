"""Values of the application's, as texts for people."""

from __future__ import annotations

from reprlib import Repr


def preview(value: object, most: int) -> str:
    """Show a value without walking through all of it, whatever its ``repr`` does.

    Args:
        value: The value.
        most: How many characters of it are shown.
    """
    shortened = Repr()
    shortened.maxstring = shortened.maxother = shortened.maxlong = most
    shortened.maxlist = shortened.maxtuple = shortened.maxdict = shortened.maxset = 50
    try:
        return shortened.repr(value)[:most]
    except Exception as error:  # noqa: BLE001 - the application's own __repr__
        return f"({type(error).__name__} in its repr)"
