"""The tables of `ulmfit plan`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pipeline.base.progress import quantity
from pipeline.planning.memory import Memory
from pipeline.planning.parameters import PARTS
from pipeline.planning.plan import Plan, PlannedStage
from pipeline.planning.prepared import MISSING

SHOWN = ("task", "model", "pretrain", "finetune_lm", "classifier", "scratch", "hardware")
MEMORY_PARTS = {
    "weights": "weights",
    "casts": "bf16 copies of weights",
    "gradients": "gradients",
    "optimiser": "optimiser state",
    "activations": "activations",
    "loss": "scores and loss",
    "scratch": "update (when the three above are gone)",
    "data": "data",
    "runtime": "libraries",
}


def print_plan(made: Plan, choices: Mapping[str, Any]) -> None:
    """Print all tables and what has to be said beside them."""
    print("Plan for " + ", ".join(f"{key} {choices[key]}" for key in SHOWN))
    print(_device_line(made))
    trained = [one for one in made.stages if one.forecasts]
    for one in made.stages:
        if not one.forecasts:
            print(f"{one.stage.name} trains nothing: {one.stage.note}")
    if not trained:
        return
    names = [one.stage.name for one in trained]
    for title, headers, rows in (
        ("What is trained", ["parameters", *names], _parameter_rows(trained)),
        ("On how much, and how fast", _cost_headers(made), map(_cost_row, trained)),
        ("Memory of a device, GB", ["one process", *names], _memory_rows(made, trained)),
        ("Hours", ["devices", *names, "in all", "device-hours", "waiting"], _time_rows(made, trained)),
    ):
        print(f"\n{title}")
        _print_table(headers, list(rows))
    for line in _notes(made, trained):
        print(line)


def _device_line(made: Plan) -> str:
    device, precisions = made.device, sorted({one.precision for one in made.stages})
    peaks = " and ".join(f"{quantity(device.peak(precision))}FLOP/s in {precision}" for precision in precisions)
    share = f"{device.share:.0%} of its peak {device.share_from}"
    if made.measured:
        measured = made.measured
        share += f" ({measured.sequences} sequences a step, {quantity(measured.tokens_per_second)} tokens/s)"
    return f"on {device.name}: {peaks}, {device.memory / 1e9:.0f} GB; {share}"


def _parameter_rows(trained: Sequence[PlannedStage]) -> Iterator[list[str]]:
    for part in PARTS:
        counts = [one.stage.parts.get(part, 0) for one in trained]
        if any(counts):
            yield [part, *(f"{count:,}" if count else "" for count in counts)]
    yield ["all", *(f"{one.stage.parameters:,}" for one in trained)]


def _cost_headers(made: Plan) -> list[str]:
    where = "one device" if made.devices[0] == 1 else f"{made.devices[0]:,} devices"
    return ["stage", "tokens", "steps", "forward/token", "backward/token", "FLOPs in all", f"tokens/s, {where}"]


def _cost_row(one: PlannedStage) -> list[str]:
    stage, flops, first = one.stage, one.stage.phases[-1].flops, one.forecasts[0]
    known = [f"{stage.tokens:,}", f"{stage.steps:,}"] if stage.known else [MISSING, ""]
    speed = quantity(first.tokens_per_second) if first.fits else "does not fit"
    return [stage.name, *known, *map(quantity, flops), f"{stage.flops:.3g}" if stage.known else "", speed]


def _memory_rows(made: Plan, trained: Sequence[PlannedStage]) -> Iterator[list[str]]:
    micro = [one.forecasts[0].micro_batch for one in trained]
    yield ["  sequences at once", *map(str, micro)]
    for field in fields(Memory):
        values = [getattr(one.memory["one process"], field.name) for one in trained]
        if any(values):
            yield [f"  {MEMORY_PARTS[field.name]}", *map(_gigabytes, values)]
    for strategy in trained[0].memory:
        over = "" if strategy == "one process" else f" over {made.together}"
        yield [f"all, {strategy}{over}", *(_gigabytes(one.memory[strategy].total) for one in trained)]


def _time_rows(made: Plan, trained: Sequence[PlannedStage]) -> Iterator[list[str]]:
    for row, number in enumerate(made.devices):
        found = [one.forecasts[row] for one in trained]
        sharded = any(forecast.strategy == "FSDP" for forecast in found)
        cells = [f"{number:,}{' FSDP' if sharded else ''}"]
        for one, forecast in zip(trained, found, strict=True):
            cells.append((_hours(forecast.seconds) if one.stage.known else "?") if forecast.fits else "does not fit")
        counted = [forecast for one, forecast in zip(trained, found, strict=True) if one.stage.known]
        if counted and all(forecast.fits for forecast in found):
            seconds = sum(forecast.seconds for forecast in counted)
            more = "" if len(counted) == len(found) else "+"
            waiting = sum(forecast.communication for forecast in counted) / seconds
            cells += [_hours(seconds) + more, _hours(number * seconds) + more, f"{waiting:.0%}"]
        else:
            cells += ["", "", ""]
        yield cells


def _notes(made: Plan, trained: Sequence[PlannedStage]) -> Iterator[str]:
    if unknown := [one.stage.name for one in trained if not one.stage.known]:
        yield f"{', '.join(unknown)}: how many tokens there are is known {MISSING}; + and ? stand for that"
    remedies: dict[str, list[str]] = {}
    for one in trained:
        for remedy in {forecast.remedy for forecast in one.forecasts if forecast.remedy}:
            need = one.memory["one process"].total / 1e9
            remedies.setdefault(remedy, []).append(f"{one.stage.name} ({need:,.1f} GB on one device)")
    for remedy, names in sorted(remedies.items()):
        yield f"does not fit: {', '.join(names)}; what fits: {remedy}"
    shared, most = [one.stage for one in trained if not one.stage.alone], made.devices[-1]
    if few := [f"{stage.name} {stage.sequences:,}" for stage in shared if most > stage.sequences]:
        yield f"on more devices than a step has sequences or documents a run is refused: {', '.join(few)}"
    if most > 1 and (alone := [one.stage.name for one in trained if one.stage.alone]):
        yield f"trained on one device, beside which the others stand idle: {', '.join(alone)}"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.3f}" if size < 10e9 else f"{size / 1e9:,.1f}"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    for row in (headers, *rows):
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
