"""The plots: SVG files that are the same whenever the figures are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet
from matplotlib.ticker import NullFormatter

from peers.catalogue import DOGPILE, FLOOR, OURS, TITLES
from peers.imports import COLUMNS
from peers.record import Figure, Record
from peers.tables import shown

# Okabe and Ito's, which the colour-blind can tell apart; the marks differ, too.
BLUE, ORANGE, BLACK, GREY = "#0072b2", "#d55e00", "#000000", "#7f8790"
INK, FAINT = "#1c2733", "#c4cad0"
ROW, PANEL = 0.26, 0.75  # inches: of a subject, and of a panel besides
ROOM = 0.15  # of a panel's width, for the number beside the last dot

Panels = Mapping[str, Mapping[str, Figure]]


def draw(record: Record, folder: Path) -> list[Path]:
    """Write all plots of which there are figures; give their paths."""
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, (panels, label) in sheets(record).items():
        if panels:
            drawn.append(folder / f"{name}.svg")
            write(panels, label, drawn[-1])
    return drawn


def sheets(record: Record) -> dict[str, tuple[Panels, str]]:
    """Give what stands on each plot: the panels, and what their axes say."""
    stores = ("memory", "file", "sqlite", "memcached", "redis", "postgres")
    how = "dot and number: best; end of the line: median"
    return {
        "hits": (panels_of(record, "hit", stores), f"microseconds of one hit ({how})"),
        "many": (
            panels_of(record, "many", ("memory", "redis", "memcached")),
            f"microseconds of 100 keys ({how})",
        ),
        "threads": (
            panels_of(record, "threads", ("memory", "redis")),
            f"microseconds from hit to hit of 8 threads together ({how})",
        ),
        "imports": (
            imports_of(record),
            f"milliseconds of processor time, and megabytes ({how})",
        ),
    }


def panels_of(record: Record, case: str, stores: Sequence[str]) -> Panels:
    """Give a panel for each store on which a case was measured."""
    found = {TITLES[store]: record.named(case, store) for store in stores}
    return {title: figures for title, figures in found.items() if figures}


def imports_of(record: Record) -> Panels:
    """Give a panel for time and one for memory; the floor's time is none at all."""
    time, memory = (dict(record.named("import", COLUMNS[at])) for at in (0, 2))
    time.pop(FLOOR, None)
    found = {COLUMNS[0]: time, COLUMNS[2]: memory}
    return {title: figures for title, figures in found.items() if figures}


def write(panels: Panels, label: str, path: Path) -> None:
    """Write one plot: panels, of two side by side, with a row for each subject."""
    rows = [list(panels.items())[at : at + 2] for at in range(0, len(panels), 2)]
    counts = [max(len(held) for _, held in row) for row in rows]
    heights = [PANEL + ROW * count for count in counts]
    # The same figures give the same file, byte by byte.
    same = {"svg.hashsalt": "holdover", "svg.fonttype": "path"}
    with mpl.rc_context(same):
        sheet = Sheet(figsize=(10, sum(heights)), layout="constrained")
        grid = sheet.subplots(
            len(rows), 2, squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for row, count, axes in zip(rows, counts, grid, strict=True):
            for (title, figures), panel in zip(row, axes, strict=False):
                draw_panel(panel, title, figures)
                # The rows of panels side by side are equally high.
                panel.set_ylim(len(figures) - count - 0.6, len(figures) - 0.4)
            for panel in axes[len(row) :]:
                panel.set_axis_off()
        sheet.supxlabel(label, color=INK, fontsize="medium")
        sheet.savefig(path, metadata={"Date": None, "Creator": None})


def draw_panel(panel: Axes, title: str, figures: Mapping[str, Figure]) -> None:
    """Draw a dot at each best, a line to the median, and the number."""
    best_first = sorted(figures.items(), key=lambda one: one[1].best, reverse=True)
    for height, (name, figure) in enumerate(best_first):
        colour, mark = look_of(name)
        panel.plot([figure.best, figure.median], [height] * 2, color=colour, lw=1.5)
        panel.plot(figure.best, height, mark, color=colour, ms=6)
        beside = max(figure.best, figure.median)
        panel.annotate(
            shown(figure.best),
            (beside, height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=INK,
        )
    panel.set_yticks(range(len(best_first)), [name for name, _ in best_first])
    for label in panel.get_yticklabels():
        label.set_color(INK)
        label.set_fontweight("bold" if is_ours(label.get_text()) else "normal")
    scale(panel, title)


def scale(panel: Axes, title: str) -> None:
    """Give a panel its title and its axes; the numbers need some room."""
    panel.set_xscale("log")
    left, right = panel.get_xlim()
    panel.set_xlim(left, right * (right / left) ** ROOM)
    panel.xaxis.set_major_formatter("{x:,g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_title(title, loc="left", fontsize="medium", color=INK)
    panel.grid(visible=True, axis="x", color=FAINT, lw=0.5)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize="small", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)


def look_of(name: str) -> tuple[str, str]:
    """Give the colour and the mark of a subject."""
    if is_ours(name):
        return BLUE, "D"
    if DOGPILE in name:
        return ORANGE, "s"
    return (BLACK, "|") if name == FLOOR else (GREY, "o")


def is_ours(name: str) -> bool:
    """Say whether a subject, or what is imported, is ours."""
    return OURS.lower() in name.lower()
