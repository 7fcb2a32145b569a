"""What `ulmfit plan` predicts against what training then takes: tokens/s and memory of several networks, on this machine.

Each network trains a few real steps on random tokens in a process of its own. Its speed is predicted from the share of
peak that the base reaches, which is measured anew right before it, as another machine's would be from a short run
there; its memory is predicted from nothing but its config. Predicted memory is compared with the most that the process
held resident, less what it held before the network was built. The command fails where a prediction is further off
than --tolerance.

    python -m benchmarks.plan_accuracy
    python -m benchmarks.plan_accuracy --only lstm --again
"""

import argparse
from contextlib import chdir
from dataclasses import replace
from typing import Any, NamedTuple

import psutil

from benchmarks.common import ROOT, in_own_process, kept, machines_line, print_table
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage
from pipeline.config.chosen import read_choices
from pipeline.config.hardware import HardwareConfig
from pipeline.planning.devices import this_device
from pipeline.planning.memory import memory_of
from pipeline.planning.scaling import step_seconds
from pipeline.planning.stages import Stage, stages_of
from pipeline.training.place import Place


class Shape(NamedTuple):
    """One row: a network and a recipe of configs/, and how many sequences a step has."""

    name: str
    model: str
    recipe: str
    sequences: int


BASE = Shape("decoder, 4 layers of 256 (base)", "decoder_small", "small", 8)
SHAPES = (
    BASE,
    Shape("decoder, 2 sequences a step", "decoder_small", "small", 2),
    Shape("decoder, 6 layers of 256", "decoder_6x256", "small", 8),
    Shape("encoder, masked", "encoder_small", "small_masked", 8),
    Shape("encoder, replaced tokens", "encoder_small", "small_replaced_tokens", 8),
    Shape("encoder-decoder, spans", "encoder_decoder_small", "small_spans", 8),
    Shape("AWD-LSTM", "awd_lstm_small", "small_lstm", 4),
)


def stage_of(shape: Shape) -> Stage:
    """The pretraining of these configs, with the sequences of this row."""
    choices = read_choices() | {"model": shape.model, "pretrain": shape.recipe, "finetune_lm": shape.recipe}
    stage = stages_of(choices)[0]
    phase = stage.phases[0]
    tokens = phase.steps * shape.sequences * stage.length
    return replace(stage, sequences=shape.sequences, phases=(replace(phase, tokens=tokens),))


def measured(shape: Shape) -> dict[str, Any]:
    """Train, in this process; what it took, and what the plan says of its memory."""
    from pipeline.planning.measure import measure

    with chdir(ROOT):
        stage = stage_of(shape)
    place = Place(HardwareConfig(accelerator="cpu"), stage.config.precision)
    device = this_device(place)
    before = psutil.Process().memory_info().rss
    found = measure(stage, place, device, shape.sequences)
    memory = memory_of(stage, device, place.precision, found.sequences)
    return {
        "sequences": found.sequences,
        "tokens_per_second": found.tokens_per_second,
        "share": found.share,
        "peak": device.peak(place.precision),
        "bandwidth": device.bandwidth,
        "memory_mb": found.peak_memory_mb - before / 1e6,
        "predicted_memory_mb": (memory.total - memory.runtime) / 1e6,
        "precision": place.precision,
    }


def compared(shape: Shape) -> dict[str, Any]:
    """The base and then the row, each in a fresh process; the row's speed as predicted from the base's share."""
    base = in_own_process(measured, BASE)
    row = base if shape == BASE else in_own_process(measured, shape)
    place = Place(HardwareConfig(accelerator="cpu"), row["precision"])
    device = replace(this_device(place), bf16=base["peak"], fp32=base["peak"], bandwidth=base["bandwidth"])
    with chdir(ROOT):
        stage = stage_of(shape._replace(sequences=row["sequences"]))
    seconds, _ = step_seconds(
        stage,
        stage.phases[0],
        replace(device, share=base["share"]),
        row["precision"],
        devices=1,
        micro_batch=row["sequences"],
        strategy="one process",
    )
    predicted = row["sequences"] * stage.length / seconds
    return {"shape": shape.name, **row, "predicted_tokens_per_second": predicted, "base_share": base["share"]}


def options_of(words: tuple[str, ...]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.plan_accuracy", description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORDS", help="rows whose name holds one of these")
    parser.add_argument("--again", action="store_true", help="measure finished rows anew")
    parser.add_argument("--tolerance", type=float, default=0.5, help="largest error, as a share (default: 0.5)")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/scaling.md")
    return parser.parse_args(words)


def main(*words: str) -> None:
    """Measure what is missing, print the table, fail where a prediction is far off."""
    options = options_of(words)
    some = [shape for shape in SHAPES if not options.only or any(word in shape.name for word in options.only)]
    if not some:
        raise UserError(f"--only {' '.join(options.only)}: no such row; there is: {' | '.join(s.name for s in SHAPES)}")
    rows = [
        kept("plan_accuracy", list(shape), lambda shape=shape: compared(shape), again=options.again) for shape in some
    ]
    print_table(
        ("network", "sequences", "tokens/s", "predicted", "error", "memory MB", "predicted", "error"),
        [cells(row) for row in rows],
        markdown=options.markdown,
    )
    print("\n" + machines_line([row["machine"] for row in rows]))
    worst = {row["shape"]: max(abs(error) for error in errors(row)) for row in rows}
    if far := [f"{name} {error:.0%}" for name, error in worst.items() if error > options.tolerance]:
        raise UserError(f"predictions further off than {options.tolerance:.0%}: {', '.join(far)}")


def errors(row: dict[str, Any]) -> tuple[float, float]:
    """Predicted over measured, less one: of the speed and of the memory."""
    speed = row["predicted_tokens_per_second"] / row["tokens_per_second"] - 1
    return speed, row["predicted_memory_mb"] / row["memory_mb"] - 1


def cells(row: dict[str, Any]) -> list[Any]:
    """A line of the table."""
    speed, memory = errors(row)
    speeds = [round(row["tokens_per_second"]), round(row["predicted_tokens_per_second"]), f"{speed:+.0%}"]
    sizes = [round(row["memory_mb"]), round(row["predicted_memory_mb"]), f"{memory:+.0%}"]
    return [row["shape"], row["sequences"], *speeds, *sizes]


if __name__ == "__main__":
    run_stage(main, trains=True)
