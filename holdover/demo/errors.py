"""What can go wrong in the demonstration itself."""

from __future__ import annotations


class DemoError(Exception):
    """The demonstration cannot go on; the message says why, in one line."""
