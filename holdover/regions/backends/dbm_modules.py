"""The standard library's dbm modules, and what `holdover.dbm` must know of each."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from holdover.regions.errors import BackendError

# By name, in the order in which dbm itself prefers them: the files of a database.
_SUFFIXES = {
    "dbm.sqlite3": ("", "-wal", "-shm", "-journal"),
    "dbm.gnu": ("",),
    "dbm.ndbm": (".db", ".pag", ".dir"),
    "dbm.dumb": (".dat", ".dir", ".bak"),
}
EVERYBODYS_FILES = sorted({one for group in _SUFFIXES.values() for one in group})
# docs.python.org/3/library/dbm.html: the others' values have a limit that is not told,
# and reading what is beyond it may end the process.
_SAFE_NDBM = ("Berkeley DB", "GNU gdbm")

# What opening a database says if it is none, or if a part of it is missing.
_NO_DATABASE = {errno.EINVAL, errno.ENOENT, getattr(errno, "EFTYPE", errno.EINVAL)}


class Database(Protocol):
    """What dbm's modules have in common."""

    def __getitem__(self, name: bytes, /) -> bytes: ...
    def __setitem__(self, name: bytes, record: bytes, /) -> None: ...
    def __delitem__(self, name: bytes, /) -> None: ...
    def keys(self) -> list[bytes]:
        """List the names."""

    def close(self) -> None:
        """Write what is not written yet, and let go."""


class Damaged(Exception):
    """The database is not as anybody would have written it."""


@dataclass(frozen=True, slots=True)
class Module:
    """One of dbm's modules.

    Attributes:
        name: Such as "dbm.gnu".
        library: The module itself.
    """

    name: str
    library: Any

    @classmethod
    def named(cls, name: str) -> Module:
        """Give the module by which a database was made.

        Raises:
            BackendError: This Python does not have it.
        """
        if name not in _SUFFIXES:
            raise BackendError(f"there is no dbm module {name!r}")
        try:
            return cls(name, import_module(name))
        except ImportError as error:
            raise BackendError(
                f"the database was made with {name}, which this Python does not have: "
                "let all processes use the same Python, or give another filename"
            ) from error

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What it appends to a database's name, for each of its files."""
        return _SUFFIXES[self.name]

    def is_at(self, path: str) -> bool:
        """Say whether there is a database of that name."""
        return any(os.path.lexists(path + suffix) for suffix in self.suffixes)

    def size(self, path: str) -> int:
        """Count the bytes of all its files."""
        total = 0
        for suffix in self.suffixes:
            with suppress(FileNotFoundError):
                total += os.lstat(path + suffix).st_size
        return total

    def open(self, path: str, flag: str) -> Database:
        """Open a database; for the flags see dbm."""
        database: Database = self.library.open(path, flag, 0o600)
        return database


def preferred_module() -> Module:
    """Choose the module for a new database: the first that can be trusted."""
    for name in _SUFFIXES:
        with suppress(ImportError):
            library = import_module(name)
            if name != "dbm.ndbm" or library.library in _SAFE_NDBM:
                return Module(name, library)
    return Module.named("dbm.dumb")  # which comes with every Python


@contextmanager
def recognizing_damage() -> Iterator[None]:
    """Tell a database that is damaged from a disk that is full, away or locked.

    Raises:
        Damaged: Reading met what makes no sense; a damaged one raises anything.
        OSError: All else.
    """
    try:
        yield
    except KeyError:
        raise
    except OSError as error:
        if not _is_damage(error):
            raise
        raise Damaged(repr(error)) from error
    except Exception as error:
        raise Damaged(repr(error)) from error


def _is_damage(error: OSError) -> bool:
    """Judge by the number of the system's error, or by the cause that SQLite names."""
    if error.errno:
        return error.errno in _NO_DATABASE
    name = getattr(error.__context__, "sqlite_errorname", None)
    return name is None or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
