"""Notes that the processes of an application leave for the test that started them."""

import json
import os
from pathlib import Path

FOLDER = Path(os.environ["FLEET_FOLDER"])


def note(name, what):
    """Add a line to a file that all processes see."""
    with (FOLDER / name).open("a") as log:
        log.write(json.dumps(what) + "\n")


def notes(name):
    """Read what was noted there, in any process."""
    path = FOLDER / name
    return [json.loads(line) for line in path.read_text().splitlines()] if (
        path.exists()
    ) else []  # fmt: skip
