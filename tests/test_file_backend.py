"""`holdover.file` beyond the contract: private, unhurt by what lies in its way."""
# The backend's own paths are texts, and `os` plants what `Path` cannot.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH108, PTH110, PTH116, PTH119, PTH120
# ruff: noqa: PTH123, PTH208, PTH211

import contextlib
import errno
import fcntl
import itertools
import os
import random
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from holdover import NO_VALUE, make_region
from holdover.errors import (
    BackendError,
    ConfigurationError,
    HoldoverError,
    InsecureDirectory,
    ValueTooLarge,
)
from holdover.regions.backends import file_culling, file_values
from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.grants import Busy, Changed, Lease

REGION = "r"
IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="needs to be root")
HOUR = 3600.0


@pytest.fixture
def root(tmp_path):
    """Where the cache is, with a place beside it where it must not be."""
    (tmp_path / "outside").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def outside(root):
    """A directory that no backend has anything to do with."""
    return root.parent / "outside"


@pytest.fixture
def new_backend(root, clock):
    """Make a backend on that directory, as each process does for itself."""

    def make(**arguments):
        given = {"path": root, "time_source": clock, "lock_timeout": 0.3}
        return FileBackend({**given, **arguments})

    return make


@pytest.fixture
def backend(new_backend):
    """One backend."""
    return new_backend()


@pytest.fixture
def new_region(root, clock):
    """Make a region on a backend of its own on that directory."""

    def make(**settings):
        arguments = {"path": root, "time_source": clock, "lock_timeout": 0.3}
        region = make_region(REGION, time_source=clock)
        return region.configure("holdover.file", 600.0, arguments, **settings)

    return make


def run(script, *arguments, wrapper=(), **options):
    """Run a script in a process of its own; it asserts what it has to."""
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def everything(directory):
    """Give the paths of all that is below a directory, itself included."""
    return [directory, *sorted(directory.rglob("*"))]


def temporaries(directory):
    """Give the unfinished files below a directory."""
    return [path for path in everything(directory) if path.name.startswith(".tmp-")]


def size_on_disk(root):
    """Count the bytes of all values."""
    return sum(
        path.lstat().st_size
        for path in everything(root)
        if path.is_file() and len(path.name) == 40 and path.parent.name != "clocks"
    )


def keys_of_one_stripe(backend, count):
    """Find keys whose files lie in one directory."""
    wanted = os.path.dirname(backend._path("0"))
    found = (
        str(number)
        for number in itertools.count()
        if os.path.dirname(backend._path(str(number))) == wanted
    )
    return list(itertools.islice(found, count))


def key_of_another_stripe(backend, key):
    """Find a key whose file lies in another directory."""
    return next(
        other
        for other in map(str, itertools.count())
        if os.path.dirname(backend._path(other)) != os.path.dirname(backend._path(key))
    )


def use_every_verb(backend, key="k"):
    """Use all verbs; give what was read, and which errors of ours there were."""
    read, errors = [], []

    def attempt(verb, *args, **kwargs):
        try:
            return verb(*args, **kwargs)
        except BackendError as error:
            errors.append(error)

    for _ in range(2):
        found = attempt(backend.read, key, REGION)
        read.append(found and found[0])
        grant = attempt(backend.acquire, key, REGION, ttl=5.0, seen=None)
        if isinstance(grant, Changed):
            read.append(grant.stored)
            grant = attempt(backend.acquire, key, REGION, ttl=5.0, seen=7)
        if isinstance(grant, Lease):
            attempt(backend.renew, grant, ttl=5.0)
            adopted = attempt(backend.adopt, key, REGION, grant.token, ttl=5.0)
            attempt(backend.commit, adopted or grant, b"c", REGION, ttl=60.0)
            attempt(backend.release, adopted or grant)
        attempt(backend.compare_and_set, key, b"s", seen=None, ttl=None)
        attempt(backend.is_locked, key)
        attempt(backend.write, key, b"w", ttl=60.0)
        found = attempt(backend.read, key, REGION)
        read.append(found and found[0])
        attempt(backend.clock, REGION)
        attempt(backend.advance, REGION, hard=True)
        attempt(backend.remove, key)
        attempt(backend.purge)
    return read, errors


# -- modes ---------------------------------------------------------------------


MODES = """
    import os, stat, sys
    from pathlib import Path
    from holdover.regions.backends.file import FileBackend
    os.umask(int(sys.argv[2], 8))
    root = Path(sys.argv[1]) / "made" / "with" / "parents"
    backend = FileBackend({"path": root})
    backend.write("k", b"v", ttl=60.0)
    backend.write("l", b"v", ttl=None)
    lease = backend.acquire("new", "r", ttl=5.0, seen=None)
    assert backend.renew(lease, ttl=5.0)
    assert backend.read("k", "r")[0] == b"v"
    backend.advance("r", hard=True)
    backend.acquire("held", "r", ttl=5.0, seen=None)
    assert backend.commit(lease, b"v", "r", ttl=None)
    backend.purge()
    found = [root, *root.parents[:2], *root.rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in found}
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))
    kinds = {path.suffix or path.parent.name for path in found if path.is_file()}
    assert {".lease", "locks", "clocks"} <= kinds, kinds
"""


@pytest.mark.parametrize("umask", ["0", "022", "777"])
def test_modes(tmp_path, umask):
    """Directories are 0700 and files 0600, whatever the umask."""
    run(MODES, tmp_path, umask)


@pytest.mark.parametrize(
    ("mode", "advice"),
    [
        (0o777, "chmod 700"),
        (0o775, "chmod 700"),
        (0o722, "chmod 700"),
        (0o1777, "a directory of its own in it"),  # who shuts /tmp has shut the machine
    ],
)
def test_a_directory_that_others_may_write(root, new_backend, mode, advice):
    """Where somebody else could plant a pickle, nothing is read."""
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(InsecureDirectory, match=advice):
        new_backend()


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750])
def test_a_directory_that_is_ours(root, new_backend, mode):
    """One that only we can write is used as it is."""
    root.mkdir()
    root.chmod(mode)
    new_backend().write("k", b"v", ttl=None)
    assert new_backend().read("k", REGION)[0] == b"v"


@as_root
def test_a_directory_of_somebody_else(root, new_backend):
    """A directory of another user is refused, though we could write to it."""
    root.mkdir(0o700)
    os.chown(root, 65534, 65534)
    with pytest.raises(InsecureDirectory, match="65534"):
        new_backend()


@as_root
@pytest.mark.parametrize("used_before", [False, True])
def test_a_directory_that_somebody_else_made_meanwhile(root, new_backend, used_before):
    """Nor is it used if it was not there, or was removed, and another was quicker."""
    backend = new_backend()
    if used_before:
        use_every_verb(backend)
        shutil.rmtree(root)
    planted = new_backend(path=root.parent / "pattern")
    planted.write("k", b"planted", ttl=None)
    shutil.copytree(root.parent / "pattern", root)
    for path in everything(root):
        os.chown(path, 65534, 65534)
    read, _ = use_every_verb(backend)
    assert b"planted" not in read


def test_a_directory_that_became_writable_for_others(root, new_backend):
    """Nor one that was made for all users between start and first use."""
    backend = new_backend()
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    with pytest.raises(HoldoverError):
        backend.write("k", b"v", ttl=None)


@pytest.mark.parametrize("make", [lambda p: p.touch(), os.mkfifo])
def test_what_is_no_directory(root, new_backend, make):
    """A path where something else lies is refused."""
    make(root)
    with pytest.raises(InsecureDirectory, match="not a directory"):
        new_backend()


# -- arguments -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "'path'"),
        ({"path": ""}, "'path'"),
        ({"path": None}, "'path'"),
        ({"path": 5}, "path"),
        ({"path": "nul\0byte"}, "path"),
        ({"path": "x", "max_bytes": 0}, "max_bytes"),
        ({"path": "x", "max_bytes": 1.5}, "max_bytes"),
        ({"path": "x", "max_bytes": True}, "max_bytes"),
        ({"path": "x", "lock_timeout": 0}, "lock_timeout"),
        ({"path": "x", "lock_timeout": float("nan")}, "lock_timeout"),
        ({"pth": "x"}, "(?i)did you mean 'path'"),
    ],
)
def test_wrong_arguments(arguments, named):
    """Each is a typed error that names the argument."""
    with pytest.raises(ConfigurationError, match=named):
        FileBackend(arguments)


@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path])
def test_kinds_of_paths(root, new_backend, monkeypatch, kind):
    """A path may be text, bytes or a Path: it is the same directory."""
    monkeypatch.chdir(root.parent)  # where a misread one would end up
    new_backend(path=kind(root)).write("k", b"v", ttl=None)
    assert new_backend().read("k", REGION)[0] == b"v"


def test_a_relative_path(root, new_backend, monkeypatch):
    """It means what it meant when the backend was made."""
    monkeypatch.chdir(root.parent)
    backend = new_backend(path="cache")
    monkeypatch.chdir("/")
    backend.write("k", b"v", ttl=None)
    assert new_backend().read("k", REGION)[0] == b"v"


def test_making_a_backend_touches_nothing(root, new_backend):
    """Configuring works where the disk does not."""
    new_backend()
    assert not root.exists()


# -- what lies in the way ------------------------------------------------------


SECRET = b"not for the cache"


def a_socket(path, outside):
    """Plant a socket, by a short name, since those of sockets are limited."""
    with tempfile.TemporaryDirectory() as short:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(f"{short}/s")
        os.rename(f"{short}/s", path)
        bound.close()


PLANTED = {
    "link to a file": lambda path, outside: os.symlink(outside / "secret", path),
    "link to nothing": lambda path, outside: os.symlink(outside / "new", path),
    "link to a directory": lambda path, outside: os.symlink(outside, path),
    "link to a device": lambda path, outside: os.symlink("/dev/zero", path),
    "link to itself": lambda path, outside: os.symlink(path, path),
    "fifo": lambda path, outside: os.mkfifo(path),
    "directory": lambda path, outside: os.mkdir(path),
    "full directory": lambda path, outside: os.makedirs(f"{path}/inner"),
    "socket": a_socket,
}


def clock_file(backend, key):
    """Give the path of the one clock that there is."""
    (name,) = os.listdir(f"{backend._root}/clocks")
    return f"{backend._root}/clocks/{name}"


def lock_file(backend, key):
    """Give the path of the lock of a key's stripe."""
    stripe = os.path.basename(os.path.dirname(backend._path(key)))
    return f"{backend._root}/locks/{stripe}"


PLACES = {
    "value": lambda backend, key: backend._path(key),
    "lease": lambda backend, key: backend._path(key) + ".lease",
    "clock": clock_file,
    "lock": lock_file,
    "usage": lambda backend, key: f"{backend._root}/usage",
    "temporary file": lambda backend, key: (
        f"{os.path.dirname(backend._path(key))}/.tmp-{'5' * 16}"
    ),
    "spare": lambda backend, key: f"{os.path.dirname(backend._path(key))}/.spare",
}


def plant(backend, place, kind, outside, key="k"):
    """Put something where the backend keeps one of its files."""
    backend.write(key, b"v", ttl=None)
    backend.clock(REGION)
    (outside / "secret").write_bytes(SECRET)
    path = PLACES[place](backend, key)
    if os.path.lexists(path):
        os.unlink(path)
    PLANTED[kind](path, outside)
    return path


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("place", PLACES)
def test_what_was_planted_is_harmless(new_backend, outside, monkeypatch, place, kind):
    """Nothing outside is read or written, nothing hangs, and errors are typed."""
    plant(new_backend(), place, kind, outside)
    if place == "temporary file":
        monkeypatch.setattr("secrets.token_hex", lambda size: "5" * 2 * size)
    begun = time.monotonic()
    with contextlib.suppress(InsecureDirectory):  # it may be refused as a whole
        read, _ = use_every_verb(new_backend())
        assert set(read) <= {None, b"", b"v", b"c", b"s", b"w"}
    assert time.monotonic() - begun < 5.0
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("place", ["value", "lease", "clock", "lock", "usage", "spare"])
def test_callers_get_their_values_all_the_same(  # noqa: PLR0917 - two of them are cases
    new_region, new_backend, outside, counter, place, kind
):
    """Whatever lies in the way, a region answers; at worst it creates."""
    region = new_region()
    plant(new_backend(), place, kind, outside, region._address("k"))
    assert region.get_or_create("new", counter) == 1
    assert region.get_or_create("k", counter) in {1, 2}
    region.delete("k")
    assert region.get("k") is NO_VALUE


@pytest.mark.parametrize("place", ["locks", "clocks", "stripe"])
def test_a_directory_that_is_a_link(new_backend, outside, place):
    """Links to directories are not followed either."""
    backend = new_backend()
    backend.write("k", b"v", ttl=None)
    backend.clock(REGION)
    path = f"{backend._root}/{place}"
    if place == "stripe":
        path = os.path.dirname(backend._path("k"))
    shutil.rmtree(path)
    os.symlink(outside, path)
    with contextlib.suppress(InsecureDirectory):  # it may be refused as a whole
        use_every_verb(new_backend())
    assert os.listdir(outside) == []


@pytest.mark.parametrize("kind", ["directory", "full directory", "fifo", "socket"])
def test_purging_past_what_was_planted(new_backend, outside, kind):
    """One strange file does not keep the others from being purged."""
    backend = new_backend()
    for number in range(3):
        backend.write(str(number), b"v", ttl=0.0)
    plant(backend, "value", kind, outside)
    assert backend.purge() >= 3


# -- hostile bytes -------------------------------------------------------------


HOSTILE = {
    "nothing": lambda was: b"",
    "zeros": lambda was: bytes(len(was)),
    "many zeros": lambda was: bytes(10_000),
    "ones": lambda was: b"\xff" * max(len(was), 10_000),
    "noise": lambda was: random.Random(1).randbytes(max(len(was), 100)),
    "its first half": lambda was: was[: len(was) // 2],
    "its second half": lambda was: was[len(was) // 2 :],
    "itself and more": lambda was: was + b"more",
    "itself twice": lambda was: was + was,
    "one bit": lambda was: was[:-20] + bytes(b ^ 1 for b in was[-20:-19]) + was[-19:],
    "a megabyte": lambda was: b"HLD1" * 250_000,
}


def spoil(path, kind):
    """Overwrite a file in place, as a failing disk or a hostile process does."""
    with open(path, "r+b") as file:
        was = file.read()
        file.seek(0)
        file.truncate()
        file.write(HOSTILE[kind](was))


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("place", ["value", "clock", "usage", "lock"])
def test_hostile_bytes(new_region, counter, clock, place, kind):
    """Garbage in any file costs one creation; then all is as before."""
    region, other = new_region(), new_region()
    assert region.get_or_create("k", counter) == other.get("k") == 1
    spoil(PLACES[place](region.backend, region._address("k")), kind)
    clock.advance(1.0)
    for one in (region, other):
        assert one.get_or_create("k", counter) in {1, 2}
    clock.advance(1.0)
    region.set("other key", "x")
    now = region.get_or_create("k", counter)
    for one in (other, region, other):
        assert now == one.get_or_create("k", counter)
    clock.advance(1.0)
    other.invalidate()
    assert region.get("k") is NO_VALUE
    newest = region.get_or_create("k", counter)
    assert newest == now + 1
    assert newest == other.get_or_create("k", counter)
    clock.advance(1.0)
    region.set("other key", "y")
    assert newest == region.get("k") == other.get("k")


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bytes_in_a_lease(new_region, counter, kind):
    """A damaged lease holds nobody up, and does not keep a key from being cached."""
    region = new_region()
    backend, key = region.backend, region._address("k")
    assert isinstance(backend.acquire(key, REGION, ttl=5.0, seen=None), Lease)
    spoil(PLACES["lease"](backend, key), kind)
    assert [region.get_or_create("k", counter) for _ in range(3)] == [1, 1, 1]


# -- rm -rf --------------------------------------------------------------------


def test_removing_it_all_under_two_backends(root, new_region, counter, clock):
    """Two processes whose directory was removed begin anew and agree again."""
    ours, theirs = new_region(), new_region()
    for region in (ours, theirs):
        region.get_or_create("k", counter)
        region.get("k")
    shutil.rmtree(root)
    clock.advance(1.0)
    assert [region.get("k") for region in (ours, theirs)] == [NO_VALUE] * 2
    assert theirs.get_or_create("k", counter) == 2
    assert ours.get_or_create("k", counter) == 2


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("write", ["set", "get_or_create"])
def test_invalidations_hold_after_removing_it_all(root, new_region, clock, hard, write):
    """What one process invalidates afterwards, no other one serves."""
    ours, theirs = new_region(), new_region()
    for region in (ours, theirs):
        region.set("k", "before")
        assert region.get("k") == "before"
    shutil.rmtree(root)
    clock.advance(1.0)
    if write == "set":
        theirs.set("k", "after")
    else:
        assert theirs.get_or_create("k", lambda: "after") == "after"
    assert ours.get("k") == "after"
    clock.advance(1.0)
    theirs.invalidate(hard=hard)
    assert ours.get("k") is NO_VALUE
    ours.set("k", "newest")
    ours.invalidate()
    assert theirs.get("k") is NO_VALUE


def test_the_tick_is_everybody_s_after_removing_it_all(root, new_backend, clock):
    """A read gives the tick by which others invalidate, not a forgotten one."""
    ours, theirs = new_backend(), new_backend()
    for backend in (ours, theirs):
        backend.write("k", b"v", ttl=None)
        backend.read("k", REGION)
    shutil.rmtree(root)
    clock.advance(1.0)
    state = theirs.advance(REGION, hard=True)
    assert ours.read("k", REGION) == (None, state.tick)
    assert ours.clock(REGION) == state


def test_a_lease_does_not_outlive_its_directory(root, new_backend, clock):
    """What was being created meanwhile is not stored."""
    ours, theirs = new_backend(), new_backend()
    lease = ours.acquire("k", REGION, ttl=5.0, seen=None)
    shutil.rmtree(root)
    assert ours.commit(lease, b"v", REGION, ttl=None) is None
    assert not ours.renew(lease, ttl=5.0)
    assert isinstance(theirs.acquire("k", REGION, ttl=5.0, seen=None), Lease)


# -- failing disks -------------------------------------------------------------


# Fills the disk, or what stands for it, by `fill()`; then nothing old is lost.
FAILING = """
    import os, resource, signal, sys
    from pathlib import Path
    from holdover import NO_VALUE, make_region
    from holdover.errors import BackendError
    from holdover.regions.backends.file import FileBackend

    root = Path(sys.argv[1])
    region = make_region("r").configure("holdover.file", 60, {"path": root})
    backend = region.backend
    big = "x" * 50_000
    for number in range(3):
        region.set(f"old{number}", "old")
        assert region.get(f"old{number}") == "old"
    lease = backend.acquire("leased", "r", ttl=60.0, seen=None)

    def fill():
        FILL

    fill()
    for number in range(3):
        assert region.get(f"old{number}") == "old"
    for _ in range(2):
        try:
            backend.write("raw", big.encode(), ttl=None)
        except BackendError as error:
            assert error.__cause__ is not None
        else:
            raise AssertionError("it was not full")
    assert backend.read("raw", "r")[0] is None
    try:
        backend.commit(lease, big.encode(), "r", ttl=None)
    except BackendError:
        pass
    else:
        raise AssertionError("it was not full")
    assert not list(root.rglob(".tmp-*"))
    assert region.get_or_create("new", lambda: big) == big
    assert region.set("old0", big).pending
    assert region.get("old0") is NO_VALUE
    assert region.get_or_create("old0", lambda: big) == big
    assert not list(root.rglob(".tmp-*"))
    for key in ("old1",):
        region.delete(key)
        assert region.get(key) is NO_VALUE
    assert region.get("old2") == "old"
    region.invalidate()
    assert region.get("old2") is NO_VALUE
    assert make_region("r").configure("holdover.file", 60, {"path": root}).get(
        "old1") is NO_VALUE
"""
FILE_LIMIT = """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
"""
FILLED = """
        with open(root / "filler", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError as error:
                assert error.errno == 28, error
"""


def test_a_limit_on_files(root):
    """Where a write fails, reads go on, no half file stays, callers are served."""
    run(FAILING.replace("        FILL\n", FILE_LIMIT[1:]), root)


@as_root
def test_a_full_disk(root):
    """The same on a file system of 256 KB that is full to the last page."""
    root.mkdir(0o700)
    mount = f'mount -t tmpfs -o size=256k,mode=700 tmpfs {root} && exec "$@"'
    wrapper = ["unshare", "-m", "sh", "-c", mount, "sh"]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no mount namespaces here")
    run(FAILING.replace("        FILL\n", FILLED[1:]), root, wrapper=wrapper)


TOO_MANY_FILES = """
    import resource, os, sys
    from pathlib import Path
    from holdover import make_region
    from holdover.errors import BackendError
    from holdover.regions.backends.file import FileBackend
    root = Path(sys.argv[1])
    region = make_region("r").configure("holdover.file", 60, {"path": root})
    backend = region.backend
    region.set("old", "old")
    assert region.get("old") == "old"
    lease = backend.acquire("k", "r", ttl=60.0, seen=None)
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    verbs = [
        lambda: backend.read("r:old", "r"),
        lambda: backend.read("k", "other"),
        lambda: backend.write("k", b"v", ttl=None),
        lambda: backend.acquire("new", "r", ttl=5.0, seen=None),
        lambda: backend.commit(lease, b"v", "r", ttl=None),
        lambda: backend.renew(lease, ttl=5.0),
        lambda: backend.adopt("k", "r", lease.token, ttl=5.0),
        lambda: backend.release(lease),
        lambda: backend.remove("r:old"),
        lambda: backend.compare_and_set("k", b"v", seen=None, ttl=None),
        lambda: backend.clock("r"),
        lambda: backend.advance("r", hard=True),
        lambda: backend.is_locked("k"),
        lambda: backend.purge(),
    ]
    for number, verb in enumerate(verbs):
        try:
            verb()
        except BackendError:
            continue
        except BaseException as error:
            raise AssertionError(f"verb {number}: {error!r}") from error
        raise AssertionError(f"verb {number} did without a file")
    assert region.get_or_create("old", lambda: "made") == "made"
    assert region.get_or_create("new", lambda: "made") == "made"
    for descriptor in taken:
        os.close(descriptor)
    assert backend.read("r:old", "r")[0] is not None
    assert backend.renew(lease, ttl=5.0)
    assert backend.commit(lease, b"v", "r", ttl=None) is not None
    assert not list(root.rglob(".tmp-*"))
"""


def test_too_many_open_files(root):
    """Every verb says so with a typed error, callers are served, nothing is lost."""
    run(TOO_MANY_FILES, root)


READ_ONLY = """
    import os, sys
    from pathlib import Path
    from holdover import NO_VALUE, make_region
    from holdover.errors import BackendError
    from holdover.regions.backends.file import FileBackend
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    root = Path(sys.argv[1]) / "cache"

    def new_region():
        return make_region("r").configure("holdover.file", 60, {"path": root})

    region = new_region()
    region.set("old", "old")
    assert region.get("old") == "old"
    region.set("k", "k")
    found = [root, *root.rglob("*")]
    mode = int(sys.argv[2], 8)
    for path in reversed(found):
        path.chmod(mode if path.is_dir() else mode & 0o666)
    try:
        for one in (region, new_region()):
            assert one.get("old") in ("old", NO_VALUE)
            for _ in range(2):
                assert one.get_or_create("new", lambda: "made") == "made"
            assert one.set("k", "changed").pending
            assert one.get("k") is NO_VALUE
            assert one.delete("old").pending
            assert one.get("old") is NO_VALUE
            assert one.invalidate().pending
            for verb in (
                lambda: one.set("k", "changed", strict=True),
                lambda: one.delete("k", strict=True),
                lambda: one.invalidate(strict=True),
            ):
                try:
                    verb()
                except BackendError:
                    continue
                raise AssertionError("not strict")
    finally:
        for path in found:
            path.chmod(0o700)
    for path in found:
        path.chmod(0o700 if path.is_dir() else 0o600)
"""


@pytest.mark.parametrize("mode", ["500", "000"])
def test_permission_lost(mode):
    """Where nothing may be written, or not even read, regions create and say so."""
    with tempfile.TemporaryDirectory() as directory:
        if IS_ROOT:
            os.chown(directory, 65534, 65534)
        run(READ_ONLY, directory, mode)


# -- sudden death --------------------------------------------------------------


# Forks; the child is killed before the Nth line that the backend runs, for every N.
SUDDEN_DEATH = """
    import os, signal, sys, time
    from pathlib import Path
    from holdover.regions.backends.grants import Busy, Lease
    from holdover.regions.backends.file import FileBackend
    from holdover.regions.codecs import PickleCodec
    from holdover.regions.envelope import Entry, fence_of, open_sealed, seal

    root, what = Path(sys.argv[1]), sys.argv[2]
    backend = FileBackend({"path": root, "lock_timeout": 1.0})

    def sealed(value, fence):
        return seal(Entry(value, created_at=0.0, fence=fence), "k", PickleCodec())

    old, new = sealed("old", 1), sealed("new" * 100, 2)

    def acquire():
        return backend.acquire("k", "r", ttl=0.003, seen=1)

    def before():
        backend.write("k", old, ttl=None)
        backend.write("gone", b"x", ttl=0.0)
        return acquire() if what in ("commit", "release", "renew", "adopt") else None

    works = {
        "write": lambda lease: backend.write("k", new, ttl=None),
        "swap": lambda lease: backend.compare_and_set("k", new, seen=1, ttl=None),
        "commit": lambda lease: backend.commit(lease, new, "r", ttl=None),
        "remove": lambda lease: backend.remove("k"),
        "acquire": lambda lease: acquire(),
        "renew": lambda lease: backend.renew(lease, ttl=0.003),
        "adopt": lambda lease: backend.adopt("k", "r", lease.token, ttl=0.003),
        "release": lambda lease: backend.release(lease),
        "advance": lambda lease: backend.advance("r", hard=True),
        "first clock": lambda lease: backend.advance(f"new{os.getpid()}", hard=True),
        "purge": lambda lease: backend.purge(),
    }
    allowed = {"write": {old, new}, "swap": {old, new}, "commit": {old, new}}
    allowed["remove"] = {old, None}

    def die_at(step, work, lease):
        def trace(frame, event, _):
            nonlocal step
            if not frame.f_globals.get("__name__", "").startswith("holdover.regions.b"):
                return None
            if event == "line":
                step -= 1
                if step < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace
        sys.settrace(trace)
        work(lease)
        os._exit(0)

    step, survived, outcomes = 0, False, set()
    while not survived:
        lease = before()
        clock = backend.clock("r")
        child = os.fork()
        if child == 0:
            die_at(step, works[what], lease)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        survived = status == 0
        assert survived or status == -signal.SIGKILL, (step, status)
        at = (what, step)
        stored, tick = backend.read("k", "r")
        assert stored in allowed.get(what, {old}), at
        outcomes.add(stored)
        if stored is not None:
            open_sealed(stored, "k", PickleCodec())
        after = backend.clock("r")
        assert after.tick == tick, at
        assert after == clock or (what == "advance" and after.tick > clock.tick), at
        # Whoever comes next can create, at the latest when the lease has lapsed.
        end = time.monotonic() + 1.0
        seen = None if stored is None else fence_of(stored)
        while isinstance(got := backend.acquire("k", "r", ttl=5.0, seen=seen), Busy):
            assert got.expires_in <= 0.003, at
            assert time.monotonic() < end, at
            time.sleep(got.expires_in)
        assert isinstance(got, Lease), at
        assert backend.commit(got, new, "r", ttl=None) is not None, at
        assert backend.read("k", "r")[0] == new, at
        step += 60 if what == "purge" and step > 40 else 1
    assert step > 10, step
    if what in allowed:
        assert outcomes == allowed[what], (what, outcomes)
    now = time.time()
    time.time = lambda: now + 4000.0
    backend.purge()
    assert not list(root.rglob(".tmp-*"))
"""


@pytest.mark.parametrize(
    "what",
    [
        "write", "swap", "commit", "remove", "acquire", "renew", "adopt", "release",
        "advance", "first clock", "purge",
    ],
)  # fmt: skip
def test_sudden_death(root, what):
    """Killed between any two steps, it leaves the old or the new, and no lock."""
    run(SUDDEN_DEATH, root, what)


# -- small values, whose files are written anew ---------------------------------


def reading_across(monkeypatch, meanwhile):
    """Have something done while somebody has a file open that he is about to read."""
    really, waiting = os.pread, [meanwhile]

    def pread(*args):
        if waiting:
            waiting.pop()()
        return really(*args)

    monkeypatch.setattr(os, "pread", pread)


@pytest.mark.parametrize("is_same_key", [True, False])
def test_a_file_that_is_written_anew_while_it_is_read(
    backend, monkeypatch, is_same_key
):
    """Who had opened it gets a value of his key, and not what is there instead."""
    key, neighbour = keys_of_one_stripe(backend, 2)
    for name in (key, neighbour):
        backend.write(name, b"first of " + name.encode(), ttl=None)
    last = key if is_same_key else neighbour
    backend.write(last, b"older", ttl=None)
    before = backend.read(key, REGION)[0]

    def write():
        backend.write(key, b"newer", ttl=None)  # and the reader's file is the spare
        backend.write(last, b"newest", ttl=None)

    reading_across(monkeypatch, write)
    found = backend.read(key, REGION)[0]
    assert before in {b"older", b"first of " + key.encode()}
    assert found == (b"newest" if is_same_key else b"newer")


def test_a_file_that_is_half_written_while_it_is_read(backend, monkeypatch):
    """It is read again, when whoever writes has finished."""
    backend.write("k", b"a" * 300, ttl=None)
    backend.write("k", b"b" * 300, ttl=None)
    path = backend._path("k")
    whole = [b"b" * 300]

    def spoil_half():
        with open(path, "r+b", buffering=0) as file:
            stamp = os.fstat(file.fileno()).st_mtime_ns
            file.write(b"c" * 150)
            os.utime(path, ns=(stamp, stamp))

    def heal():
        with open(path, "r+b", buffering=0) as file:
            stamp = os.fstat(file.fileno()).st_mtime_ns
            file.write(whole[0])
            os.utime(path, ns=(stamp, stamp))

    hold = backend._locks.hold

    def held(stripe):
        heal()
        return hold(stripe)

    monkeypatch.setattr(backend._locks, "hold", held)
    reading_across(monkeypatch, spoil_half)
    assert backend.read("k", REGION)[0] == whole[0]


WRITING_ANEW = """
    import sys
    from holdover.regions.backends.file import FileBackend
    backend = FileBackend({"path": sys.argv[1], "lock_timeout": 20.0})
    keys, sizes = sys.argv[2].split(), (1, 300, 4096, 4097, 37)
    for number in range(2_000):
        key = keys[number % len(keys)]
        value = key.encode().ljust(8) * sizes[number % len(sizes)]
        backend.write(key, value[:9_000], ttl=None)
"""


def test_many_read_what_is_written_anew(root, new_backend):
    """Whatever two processes write, a reader gets whole values of the key he reads."""
    backend = new_backend(lock_timeout=10.0)
    keys = keys_of_one_stripe(backend, 3)
    command = [sys.executable, "-c", textwrap.dedent(WRITING_ANEW), root]
    writers = [subprocess.Popen([*command, " ".join(keys)]) for _ in range(2)]
    read = 0
    while any(writer.poll() is None for writer in writers):
        for key in keys:
            stored, _ = backend.read(key, REGION)
            if stored is not None:
                pattern = key.encode().ljust(8)
                assert stored == (pattern * 4097)[: len(stored)]
                assert len(stored) in {8, 296, 2400, 9_000}
                read += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert read > 100


@pytest.mark.parametrize("can_exchange", [True, False])
def test_values_of_changing_size(root, backend, monkeypatch, can_exchange):
    """Small and large ones replace each other, and leave one spare file at most."""
    if not can_exchange:  # as on other systems than Linux
        monkeypatch.setattr(file_values, "_RENAME", None)
    sizes = [10, 20, 5, 4096, 4097, 0, 50_000, 60_000, 3, 2]
    for size in sizes:
        backend.write("k", b"x" * size, ttl=None)
        assert backend.read("k", REGION)[0] == b"x" * size
        assert backend._usage.total() == size == size_on_disk(root)
        left = [path.name for path in everything(root) if path.name.startswith(".")]
        assert left in ([], [file_values.SPARE])
        assert size_of_spares(root) <= 4096
    backend.purge()
    assert size_of_spares(root) == 0
    assert backend.read("k", REGION)[0] == b"xx"


def size_of_spares(root):
    """Count the bytes that nobody reads."""
    return sum(path.lstat().st_size for path in root.rglob(file_values.SPARE))


def test_what_a_power_cut_leaves(new_region, counter, clock):
    """A file whose name and time were saved and whose bytes were not is a miss."""
    region = new_region()
    path = region.backend._path(region._address("k"))
    region.set("k", "deleted long ago")
    was = Path(path).read_bytes()
    region.delete("k")
    clock.advance(1.0)
    region.set("k", "newer")
    stamp = os.stat(path).st_mtime_ns
    Path(path).write_bytes(was)
    os.utime(path, ns=(stamp, stamp))
    assert new_region().get_or_create("k", counter) == 1
    assert region.get("k") == 1


def test_a_copy_that_kept_no_nanoseconds(root, new_backend):
    """What was restored from an archive is read, as far as its bytes tell."""
    new_backend().write("k", b"v", ttl=None)
    for path in everything(root):
        if path.is_file():
            seconds = int(path.stat().st_mtime)
            os.utime(path, (seconds, seconds))
    assert new_backend().read("k", REGION)[0] == b"v"


# -- housekeeping --------------------------------------------------------------


@pytest.fixture
def later(monkeypatch):
    """Let the host's own clock, by which files are aged, be later."""
    real = time.time

    def move(seconds):
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return move


def test_abandoned_files_are_swept(root, backend, later):
    """What a dead process left unfinished goes after an hour, and not before."""
    backend.write("k", b"v", ttl=None)
    backend.acquire("other", REGION, ttl=5.0, seen=None)
    stripe = os.path.dirname(backend._path("k"))
    temporary = f"{stripe}/.tmp-{'a' * 16}"
    with open(temporary, "wb") as file:
        file.write(b"half")
    backend.purge()
    assert os.path.exists(temporary)
    assert backend.is_locked("other")
    later(1.1 * HOUR)
    backend.purge()
    assert temporaries(root) == []
    assert not os.path.exists(backend._path("other") + ".lease")
    assert backend.read("k", REGION)[0] == b"v"


def test_purge_removes_what_has_expired(backend, clock):
    """It removes what is past its ttl and says how much that was."""
    for number in range(5):
        backend.write(str(number), b"v", ttl=number + 1.0)
    backend.write("for ever", b"v", ttl=None)
    assert backend.purge() == 0
    clock.advance(3.0)
    assert backend.purge() == 3
    clock.advance(1e9)
    assert backend.purge() == 2
    assert backend.read("for ever", REGION)[0] == b"v"


def test_a_purge_holds_no_writer_up(root, backend, clock, monkeypatch):
    """A stripe is locked for few removals at a time, and what came meanwhile stays."""
    keys = keys_of_one_stripe(backend, 100)
    for key in keys:
        backend.write(key, b"old", ttl=1.0)
    clock.advance(2.0)
    hold, at_once, other = backend._locks.hold, [], FileBackend({"path": root})

    @contextlib.contextmanager
    def held(stripe):
        other.write(keys[-1], b"renewed", ttl=None)
        before = len(everything(root))
        with hold(stripe):
            yield
        at_once.append(before - len(everything(root)))

    monkeypatch.setattr(backend._locks, "hold", held)
    assert backend.purge() == 99
    assert 0 < max(at_once) <= 32
    assert sum(at_once) == 99
    assert backend.read(keys[-1], REGION)[0] == b"renewed"
    assert backend._usage.total() == size_on_disk(root)


def test_a_file_that_vanishes_while_it_is_swept(backend, monkeypatch):
    """Writers come and go during a purge; a file that is gone is no failure."""
    key = "k"
    backend.write(key, b"v", ttl=0.0)
    stripe, listdir = os.path.dirname(backend._path(key)), os.listdir

    def listed(path):
        return [*listdir(path), ".tmp-vanished"] if path == stripe else listdir(path)

    monkeypatch.setattr(os, "listdir", listed)
    assert backend.purge() == 1


@pytest.mark.parametrize("size", [100, 5_000])
def test_what_is_away_while_it_is_counted(root, backend, monkeypatch, size):
    """It is counted all the same, if it has come back since."""
    backend.write("k", b"x" * size, ttl=None)
    stripe, listdir = os.path.dirname(backend._path("k")), os.listdir
    os.utime(stripe, (0, 0))  # the kernel's stamps are coarse, and this is long ago

    def listed(path):
        if path != stripe:
            return listdir(path)
        backend.remove("k")
        names = listdir(path)
        backend.write("k", b"x" * size, ttl=None)
        return names

    monkeypatch.setattr(os, "listdir", listed)
    assert backend.purge() == 0
    assert backend._usage.total() == size_on_disk(root) == size


# -- the bound -----------------------------------------------------------------


def test_the_bound_holds(root, new_backend):
    """However much is written, not much more is kept than was allowed."""
    backend = new_backend(max_bytes=10_000)
    for number in range(200):
        backend.write(str(number), b"x" * 200, ttl=None)
        assert size_on_disk(root) <= 10_000
    assert size_on_disk(root) > 5_000


def test_several_processes_share_the_bound(root, new_backend):
    """They count together."""
    backends = [new_backend(max_bytes=10_000) for _ in range(3)]
    for number in range(150):
        backends[number % 3].write(str(number), b"x" * 200, ttl=None)
    assert size_on_disk(root) <= 10_000


def test_the_oldest_of_a_stripe_goes_first(new_backend):
    """Culling removes what was written longest ago, expired entries before."""
    backend = new_backend(max_bytes=1_000)
    keys = keys_of_one_stripe(backend, 10)
    for key in (keys[8], *keys[:5], keys[9], *keys[5:8]):
        backend.write(key, b"x" * 100, ttl=0.0 if key == keys[9] else 60.0)
        time.sleep(0.012)  # the kernel's stamps are that coarse
    backend.write(key_of_another_stripe(backend, keys[0]), b"x" * 150, ttl=None)
    held = [key for key in keys if backend.read(key, REGION)[0] is not None]
    order = [keys[8], *keys[:8]]
    assert keys[9] not in held
    assert order[len(order) - len(held) :] == [key for key in order if key in held]
    assert len(held) >= 5


def test_one_writer_removes_a_few(root, new_backend, monkeypatch):
    """However many files there are, none waits for more than some to be looked at."""
    backend = new_backend(max_bytes=200_000)
    for number in range(2_000):
        backend.write(str(number), b"x" * 100, ttl=None)
    looked_at, removed = [], []
    real_lstat, real_unlink = os.lstat, file_culling.unlink
    monkeypatch.setattr(
        os, "lstat", lambda *a: (looked_at.append(a), real_lstat(*a))[1]
    )
    monkeypatch.setattr(
        file_culling,
        "unlink",
        lambda path: (removed.append(path), real_unlink(path))[1],
    )
    for number in range(40):
        looked_at.clear()
        removed.clear()
        backend.write(f"more {number}", b"x" * 100, ttl=None)
        assert len(removed) <= file_culling._LOOKED_AT // file_culling._PART
        assert len(looked_at) <= 2 * file_culling._LOOKED_AT
        assert backend._usage.total() == size_on_disk(root) <= 200_000


def test_a_large_value_takes_several_turns(root, new_backend):
    """What one writer leaves beyond the bound, the next ones remove."""
    backend = new_backend(max_bytes=100_000)
    for number in range(1_000):
        backend.write(str(number), b"x" * 100, ttl=None)
    backend.write("large", b"x" * 90_000, ttl=None)
    assert size_on_disk(root) > 100_000
    for number in range(10):
        backend.write("more", b"x" * 100 * number, ttl=None)
    assert size_on_disk(root) <= 100_000
    assert backend.read("large", REGION)[0] is not None


def test_what_was_just_written_is_there(new_backend):
    """A write never culls itself while there are older entries."""
    backend = new_backend(max_bytes=1_000)
    for number in range(60):
        key = str(number)
        backend.write(key, b"x" * 240, ttl=None)
        assert backend.read(key, REGION)[0] is not None, number


def test_replacing_is_not_growing(root, new_backend):
    """Writing one key again and again culls nothing."""
    backend = new_backend(max_bytes=1_000)
    backend.write("other", b"x" * 500, ttl=None)
    for _ in range(50):
        backend.write("k", b"x" * 400, ttl=None)
    assert backend.read("other", REGION)[0] is not None
    backend.remove("k")
    assert size_on_disk(root) == backend._usage.total() == 500


def test_a_value_that_is_too_large(backend, new_backend):
    """It is refused, and what was there before, being outdated, goes."""
    small = new_backend(max_bytes=100)
    small.write("k", b"x" * 100, ttl=None)
    with pytest.raises(ValueTooLarge, match="max_bytes=100"):
        small.write("k", b"x" * 101, ttl=None)
    assert backend.read("k", REGION)[0] is None


def usage_file(root, count):
    """Overwrite all counts."""
    (root / "usage").write_bytes(struct.pack("<256Q", *[count] * 256))


def test_a_lost_count_recovers(root, new_backend):
    """Counts that were lost are made again by a purge, and the bound holds again."""
    backend = new_backend(max_bytes=10_000)
    for number in range(40):
        backend.write(str(number), b"x" * 200, ttl=None)
    before = backend._usage.total()
    assert before == size_on_disk(root) == 8_000
    (root / "usage").unlink()
    backend.purge()
    assert before == backend._usage.total()


@pytest.mark.parametrize("count", [2**30, 2**62, 2**64 - 1])
def test_a_wrong_count_costs_no_values(root, new_backend, count):
    """Counts that are far too high are corrected before anything is removed."""
    backend = new_backend(max_bytes=10_000)
    for number in range(20):
        backend.write(str(number), b"x" * 100, ttl=None)
    usage_file(root, count)
    backend.write("one more", b"x" * 100, ttl=None)
    assert size_on_disk(root) == 2_100
    assert backend._usage.total() == 2_100


# -- locks ---------------------------------------------------------------------


HOLDER = """
    import fcntl, os, signal, sys
    descriptor = os.open(sys.argv[1], os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextlib.contextmanager
def lock_held(backend, key):
    """Hold the lock of a key's stripe, as a slow process does."""
    backend.write(key, b"v", ttl=None)
    descriptor = os.open(lock_file(backend, key), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_stopped_process_that_holds_a_lock(backend):
    """Writers give up in time, readers do not notice, and its death frees the lock."""
    backend.write("k", b"v", ttl=None)
    backend.clock(REGION)
    other = key_of_another_stripe(backend, "k")
    lock = lock_file(backend, "k")
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), lock], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        os.waitpid(holder.pid, os.WUNTRACED)
        for verb in (
            lambda: backend.write("k", b"new", ttl=None),
            lambda: backend.remove("k"),
            lambda: backend.acquire("k", REGION, ttl=5.0, seen=0),
        ):
            begun = time.monotonic()
            with pytest.raises(BackendError, match="not free"):
                verb()
            assert 0.3 <= time.monotonic() - begun < 3.0
        assert backend.read("k", REGION)[0] == b"v"
        assert temporaries(Path(backend._root)) == []
        backend.write(other, b"v", ttl=None)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    backend.write("k", b"new", ttl=None)
    assert backend.read("k", REGION)[0] == b"new"


def test_culling_is_nobody_s_failure(new_backend, monkeypatch):
    """A write that has taken effect does not fail because culling cannot."""
    backend = new_backend(max_bytes=1_000, lock_timeout=0.02)
    held = keys_of_one_stripe(backend, 9)
    for key in held:
        backend.write(key, b"x" * 100, ttl=None)
    other = key_of_another_stripe(backend, held[0])
    stripe = int(os.path.basename(lock_file(backend, held[0])), 16)
    monkeypatch.setattr(random, "randrange", lambda stripes: stripe)
    with lock_held(backend, held[0]):
        backend.write(other, b"x" * 300, ttl=None)


def test_a_held_lock_costs_one_stripe(new_backend):
    """All other keys are written as usual meanwhile."""
    backend = new_backend(lock_timeout=0.02)
    other = key_of_another_stripe(backend, "k")
    with lock_held(backend, "k"):
        backend.write(other, b"v", ttl=None)
        assert isinstance(
            backend.acquire("k" + other, REGION, ttl=5.0, seen=None), Lease
        )


FORKED = """
    import os, signal, sys
    from pathlib import Path
    from holdover.regions.backends.grants import Busy
    from holdover.regions.backends.file import FileBackend
    root = Path(sys.argv[1]) / "cache"
    backend = FileBackend({"path": root, "lock_timeout": 0.2})
    backend.acquire("leased", "r", ttl=60.0, seen=None)
    with backend._locks.hold(0):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            assert isinstance(backend.acquire("leased", "r", ttl=5.0, seen=None), Busy)
            backend.advance("r", hard=True)
            print("forked", flush=True)
            signal.pause()
    try:
        for other in (backend, FileBackend({"path": root, "lock_timeout": 0.2})):
            with other._locks.hold(0):
                pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


def test_a_fork_while_locks_are_held(root):
    """A child keeps nobody out of what its parent had locked when it forked."""
    run(FORKED, root)


# -- descriptors ---------------------------------------------------------------


CLOSED = """
    import os, sys
    from pathlib import Path
    from holdover.regions.backends.file import FileBackend
    root = Path(sys.argv[1])
    ours = FileBackend({"path": root})
    theirs = FileBackend({"path": root})
    regions = [f"region{number}" for number in range(4)]
    ticks = {}
    for number, region in enumerate(regions):
        ours.clock(region)
        for _ in range(number):
            ours.advance(region, hard=True)
        ours.write(region, b"v", ttl=None)
        ticks[region] = ours.read(region, region)[1]
        assert ticks[region] == ours.clock(region).tick
    for round in range(3):
        os.closerange(3, 256)
        # Somebody else gets the numbers that were ours.
        files = []
        for number in range(4):
            path = root.parent / f"file{number}"
            path.write_bytes(b"somebody's file, not a clock" * 2)
            files.append(os.open(path, os.O_RDWR))
        for region in reversed(regions) if round % 2 else regions:
            for _ in range(2):
                stored, tick = ours.read(region, region)
                assert stored == b"v"
            state = theirs.advance(region, hard=True)
            assert ours.clock(region) == state, region
            assert ours.read(region, region)[1] == state.tick, region
        for number, descriptor in enumerate(files):
            assert os.fstat(descriptor).st_ino == os.stat(
                root.parent / f"file{number}").st_ino
            assert os.pread(descriptor, 100, 0) == b"somebody's file, not a clock" * 2
    assert ours.read("nothing", regions[0])[0] is None
"""


def test_closing_all_descriptors(root):
    """A daemon that closes all files loses nothing, and nobody's file is touched."""
    run(CLOSED, root)


def open_below(root):
    """Give the files of *root* that this process has open, removed ones too."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # other threads close theirs meanwhile
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(str(root))]


def test_no_descriptor_is_lost(root, new_backend):
    """However often a backend is used."""
    backend = new_backend()
    use_every_verb(backend)
    before = len(open_below(root))
    for _ in range(20):
        use_every_verb(backend)
    assert before == len(open_below(root))


def test_removing_it_again_and_again(root, new_backend):
    """Nor does it when its directory is removed time and again."""
    backend = new_backend()
    counts = []
    for _ in range(10):
        use_every_verb(backend)
        shutil.rmtree(root)
        counts.append(len(open_below(root)))
    assert counts[2] == counts[-1]


def test_errors_are_chained(root, backend):
    """The cause of a failure is there to be seen."""
    root.mkdir(0o700)
    (root / "locks").touch()
    with pytest.raises(BackendError) as caught:
        backend.write("k", b"v", ttl=None)
    assert caught.value.__cause__.errno in {errno.ENOTDIR, errno.EEXIST}
    assert temporaries(root) == []


def test_modes_of_what_was_there_before(root, new_backend):
    """A file that somebody made readable is private again once it is written."""
    backend = new_backend()
    backend.write("k", b"v", ttl=None)
    os.chmod(backend._path("k"), 0o644)
    backend.write("k", b"new", ttl=None)
    assert stat.S_IMODE(os.stat(backend._path("k")).st_mode) == 0o600


def test_only_bytes(backend):
    """A programmer's mistake is a TypeError, not a lost value."""
    with pytest.raises(TypeError):
        backend.write("k", "text", ttl=None)


def test_busy_says_for_how_long(backend, clock):
    """A lease lapses by the clock that all processes of this boot share."""
    backend.acquire("k", REGION, ttl=5.0, seen=None)
    clock.advance(2.0)
    assert Busy(3.0) == backend.acquire("k", REGION, ttl=5.0, seen=None)
    clock.set_wall(0.0)
    assert Busy(3.0) == backend.acquire("k", REGION, ttl=5.0, seen=None)
