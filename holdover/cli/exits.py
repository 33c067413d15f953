"""How a command may end: exit codes, and what is raised for them."""

from __future__ import annotations

import click

DONE = 0
FAILED = 1  # it was carried out, and something failed or is not well
REFUSED = 2  # it could not begin: usage, application, configuration
OUT_OF_REACH = 3  # the backend could not be reached

EXIT_CODES = f"""\
\b
Exit codes:
  {DONE}  done
  {FAILED}  carried out, and something failed, is not well, or was interrupted
  {REFUSED}  it could not begin: usage, application or configuration
  {OUT_OF_REACH}  the backend could not be reached"""


class CannotBegin(click.ClickException):
    """What the user asked for makes no sense here; nothing was done."""

    exit_code = REFUSED


class OutOfReach(click.ClickException):
    """The backend does not answer."""

    exit_code = OUT_OF_REACH
