"""The results of a training stage: metrics.json and curve.csv, which repeat, and run.json, about this machine."""

from pathlib import Path
from typing import Any

from pipeline.base.files import write_json
from pipeline.training.curve import write_curve
from pipeline.training.environment import describe, peak_flops, peak_memory_mb
from pipeline.training.module import TrainingModule
from pipeline.training.place import Place

CURVE = ("step", "tokens", "phase", "learning_rate", "train_loss", "gradient_norm", "validation_loss")


def write_results(
    folder: Path, metrics: dict[str, Any], module: TrainingModule | None, measured: str, run: dict[str, Any]
) -> None:
    """Write the three files; `measured` is the stage's own validation column, `run` what `run_facts` returned."""
    rows = module.curve if module else []
    write_json(folder / "metrics.json", metrics)
    write_curve(folder / "curve.csv", rows, (*CURVE, measured))
    write_json(folder / "run.json", run)


def run_facts(module: TrainingModule, place: Place, flops_per_token: float) -> dict[str, Any]:
    """Speed and memory of a finished run and the machine it ran on."""
    seconds = module.position.seconds
    speed = module.position.tokens / seconds if seconds else 0.0
    return {
        "seconds": round(seconds, 1),
        "tokens_per_second": round(speed, 1),
        "mfu": round(speed * flops_per_token / (place.processes * peak_flops(place.device, place.precision)), 4),
        "peak_memory_mb": round(peak_memory_mb(place.device)),
        **describe(place.device, place.processes, place.threads, place.precision, module.micro_batch),
    }
