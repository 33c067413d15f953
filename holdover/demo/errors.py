"""What can go wrong in the demonstration itself."""

from __future__ import annotations


class DemoError(Exception):
    """The demonstration cannot go on; the message says why, in one line."""


class WrongOption(DemoError):
    """An option of the command that cannot work; the message names what can."""


class Unreachable(DemoError):
    """A cache server or broker that the user named cannot be used."""
