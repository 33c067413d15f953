"""``make bench-check`` fails for what has become worse, and for nothing else."""

import pytest
from benchmark_tools import record_of
from peers import check, limits
from peers.catalogue import DOGPILE, FLOOR, OURS
from peers.limits import Cheaper, Dearer, Faster, Key, Limit

MEMORY = Key("hit", "memory", OURS)
AT_MOST = Limit(MEMORY, FLOOR, 4.5)
CHEAPER = Cheaper(MEMORY, "Beaker", 20)
FASTER = Faster(MEMORY, "Beaker", 20)
DEARER = Dearer(MEMORY, FLOOR, 4)


def memory(ours, *, floor=0.1, dogpile=10.0, noise=0.0):
    """A measurement of hits in memory."""
    return record_of(
        ("hit", "memory", FLOOR, floor, noise),
        ("hit", "memory", OURS, ours, noise),
        ("hit", "memory", DOGPILE, dogpile, noise),
        ("hit", "memory", "Beaker", 10.0, noise),
    )


class TestLimits:
    """A limit says what it wants, what it found, and whether that is enough."""

    @pytest.mark.parametrize(
        ("limit", "ours", "met", "wanted", "found"),
        [
            (AT_MOST, 0.45, True, "at most 4.5 times the floor", "4.50 times"),
            (AT_MOST, 0.46, False, "at most 4.5 times the floor", "4.60 times"),
            (
                CHEAPER,
                0.5,
                True,
                "at least 20 times cheaper than Beaker",
                "20.00 times",
            ),
            (
                CHEAPER,
                0.51,
                False,
                "at least 20 times cheaper than Beaker",
                "19.61 times",
            ),
            (
                FASTER,
                0.5,
                True,
                "at least 20 times the throughput of Beaker",
                "20.00 times",
            ),
            (DEARER, 4.1, True, "at most 4 us more than the floor", "4.0 us"),
            (DEARER, 4.2, False, "at most 4 us more than the floor", "4.1 us"),
        ],
    )
    def test_what_it_says(self, limit, ours, met, wanted, found):
        """Each kind compares as its words say."""
        record = memory(ours)
        assert (met, wanted) == (limit.is_met(record), limit.wanted)
        assert found == limit.said(limit.found(record))

    def test_an_import_is_counted_in_milliseconds(self):
        """The unit is that of the case."""
        [limit] = [one for one in limits.LIMITS if one.ours.case == "import"]
        assert "at most 10 ms more than" in limit.wanted

    def test_noise_of_a_ratio(self):
        """What does not depend on each other adds up by its squares."""
        record = memory(0.45, noise=0.3)
        assert AT_MOST.noise(record) == pytest.approx(0.3 * 2**0.5)

    def test_noise_of_a_difference(self):
        """It is a part of the bound, not of what is compared."""
        record = record_of((*MEMORY, 30.0, 0.1), (*MEMORY[:2], FLOOR, 40.0, 0.1))
        assert DEARER.noise(record) == pytest.approx(5 / 4)

    def test_what_was_not_measured(self):
        """A limit is not in a measurement that lacks one of its two."""
        assert not AT_MOST.is_in(record_of((*MEMORY, 0.3)))


class TestMissedLimits:
    """A limit that is missed fails the check if the baseline had met it."""

    def test_missed_now(self):
        """The message says what was wanted and what was found."""
        now, then = memory(0.46, dogpile=100), memory(0.44, dogpile=100)
        [told] = check.missed(now, then)
        assert told == (
            "hit, memory, Holdover: wanted at most 4.5 times the floor, "
            "found 4.60 times; "
            "the baseline has met it"
        )

    def test_missed_already(self):
        """An aim that was not reached before does not fail the check."""
        assert check.missed(memory(0.46), memory(0.46)) == []
        [told] = check.excused(memory(0.46, dogpile=100), memory(0.46))
        assert told == (
            "hit, memory, Holdover: wanted at most 4.5 times the floor, "
            "found 4.60 times; "
            "the baseline has not met it either"
        )

    def test_missed_by_no_more_than_noise(self):
        """What may be noise is not held against anyone."""
        now = memory(0.46, dogpile=100, noise=0.1)
        assert check.missed(now, memory(0.44, dogpile=100)) == []
        [told] = check.excused(now, memory(0.44, dogpile=100))
        assert told.endswith("found 4.60 times; noise may account for that")

    def test_missed_without_a_baseline(self):
        """What was never measured has to keep its limit."""
        assert len(check.missed(memory(0.46, dogpile=100), record_of())) == 1


class TestGrownRatios:
    """A ratio that is worse than in the baseline fails the check."""

    def test_beyond_the_tolerance(self):
        """The message says what was wanted and what was found."""
        now, then = memory(0.50, dogpile=12.5), memory(0.40)
        [told] = check.grown(now, then)
        assert told == (
            "hit, memory: Holdover: wanted at most 4.80 times the floor "
            "(baseline 4.00, tolerance 20%), found 5.00"
        )

    def test_a_slower_machine(self):
        """Where all takes longer nothing has become worse."""
        assert check.grown(memory(0.8, floor=0.2, dogpile=20), memory(0.4)) == []

    def test_within_the_least_tolerance(self):
        """Two runs of the same code differ, too."""
        assert check.grown(memory(0.47), memory(0.40)) == []

    def test_noise_widens_it(self):
        """Where rounds disagree, so may runs: by the squares of all four noises."""
        now, then = memory(0.5, noise=0.2), memory(0.4, noise=0.2)
        ratio = next(check.ratios_in(now))
        assert ratio.tolerance(now, then) == pytest.approx(0.4)
        assert check.grown(now, then) == []

    def test_nothing_excuses_twice_as_much(self):
        """The tolerance ends where anybody would see it."""
        now, then = memory(0.9, noise=3), memory(0.4, noise=3)
        assert next(check.ratios_in(now)).tolerance(now, then) == check.MOST
        assert len(check.grown(now, then)) == 2

    def test_what_is_compared(self):
        """All of ours, to each that was measured beside them and matters."""
        record = record_of(
            ("hit", "redis", OURS, 20.0),
            ("hit", "redis", "Django", 20.0),
            ("hit", "redis", "redis-py", 40.0),
            ("hit", "redis", FLOOR, 10.0),
            ("hit", "file", FLOOR, 4.0),
            ("door", "file", OURS, 4.0),
            ("door", "file", "Beaker", 4.0),
            ("many", "redis", f"{OURS}, decorated", 9.0),
            ("many", "redis", DOGPILE, 9.0),
        )
        pairs = [(str(one), one.beside.name) for one in check.ratios_in(record)]
        assert pairs == [
            ("hit, redis: Holdover", FLOOR),
            ("door, file: Holdover", "Beaker"),
            ("many, redis: Holdover, decorated", DOGPILE),
        ]

    def test_of_imports_their_processor_time(self):
        """That is the one of the columns that depends least on others."""
        statements = check.OUR_IMPORT, check.DOGPILES
        record = record_of(
            *(("import", "CPU ms", one, 9.0) for one in statements),
            *(("import", "wall ms", one, 9.0) for one in statements),
        )
        assert [one.ours.store for one in check.ratios_in(record)] == ["CPU ms"]


def test_what_the_baseline_does_not_know():
    """A new subject fails the check until its figures are committed."""
    told = check.failures(memory(0.4), record_of())
    assert len(told) == 2
    assert all("wanted one in the baseline" in one for one in told)


def test_nothing_to_complain_about():
    """The baseline passes its own check, whatever limits it misses."""
    assert check.failures(memory(3.0), memory(3.0)) == []


class TestMeasuredAgain:
    """What is worse is measured once more, and once again, in new processes."""

    def test_only_what_is_worse(self):
        """The others keep their figures."""
        others = (("hit", "file", FLOOR, 4.0), ("hit", "file", OURS, 5.0))
        now = record_of(*others).replaced_by(memory(0.6))
        then = record_of(*others).replaced_by(memory(0.4))
        asked = []
        found = check.settled(
            now, then, lambda groups: asked.append(groups) or memory(0.41)
        )
        assert asked == [{("hit", "memory")}]
        assert found.figures[MEMORY].best == 0.41
        assert found.figures[Key("hit", "file", OURS)].best == 5.0
        assert check.failures(found, then) == []

    def test_a_limit_that_is_missed_now(self, monkeypatch):
        """It is measured again as well."""
        monkeypatch.setattr(check, "LIMITS", [AT_MOST])
        now, then = memory(0.46), memory(0.44)
        assert check.grown(now, then) == []
        assert check.doubtful(now, then) == {("hit", "memory")}

    def test_what_is_worse_each_time(self):
        """It fails, with what was found at last."""
        asked = []
        found = check.settled(
            memory(0.6),
            memory(0.4),
            lambda groups: asked.append(groups) or memory(0.7),
        )
        assert len(asked) == check.AGAIN
        [told, *_] = check.grown(found, memory(0.4))
        assert "found 7.00" in told

    def test_nothing_worse(self):
        """Then nothing is."""
        assert check.settled(memory(0.4), memory(0.4), pytest.fail) == memory(0.4)
