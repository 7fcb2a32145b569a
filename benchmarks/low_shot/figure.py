"""Draw a corpus of the low-shot study (`python -m benchmarks.low_shot.figure imdb`): docs/results/low_shot_CORPUS.svg.

Test error against the number of labels, as figure 3 of Howard & Ruder 2018, with the linear models in the same picture.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.common import read_json, write_drawing
from benchmarks.low_shot.gather import LINEAR, RESULT, SYSTEMS
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage

COLOURS = {
    "scratch": "#8c8c8c",
    "generic": "#6f9bc8",
    "domain": "#1f4e79",
    "domain_all": "#3d2f8a",
    "blend": "#0b7a3b",
    "student": "#c2185b",
    "taught": "#000000",
    "tfidf_lr": "#e0a33c",
    "nb_svm": "#b4501e",
    "lsa_lr": "#8a3d73",
    "large_lsa_lr": "#c98bb5",
    "nb_em_1": "#7fd0d8",
    "nb_em_15": "#00838f",
}


def main(corpus: str) -> None:
    """Draw the cells of a corpus."""
    cells = [cell for cell in read_json(RESULT).get("cells", []) if cell["corpus"] == corpus]
    if not cells:
        raise UserError(f"benchmarks/results/{RESULT}.json has no rows of {corpus}; gather them first")
    print(f"drawn: {write_drawing(f'{RESULT}_{corpus}', draw(corpus, cells))}")


def draw(corpus: str, cells: list[dict[str, Any]]) -> Figure:
    """A line for each system: mean over seeds, with a band of one standard deviation to either side."""
    figure = Figure(figsize=(7.5, 4))
    axes = figure.subplots()
    for system, (_, name) in SYSTEMS.items():
        some = [cell for cell in cells if system in cell["systems"]]
        if not some:
            continue
        labels = [cell["train"] for cell in some]
        mean = 100 * np.array([cell["systems"][system]["mean"] for cell in some])
        deviation = 100 * np.array([cell["systems"][system]["sd"] or 0.0 for cell in some])
        style = "--" if system in LINEAR else "-"
        axes.plot(labels, mean, style, color=COLOURS[system], marker="o", markersize=3.5, linewidth=1.6, label=name)
        axes.fill_between(labels, mean - deviation, mean + deviation, color=COLOURS[system], alpha=0.12, linewidth=0)
    places = sorted({cell["train"] for cell in cells})
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("labelled documents")
    axes.set_ylabel("test error in %")
    axes.set_title(f"{corpus}: {cells[0]['documents']:,} test documents; bands are one sd over seeds", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


if __name__ == "__main__":
    run_stage(main)
