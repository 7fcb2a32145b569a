"""Time and memory of each kind of attention from short to long texts: which are linear in length, and which are not.

One causal attention module (batch 1, width 256, 4 heads of 64, no positions), forward and backward.

- Time: median of several repeats, which are interleaved between the kinds, with as many threads as torch takes.
- Memory: the most bytes that tensors held at once beyond weights and input (gradients included), added up from every
  allocation and release that torch's profiler saw. It counts neither the reserve of the C library's allocator nor what
  matrix libraries keep for themselves; what a process occupies is more than this.

Softmax runs through torch's fused kernel, which never holds the T x T scores: its memory is linear, its time is not.
The slope of log time against log T over T >= 1,024 tells them apart: 0.9 to 1.1 for linear, performer and fast_weight,
at least 1.6 for softmax; otherwise the kind is named and the exit code is 1.

    python -m benchmarks.attention_cost
    python -m benchmarks.attention_cost --longest 4096 --repeats 9
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks import common
from pipeline.base.process import keep_memory, with_one_line_errors
from pipeline.models.attention import ATTENTIONS
from pipeline.models.context import Context
from pipeline.models.positions import Positions
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import initialise

SHORTEST, JUDGED_FROM = 256, 1024
LEAST_POINTS = 3  # of a slope that is judged
# Lowest and highest slope of log time against log length.
SLOPES = {kind: (1.6, 2.2) if kind == "softmax" else (0.9, 1.1) for kind in ATTENTIONS}
COLOURS = {"softmax": "#d1495b", "linear": "#00798c", "performer": "#c98a00", "fast_weight": "#5b4b8a"}
Measured = dict[str, list[float]]  # of each kind, a number for each length
Pass = Callable[[Tensor], None]
WIDTH = 256


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write the numbers and the drawing; exit code 1 if a slope is not its kind's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=int, default=16_384, help="tokens (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each point (default: %(default)s)")
    options = parser.parse_args(words)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler reports every start and stop of itself
    lengths = lengths_to(options.longest)
    passes = {kind: pass_of(kind, options.longest) for kind in ATTENTIONS}
    seconds = time_all(passes, lengths, options.repeats)
    megabytes = {kind: [peak_bytes(run, T) / 1e6 for T in lengths] for kind, run in passes.items()}
    judged = [T for T in lengths if T >= JUDGED_FROM]
    slopes = {kind: slope(lengths, values) for kind, values in seconds.items()} if len(judged) >= LEAST_POINTS else {}
    _print(lengths, seconds, megabytes, slopes)
    result: dict[str, Any] = {"machine": common.machine(), "options": vars(options), "lengths": lengths}
    result |= {"seconds": seconds, "megabytes": megabytes, "slopes": slopes}
    print(common.machine_line(result["machine"]))
    print(f"numbers: {common.write_json('attention_cost', result)}")
    print(f"drawing: {common.write_drawing('attention_cost', draw(lengths, seconds, megabytes))}")
    if wrong := failures(slopes):
        sys.exit("\n".join(wrong))


def lengths_to(longest: int) -> list[int]:
    """Powers of two from the shortest length."""
    lengths = [SHORTEST]
    while lengths[-1] * 2 <= longest:
        lengths.append(lengths[-1] * 2)
    return lengths


def pass_of(kind: str, longest: int) -> Pass:
    """Forward and backward of one module of this kind, for up to `longest` tokens."""
    settings = TransformerSettings(
        layers=1,
        width=WIDTH,
        heads=4,
        feedforward=4 * WIDTH,
        max_positions=longest,
        positions="none",
        attention=kind,  # type: ignore[arg-type]
    )
    module = ATTENTIONS[kind](settings)
    initialise(module, seed=1)
    context = Context(causal=True, seeds_B=None, positions=Positions(settings))

    def run(x_BTD: Tensor) -> None:
        module(x_BTD, context).sum().backward()
        module.zero_grad()
        x_BTD.grad = None

    return run


def new_input(length: int) -> Tensor:
    """Random states (1, T, D) that want a gradient."""
    noise = np.random.Generator(np.random.PCG64(length)).standard_normal((1, length, WIDTH), dtype=np.float32)
    return torch.from_numpy(noise).requires_grad_()


def time_all(passes: Mapping[str, Pass], lengths: Sequence[int], repeats: int) -> Measured:
    """Median seconds of each kind at each length; one pass before the first timing warms up."""
    medians: Measured = {kind: [] for kind in passes}
    for length in lengths:
        x_BTD, times = new_input(length), {kind: list[float]() for kind in passes}
        for run in passes.values():
            run(x_BTD)
        for _ in range(repeats):
            for kind, run in passes.items():
                started = time.perf_counter()
                run(x_BTD)
                times[kind].append(time.perf_counter() - started)
        for kind, values in times.items():
            medians[kind].append(statistics.median(values))
    return medians


def peak_bytes(run: Pass, length: int) -> float:
    """The most bytes held at once during a pass beyond those at its start."""
    x_BTD = new_input(length)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run(x_BTD)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"]
    held = np.cumsum([size for _, size in sorted(changes, key=lambda change: change[0])])
    return float(held.max())


def slope(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """Exponent of time as a power of length, by least squares over the lengths that are judged."""
    judged = [(T, value) for T, value in zip(lengths, seconds, strict=True) if T >= JUDGED_FROM]
    x, y = np.log(judged).T
    return float(np.polyfit(x, y, 1)[0])


def failures(slopes: Mapping[str, float]) -> list[str]:
    """A line for each kind whose time does not grow as it should."""
    return [
        f"{kind}: time grows with length to the power of {value:.2f}, which is not in {SLOPES[kind]}"
        for kind, value in slopes.items()
        if not SLOPES[kind][0] <= value <= SLOPES[kind][1]
    ]


def _print(lengths: Sequence[int], seconds: Measured, megabytes: Measured, slopes: Mapping[str, float]) -> None:
    for title, values, form in (("milliseconds", seconds, 1e3), ("megabytes", megabytes, 1.0)):
        rows = [[f"{T:,}", *(f"{values[kind][row] * form:.1f}" for kind in values)] for row, T in enumerate(lengths)]
        if title == "milliseconds":
            rows.append(["slope", *(f"{slopes[kind]:.2f}" if slopes else "not judged" for kind in values)])
        common.print_table([f"tokens ({title})", *values], rows)
        print()


def draw(lengths: Sequence[int], seconds: Measured, megabytes: Measured) -> Figure:
    """Both against length, all axes logarithmic."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, values, label in zip(
        figure.subplots(1, 2),
        (seconds, megabytes),
        ("seconds, forward and backward", "peak of tensors held, MB"),
        strict=True,
    ):
        for kind, points in values.items():
            axes.loglog(lengths, points, "o-", color=COLOURS[kind], label=kind, markersize=4)
        axes.set_xticks(lengths, [f"{T:,}" for T in lengths], rotation=30)
        axes.minorticks_off()
        axes.set_xlabel("tokens")
        axes.set_ylabel(label)
        axes.grid(visible=True, linewidth=0.4)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    keep_memory()
    with_one_line_errors(main)
