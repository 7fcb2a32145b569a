"""The full-size recipe from text to test accuracy: about 91 M parameters, Wikipedia, then IMDb, on one GPU.

Every training stage is resumed where it was stopped, so a machine that is lent in parts does for it:

    python -m benchmarks.full_size --minutes 9        # again and again until it prints the table
    python -m benchmarks.full_size --preset imdb_hour # the same road scaled down, for a CPU

It reads $DATASETS_DIR. Only the minutes of training count; the network alone is scored, on all test documents. What is
finished stays in --work, and a stage's result is not made again while its folder is there.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from benchmarks.common import ROOT, machine, machine_line, print_table, write_json
from pipeline.base.errors import Stopped, UserError
from pipeline.base.files import read_json
from pipeline.base.files import write_json as write_file
from pipeline.base.process import run_stage
from pipeline.config.read import read_yaml
from pipeline.inference.predictor import Predictor
from pipeline.text.prepared import read_labels, read_texts

WORK = ROOT / ".benchmarks/full_size"
DATA = {"generic": "local_wikipedia", "domain": "local_imdb_domain", "task": "local_imdb"}
LAST = {"pretrain": "samples.json", "finetune_lm": "samples.json", "finetune_classifier": "run.json"}
# Stage, its word, and the file that it writes last.
STAGES = (
    *(("prepare", role, f"data/prepared/{role}/audit.json") for role in ("task", "domain", "generic")),
    ("tokenizer", None, "models/tokenizer/tokenizer.json"),
    *(("tokenise", role, f"data/tokens/{role}/validation/index.json") for role in ("generic", "domain")),
    ("tokenise", "task", "data/tokens/task/test/index.json"),
    *((stage, "forward", f"results/{stage}/forward/{last}") for stage, last in LAST.items()),
)
LAST_STEP = 60.0  # seconds that a stopped stage has for keeping its state


def workspace(folder: Path, preset: str, changes: dict[str, Any]) -> Path:
    """A folder with the preset's configs, in which stages run as they do in the repository's root."""
    known = sorted(path.stem for path in (ROOT / "configs/presets").glob("*.yaml"))
    if preset not in known:
        raise UserError(f"--preset {preset}: there is none of that name; take one of {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "configs", ignore_errors=True)
    shutil.copytree(ROOT / "configs", folder / "configs")
    choices = read_yaml(ROOT / f"configs/presets/{preset}.yaml") | changes
    if (folder / "choices.json").is_file() and read_json(folder / "choices.json") != choices:
        raise UserError(f"{folder}: holds a run of other choices; give another --work, or remove it")
    write_file(folder / "choices.json", choices)
    write_file(folder / "configs/config.yaml", choices)  # JSON is YAML
    (folder / "data").mkdir(exist_ok=True)
    for place in ("data/raw", "requirements.lock"):
        (folder / place).unlink(missing_ok=True)
        (folder / place).symlink_to(ROOT / place)
    return folder


def go_on(folder: Path, seconds: float) -> None:
    """Run the stages that are not finished yet; `Stopped` when the time is over before they are."""
    end = monotonic() + seconds
    for stage, word, out in STAGES:
        if (folder / out).is_file():
            continue
        command = [sys.executable, "-m", f"stages.{stage}", *([word] if word else [])]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        print(f"{stage} {word or ''}".rstrip(), flush=True)
        process = subprocess.Popen(command, cwd=folder, env=environment)
        try:
            code = process.wait(max(0.0, end - monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait(LAST_STEP)
            raise Stopped(f"full_size: the time is over in {stage}; run the same command again to go on") from None
        if code:
            raise SystemExit(code)


def scored(folder: Path) -> dict[str, Any]:
    """Test accuracy of the network, and what each training stage took."""
    test = folder / "data/prepared/task/test.parquet"
    said_NC = Predictor.load(folder / "models/classifier/forward").predict_proba(list(read_texts(test)))
    right_N = said_NC.argmax(axis=1) == np.array(list(read_labels(test)))
    runs = {stage: read_json(folder / "results" / stage / "forward/run.json") for stage in LAST}
    parameters = read_json(folder / "results/pretrain/forward/metrics.json")["parameters"]
    return {
        "accuracy": float(right_N.mean()),
        "documents": len(right_N),
        "minutes": sum(run["seconds"] for run in runs.values()) / 60,
        "parameters": parameters,
        "stages": runs,
        "machine": machine(),
    }


def main(*words: str) -> None:
    """Go on until the table can be printed, or the time is over."""
    parser = argparse.ArgumentParser("python -m benchmarks.full_size", description=__doc__)
    parser.add_argument("--preset", default="gpu", help="of configs/presets/ (default: %(default)s)")
    for role, name in DATA.items():
        parser.add_argument(f"--{role}", default=name, help="of configs/dataset/ (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many, with all kept")
    parser.add_argument("--work", type=Path, help="folder (default: .benchmarks/full_size/PRESET)")
    wanted = parser.parse_args(words)
    data = {role: getattr(wanted, role) for role in DATA}
    folder = workspace(wanted.work or WORK / wanted.preset, wanted.preset, data)
    go_on(folder, 60 * wanted.minutes)
    found = scored(folder) | {"preset": wanted.preset, "data": data}
    write_json(f"full_size_{wanted.preset}", found)
    rows = [
        (stage, run["seconds"] / 60, int(run["tokens_per_second"]), f"{run['mfu']:.0%}", run["peak_memory_mb"])
        for stage, run in found["stages"].items()
    ]
    print_table(("stage", "minutes", "tokens/s", "share of peak", "memory MB"), rows)
    print(
        f"accuracy {found['accuracy']:.4f} on {found['documents']:,} test documents, {found['minutes']:.1f} minutes of "
        f"training, {found['parameters'] / 1e6:.1f} M parameters"
    )
    print(machine_line(found["machine"]))


if __name__ == "__main__":
    run_stage(main)
