"""Warnings that name the line that can be changed, not ours."""

from __future__ import annotations

import sys
import warnings

_OURS = ("holdover.", "dogpile.")


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn, in the name of the first line up the stack that is no library's."""
    warnings.warn(message, category, stacklevel=_frames_to_caller())


def _frames_to_caller() -> int:
    frame = sys._getframe(1)  # noqa: SLF001 - what warnings uses, too
    level = 1
    while frame.f_back and frame.f_globals["__name__"].startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return level
