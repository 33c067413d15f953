"""When schedules are due: the same slots for everybody, whatever the clocks do."""

import datetime as dt
import math
import random
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import crontab
from celery.utils.time import ffwd
from hypothesis import given
from hypothesis import strategies as st

from holdover import errors
from holdover.regions.due import AnyOf, Every, Later, share
from holdover.regions.due_cron import Cron

ZURICH = ZoneInfo("Europe/Zurich")


def at(text, zone=dt.UTC, fold=0):
    """Give the instant of a local time."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def slots(due, begin, end):
    """Give all slots after *begin*, up to *end*."""
    found = []
    while (begin := due.next_after(begin)) <= end:
        found.append(begin)
    return found


def shown(instants, zone=dt.UTC):
    """Show instants as local times with their offsets."""
    return [
        dt.datetime.fromtimestamp(one, zone).strftime("%d %H:%M%z") for one in instants
    ]


class TestEvery:
    @given(
        st.floats(1e-3, 1e6, allow_nan=False),
        st.floats(0, 4e9, allow_nan=False),
    )
    def test_slots_are_even(self, span, now):
        """Each slot is its own newest, and the next one is a span away."""
        due = Every(span)
        latest = due.latest(now)
        assert latest <= now < due.next_after(now)
        assert latest == due.latest(latest)
        assert due.next_after(now) == due.latest(due.next_after(now))
        assert due.next_after(now) - latest == pytest.approx(span, rel=1e-3, abs=1e-6)

    def test_slots_are_aligned_to_the_epoch(self):
        """So that schedulers which began at any time agree on them."""
        assert Every(15).latest(1000.0) == 990.0
        assert Every(dt.timedelta(minutes=5)).next_after(1000.0) == 1200.0

    @pytest.mark.parametrize(
        "span", [0, -1, math.nan, math.inf, "15", None, True, 5e-324, 1e-9, 1e308]
    )
    def test_no_span(self, span):
        """What is no span of time is told."""
        with pytest.raises(errors.InvalidLifetime, match="every must be"):
            Every(span)

    def test_jitter(self):
        """It puts off when slots are due, and leaves the slots as they are."""
        due = Later(Every(60), 20.0)
        assert due.latest(139.9) == 60.0
        assert due.latest(140.0) == 120.0
        assert due.next_after(139.9) == 140.0
        assert due.next_after(140.0) == 200.0
        assert due.is_due_when_new

    def test_shares_are_even_and_lasting(self):
        """A name's share is the same in every process, and shares spread out."""
        shares = [share(f"job {number}") for number in range(1000)]
        assert all(0 <= one < 1 for one in shares)
        assert 0.45 < sum(shares) / len(shares) < 0.55
        assert share("time") == pytest.approx(0.0947, abs=1e-4)


FIELDS = [
    ["*", "*/7", "0", "59", "3-5", "50-10", "1,2,30-33", "*/20,7", "10-50/15"],
    ["*", "*/5", "0", "23", "9-17/2", "22-2", "6,18"],
    ["*", "*/10", "1", "31", "28-3", "15,29", "1-7"],
    ["*", "*/4", "2", "jan-mar", "nov-feb", "february", "6,12"],
    ["*", "*/2", "0", "6", "mon-fri", "fri-mon", "saturday,sunday"],
]


def next_by_celery(expression, begin):
    """Ask Celery for the next time that its crontab is due, in UTC."""
    app = Celery("oracle", set_as_current=False)
    now = dt.datetime.fromtimestamp(begin, dt.UTC)
    schedule = crontab.from_string(expression)
    schedule.app, schedule.nowfun = app, lambda: now
    last, delta, _ = schedule.remaining_delta(now, ffwd=ffwd)
    return (last + delta).timestamp()


class TestCron:
    def test_the_rules_are_celery_s(self):
        """Expressions mean what they mean to Celery's crontab."""
        dice = random.Random(5)
        for _ in range(400):
            expression = " ".join(dice.choice(field) for field in FIELDS)
            try:
                crontab.from_string(expression)
            except ValueError:
                with pytest.raises(errors.ConfigurationError, match="never"):
                    Cron(expression)
                continue
            begin = dice.randrange(10**9, 2 * 10**9) // 60 * 60
            found = Cron(expression).next_after(begin)
            assert found == next_by_celery(expression, begin), expression

    @pytest.mark.parametrize("expression", ["* * * * *", "7 */3 * * mon", "0 0 29 2 *"])
    def test_the_newest_slot_is_the_one_before_the_next(self, expression):
        """Both ways of asking tell of the same slots."""
        due, begin = Cron(expression), at("2024-03-05 07:07")
        following = due.next_after(begin)
        assert due.latest(following) == following
        assert due.latest(following - 0.5) == due.latest(begin)
        assert due.next_after(following - 0.5) == following

    def test_a_rare_slot_is_found(self):
        """A leap day that is a Monday comes once in 28 years."""
        due = Cron("0 0 29 2 mon")
        assert shown([due.latest(at("2050-01-01"))]) == ["29 00:00+0000"]
        assert due.latest(at("2050-01-01")) == at("2044-02-29")

    @pytest.mark.parametrize(
        ("expression", "wanted"),
        [
            ("30 2 * * *", ["31 03:00+0200"]),
            ("0 2 * * *", ["31 03:00+0200"]),
            ("15,45 2 * * *", ["31 03:00+0200"]),
            ("30 3 * * *", ["31 03:30+0200"]),
            ("*/30 2 * * *", []),
            (
                "*/30 * * * *",
                ["31 01:00+0100", "31 01:30+0100", "31 03:00+0200", "31 03:30+0200"],
            ),
        ],
    )
    def test_clocks_put_forward(self, expression, wanted):
        """What is due at a time that is left out is due right afterwards, once."""
        due = Cron(expression, "Europe/Zurich")  # 02:00 is 03:00
        begin, end = at("2024-03-31 00:59", ZURICH), at("2024-03-31 03:59", ZURICH)
        assert wanted == shown(slots(due, begin, end), ZURICH)

    @pytest.mark.parametrize(
        ("expression", "wanted"),
        [
            ("30 2 * * *", ["27 02:30+0200"]),
            ("30 3 * * *", ["27 03:30+0100"]),
            ("*/30 2 * * *", ["27 02:00+0200", "27 02:30+0200", "27 02:00+0100",
                              "27 02:30+0100"]),
            ("0 * * * *", ["27 02:00+0200", "27 02:00+0100", "27 03:00+0100"]),
        ],
    )  # fmt: skip
    def test_clocks_put_back(self, expression, wanted):
        """What is due at a time that comes twice is due the first time only."""
        due = Cron(expression, "Europe/Zurich")  # 03:00 is 02:00
        begin, end = at("2024-10-27 01:59", ZURICH), at("2024-10-27 03:59", ZURICH)
        found = slots(due, begin, end)
        assert wanted == shown(found, ZURICH)
        # Whoever looks in the hour that comes twice finds the same newest slot.
        for minute in range(int(begin), int(end), 300):
            newest = [one for one in found if one <= minute]
            if newest:
                assert due.latest(minute) == newest[-1]

    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            ("* * * *", "five fields"),
            ("* * * * * *", "five fields"),
            (15, "five fields"),
            ("60 * * * *", "the minute '60': 60 is not from 0 to 59"),
            ("* 24 * * *", "the hour"),
            ("* * 0 * *", "the day of month"),
            ("* * L * *", "the day of month"),
            ("* * * 13 *", "the month"),
            ("* * * foo *", "the month"),
            ("* * * * 7", "the day of week"),
            ("* * * * mon#2", "the day of week"),
            ("*/0 * * * *", "a step of 0"),
            ("5/15 * * * *", "no number, range or step"),
            ("*-5 * * * *", "no number, range or step"),
            ("-5 * * * *", "no number, range or step"),
            (", * * * *", "no number, range or step"),
            ("0 0 30 2 *", "comes never"),
        ],
    )
    def test_what_cannot_be_read(self, expression, said):
        """The error names the field and what is wrong with it."""
        with pytest.raises(errors.ConfigurationError, match=said):
            Cron(expression)

    @pytest.mark.parametrize("zone", ["Europe/Zurichh", "../etc/passwd", "", 5, None])
    def test_no_zone(self, zone):
        """A zone that there is not is told."""
        with pytest.raises(errors.ConfigurationError, match="name of a time zone"):
            Cron("* * * * *", zone)

    @pytest.mark.parametrize(
        ("nickname", "fields"),
        [
            ("@hourly", "0 * * * *"),
            ("@daily", "0 0 * * *"),
            (" @Midnight ", "0 0 * * *"),
            ("@weekly", "0 0 * * sun"),
            ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
        ],
    )
    def test_crontab_s_nicknames(self, nickname, fields):
        """They mean what they mean in a crontab."""
        now = at("2026-03-05T12:00")
        named, written = Cron(nickname, "Europe/Zurich"), Cron(fields, "Europe/Zurich")
        assert named.next_after(now) == written.next_after(now)
        assert named.latest(now) == written.latest(now)
        with pytest.raises(errors.ConfigurationError, match="five fields"):
            Cron("@reboot")

    def test_nothing_is_due_before_it_is_known(self):
        """A job for the night does not run at noon, when it is deployed."""
        assert not Cron("0 3 * * *").is_due_when_new
        assert Every(300).is_due_when_new


def test_several_lines():
    """It is due when any of them says so."""
    due = AnyOf((Cron("30 6 * * *"), Cron("0 18 * * mon")))  # 6 May 2024 is a Monday
    found = slots(due, at("2024-05-05 07:00"), at("2024-05-07 07:00"))
    assert found == [
        at("2024-05-06 06:30"), at("2024-05-06 18:00"), at("2024-05-07 06:30"),
    ]  # fmt: skip
    assert found[1] == due.latest(at("2024-05-06 23:00"))
    assert not due.is_due_when_new
    assert "30 6 * * * (UTC); 0 18 * * mon (UTC)" == str(due)


@pytest.mark.parametrize(
    ("due", "field"),
    [
        (Every(15), "*"),
        (Every(60), "*/1"),
        (Every(300), "*/5"),
        (Every(420), "*"),
        (Every(3600), "0"),
        (Every(7200), "0"),
        (Every(5400), "*"),
        (Later(Every(300), 5.0), "*"),
        (Cron("*/20 4 * * *"), "*/20"),
        (Cron("50-10/10 4 * * *"), "0,10,50"),
        (Cron("*/1 4 * * *"), "*"),
        (Cron("@daily"), "0"),
        (Cron("* 4 * * *"), "*"),
        (Cron("7 4 * * *", "Europe/Zurich"), "7"),
        (Cron("7 4 * * *", "Asia/Kolkata"), "*"),
        (AnyOf((Cron("30 6 * * *"), Cron("0 18 * * *"))), "0,30"),
        (AnyOf((Cron("*/20 6 * * *"), Cron("*/20 18 * * *"))), "*/20"),
        (AnyOf((Cron("*/20 6 * * *"), Cron("0 18 * * *"))), "*"),
    ],
)
def test_crontab_s_minutes(due, field):
    """A crontab line with this minute field fires at every slot."""
    assert due.minutes() == field
    if field != "*":
        line = Cron(f"{field} * * * *")
        begin = at("2024-05-05 07:07")
        for slot in slots(due, begin, begin + 86_400):
            assert line.latest(slot) == slot
