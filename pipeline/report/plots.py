"""Figures as SVG text for one page: no ids, no dates, colours from the page's style sheet, text as text."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.evaluation.calibration import BINS, Bin
from pipeline.evaluation.verdict import NAMES
from pipeline.report.collect import Training

# Drawn in these, and handed to the page as variables of its style sheet: light, dark and paper each have their own.
INK, SOFT, GRID, MAIN, SECOND, GROUND = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
VARIABLES = {INK: "ink", SOFT: "soft", GRID: "grid", MAIN: "main", SECOND: "second", GROUND: "ground"}
WIDTH = 4.4  # inches; a figure is scaled to its column
MAX_CELLS = 14  # classes whose confusion is drawn with numbers
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "figure",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


def scores(metrics: Mapping[str, Any]) -> str:
    """A dot and a 95 % interval for each system: accuracy filled, macro-F1 hollow."""
    systems = {name: metrics["systems"][name] for name in NAMES if name in metrics["systems"]}
    with _figure(0.75 + 0.4 * len(systems)) as (figure, axes):
        for score, label, shift, face in (
            ("accuracy", "accuracy", -0.13, None),
            ("macro_f1", "macro-F1", 0.13, GROUND),
        ):
            for place, (name, values) in enumerate(systems.items()):
                colour = MAIN if name == "pipeline" else SOFT
                low, high = values[f"{score}_interval"]
                axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.6, solid_capstyle="round")
                axes.plot(values[score], place + shift, "o", color=colour, markerfacecolor=face or colour, markersize=5)
            axes.plot([], [], "o", color=SOFT, markerfacecolor=face or SOFT, markersize=5, label=label)
        axes.set_yticks(range(len(systems)), [NAMES[name] for name in systems])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handletextpad=0.2)
        return _svg(figure, "Accuracy and macro-F1 of every system with 95 % intervals; the numbers are in the table")


def loss(training: Training) -> str:
    """Training and validation loss by step."""
    steps = training.curve["step"]
    with _figure(2.4) as (figure, axes):
        _line(axes, steps, training.curve["train_loss"], SOFT, "training", linewidth=1.0)
        _line(
            axes, steps, training.curve["validation_loss"], MAIN, "validation", linewidth=1.6, marker="o", markersize=3
        )
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.legend()
        return _svg(figure, f"{training.title}: loss by step")


def learning_rate(training: Training) -> str:
    """Learning rate of the top layer group by step."""
    with _figure(2.4) as (figure, axes):
        _line(axes, training.curve["step"], training.curve["learning_rate"], MAIN, "", linewidth=1.4)
        axes.set_xlabel("step")
        axes.set_ylabel("learning rate")
        axes.set_ylim(bottom=0)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=False)
        return _svg(figure, f"{training.title}: learning rate by step")


def confusion(counts_CC: np.ndarray, names: Sequence[str]) -> str:
    """True classes in rows, decided ones in columns, shaded by the share of the true class."""
    classes = len(names)
    share_CC = counts_CC / np.maximum(counts_CC.sum(axis=1, keepdims=True), 1)
    with _figure(WIDTH * 0.92) as (figure, axes):
        axes.grid(visible=False)
        for row, column in np.ndindex(classes, classes):
            if not counts_CC[row, column]:
                continue
            colour = MAIN if row == column else SECOND
            square = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="none")
            square.set_alpha(0.08 + 0.62 * float(share_CC[row, column]))
            axes.add_patch(square)
            if classes <= MAX_CELLS:
                axes.text(column, row, f"{counts_CC[row, column]}", ha="center", va="center", fontsize=8)
        axes.set_xlim(-0.5, classes - 0.5)
        axes.set_ylim(classes - 0.5, -0.5)
        axes.set_xticks(range(classes), [_short(name) for name in names], rotation=40, ha="right")
        axes.set_yticks(range(classes), [_short(name) for name in names])
        axes.tick_params(length=0, labelsize=9.5 if classes <= MAX_CELLS else 6)
        axes.set_xlabel("decided")
        axes.set_ylabel("true")
        for spine in axes.spines.values():
            spine.set_visible(False)
        return _svg(figure, "Confusion matrix of the pipeline: true classes in rows, decided classes in columns")


def reliability(bins: Sequence[Bin]) -> str:
    """Share that was right by confidence; the diagonal is perfect calibration, the bars are counts."""
    with _figure(WIDTH * 0.72) as (figure, axes):
        largest = max(one.count for one in bins)
        for one in bins:
            left = np.ceil(one.confidence * BINS - 1e-9) / BINS - 1 / BINS
            axes.add_patch(Rectangle((left, 0), 1 / BINS, 0.22 * one.count / largest, facecolor=GRID, edgecolor=GROUND))
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.plot(
            [b.confidence for b in bins],
            [b.accuracy for b in bins],
            color=MAIN,
            linewidth=1.4,
            marker="o",
            markersize=4,
        )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that was right")
        return _svg(figure, "Reliability diagram: the share of right decisions by their confidence")


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str, **style: Any) -> None:
    """A line through what was measured."""
    known = ~np.isnan(y)
    if known.any():
        axes.plot(x[known], y[known], color=colour, label=label, **style)


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"


@contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    # From matplotlib's defaults: a matplotlibrc of the user's changes nothing.
    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the reader's browser has the fonts
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots()


def _svg(figure: Figure, label: str) -> str:
    """The figure as an `<svg>` element: named for screen readers, without ids that could meet those of another."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    referenced = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in referenced else "", text)
    prefix = re.sub(r"\W+", "-", label.lower())[:60]
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]+\")[^>]*>", r"<svg \1 ROLE>", text, count=1)
    return text.replace("ROLE", f'role="img" aria-label="{_attribute(label)}"', 1)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
