"""Configs with the names that the benchmark of families asks for, small enough for tests."""

from pathlib import Path

from benchmarks import families
from pipeline.base.files import write_json
from pipeline.config.choices import SCHEMAS
from pipeline.config.read import load, read_yaml
from tests.source import ROOT
from tests.workspace import CONFIGS

LSTM = {"backbone": "lstm", "layers": 2, "width": 32, "hidden": 48}


def write(folder: Path) -> None:
    """Write model/, pretrain/, finetune_lm/ and classifier/ there."""
    for family in families.FAMILIES:
        kind = read_yaml(ROOT / f"configs/model/{family.model}.yaml").get("family", "decoder")
        model = LSTM if "lstm" in family.model else CONFIGS["model"] | {"family": kind}
        write_json(folder / f"model/{family.model}.yaml", model)
        if family.recipe:
            recipe = load(SCHEMAS["pretrain"], ROOT / f"configs/pretrain/{family.recipe}.yaml")
            for stage in ("pretrain", "finetune_lm"):
                short = CONFIGS[stage] | {"objective": recipe.objective}
                write_json(folder / f"{stage}/{family.recipe}.yaml", short)
    for name in (families.CLASSIFIER, families.FROM_SCRATCH):
        write_json(folder / f"classifier/{name}.yaml", CONFIGS["classifier"] | {"epochs": 1, "unfreeze": "full"})
