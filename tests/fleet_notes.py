"""The notes of the applications in ``*fleet.py``, where the environment says."""

import os
from functools import partial
from pathlib import Path

import notes as files

FOLDER = Path(os.environ["FLEET_FOLDER"])

note = partial(files.note, FOLDER)
notes = partial(files.notes, FOLDER)
