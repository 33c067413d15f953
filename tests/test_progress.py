"""What a scheduler decides, by what the store says and the time of day."""

import json
from dataclasses import replace

import pytest

from holdover.regions.due import Every
from holdover.regions.due_cron import Cron
from holdover.regions.progress import (
    Begin,
    GiveUp,
    Note,
    Progress,
    Wait,
    next_step,
)

EVERY = Every(60)
HOURLY = Cron("0 * * * *")
DONE = Progress(slot_at=600.0, begun_at=601.0, has_ended=True)
BEGUN = replace(DONE, has_ended=False)


def begun(slot_at, now, **more):
    """Give the record of a slot that is begun now."""
    return Progress(slot_at=slot_at, begun_at=now, **more)


@pytest.mark.parametrize(
    ("progress", "due", "now", "step"),
    [
        # Nobody knows anything.
        (None, EVERY, 630.0, Begin(begun(600.0, 630.0))),
        (None, HOURLY, 3700.0, Note(begun(3600.0, 3700.0, has_ended=True))),
        # Its run has ended.
        (DONE, EVERY, 630.0, Wait(660.0)),
        (DONE, EVERY, 660.0, Begin(begun(660.0, 660.0))),
        # However many were missed, the newest is caught up, once.
        (DONE, EVERY, 6030.0, Begin(begun(6000.0, 6030.0))),
        (DONE, HOURLY, 3600.0 * 9, Begin(begun(3600.0 * 9, 3600.0 * 9))),
        # A clock that is behind, or was put back.
        (DONE, EVERY, 590.0, Wait(600.0)),
        (DONE, EVERY, 300.0, Wait(360.0)),
        # A clock that was days ahead has no say.
        (
            replace(DONE, slot_at=1e9),
            EVERY,
            630.0,
            Begin(begun(600.0, 630.0)),
        ),
        (
            replace(DONE, failures=1, rests_until=1e9),
            EVERY,
            630.0,
            Begin(begun(600.0, 630.0)),
        ),
        # Its runner died: the slot again, or the newer one.
        (
            BEGUN,
            EVERY,
            630.0,
            Begin(replace(BEGUN, begun_at=630.0, tries=2), BEGUN),
        ),
        (BEGUN, EVERY, 690.0, Begin(begun(660.0, 690.0, failures=1), BEGUN)),
        # It died again.
        (replace(BEGUN, tries=2), EVERY, 630.0, GiveUp(replace(BEGUN, tries=2))),
        # Nobody could be told to run it: that is no death.
        (
            replace(BEGUN, tries=0),
            EVERY,
            630.0,
            Begin(replace(BEGUN, begun_at=630.0, tries=1)),
        ),
        # It rests after a failure.
        (replace(DONE, failures=1, rests_until=700.0), EVERY, 665.0, Wait(720.0)),
        (replace(DONE, failures=1, rests_until=800.0), EVERY, 665.0, Wait(800.0)),
        (
            replace(DONE, failures=1, rests_until=700.0),
            EVERY,
            700.0,
            Begin(begun(660.0, 700.0, failures=1)),
        ),
    ],
)
def test_next_step(progress, due, now, step):
    """Every case has its answer."""
    assert step == next_step(progress, due, now)


@pytest.mark.parametrize(
    ("progress", "now", "step"),
    [
        (replace(DONE, failures=1, rests_until=640.0), 630.0, Wait(640.0)),
        (
            replace(DONE, failures=1, rests_until=640.0),
            640.0,
            Begin(begun(600.0, 640.0, failures=1)),
        ),
        # The next slot is as good as the failed one, once it has rested.
        (
            replace(DONE, failures=1, rests_until=640.0),
            665.0,
            Begin(begun(660.0, 665.0, failures=1)),
        ),
        (DONE, 630.0, Wait(660.0)),
    ],
)
def test_a_failed_slot_is_tried_again(progress, now, step):
    """With ``retry_after``, a rest is followed by the same slot, or a newer one."""
    assert step == next_step(progress, EVERY, now, retries=True)


def test_a_rest_of_its_own():
    """With ``retry_after`` all rests are alike."""
    progress = BEGUN
    for _ in range(3):
        progress = progress.ended(
            now=1000.0, failed=True, backoff=5.0, retry_after=90.0
        )
        assert progress.rests_until == 1090.0


def test_the_rest_grows_and_is_bounded():
    """Each failure in a row doubles the rest, up to an hour; a good run ends it."""
    progress, rests = BEGUN, []
    for _ in range(50):
        progress = progress.ended(now=1000.0, failed=True, backoff=5.0)
        rests.append(progress.rests_until - 1000.0)
    assert rests[:4] == [5.0, 10.0, 20.0, 40.0]
    assert rests[-1] == 3600.0
    good = progress.ended(now=1000.0, failed=False, backoff=5.0)
    assert (good.failures, good.rests_until, good.has_ended) == (0, 0.0, True)


def test_no_backoff():
    """Where the region has none, the next slot is begun as if nothing had happened."""
    ended = BEGUN.ended(now=1000.0, failed=True, backoff=0.0)
    assert ended.rests_until == 1000.0


def test_the_record_survives_json():
    """What is stored is what is read."""
    assert Progress.from_dict(json.loads(json.dumps(BEGUN.as_dict()))) == BEGUN


@pytest.mark.parametrize(
    "held",
    [
        None,
        [],
        "x",
        {},
        {"slot_at": 5.0},
        {**BEGUN.as_dict(), "tries": "2"},
        {**BEGUN.as_dict(), "slot_at": float("nan")},
        {**BEGUN.as_dict(), "slot_at": 10**400},
        {**BEGUN.as_dict(), "slot_at": -1e14},
        {**BEGUN.as_dict(), "slot_at": True},
        {**BEGUN.as_dict(), "rests_until": float("inf")},
        {**BEGUN.as_dict(), "tries": 0.5},
        {**BEGUN.as_dict(), "failures": True},
        {**BEGUN.as_dict(), "has_ended": 5},
    ],
)
def test_strange_records_are_none(held):
    """Whatever else lies there is as good as nothing."""
    assert Progress.from_dict(held) is None
