"""What surrounds the files of a backend of one host: who may write, how much fits."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from holdover.regions.backends.host_files import check_private
from holdover.regions.errors import InsecureDirectory
from holdover.regions.findings import Finding, Health

_LITTLE_ROOM = 0.05  # of a file system
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def diagnose_folder(folder: str) -> Iterator[Finding]:
    """Look at a folder of a backend's own.

    Args:
        folder: Its path; it need not be there yet.
    """
    existing = _nearest_existing(folder)
    yield _permissions(folder, existing)
    yield from _above(folder)
    yield _room(existing)


def _permissions(folder: str, existing: str) -> Finding:
    try:
        check_private(folder)
    except InsecureDirectory as error:
        advice = "put it right, and remove what others may have put there"
        return Finding("permissions", Health.FAIL, str(error), advice)
    if not _may_write(existing):
        found = f"{existing} cannot be written by user id {os.geteuid()}"
        advice = f"let this user own {folder}, or mount it for writing"
        return Finding("permissions", Health.FAIL, found, advice)
    if existing != folder:
        found = f"{folder} is not there yet, and will be made for this user alone"
        return Finding("permissions", Health.OK, found)
    found = f"{folder} is this user's, and no other may write to it"
    return Finding("permissions", Health.OK, found)


def diagnose_file(path: str) -> Iterator[Finding]:
    """Look at a file of a backend's own.

    Args:
        path: Its path; it need not be there yet.
    """
    existing = _nearest_existing(path)
    found = os.stat(existing)
    if not _may_write(existing):
        told = f"{existing} cannot be written by user id {os.geteuid()}"
        advice = f"let this user own {path}, or mount it for writing"
        yield Finding("permissions", Health.FAIL, told, advice)
    elif existing == path and found.st_mode & _OTHERS_MAY_WRITE:
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        told = f"{path} can be written by other users (mode {mode})"
        yield Finding("permissions", Health.FAIL, told, f"chmod 600 {path}")
    else:
        told = f"{path} can be written, and by no other user"
        yield Finding("permissions", Health.OK, told)
    yield from _above(path)
    yield _room(existing)


def _may_write(path: str) -> bool:
    # As whoever we are now: access() goes by who started the process.
    as_effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=as_effective)


def _above(path: str) -> Iterator[Finding]:
    """Tell of a folder above in which others could put another in its place."""
    above = os.path.dirname(path)
    while above != os.path.dirname(above):
        try:
            mode = os.stat(above).st_mode
        except OSError:
            mode = 0
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            told = f"any user may rename what is in {above} (mode {mode & 0o7777:o})"
            advice = f"chmod o-w {above}, or keep the cache elsewhere"
            yield Finding("permissions", Health.WARN, told, advice)
        above = os.path.dirname(above)


def _room(existing: str) -> Finding:
    system = os.statvfs(existing)
    free = system.f_bavail * system.f_frsize
    told = f"{free >> 20} MiB are free on its file system"
    inodes_left = system.f_favail / system.f_files if system.f_files else 1.0
    blocks_left = system.f_bavail / system.f_blocks if system.f_blocks else 1.0
    if inodes_left < _LITTLE_ROOM:
        told = f"{system.f_favail} more files fit on its file system"
    if min(inodes_left, blocks_left) >= _LITTLE_ROOM:
        return Finding("room", Health.OK, told)
    advice = "make room: nothing can be stored on a full disk"
    return Finding("room", Health.WARN, told, advice)


def _nearest_existing(path: str) -> str:
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path
