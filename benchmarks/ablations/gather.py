"""Gather the rows of the ablations: `python -m benchmarks.ablations.gather` while the study runs, or after it.

Prints validation error in percent, mean and standard deviation over seeds, as markdown; keeps it in
benchmarks/results/ablations.json. Rows that are not there yet are left out.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.ablations.paths import BACKWARD, BOTH, params, row
from benchmarks.common import machines_line, print_table, read_json, write_json
from benchmarks.studies.rows import NUMBERS, machines, percent, read_row, spread
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage

RESULT = "ablations"


class Setting(NamedTuple):
    """A line of the table."""

    table: str
    # Of the row, and of the system in it.
    name: str
    system: str

    @property
    def title(self) -> str:
        """For people."""
        kind = {"models": "language model: ", "classifiers": "classifier: "}.get(self.table, "")
        return kind + self.system.replace("-", " ").replace("_", " + ")


def settings(said: dict[str, Any]) -> Iterator[Setting]:
    """Those that params.yaml asks for."""
    for table in ("models", "classifiers"):
        yield from (Setting(table, name, name) for name in said[table])
    yield from (Setting(BACKWARD, BACKWARD, system) for system in (BACKWARD, BOTH))


def main() -> None:
    """Gather what is there, keep it, print it."""
    said = params()
    found = [gathered(setting, corpus, said["seeds"]) for setting in settings(said) for corpus in said["corpora"]]
    found = [one for one in found if one]
    if not found:
        raise UserError("there are no rows yet; run the study: `python -m benchmarks.studies.repro ablations`")
    write_json(RESULT, {"rows": found})
    show(read_json(RESULT)["rows"])


def gathered(setting: Setting, corpus: str, seeds: list[int]) -> dict[str, Any]:
    """A setting's errors on a corpus by seed; nothing if no row is there."""
    folders = {str(seed): row(setting.table, corpus, setting.name, str(seed)) for seed in seeds}
    rows = {seed: read_row(folder) for seed, folder in folders.items() if (folder / NUMBERS).is_file()}
    if not rows:
        return {}
    errors = {seed: one["systems"][setting.system]["error"] for seed, one in rows.items()}
    mean, deviation = spread(list(errors.values()))
    first = next(iter(rows.values()))
    return {
        "setting": setting.title,
        "corpus": corpus,
        "errors": errors,
        "mean": mean,
        "sd": deviation,
        "train": first["train"],
        "documents": first["documents"],
        "machines": machines(list(rows.values())),
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table: a setting a line, a corpus a column."""
    corpora = {one["corpus"]: one for one in rows}
    by_place = {(one["setting"], one["corpus"]): one for one in rows}
    headers = [
        "validation error in %",
        *(f"{name}, {one['train']:,} labels, {one['documents']:,} documents" for name, one in corpora.items()),
    ]
    titles = list({one["setting"]: None for one in rows})
    table = [[title, *(percent(by_place.get((title, corpus))) for corpus in corpora)] for title in titles]
    print_table(headers, table, markdown=True)
    print("\n" + machines_line([machine for one in rows for machine in one["machines"]]))


if __name__ == "__main__":
    run_stage(main)
