"""Promise (contract 8): the number of processes and the micro batch change a result by no more than rounding."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.workspace import copies, make, run

pytestmark = [pytest.mark.slow, pytest.mark.ddp, pytest.mark.timeout(300)]

OUTS = {
    "pretrain": "models/pretrained/forward",
    "finetune_lm": "models/domain/forward",
    "finetune_classifier": "models/classifier/forward",
}


def weights(folder: Path, stage: str, hardware: dict[str, object], source: Path) -> dict[str, torch.Tensor]:
    copies(source, folder)
    config = folder / "configs/hardware/tiny.yaml"
    lines = {"accelerator": "cpu", "threads": 1} | hardware
    config.write_text("\n".join(f"{key}: {value}" for key, value in lines.items()), encoding="utf-8")
    run(folder, stage, "forward")
    return load_file(folder / OUTS[stage] / "model.safetensors")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # AdamW throughout: Muon's iteration amplifies rounding. Dropout is on, as in every config here.
    return make(tmp_path_factory.mktemp("workspace"), finetune_lm={"optimizer": "adamw"})


@pytest.mark.parametrize("stage", OUTS)
def test_two_processes_and_another_micro_batch_train_the_same_weights(
    workspace: Path, tmp_path: Path, stage: str
) -> None:
    alone = weights(tmp_path / "alone", stage, {"micro_batch": 8}, workspace)
    others = {
        "micro batch 3": weights(tmp_path / "micro", stage, {"micro_batch": 3}, workspace),
        "2 processes": weights(tmp_path / "two", stage, {"strategy": "ddp", "devices": 2, "micro_batch": 2}, workspace),
    }
    for name, other in others.items():
        assert alone.keys() == other.keys()
        for key, tensor in alone.items():
            assert torch.allclose(tensor, other[key], atol=2e-5, rtol=1e-4), f"{name}: {key} differs"
