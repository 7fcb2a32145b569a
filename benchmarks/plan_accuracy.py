"""What `ulmfit plan` predicts against what training takes: tokens/s and memory of several networks, on this machine.

Each network trains a few real steps on random tokens in a process of its own. Speeds are predicted from the share of
peak that the first row reaches, as a plan's are from `--measure`, and the peak that the row's own process finds before
it trains, as that of a shared machine changes; memory is predicted from nothing but the configs and
compared with the most that the process held resident, libraries included. Finished rows are kept in
benchmarks/results/plan_accuracy.json.

    python -m benchmarks.plan_accuracy
    python -m benchmarks.plan_accuracy --only LSTM --again
"""

import argparse
from contextlib import chdir
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from benchmarks.common import ROOT, in_own_process, kept, machines_line, print_table
from pipeline.base.process import run_stage
from pipeline.config.chosen import read_choices
from pipeline.config.hardware import HardwareConfig
from pipeline.planning.devices import Device, this_device
from pipeline.planning.memory import memory_of
from pipeline.planning.scaling import step_seconds
from pipeline.planning.stage import Stage
from pipeline.planning.stages import stages_of
from pipeline.training.place import Place


class Shape(NamedTuple):
    """One row: a network and a recipe of configs/, and how many sequences a step has."""

    name: str
    model: str
    recipe: str
    sequences: int


BASE = Shape("decoder, 4 layers of 256 (base)", "decoder_small", "small", 4)
SHAPES = (
    BASE,
    Shape("decoder, 16 sequences a step", "decoder_small", "small", 16),
    Shape("decoder, 6 layers of 256", "decoder_6x256", "small", 4),
    Shape("encoder, masked", "encoder_small", "small_masked", 4),
    Shape("encoder, replaced tokens", "encoder_small", "small_replaced_tokens", 4),
    Shape("encoder-decoder, spans", "encoder_decoder_small", "small_spans", 4),
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
    found = measure(stage, place, device, shape.sequences)
    memory = memory_of(stage, device, place.precision, found.sequences)
    return {
        "shape": shape.name,
        "sequences": found.sequences,
        "tokens_per_second": found.tokens_per_second,
        "share": found.share,
        "peak": device.peak(place.precision),
        "bandwidth": device.bandwidth,
        "memory_mb": found.peak_memory_mb,
        "predicted_memory_mb": memory.total / 1e6,
    }


def predicted(shape: Shape, row: dict[str, Any], base: dict[str, Any]) -> float:
    """Tokens/s of a row from the share that the base reached, and the speeds that its own process found."""
    with chdir(ROOT):
        stage = stage_of(shape._replace(sequences=row["sequences"]))
    peak, bandwidth = row["peak"], row["bandwidth"]
    device = Device("measured", peak, peak, 1.0, bandwidth, 1.0, 1, 1.0, share=base["share"])
    seconds, _ = step_seconds(stage, stage.phases[0], device, "fp32", 1, row["sequences"], "one process")
    return row["sequences"] * stage.length / seconds


def options_of(words: tuple[str, ...]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.plan_accuracy", description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORDS", help="rows whose name holds one of these")
    parser.add_argument("--again", action="store_true", help="measure finished rows anew")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/scaling.md")
    return parser.parse_args(words)


def main(*words: str) -> None:
    """Measure what is missing and print the table."""
    options = options_of(words)
    some = [one for one in SHAPES if one == BASE or not options.only or any(word in one.name for word in options.only)]
    rows = {}
    for shape in some:
        print(shape.name, flush=True)
        again = options.again and (shape != BASE or not options.only)
        rows[shape] = kept("plan_accuracy", list(shape), partial(in_own_process, measured, shape), again=again)
    headers = ("network", "sequences", "tokens/s", "predicted", "error", "memory MB", "predicted", "error")
    print_table(headers, [cells(shape, row, rows[BASE]) for shape, row in rows.items()], markdown=options.markdown)
    print(f"\nThe base reaches {rows[BASE]['share']:.0%} of the best matrix product.")
    print(machines_line([row["machine"] for row in rows.values()]))


def cells(shape: Shape, row: dict[str, Any], base: dict[str, Any]) -> list[Any]:
    """A line of the table; errors are predicted over measured, less one."""
    speed, memory = predicted(shape, row, base), row["predicted_memory_mb"]
    speeds = [round(row["tokens_per_second"]), round(speed), f"{speed / row['tokens_per_second'] - 1:+.0%}"]
    sizes = [round(row["memory_mb"]), round(memory), f"{memory / row['memory_mb'] - 1:+.0%}"]
    return [shape.name, row["sequences"], *speeds, *sizes]


if __name__ == "__main__":
    run_stage(main, trains=True)
