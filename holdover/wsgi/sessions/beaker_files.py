"""Where Beaker keeps sessions in files: pickles, or a dbm for each."""

from __future__ import annotations

import dbm
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from holdover.wsgi.sessions.beaker_data import NAME, of_container
from holdover.wsgi.sessions.bounds import LARGEST_RECORD, bounded
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.pickles import read_plain

_DBM_SUFFIXES = ("", ".db", ".dat", ".dir", ".pag", ".bak")


class BeakerFiles:
    """Beaker's type "file". Nothing else than plain files is opened.

    Args:
        folder: Beaker's ``file_dir``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, session_id: str) -> Any:
        """See `BeakerStore.read`."""
        try:
            data = _content(self._path(session_id))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(error) from error
        return of_container(read_plain(data))

    def remove(self, session_id: str) -> None:
        """See `BeakerStore.remove`."""
        _unlink([self._path(session_id)])

    def _path(self, session_id: str) -> Path:
        return _spread(self._folder, session_id) / f"{session_id}.cache"


class BeakerDbms:
    """Beaker's type "dbm".

    Args:
        folder: Beaker's ``dbm_dir``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, session_id: str) -> Any:
        """See `BeakerStore.read`."""
        path = self._path(session_id)
        try:
            if not _size_of(path):
                return None
            with closing(dbm.open(os.fspath(path), "r")) as found:
                data = found.get(NAME.encode())
        except OSError as error:  # also while Beaker writes it
            raise _unavailable(error) from error
        except Exception as error:  # dbm's modules raise what they run into
            raise ValueError(f"a broken dbm: {type(error).__name__}") from error
        return None if data is None else read_plain(data)

    def remove(self, session_id: str) -> None:
        """See `BeakerStore.remove`."""
        _unlink(_files_of(self._path(session_id)))

    def _path(self, session_id: str) -> Path:
        return _spread(self._folder, session_id) / f"{session_id}.dbm"


def _spread(folder: Path, session_id: str) -> Path:
    return folder / session_id[:1] / session_id[:2]


def _files_of(path: Path) -> Iterator[Path]:
    for suffix in _DBM_SUFFIXES:
        found = path.with_name(f"{path.name}{suffix}")
        if _is_there(found):
            yield found


def _is_there(path: Path) -> bool:
    """Say whether there is a plain file; ``is_file()`` denies it after errors, too.

    Raises:
        ValueError: There is something else, on which dbm's modules could wait forever.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise ValueError("no file")
    return True


def _size_of(path: Path) -> int:
    size = sum(one.stat().st_size for one in _files_of(path))
    if size > LARGEST_RECORD:
        raise ValueError("too large")
    return size


def _content(path: Path) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no file")
        return bounded(file.read(LARGEST_RECORD + 1))


def _unavailable(error: OSError) -> SessionUnavailable:
    """Tell what has happened, but not to which file: its name is the session's id."""
    return SessionUnavailable(
        f"Beaker's file: {error.strerror or type(error).__name__}"
    )


def _unlink(paths: Iterable[Path]) -> None:
    try:
        for path in paths:
            with suppress(FileNotFoundError):
                path.unlink()
    except OSError as error:
        raise _unavailable(error) from error
