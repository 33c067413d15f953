"""Latency over time, one panel for each phase, all on the same scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holdover.demo.board import milliseconds
from holdover.demo.figures import SLOW
from holdover.demo.load import Request
from holdover.demo.phases import Result

_INK, _FAINT = "#1c2733", "#8a97a3"
_KINDS: tuple[tuple[str, str, Callable[[Request, float], bool]], ...] = (
    ("fresh value", "#2f7fc1", lambda one, fresh_for: 0 < one.age <= fresh_for),
    ("stale value", "#e0a100", lambda one, fresh_for: one.age > fresh_for),
    ("waited for a creator", "#c8402f", lambda one, _: one.age == 0),
)


def draw(
    results: Sequence[Result], expiration_time: float, directory: Path
) -> list[Path]:
    """Write ``latency.svg`` and ``latency.png`` into *directory*; give their paths.

    Raises:
        OSError: They cannot be written there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 2 + 1.9 * len(results)), layout="constrained")
    panels = figure.subplots(len(results), 1, sharex=True, sharey=True, squeeze=False)
    for result, (panel,) in zip(results, panels, strict=True):
        _draw_phase(panel, result, expiration_time)
    panels[-1][0].set_xlabel("seconds since the first visit", color=_INK)
    figure.supylabel("latency of a request, ms", color=_INK, fontsize="medium")
    figure.legend(
        *panels[0][0].get_legend_handles_labels(),
        loc="outside upper right",
        ncols=len(_KINDS) + 2,
        frameon=False,
        markerscale=4,
    )
    paths = [directory / "latency.svg", directory / "latency.png"]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _draw_phase(panel: Axes, result: Result, expiration_time: float) -> None:
    start = min(request.started_at for request in result.requests)
    for label, colour, belongs in _KINDS:
        chosen = [one for one in result.requests if belongs(one, expiration_time)]
        panel.scatter(
            [one.started_at - start for one in chosen],
            [one.latency * 1000 for one in chosen],
            s=4,
            color=colour,
            linewidths=0,
            label=label,
            rasterized=True,  # thousands of dots would make a heavy SVG
        )
    first_pass = (0, result.first_pass_ended_at - start)
    panel.axvspan(*first_pass, color=_FAINT, alpha=0.15, lw=0, label="first pass")
    panel.axhline(SLOW * 1000, color=_FAINT, lw=0.8, ls="--", label="100 ms")
    panel.set_title(_title(result), loc="left", fontsize="medium", color=_INK)
    _scale(panel)


def _scale(panel: Axes) -> None:
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:,g}")
    panel.set_xlim(left=0)
    panel.grid(visible=True, axis="y", color=_FAINT, alpha=0.25, lw=0.5)
    panel.spines[["top", "right"]].set_visible(False)


def _title(result: Result) -> str:
    figures = result.later
    return (
        f"{result.way.title}  -  after the first pass: median "
        f"{milliseconds(figures.median)}, p99 {milliseconds(figures.p99)}, "
        f"{figures.slow} of {figures.requests:,} over 100 ms"
    )
