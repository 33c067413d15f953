"""Files to which several processes append one JSON object per line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add a line, in one write, so that it is whole or not there if we are killed."""
    line = json.dumps(record).encode() + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read(path: Path) -> list[dict[str, Any]]:
    """Give all records so far; none if nobody has written yet."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    *lines, _unfinished = content.split(b"\n")  # somebody may be writing
    return [json.loads(line) for line in lines]
