"""`ulmfit plan` says what training will cost, for other choices and other hardware too, and changes nothing."""

from pathlib import Path

import pytest

from pipeline.base.files import read_json
from pipeline.cli.main import main
from tests.choices import FILES, replace_in, write_choices

BEFORE = FILES["configs/config.yaml"]


@pytest.fixture(autouse=True)
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_it_prints_every_table_for_other_choices_and_writes_none(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "model=large", "domain=corpus", "--device", "a100", "--devices", "1,8,64", "--json", "plan.json"])
    said = capsys.readouterr().out
    for words in (
        "model large",
        "on A100 80 GB: 312TFLOP/s in bf16, 80 GB; 40% of its peak assumed",
        "attention",
        "optimiser state",
        "all, FSDP over 8",
        "after `dvc repro tokenise`",
        "device-hours",
        "on more devices than a step has sequences or documents a run is refused: pretrain 4, finetune_lm 4, finetune_",
        "trained on one device, beside which the others stand idle: blend, self_train",
    ):
        assert words in said
    assert Path("configs/config.yaml").read_text() == BEFORE
    found = read_json(Path("plan.json"))["stages"]
    assert list(found) == ["blend", "finetune_classifier", "finetune_lm", "pretrain", "scratch", "self_train"]
    assert [one["devices"] for one in found["pretrain"]["forecasts"]] == [1, 8, 64]
    assert found["pretrain"]["tokens"] == 4 * 256
    assert found["scratch"]["tokens"] is found["scratch"]["forecasts"][0]["seconds"] is None


def test_a_stage_that_trains_nothing_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--device", "t4", "--devices", "1"])
    assert "finetune_lm trains nothing: no domain corpus" in capsys.readouterr().out


def test_what_does_not_fit_is_said_with_what_would(capsys: pytest.CaptureFixture[str]) -> None:
    replace_in("configs/model/large.yaml", "layers: 4\nwidth: 64", "layers: 100\nwidth: 4096")
    main(["plan", "model=large", "--device", "l4", "--devices", "1,64"])
    said = capsys.readouterr().out
    assert "does not fit: pretrain (" in said
    assert "what fits: FSDP on" in said
    main(["plan", "--device", "l4", "--devices", "64"])
    assert "tokens/s, 64 devices" in capsys.readouterr().out


@pytest.mark.slow
def test_measuring_trains_here_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "8000000000")  # the process of the tests stays as it is
    before = sorted(Path().rglob("*"))
    main(["plan", "--measure", "--devices", "1"])
    assert "of its peak measured (4 sequences a step" in capsys.readouterr().out
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "h1000"], 'no device `h1000`; did you mean "h100"? (there is: a100, b200, h100, h200, '),
        (["--devices", "one"], "--devices one: should be numbers of devices such as 1,8,64"),
        (["--devices", "0,8"], "--devices 0,8: should be numbers of devices such as 1,8,64"),
        (
            ["model=larg"],
            'configs/config.yaml: `model: larg` has no file configs/model/larg.yaml; did you mean "large"',
        ),
        (["--measure", "--device", "h100"], "--measure measures this machine, not a `h100`"),
        (["hardware=gpu"], "; or plan for a device that is not here, such as --device h100"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "8000000000")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main(["plan", *words])
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert message in said
    assert said.count("\n") == 1
