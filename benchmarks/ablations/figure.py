"""Draw the ablations into docs/results/ablations.svg (`python -m benchmarks.ablations.figure`)."""

from typing import Any

from matplotlib.figure import Figure

from benchmarks.ablations.gather import RESULT
from benchmarks.common import read_json, write_drawing
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage


def main() -> None:
    """Draw what is gathered."""
    rows = read_json(RESULT).get("rows")
    if not rows:
        raise UserError(f"benchmarks/results/{RESULT}.json is not there; gather the rows first")
    print(f"drawn: {write_drawing(RESULT, draw(rows))}")


def draw(rows: list[dict[str, Any]]) -> Figure:
    """A panel for each corpus, a line for each setting: mean, one standard deviation to either side, a dot a seed."""
    corpora, titles = (list({one[key]: None for one in rows}) for key in ("corpus", "setting"))
    figure = Figure(figsize=(3 + 2.3 * len(corpora), 1 + 0.27 * len(titles)))
    panels = figure.subplots(1, len(corpora), sharey=True, squeeze=False)[0]
    for axes, corpus in zip(panels, corpora, strict=True):
        some = [one for one in rows if one["corpus"] == corpus]
        places = [titles.index(one["setting"]) for one in some]
        means, deviations = [100 * one["mean"] for one in some], [100 * (one["sd"] or 0.0) for one in some]
        axes.errorbar(means, places, xerr=deviations, fmt="s", color="#1f4e79", markersize=5, capsize=2, linewidth=1)
        for place, one in zip(places, some, strict=True):
            errors = [100 * error for error in one["errors"].values()]
            axes.plot(errors, [place] * len(errors), "o", color="#b4501e", markersize=2.5)
        axes.set_title(f"{corpus}, {some[0]['train']:,} labels", fontsize=10)
        axes.set_xlabel("validation error in %")
        axes.grid(axis="x", linewidth=0.4)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(titles)), titles)
    panels[0].invert_yaxis()
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    run_stage(main)
