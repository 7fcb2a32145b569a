"""Promise: what the peers' scripts share keeps their minutes, keeps their language models, and leaks nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import environment, shared
from benchmarks.peers.accuracy import PEERS
from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from tests.workspace import LABELS, sentences


def installed() -> bool:
    """Whether this machine has the peers."""
    try:
        environment.peer_python()
    except UserError:
        return False
    return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(shared.time, "perf_counter", lambda: now[0])
    return now


def lines(path: Path, values: list[dict[str, str]]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def test_reading_ends_with_its_share_of_the_minutes(tmp_path: Path, clock: list[float]) -> None:
    file, budget = lines(tmp_path / "text.jsonl", [{"text": str(number)} for number in range(10)]), shared.Budget(1)

    def convert(texts: list[str]) -> list[str]:
        clock[0] += 4  # seconds, of which reading has 6
        return texts

    assert shared.read_within(file, budget, convert, batch=3) == ["0", "1", "2", "3", "4", "5"]


def test_a_schedule_ends_with_the_minutes_or_the_passes_whichever_is_first(clock: list[float]) -> None:
    budget = shared.Budget(1)
    clock[0] += 20  # spent on reading: the schedule has the other 40
    progress = shared.Progress(budget, most_steps=8)
    assert progress.share() == 0
    clock[0] += 10
    assert progress.share() == pytest.approx(0.25)
    progress.steps = 4
    assert progress.share() == pytest.approx(0.5)
    clock[0] += 60
    assert progress.share() == 1


def test_rows_are_asked_for_by_number_and_nothing_else_is_labelled(tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", [{"text": f"text {row}", "label": "ab"[row % 2]} for row in range(6)])
    lines(tmp_path / "test.jsonl", [{"text": "asked"}])
    (tmp_path / "rows.json").write_text("[1, 4]")
    given, asked = shared.read_task(tmp_path, tmp_path / "rows.json")
    assert given == (["text 1", "text 4"], ["b", "a"])
    assert asked == ["asked"]


def test_a_peers_own_split_has_every_class_where_it_can_and_loses_no_document() -> None:
    given = shared.Labelled([str(row) for row in range(26)], ["a"] * 15 + ["b"] * 10 + ["c"])
    first, second = shared.split(given, 0.2, seed=3)
    assert sorted(first.texts + second.texts, key=int) == given.texts
    assert [second.labels.count(label) for label in "abc"] == [3, 2, 0]
    assert shared.split(given, 0.2, seed=3) == (first, second)
    assert shared.split(given, 0.2, seed=4) != (first, second)


TINY = {
    "fastai": ["--embedding", "16", "--hidden", "24", "--vocabulary", "500", "--batch", "4", "--steps", "2"],
    "transformers": [
        "--layers",
        "1",
        "--width",
        "16",
        "--heads",
        "2",
        "--vocabulary",
        "400",
        "--block",
        "16",
        "--batch",
        "4",
        "--rates",
        "1e-3",
    ],
}


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason=f"the peers are not installed (`{environment.COMMAND}`)")
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_answers_for_each_document(peer: str, tmp_path: Path) -> None:
    texts = [{"text": text, "label": LABELS[label]} for text, label in sentences(40, seed=1)]
    unlabelled = lines(tmp_path / "text.jsonl", [{"text": one["text"]} for one in texts * 4])
    lines(tmp_path / "train.jsonl", texts)
    lines(tmp_path / "test.jsonl", [{"text": one["text"]} for one in texts[:7]])
    (tmp_path / "rows.json").write_text(json.dumps(list(range(0, 40, 2))))
    given = {"--generic": unlabelled, "--domain": unlabelled, "--lm": tmp_path / "lm", "--task": tmp_path}
    given |= {"--rows": tmp_path / "rows.json", "--out": tmp_path / "out.json"}
    words = [str(word) for pair in given.items() for word in pair] + ["--threads", "1", *TINY[peer]]
    command = [str(environment.peer_python()), str(environment.HERE / PEERS[peer]), *words]
    command += ["--minutes-generic", "0.03", "--minutes-domain", "0.03"]
    subprocess.run(command, capture_output=True, check=True)
    found = read_json(tmp_path / "out.json")
    assert len(found["answers"]) == 7
    assert set(found["answers"]) <= set(LABELS)
    assert found["labels"] == 20
    assert found["generic"]["steps"] > 0
    assert found["domain"]["steps"] > 0
