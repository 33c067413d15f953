"""Notes that the processes of an application leave for the test that started them."""

import json


def note(folder, name, what):
    """Add a line to a file that all processes see."""
    with (folder / name).open("a") as log:
        log.write(json.dumps(what) + "\n")


def notes(folder, name):
    """Read what was noted there, in any process."""
    path = folder / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]
