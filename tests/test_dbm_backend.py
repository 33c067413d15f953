"""`holdover.dbm` beyond the contract: whose file it is, and what a kill leaves."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from holdover import NO_VALUE, make_region
from holdover.errors import (
    BackendError,
    ConfigurationError,
    InsecureDirectory,
    ValueTooLarge,
)
from holdover.events import BackendFailed
from holdover.regions.backends.dbm import DbmBackend
from holdover.regions.backends.dbm_modules import preferred_module
from holdover.regions.backends.grants import Lease

REGION = "r"


@pytest.fixture
def filename(tmp_path):
    """Where the database is."""
    return tmp_path / "cache" / "shop.dbm"


@pytest.fixture
def new_backend(filename, clock):
    """Make a backend on that file, as each process does for itself."""

    def make(**arguments):
        given = {"filename": filename, "time_source": clock, "lock_timeout": 0.3}
        return DbmBackend({**given, **arguments})

    return make


@pytest.fixture
def backend(new_backend):
    """One backend."""
    return new_backend()


def databases(folder):
    """Give the files of a folder that are no lock files."""
    return [one for one in sorted(folder.iterdir()) if "lock" not in one.name]


def run(script, *arguments):
    """Run a script in a process of its own; it asserts what it has to."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# -- whose it is ---------------------------------------------------------------


@pytest.fixture
def dogpiles(tmp_path):
    """What dogpile.cache has left under a name."""
    path = tmp_path / "old.dbm"
    region = make_region().configure("dogpile.cache.dbm", 60, {"filename": str(path)})
    region.set("k", "theirs")
    return path


def test_what_dogpile_cache_left_is_refused(dogpiles, new_backend):
    """Nobody else's database is read, changed or removed; the error says so."""
    before = {one: one.read_bytes() for one in dogpiles.parent.iterdir()}
    with pytest.raises(ConfigurationError, match=r"old\.dbm.* is not a database of"):
        new_backend(filename=dogpiles)
    assert before == {one: one.read_bytes() for one in dogpiles.parent.iterdir()}


def test_what_appears_meanwhile_is_refused(filename, backend):
    """So it is if somebody else was quicker to make one."""
    filename.parent.mkdir(mode=0o700)
    filename.write_bytes(b"theirs")
    with pytest.raises(BackendError, match="is not a database of"):
        backend.write("k", b"ours", ttl=None)
    assert filename.read_bytes() == b"theirs"


def test_making_a_backend_touches_nothing(filename, backend):
    """Files are made by what is first stored, for this user alone."""
    assert not filename.parent.exists()
    backend.write("k", b"v", ttl=None)
    assert stat.S_IMODE(filename.parent.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(one.stat().st_mode) for one in filename.parent.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("place", ["filename", "rw_lockfile"])
def test_a_directory_that_others_may_write(tmp_path, new_backend, place):
    """Neither the database nor its lock may lie where somebody could plant another."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(InsecureDirectory, match="can be written by other users"):
        new_backend(**{place: tmp_path / "open" / "x"})


def test_a_directory_that_others_may_write_by_now(filename, backend):
    """It is looked at every time."""
    backend.write("k", b"v", ttl=None)
    filename.parent.chmod(0o777)
    with pytest.raises(BackendError, match="can be written by other users"):
        backend.read("k", REGION)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"filename": ""}, "filename"),
        ({"filename": 7}, "filename"),
        ({"rw_lockfile": 7}, "rw_lockfile"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"max_file_bytes": "1"}, "max_file_bytes"),
        ({"lock_timeout": -1}, "lock_timeout"),
        ({"path": "/x"}, "filename"),
    ],
)
def test_wrong_arguments(new_backend, arguments, named):
    """The error names what is wrong, or what was meant."""
    with pytest.raises(ConfigurationError, match=named):
        new_backend(**arguments)


def test_dogpile_cache_s_arguments(tmp_path, new_backend):
    """They are taken; the lock file is the one that is named, unless it is False."""
    lock = tmp_path / "locks" / "rw"
    given = {"dogpile_lockfile": tmp_path / "never", "lock_factory": threading.Lock}
    new_backend(rw_lockfile=lock, **given).write("k", b"v", ttl=None)
    assert lock.exists()
    assert not (tmp_path / "never").exists()
    with pytest.raises(ConfigurationError, match="is not a database of"):
        new_backend(rw_lockfile=False)  # another lock file, which knows nothing of it


def test_a_database_of_another_python(filename, backend):
    """Where its module is missing, the error says so; nothing is removed."""
    backend.write("k", b"v", ttl=None)
    lock = filename.with_name("shop.dbm.rw.lock")
    name = preferred_module().name.encode()
    lock.write_bytes(lock.read_bytes().replace(name, b"dbm.x".ljust(len(name))))
    before = databases(filename.parent)
    with pytest.raises(BackendError, match=r"no dbm module 'dbm\.x'"):
        backend.read("k", REGION)
    assert databases(filename.parent) == before


# -- damage --------------------------------------------------------------------


GARBAGE = {
    "noise": bytes(range(256)) * 64,
    "nothing": b"",
    "text": b"'x', (1, 2)\n" * 9,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_damaged_database(filename, clock, counter, heard, kind):
    """It is a miss and an event, never an exception, and then works as ever."""
    arguments = {"filename": filename, "time_source": clock}
    region = make_region(REGION, time_source=clock)
    region.configure("holdover.dbm", 600.0, arguments)
    events = heard(region)
    assert region.get_or_create("k", counter) == 1
    for file in databases(filename.parent):
        file.write_bytes(GARBAGE[kind])
    assert region.get("k") is NO_VALUE
    for _ in range(2):
        region.get_or_create("k", counter)
    assert region.get("k") == region.get_or_create("k", counter)
    if kind == "noise":
        assert [one for one in events if isinstance(one, BackendFailed)]


def test_one_of_its_files_is_missing(filename, backend):
    """Removing a part is as good as removing all."""
    backend.write("k", b"v", ttl=None)
    databases(filename.parent)[-1].unlink()
    for _ in range(2):
        try:
            assert backend.read("k", REGION)[0] is None
        except BackendError:
            continue
    backend.write("k", b"w", ttl=None)
    assert backend.read("k", REGION)[0] == b"w"


def test_an_unfinished_change(filename, backend):
    """Who was killed in the middle leaves a cache that is begun anew."""
    backend.write("k", b"v", ttl=None)
    tick = backend.clock(REGION).tick
    lock = filename.with_name("shop.dbm.rw.lock")
    lock.write_bytes(lock.read_bytes().replace(b"1 -", b"1 *"))
    stored, now = backend.read("k", REGION)
    assert stored is None
    assert now != tick
    assert backend.clock(REGION).hard_floor == now


FULL = """
    import resource, signal, sys
    from holdover import NO_VALUE, make_region
    from holdover.errors import BackendError
    region = make_region("r").configure("holdover.dbm", 60, {"filename": sys.argv[1]})
    region.set("old", "old")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    big = "x" * 50_000
    assert region.get("old") == "old"
    assert region.get_or_create("big", lambda: big) == big
    assert region.set("old", big).pending
    assert region.get("old") is NO_VALUE
    try:
        region.backend.write("raw", big.encode(), ttl=None)
    except BackendError as error:
        assert isinstance(error.__cause__, OSError), error.__cause__
    else:
        raise AssertionError("it was not full")
    assert region.backend.read("raw", "r")[0] is None
    region.backend.write("small", b"v", ttl=None)
    assert region.backend.read("small", "r")[0] == b"v"
    region.invalidate()
"""


def test_a_full_disk(filename):
    """A write that fails leaves nothing of itself and nothing old."""
    run(FULL, filename)


# Forks; the child is killed before the Nth line that the backend or dbm runs.
SUDDEN_DEATH = """
    import os, signal, sys
    from holdover.regions.backends.dbm import DbmBackend
    from holdover.regions.backends.grants import Changed, Lease
    from holdover.regions.codecs import PickleCodec
    from holdover.regions.envelope import Entry, seal

    what = sys.argv[2]
    backend = DbmBackend({"filename": sys.argv[1], "lock_timeout": 1.0})

    def sealed(value, fence):
        return seal(Entry(value, created_at=0.0, fence=fence), "k", PickleCodec())

    old, new = sealed("old", 1), sealed("new" * 1000, 2)
    works = {
        "write": lambda lease: backend.write("k", new, ttl=None),
        "commit": lambda lease: backend.commit(lease, new, "r", ttl=None),
        "remove": lambda lease: backend.remove("k"),
        "acquire": lambda lease: backend.acquire("other", "r", ttl=9.0, seen=1),
        "advance": lambda lease: backend.advance("r", hard=True),
    }
    allowed = {"write": {old, new}, "commit": {old, new}, "remove": {old}}

    def die_at(step, work, lease):
        def trace(frame, event, _):
            nonlocal step
            name = frame.f_globals.get("__name__", "")
            if not name.startswith(("holdover.regions.b", "dbm")):
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
        backend.write("k", old, ttl=None)
        lease = backend.acquire("k", "r", ttl=9.0, seen=1)
        clock = backend.clock("r")
        child = os.fork()
        if child == 0:
            die_at(step, works[what], lease)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        survived = status == 0
        assert survived or status == -signal.SIGKILL, (step, status)
        stored, tick = backend.read("k", "r")
        assert stored in allowed.get(what, {old}) | {None}, step
        outcomes.add(stored)
        after = backend.clock("r")
        assert after.tick == tick, step
        kept = after == clock
        assert kept or what == "advance" or after.hard_floor == tick != clock.tick
        assert backend.remove("k") == (stored is not None)
        assert backend.commit(lease, new, "r", ttl=None) is None, step
        backend.write("k", new, ttl=None)
        assert backend.read("k", "r")[0] == new, step
        step += 1
    assert step > 50, step
    assert outcomes == allowed.get(what, {old}) | {None}, outcomes
"""


@pytest.mark.parametrize(
    "what",
    [
        "commit",
        *(
            pytest.param(what, marks=pytest.mark.slow)
            for what in ("write", "remove", "acquire", "advance")
        ),
    ],
)
def test_sudden_death(filename, what):
    """Killed between any two steps, it leaves the old, the new or nothing; no lock."""
    run(SUDDEN_DEATH, filename, what)


# -- waiting and bounds --------------------------------------------------------


HOLDING = """
    import sys, time
    from holdover.regions.backends.dbm import DbmBackend
    backend = DbmBackend({"filename": sys.argv[1]})
    with backend._store.step(changes=False):
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_stopped_process_that_holds_the_lock(filename, backend):
    """Everyone else gets a typed error in time; when it dies, all goes on."""
    backend.write("k", b"v", ttl=None)
    command = [sys.executable, "-c", textwrap.dedent(HOLDING), str(filename)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(BackendError, match=r"not free for 0\.3 s"):
            backend.read("k", REGION)
        assert 0.25 < time.monotonic() - began < 5
        holder.kill()
        holder.wait()
    assert backend.read("k", REGION)[0] == b"v"


def test_a_fork_in_the_middle_of_a_step(filename, backend, new_backend):
    """A child does not keep locked what its parent held."""
    backend.write("k", b"v", ttl=None)
    with backend._store.step(changes=True):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        assert new_backend().read("k", REGION)[0] == b"v"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_bound_holds(filename, new_backend):
    """A file that has outgrown its bound is begun anew."""
    backend = new_backend(max_file_bytes=100_000)
    for number in range(30):
        backend.write(f"k{number}", bytes(20_000), ttl=None)
        assert backend.read(f"k{number}", REGION)[0] == bytes(20_000)
    assert sum(one.stat().st_size for one in databases(filename.parent)) < 150_000


def test_a_value_that_is_too_large(new_backend):
    """It is refused, and what was there before is gone."""
    backend = new_backend(max_bytes=10)
    backend.write("k", b"v", ttl=None)
    with pytest.raises(ValueTooLarge):
        backend.write("k", bytes(11), ttl=None)
    assert backend.read("k", REGION)[0] is None


def test_purge_sweeps_lapsed_leases(backend, clock):
    """Leases that nobody came back for go too, and are not counted."""
    assert isinstance(backend.acquire("k", REGION, ttl=5.0, seen=None), Lease)
    backend.write("short", b"v", ttl=3.0)
    with backend._store.step(changes=False) as step:
        assert len(step.names()) == 3
    clock.advance(6.0)
    assert backend.purge() == 1
    with backend._store.step(changes=False) as step:
        assert len(step.names()) == 1


def test_only_bytes(backend):
    """An object would be kept as whatever its text is."""
    with pytest.raises(TypeError, match="stores bytes"):
        backend.write("k", "text", ttl=None)
