"""A secret that is made once, and kept beside the data that it signs."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def secret_key(path: Path) -> str:
    """Give the secret in a file; of two processes that come first, both get one."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as made:  # for its owner
        made.write(secrets.token_urlsafe(50))
        made.flush()
        with contextlib.suppress(FileExistsError):
            os.link(made.name, path)
    return path.read_text()
