"""The database file of `holdover.dbm`, opened for one step at a time.

None of dbm's modules can be shared by processes and survive a kill at any moment. So a
lock file parts the steps and says whether one is changing the database: whoever finds
that its process has ended in the middle begins the database anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from holdover.regions.backends.dbm_modules import (
    EVERYBODYS_FILES,
    Damaged,
    Database,
    Module,
    preferred_module,
    recognizing_damage,
)
from holdover.regions.backends.host_files import (
    check_private,
    make_private,
    read_file,
    unlink,
)
from holdover.regions.backends.host_locks import FileLocks
from holdover.regions.errors import (
    BackendError,
    ConfigurationError,
    InsecureDirectory,
)

log = logging.getLogger("holdover")

# What the lock file says: whose it is, how it stands, by which module it was made.
_OURS = b"holdover dbm 1 "
_CLEAN, _CHANGING = b"-", b"*"
_LENGTH = len(_OURS) + 2 + 20  # with the longest name of a module


@dataclass(slots=True)
class _Marker:
    """The content of the lock file, which the process that holds the lock may change.

    The state is one byte that is overwritten in place: that works on a full disk, and
    nobody finds half of it.
    """

    descriptor: int

    def read(self) -> tuple[bytes, str] | None:
        """Give how the database stands and its module; None if it is not ours."""
        found = os.pread(self.descriptor, _LENGTH, 0)
        return _told(found) if _is_ours(found) else None

    def begin(self, module: str) -> None:
        """Make it ours."""
        said = _OURS + _CLEAN + b" " + module.encode()
        os.pwrite(self.descriptor, said.ljust(_LENGTH), 0)

    def say(self, state: bytes) -> None:
        """Tell whoever comes after a sudden end how the database stands."""
        os.pwrite(self.descriptor, state, len(_OURS))


@dataclass(slots=True)
class Step:
    """What nobody can come between: reads of records, then changes.

    Attributes:
        database: The open database; None if there is none yet.
        is_changing: Whether something was changed.
    """

    database: Database | None
    _marker: _Marker
    is_changing: bool = False

    def get(self, name: bytes) -> bytes | None:
        """Read a record."""
        if self.database is None:
            return None
        with recognizing_damage():
            try:
                return self.database[name]
            except KeyError:
                return None

    def put(self, name: bytes, record: bytes) -> None:
        """Write a record."""
        self._changing()[name] = record

    def drop(self, name: bytes) -> bool:
        """Remove a record; False if there was none."""
        if self.get(name) is None:
            return False
        del self._changing()[name]
        return True

    def names(self) -> list[bytes]:
        """List the records."""
        if self.database is None:
            return []
        with recognizing_damage():
            return list(self.database.keys())

    def _changing(self) -> Database:
        if self.database is None:
            raise TypeError("this step was begun for reading only")
        if not self.is_changing:
            self._marker.say(_CHANGING)
            self.is_changing = True
        return self.database


class DbmStore:
    """A database file and its lock file.

    Args:
        path: The database's name; its module may add suffixes.
        lock_path: The lock file.
        lock_timeout: Seconds that a step waits for another.
        most: Bytes from which on the database is begun anew.

    Raises:
        InsecureDirectory: Others could write where the files are.
        ConfigurationError: There is a database which is not ours.
    """

    def __init__(
        self, path: str, lock_path: str, *, lock_timeout: float, most: int
    ) -> None:
        self._path = path
        self._lock_path = lock_path
        self._most = most
        self._locks = FileLocks(lock_timeout)
        self._directories = {os.path.dirname(path), os.path.dirname(lock_path)}
        for directory in self._directories:
            check_private(directory)
        self._refuse_foreign()

    @contextmanager
    def step(self, *, changes: bool) -> Iterator[Step]:
        """Keep everyone else out for one step.

        Args:
            changes: Whether it may write.

        Raises:
            BackendError: The lock was not free in time, the database is not ours or
                this Python lacks its module; or it was damaged, and is begun anew.
        """
        self._see_directories()
        with self._locks.hold(self._lock_path) as descriptor:
            marker = _Marker(descriptor)
            module = self._ready(marker, changes=changes)
            step = Step(None, marker)
            try:
                self._open(step, module, changes=changes)
                try:
                    yield step
                finally:
                    _close(step)
            except Damaged as damage:
                self._begin_anew(marker, module, f"it is damaged: {damage}")
                raise BackendError(
                    f"{self._path} was damaged, and is begun anew"
                ) from damage
            # Only now: what an exception has cut short must not look finished.
            if step.is_changing:
                marker.say(_CLEAN)

    # -- under the lock --------------------------------------------------------

    def _ready(self, marker: _Marker, *, changes: bool) -> Module:
        """Find the module of a database that is ours and whole."""
        found = marker.read()
        if found is None:
            return self._claim(marker)
        state, name = found
        module = Module.named(name)
        if state != _CLEAN:
            self._begin_anew(marker, module, "a process ended while it changed it")
        elif changes and module.size(self._path) > self._most:
            self._begin_anew(marker, module, f"it has outgrown {self._most} bytes")
        return module

    def _claim(self, marker: _Marker) -> Module:
        try:
            self._refuse_foreign()
        except ConfigurationError as error:
            raise BackendError(str(error)) from error
        module = preferred_module()
        marker.begin(module.name)
        return module

    def _open(self, step: Step, module: Module, *, changes: bool) -> None:
        exists = module.is_at(self._path)
        if not exists and not changes:
            return
        with recognizing_damage():
            if exists:
                step.database = module.open(self._path, "w" if changes else "r")
                return
        step._marker.say(_CHANGING)  # noqa: SLF001 - made by this class, for itself
        step.is_changing = True
        step.database = module.open(self._path, "c")

    def _begin_anew(self, marker: _Marker, module: Module, reason: str) -> None:
        log.warning("beginning the cache %s anew: %s", self._path, reason)
        marker.say(_CHANGING)
        for suffix in module.suffixes:
            unlink(self._path + suffix)
        marker.say(_CLEAN)

    # -- whose it is -----------------------------------------------------------

    def _refuse_foreign(self) -> None:
        """Refuse files which are there and of which the lock file does not know."""
        found = [
            self._path + suffix
            for suffix in EVERYBODYS_FILES
            if os.path.lexists(self._path + suffix)
        ]
        if found and not self._is_claimed():
            raise ConfigurationError(
                f"{found[0]} is not a database of holdover.dbm, which would not touch "
                "what dogpile.cache, Beaker or others keep there: give another "
                "filename, or remove it"
            )

    def _is_claimed(self) -> bool:
        try:
            return _is_ours(read_file(self._lock_path) or b"")
        except OSError:
            return False

    def _see_directories(self) -> None:
        """Look every time: somebody else may have been quicker to make them again."""
        try:
            for directory in self._directories:
                if not check_private(directory):
                    make_private(directory)
        except InsecureDirectory as error:
            raise BackendError(str(error)) from error


def _close(step: Step) -> None:
    database, step.database = step.database, None
    if database is not None:
        database.close()


def _is_ours(marker: bytes) -> bool:
    return marker.startswith(_OURS) and len(marker) >= _LENGTH


def _told(marker: bytes) -> tuple[bytes, str]:
    """Take a marker apart."""
    rest = marker[len(_OURS) : _LENGTH]
    return rest[:1], rest[2:].decode("ascii", "replace").strip()
