"""What a measurement becomes: a file, tables, plots, and a page that shows them."""

import math

import pytest
from benchmark_tools import FACTS, record_of
from peers import page, plots, tables
from peers.catalogue import DOGPILE, FLOOR, GROUPS, OURS, READ_ONCE
from peers.imports import COLUMNS, STATEMENTS
from peers.record import Figure, Key, Record
from peers.timing import Round

SMALL = record_of(
    ("hit", "memory", FLOOR, 0.05),
    ("hit", "memory", OURS, 0.2),
    ("hit", "memory", DOGPILE, 10.0),
    ("hit", "sqlite", FLOOR, 5.0),
    ("hit", "sqlite", READ_ONCE, 8.0),
    ("threads", "memory", OURS, 0.5),
    ("threads", "memory", DOGPILE, 20.0),
    *(("import", column, name, 12.0) for column in COLUMNS for name in STATEMENTS),
)


class TestFigures:
    """A figure sums up rounds."""

    def test_of_rounds(self):
        """The best is of undisturbed times; median and spread are of whole rounds."""
        means = [14.0, 10.0, 12.0, 18.0, 16.0]
        figure = Figure.of([Round(mean, mean / 2) for mean in means])
        assert figure == Figure(best=5, nearly=6, median=14, iqr=4)
        assert figure.spread == pytest.approx(4 / 14)
        assert figure.noise == pytest.approx(0.2)

    def test_of_one_round(self):
        """One round knows of no noise."""
        assert Figure.of([Round(3.0, 2.0)]) == Figure(2, 2, 3, 0)

    def test_digits(self):
        """No more digits are kept than mean something."""
        assert math.isclose(Figure.of([Round(2.0, 1.23456)]).best, 1.235)

    def test_written_and_read(self):
        """A record comes back as it was, and has a line for each figure."""
        text = SMALL.to_json()
        assert Record.from_json(text) == SMALL
        lines = [line for line in text.splitlines() if '"best"' in line]
        assert len(lines) == len(SMALL.figures)


class TestTables:
    """Tables are reStructuredText that reads as it stands."""

    def test_of_a_group(self):
        """Each subject has its figures, and what it is compared with."""
        assert tables.of_group(SMALL, "hit", "memory") == (
            "=============  ======  ====  ===  =======  ==========\n"
            "Microseconds   median  best  IQR  x floor  x Holdover\n"
            "=============  ======  ====  ===  =======  ==========\n"
            "floor            0.06  0.05  40%     1.00        0.25\n"
            "Holdover         0.25  0.20  40%     4.00        1.00\n"
            "dogpile.cache    12.5  10.0  40%      200        50.0\n"
            "=============  ======  ====  ===  =======  ==========\n"
        )

    def test_of_a_crowd(self):
        """Threads are told in hits per second."""
        rows = tables.of_group(SMALL, "threads", "memory").splitlines()
        assert rows[3].split() == ["Holdover", "1,600,000", "2,000,000", "40%", "1.00"]
        assert rows[4].split() == [DOGPILE, "40,000", "50,000", "40%", "0.03"]

    def test_notes(self):
        """What a number does not say stands below it."""
        told = tables.of_group(SMALL, "hit", "sqlite")
        assert f"- {READ_ONCE}: asks the database once in a process" in told

    def test_of_limits(self):
        """Each limit that was measured is met or not met, and says so."""
        table = tables.of_limits(SMALL)
        assert "  at least 20 times cheaper than dogpile.cache  " in table
        assert "  50.00 times  met" in table
        assert "not met" not in table
        missed = record_of(
            (*Key("hit", "memory", OURS), 1.0), ("hit", "memory", FLOOR, 0.1)
        )
        assert "10.00 times  not met" in tables.of_limits(missed)

    def test_of_hits(self):
        """There is a row for each subject and a dash where it has no such store."""
        rows = tables.of_hits(SMALL).splitlines()
        assert rows[4].split() == ["Holdover", "0.20", "(4.00)", *"-----"]

    def test_of_imports(self):
        """There is a row for each statement."""
        assert len(tables.of_imports(SMALL).splitlines()) == len(STATEMENTS) + 4

    @pytest.mark.parametrize("case", sorted({case for case, _ in GROUPS}))
    def test_every_case_has_a_title(self, case):
        """Nothing that is measured is left out."""
        assert "{}" in tables.CASES[case]

    @pytest.mark.parametrize(
        ("number", "text"),
        [(0.058, "0.06"), (9.99, "9.99"), (12.3, "12.3"), (123, "123"), (1e3, "1,000")],
    )
    def test_numbers(self, number, text):
        """Three digits are enough."""
        assert tables.shown(number) == text


class TestPlots:
    """Plots are files that change only with their figures."""

    def test_they_are_the_same_again(self, tmp_path):
        """The same figures give the same bytes."""
        first = plots.draw(SMALL, tmp_path / "one")
        again = plots.draw(SMALL, tmp_path / "two")
        assert ["hits.svg", "threads.svg", "imports.svg"] == [one.name for one in first]
        for one, other in zip(first, again, strict=True):
            assert one.read_bytes() == other.read_bytes()
            assert b"<dc:date>" not in one.read_bytes()

    def test_ours_looks_different(self):
        """Neither by colour alone nor by form alone."""
        looks = {plots.look_of(name) for name in (OURS, DOGPILE, FLOOR, "Beaker")}
        colours, marks = zip(*looks, strict=True)
        assert 4 == len(set(colours)) == len(set(marks))


class TestThePage:
    """The documentation shows what was committed."""

    def test_it_is_of_the_baseline(self):
        """Pages and baseline are of the same measurement."""
        baseline, text = page.baseline(), page.PAGE.read_text()
        forgotten = "run benchmarks/side_by_side.py --redraw"
        assert text == page.rewritten(text, baseline), forgotten
        assert page.ALL.read_text() == page.whole(baseline), forgotten

    def test_every_plot_is_there(self):
        """Each picture of the page is a file."""
        shown = {f"{name}.svg" for name in plots.sheets(SMALL)}
        assert shown == {path.name for path in page.PLOTS.iterdir()}
        assert all(f"plots/{name}" in page.PAGE.read_text() for name in shown)

    def test_the_baseline_is_whole(self):
        """Whoever is measured has a figure."""
        found = page.baseline().figures
        wanted = {
            Key(*group, name) for group, names in GROUPS.items() for name in names
        }
        wanted |= {Key("import", one, name) for one in COLUMNS for name in STATEMENTS}
        assert wanted == set(found)

    def test_it_says_how_it_was_measured(self):
        """Command, date, rounds, load and versions."""
        told = " ".join(page.told(FACTS).split())
        assert "``make bench`` on 2026-11-22: 21 rounds on 2 cores" in told
        assert "a load of 0.5 before and 2.25 after" in told
        assert told.endswith("CPython 3.11.7, Redis 7.0.15.")
