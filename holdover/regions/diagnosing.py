"""Checks of one region, each small, each with a finding and what to do about it.

What a backend knows of its surroundings it tells by itself (`Backend.diagnose`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Lease
from holdover.regions.envelope import ABSENT
from holdover.regions.errors import BackendError, UncacheableValue
from holdover.regions.findings import Finding, Health
from holdover.regions.freshness import Freshness
from holdover.regions.lifetime import Lifetime
from holdover.regions.recording import Records, RunsKept
from holdover.regions.schedule import Schedule
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource

PROBE_LIFETIME = Lifetime(expiration_time=60.0, keep_for=60.0)
"""A probe that could not be removed lapses by itself."""

_PROBE_TTL = 5.0  # seconds of a probe's lease
_READS = 5
_SLOW = 0.02  # seconds for one read
_SLIGHT_SKEW = 1.0  # seconds
_LATE = 60.0  # seconds by which a schedule may be late

_WRONG = (
    "the same secret, codec and schema as those who write, or invalidate the region"
)


def check_reach(tier: Tier, key: str, time: TimeSource) -> Finding:
    """Read a key that is not there, a few times.

    Args:
        tier: The region's entries.
        key: The key, as it is stored.
        time: The clocks to go by.
    """
    backend = tier.backend
    name = _name_of(backend)
    took = []
    try:
        for _ in range(_READS):
            begun = time.steady()
            backend.read(key, tier.region)
            took.append(time.steady() - begun)
    except BackendError as error:
        advice = "start it, or correct its address, credentials or permissions"
        return Finding("backend", Health.FAIL, f"{name}: {error}", advice)
    found = f"{name} answers in {median(took) * 1000:.2g} ms"
    if median(took) < _SLOW:
        return Finding("backend", Health.OK, found)
    advice = "keep it nearer, or have near_ttl serve most hits from the process"
    return Finding("backend", Health.WARN, found, advice)


def _name_of(backend: Backend) -> str:
    return f"{type(backend).__name__} {backend.place()}".strip()


def check_surroundings(backend: Backend, *, lasting: bool) -> Iterable[Finding]:
    """Have the backend tell what may do harm to it."""
    try:
        yield from backend.diagnose(lasting=lasting)
    except (BackendError, OSError) as error:
        advice = "see what ails the backend"
        yield Finding("surroundings", Health.FAIL, str(error), advice)


def check_verbs(tier: Tier, key: str) -> Finding:
    """Write, read, lease, commit and remove a probe; nothing of it is left.

    Args:
        tier: The region's entries.
        key: The probe's key, as it is stored.
    """
    if tier.backend.capabilities.clock == "none":
        return Finding("round trip", Health.OK, "nothing is kept: caching is off")
    try:
        problem = _tried(tier, key)
    except UncacheableValue as error:
        advice = "nothing, if the codec is for other values than texts"
        return Finding("round trip", Health.WARN, str(error), advice)
    except BackendError as error:
        advice = "let the backend take writes: room, permissions, its master's address"
        return Finding("round trip", Health.FAIL, str(error), advice)
    if problem:
        advice = "see whether another program changes or empties the same store"
        return Finding("round trip", Health.FAIL, problem, advice)
    found = "a probe was written, read, leased, committed and removed"
    return Finding("round trip", Health.OK, found)


def _tried(tier: Tier, key: str) -> str:
    """Go through it; say what went wrong.

    Raises:
        BackendError: A step failed.
        UncacheableValue: The codec encodes no texts.
    """
    first = tier.entry("written", PROBE_LIFETIME, clock=tier.tick(), own_lifetime=True)
    try:
        tier.store(key, first, strict=True)
        if not _is_there(tier, key, "written"):
            return "what was written could not be read back"
        tier.remove(key, strict=True)
        lease = tier.acquire(key, ABSENT, PROBE_LIFETIME, _PROBE_TTL)
        if not isinstance(lease, Lease):
            return "no lease was to be had of a key that nobody else knows"
        second = tier.entry(
            "committed",
            PROBE_LIFETIME,
            fence=lease.fence,
            clock=lease.clock,
            own_lifetime=True,
        )
        if not tier.commit(lease, second).stored:
            return "what was created under a lease was not stored"
        if not _is_there(tier, key, "committed"):
            return "what was committed could not be read back"
    finally:
        tier.remove(key)
    tier.remove(key, strict=True)
    stored, _ = tier.backend.read(key, tier.region)
    return "" if stored is None else "what was removed is still there"


def _is_there(tier: Tier, key: str, value: str) -> bool:
    found = tier.look(key, PROBE_LIFETIME, strict=True)
    return found.freshness is Freshness.FRESH and found.entry.value == value


def check_clock(backend: Backend, time: TimeSource, *, harmful: float) -> Finding:
    """Compare this host's clock with the backend's.

    Args:
        backend: The backend.
        time: The clocks of this host.
        harmful: Seconds of skew that are too many.
    """
    if backend.capabilities.clock == "host":
        return Finding("clock", Health.OK, "this host's own clock judges everything")
    try:
        before = time.wall()
        there = backend.server_time()
        after = time.wall()
    except BackendError as error:
        advice = "nothing, or let the user ask the server's clock"
        return Finding("clock", Health.WARN, f"it cannot be read: {error}", advice)
    if there is None:
        return Finding(
            "clock", Health.OK, "not compared: the backend tells no time of day"
        )
    return told_skew(
        there, (before, after), whose="the backend's clock", harmful=harmful
    )


def told_skew(
    there: float, window: tuple[float, float], *, whose: str, harmful: float
) -> Finding:
    """Tell by how much another clock differs from this host's.

    Args:
        there: What it said.
        window: What this host's said before that, and afterwards.
        whose: Whose clock it is.
        harmful: Seconds of skew that are too many.
    """
    before, after = window
    ahead = max(0.0, there - after)
    behind = max(0.0, before - there)
    skew = max(ahead, behind)
    if skew <= _SLIGHT_SKEW:
        return Finding("clock", Health.OK, f"{whose} and this host's agree")
    word = "ahead of" if ahead else "behind"
    found = f"{whose} is {skew:.3g} s {word} this host's"
    advice = "keep the clocks together by NTP: ages, orders and schedules go by them"
    return Finding(
        "clock", Health.FAIL if skew > harmful else Health.WARN, found, advice
    )


def check_sealing(tier: Tier, *, unsigned_is_meant: bool) -> Finding:
    """Tell how values become bytes, and who else could make such bytes.

    Args:
        tier: The region's entries.
        unsigned_is_meant: Whether the region says ``unsigned_pickle=True``.
    """
    sealing = tier.sealing
    if sealing is None:
        return Finding(
            "codec", Health.OK, "values are kept as objects, in this process"
        )
    parts = [f"codec {sealing.codec.tag.decode()!r}"]
    parts.append("unsigned" if sealing.signer is None else "signed")
    if sealing.compression is not None:
        parts.append(f"compressed by {sealing.compression.algorithm}")
    found = ", ".join(parts)
    shared = tier.backend.capabilities.shared_by == "fleet"
    if sealing.is_unsigned_pickle and shared and not unsigned_is_meant:
        advice = 'set secret=..., or codec="msgpack" or "json"'
        found += ": whoever can write to the backend can run code in your processes"
        return Finding("codec", Health.WARN, found, advice)
    return Finding("codec", Health.OK, found)


def check_entries(problems: Mapping[str, str]) -> Iterator[Finding]:
    """Tell whether what others have stored can be read here.

    Args:
        problems: Why not, by key, and nothing for those that can; of those that are
            stored among the keys that are known.
    """
    wrong = {key: problem for key, problem in problems.items() if problem}
    if not problems:
        return
    if not wrong:
        found = f"all {len(problems)} known entries can be read"
        yield Finding("entries", Health.OK, found)
        return
    key, problem = next(iter(wrong.items()))
    found = f"{len(wrong)} of {len(problems)} known entries cannot be read: {problem}"
    yield Finding("entries", Health.FAIL, f"{found} ({key:.80})", f"set {_WRONG}")


def check_history(history: RunsKept, key: str) -> Finding:
    """See whether the runs of schedules can be kept.

    Args:
        history: Where they are to be.
        key: A probe's key there.
    """
    try:
        history.check(key)
    except BackendError as error:
        advice = "let it be reached and written to, or name another history_backend"
        return Finding("history", Health.FAIL, f"{history.place}: {error}", advice)
    return Finding("history", Health.OK, f"{history.place} keeps the last runs")


def check_schedules(
    schedules: Sequence[Schedule], records: Records, time: TimeSource
) -> Iterator[Finding]:
    """See whether somebody runs the schedules, and how that goes."""
    for schedule in schedules:
        try:
            yield _standing(schedule, records, time.wall())
        except BackendError as error:
            advice = "see what ails the backend"
            yield Finding(f"schedule {schedule.name}", Health.FAIL, str(error), advice)


def _standing(schedule: Schedule, records: Records, now: float) -> Finding:
    check, key = f"schedule {schedule.name}", records.slot_key(schedule.name)
    advice = "run `holdover run`, Celery beat or a crontab line for it"
    progress = records.book.look(key).value
    if progress is None:
        return Finding(check, Health.WARN, "no scheduler has looked at it yet", advice)
    ahead = progress.slot_at - now
    if ahead > _LATE:
        found = f"begun for {ahead:.0f} s from now, by a host whose clock was ahead"
        found += "; nothing is begun until then"
        advice = "keep the clocks of all hosts together by NTP"
        return Finding(check, Health.FAIL, found, advice)
    if records.book.busy_for(key) > 0.0:
        found = f"at work since {max(0.0, now - progress.begun_at):.0f} s"
        return Finding(check, Health.OK, found)
    due_at = max(schedule.due.next_after(progress.slot_at), progress.rests_until)
    if now - due_at > _LATE:
        found = f"due for {now - due_at:.0f} s, and nobody has begun it"
        return Finding(check, Health.FAIL, found, advice)
    if progress.failures:
        many = progress.failures > 1
        runs = f"{progress.failures} runs have" if many else "run has"
        found = f"its last {runs} failed"
        reason = _last_error(schedule, records)
        return Finding(check, Health.WARN, found + reason, "see `holdover schedule`")
    return Finding(check, Health.OK, "somebody runs it")


def _last_error(schedule: Schedule, records: Records) -> str:
    key = records.history_key(schedule.name)
    try:
        runs = records.history.runs(key, schedule.name)
    except BackendError:  # another finding says so
        return ""
    return f": {runs[0].error}" if runs and runs[0].has_failed else ""
