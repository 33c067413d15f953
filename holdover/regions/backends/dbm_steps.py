"""What `holdover.dbm` does to one key, or one clock, within a step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from holdover.regions.backends.dbm_records import (
    ValueRecord,
    clock_name,
    is_lease,
    is_value,
    lease_name,
    value_name,
)
from holdover.regions.backends.dbm_store import Step
from holdover.regions.backends.grants import (
    Busy,
    Changed,
    Grant,
    Lease,
    LeaseKind,
)
from holdover.regions.backends.host_records import (
    LeaseRecord,
    clock_packed,
    clock_unpacked,
)
from holdover.regions.envelope import fence_of
from holdover.regions.ticks import ClockState, Reach


@dataclass(frozen=True, slots=True)
class Moment:
    """The time at which a step is carried out.

    Attributes:
        wall: For what others read: ttls and ticks.
        steady: For leases.
    """

    wall: float
    steady: float


# -- values --------------------------------------------------------------------


def value_of(step: Step, key: str) -> bytes | None:
    """Read what is stored for *key*."""
    found = ValueRecord.unpacked(step.get(value_name(key)))
    return None if found is None else found.stored


def put_value(step: Step, key: str, record: ValueRecord) -> None:
    """Store, and end any lease."""
    step.put(value_name(key), record.packed())
    step.drop(lease_name(key))


def drop_value(step: Step, key: str) -> bool:
    """Remove, and end any lease; say whether there was a value."""
    existed = step.drop(value_name(key))
    step.drop(lease_name(key))
    return existed


def fence_at(step: Step, key: str) -> int | None:
    """Read the fence of the value that is stored; None if there is none."""
    stored = value_of(step, key)
    return None if stored is None else fence_of(stored)


def drop_expired(step: Step, names: Sequence[bytes], now: Moment) -> int:
    """Remove the values and leases of those names that are over; count the values."""
    count = 0
    for name in names:
        if is_value(name):
            value = ValueRecord.unpacked(step.get(name))
            if value is not None and value.expires_at <= now.wall:
                count += step.drop(name)
        elif is_lease(name):
            lease = LeaseRecord.unpacked(step.get(name))
            if lease is None or lease.busy(now.steady) is None:
                step.drop(name)
    return count


# -- leases --------------------------------------------------------------------


def lease_of(step: Step, key: str) -> LeaseRecord | None:
    """Read the lease's record of *key*."""
    return LeaseRecord.unpacked(step.get(lease_name(key)))


def held_by(step: Step, key: str, token: str) -> LeaseRecord | None:
    """Read the lease's record if *token* proves it."""
    held = lease_of(step, key)
    return held if held is not None and held.token == token else None


def put_lease(step: Step, key: str, record: LeaseRecord) -> None:
    """Write the lease's record of *key*."""
    step.put(lease_name(key), record.packed())


def drop_lease(step: Step, lease: Lease) -> bool:
    """End a lease; False if it was lost."""
    held = held_by(step, lease.key, lease.token)
    return held is not None and step.drop(lease_name(lease.key))


def acquired(
    step: Step,
    key: str,
    seen: int | None,
    region: str,
    now: Moment,
    *,
    ttl: float,
    queued: bool,
    overtaking: Collection[LeaseKind],
) -> Grant:
    """Carry out `Backend.acquire`."""
    tick = clock_of(step, region, now).tick
    stored = value_of(step, key)
    if stored is not None and fence_of(stored) not in (None, seen):
        return Changed(stored, tick)
    held = lease_of(step, key)
    busy = None if held is None else held.busy(now.steady)
    if busy is not None and busy.kind not in overtaking:
        return busy
    record = LeaseRecord.granted(now.steady + ttl, queued=queued)
    put_lease(step, key, record)
    return record.lease(key, tick, ttl)


def committed(step: Step, lease: Lease, record: ValueRecord) -> bool:
    """Store if the fence is still the lease's."""
    held = lease_of(step, lease.key)
    if held is None or held.fence != lease.fence:
        return False
    put_value(step, lease.key, record)
    return True


def renewed(step: Step, lease: Lease, until: float) -> bool:
    """Let a lease last; False if it was lost."""
    held = held_by(step, lease.key, lease.token)
    if held is None:
        return False
    put_lease(step, lease.key, replace(held, lapses_at=until))
    return True


def busy_at(step: Step, key: str, now: Moment) -> Busy | None:
    """Tell what keeps *key* from being created."""
    held = lease_of(step, key)
    return None if held is None else held.busy(now.steady)


# -- the region clock ----------------------------------------------------------


def clock_of(step: Step, region: str, now: Moment) -> ClockState:
    """Read a region's clock, making it if it is new or lost."""
    state = clock_unpacked(step.get(clock_name(region)))
    return state or put_clock(step, region, ClockState.seeded(now.wall))


def tick_of(step: Step, region: str) -> int | None:
    """Read a clock's tick; None if there is no clock."""
    state = clock_unpacked(step.get(clock_name(region)))
    return None if state is None else state.tick


def advanced(
    step: Step, region: str, now: Moment, *, hard: bool, reaches: Sequence[Reach]
) -> ClockState:
    """Carry out `Backend.advance`."""
    state = clock_of(step, region, now)
    after = state.advanced(now.wall, hard=hard, reaches=reaches)
    return put_clock(step, region, after)


def put_clock(step: Step, region: str, state: ClockState) -> ClockState:
    """Write a region's clock."""
    step.put(clock_name(region), clock_packed(state))
    return state
