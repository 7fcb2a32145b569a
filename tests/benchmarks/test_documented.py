"""Promise: the tables of README and docs/results.md are what their commands print of the rows that are kept."""

from collections.abc import Callable

import pytest

from benchmarks.ablations import gather as ablations
from benchmarks.common import ROOT, read_json
from benchmarks.low_shot import gather as low_shot
from benchmarks.peers import beside, summary


@pytest.mark.parametrize(
    ("document", "command"),
    [
        ("README.md", summary.main),
        ("docs/results.md", lambda: beside.main("--markdown")),
        ("docs/results.md", lambda: beside.main("--markdown", "--peer", "transformers")),
        ("docs/results.md", lambda: low_shot.show(read_json(low_shot.RESULT))),
        ("docs/results.md", lambda: ablations.show(read_json(ablations.RESULT)["rows"])),
    ],
    ids=["low-shot in the README", "beside fastai", "beside the Trainer", "low-shot", "ablations"],
)
def test_a_documented_table_is_what_the_command_prints(
    document: str, command: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command()
    printed = capsys.readouterr().out.splitlines()
    table = "\n".join(line for line in printed if line.startswith("|"))
    assert table.count("\n") > 8
    assert table in (ROOT / document).read_text(encoding="utf-8")
