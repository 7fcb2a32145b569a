"""Promise: peers are given the study's documents, draws and minutes, no label of the test set, and are scored here."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import common
from benchmarks.low_shot import documents, paths, text
from benchmarks.peers import accuracy, beside, environment
from benchmarks.peers.shared import read_lines
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.text.prepared import read_labels, read_texts
from tests.benchmarks import small_study

# A peer of no intelligence: its language models count documents, its classifier says the most frequent label.
STUB = """
import sys
from collections import Counter

sys.path.insert(0, {shared!r})
from shared import arguments, read_within, run


class Majority:
    name, packages = "majority", ()

    def settings(self, options):
        return {{"loud": options.loud}}

    def language_model(self, text, start, out, budget, options):
        (out / "model").write_text("trained")
        return {{"seconds": 1.0, "documents": len(read_within(text, budget, list)), "start": start and start.name}}

    def classify(self, model, given, asked, options):
        assert (model / "model").is_file()
        return [Counter(given.labels).most_common(1)[0][0]] * len(asked), {{"threads": options.threads}}


parser = arguments("stub")
parser.add_argument("--loud", action="store_true")
run(Majority(), parser.parse_args())
"""
WORDS = ("--corpora", "places", "names", "--labels", "12", "all", "--seeds", "1", "2", "--peers", "majority")
BUDGET = ("--minutes-generic", "0.05", "--minutes-domain", "0.05", "--threads", "1", "--markdown")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the text stages of the low-shot study made, and a peer that needs no environment."""
    root = tmp_path_factory.mktemp("peers")
    small_study.write(root, {"places": 80, "names": 60})
    params = {"sources": ["names", "places"], "generic": "local_generic", "test": {"documents": 40, "seed": 1}}
    write_json(root / paths.HOME / "params.yaml", params)
    (root / "majority.py").write_text(STUB.format(shared=str(environment.HERE)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(common, "RESULTS", root / "results")
        patch.setattr(accuracy, "HERE", root)
        patch.setattr(accuracy, "PEERS", {"majority": "majority.py"})
        patch.setattr(accuracy, "peer_python", lambda: Path(sys.executable))
        text.main("tasks")
        text.main("generic")
        for corpus in ("places", "names"):
            prepare_domain(corpus)
        yield root


def prepare_domain(corpus: str) -> None:
    """The first half of the study's stage `domain`; peers tokenise for themselves."""
    links = {**text.raw(f"local_{corpus}_domain"), "data/prepared/task": paths.task(corpus)}
    with text.inside(paths.home(corpus), {"domain": text.dataset(f"local_{corpus}_domain")}, links):
        text.prepare.main("domain")


def test_peers_read_the_documents_of_the_study_and_no_label_of_those_that_are_asked(study: Path) -> None:
    plain, truth_N = accuracy.write_plain("places", "test", study / "work")
    assert [one["text"] for one in read_lines(plain.generic)] == [
        *read_texts(paths.GENERIC / "data/prepared/generic/train.parquet")
    ]
    assert [one["text"] for one in read_lines(plain.domain)] == [
        *read_texts(paths.home("places") / paths.DOMAIN / "train.parquet")
    ]
    scored = documents.scored("places")
    assert [*read_lines(plain.task / "test.jsonl")] == [{"text": text} for text in scored.texts]
    assert truth_N.tolist() == scored.labels.tolist()
    names = read_json(paths.task("places") / "labels.json")["labels"]
    labels = [names[label] for label in read_labels(paths.task("places") / "train.parquet")]
    assert [one["label"] for one in read_lines(plain.task / "train.jsonl")] == labels


def test_every_peer_gets_the_draw_of_the_study_and_finished_work_is_kept(
    study: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = (*WORDS, *BUDGET, "--work", str(study / "work"))
    accuracy.main(*command, "--", "--loud")
    printed = capfd.readouterr().out
    for seed in (1, 2):
        drawn = documents.given("places", "12", str(seed)).rows.tolist()
        assert read_json(study / f"work/places/rows-12-{seed}.json") == drawn
    # One generic language model for both corpora and all draws, one of each domain.
    kinds = sorted(folder.name.split("-")[0] for folder in (study / "work/language_models").iterdir())
    assert kinds == ["domain", "domain", "generic"]
    rows = read_json(study / "results/peers.json")
    assert len(rows) == 8
    for one in rows.values():
        assert one["found"]["classifier"]["threads"] == 1
        assert one["found"]["settings"] == {"loud": True}
        assert one["found"]["domain"]["start"].startswith("generic-")
        assert "answers" not in one["found"]
    for one in rows.values():
        drawn, scored = documents.given(one["corpus"], one["labels"], str(one["seed"])), documents.scored(one["corpus"])
        said = Counter(drawn.train.labels.tolist()).most_common(1)[0][0]
        assert one["error"] == pytest.approx(float((scored.labels != said).mean()))
    assert "| places, 12 labels " in printed
    assert "0.05 minutes of pretraining, 0.05 of domain fine-tuning, on 1 threads" in printed

    accuracy.main(*command, "--", "--loud")
    assert "generic, 0.05 minutes" not in capfd.readouterr().out
    assert read_json(study / "results/peers.json") == rows


def test_a_peer_that_fails_is_one_line(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"majority\.py: failed .* run it again"):
        accuracy.main(*WORDS, *BUDGET, "--work", str(study / "work"), "--", "--unheard-of")


def test_without_the_text_of_the_study_the_line_says_what_to_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"run `python -m benchmarks\.studies\.repro low_shot"):
        list(accuracy.texts_of(study / "nowhere.parquet"))


def test_the_table_has_mean_spread_and_the_minutes_of_each_stage() -> None:
    def row(error: float) -> dict[str, object]:
        found = {stage: {"seconds": 90.0} for stage in accuracy.STAGES}
        return {"corpus": "trec", "labels": "100", "peer": "fastai", "error": error, "found": found}

    (line,) = accuracy.table([row(0.2), row(0.4)])
    assert line == ("trec, 100 labels", "fastai", pytest.approx(0.3), pytest.approx(0.1414, abs=1e-4), 2) + ("1.5",) * 3


def test_a_peer_stands_beside_our_systems_on_the_draws_that_it_was_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    budget = {"part": "test", "peer": "fastai", "words": [], "minutes_generic": 20, "minutes_domain": 10, "threads": 4}
    about = budget | {"corpus": "imdb", "labels": "100"}
    write_json(
        tmp_path / "peers.json",
        {
            "a": about | {"seed": 1, "error": 0.4},
            "b": about | {"seed": 2, "error": 0.2},
            "less": about | {"seed": 3, "error": 0.9, "minutes_generic": 5},
            "other": about | {"seed": 3, "error": 0.9, "words": ["--tokenizer", "subwords"]},
        },
    )
    errors = {"domain": {"1": 0.2, "2": 0.1, "3": 0.9}, "blend": {"1": 0.1, "2": 0.2, "3": 0.9}}
    systems = {name: {"errors": found} for name, found in errors.items()}
    cells = [{"corpus": "imdb", "labels": labels, "systems": systems} for labels in ("100", "500")]
    write_json(tmp_path / "low_shot.json", {"cells": cells})
    beside.main()
    header, line = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "task"
    assert [word.strip() for word in re.split(" {2,}", line)] == [
        "imdb, 100 labels", "2", "30.0 ± 14.1", "15.0 ± 7.1 (0.50)", "15.0 ± 7.1 (0.50)"
    ]  # fmt: skip
    with pytest.raises(UserError, match="no rows of fastai with this budget"):
        beside.main("--threads", "1")
