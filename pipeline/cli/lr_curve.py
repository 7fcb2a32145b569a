"""The picture of `ulmfit lr-find`."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure


def draw_rates(
    path: Path, rates: Sequence[float], losses: Sequence[float], means: Sequence[float], found: float | None, title: str
) -> Path:
    """Write losses and their mean over learning rates as SVG, with a mark at the rate that was found."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(rates, losses, color="#b8cbe0", linewidth=1, label="loss of each step")
    axes.semilogx(rates, means, color="#1f4e79", linewidth=1.8, label="smoothed")
    if found is not None:
        height = float(np.interp(np.log(found), np.log(rates), means))
        axes.plot(found, height, "o", color="#b4501e", label=f"falls fastest: {found:.1g}")
    # A loss that has exploded would press all others flat.
    low, high = min(means), max(means[: len(means) // 2])
    axes.set_ylim(low - 0.15 * (high - low), high + 0.5 * (high - low))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
    return path
