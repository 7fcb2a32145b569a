"""What the place of the norm does: gradients at the start, and the learning rates that training bears.

1. Gradient norm of each layer at initialisation for Post-LN, Pre-LN and ResiDual, and that of the last layer in deeper
   and deeper networks: figure 3 of Xiong et al. 2020 (arXiv 2002.04745) in shape. Means over batches, each with
   weights of its own.
2. Loss that short runs end with (AdamW without decay or clipping, constant rate, no warm-up) over learning rates;
   Post-LN also with a rate that first rises linearly. A run has failed when its loss is not finite, or not below the
   unigram entropy of the very tokens it is measured on: no better than a guess that reads nothing.

All placements start from equal weights, as in the paper: Glorot's std, sqrt(2 / (inputs + outputs)), in every matrix.
(`--start own` takes the pipeline's: GPT-2's, with the last matrix of each sub-layer smaller by sqrt(2 x layers) for
pre and resi_dual.) Tokens are those of the default run (`make run` makes them), the most frequent ones, with
one number for all others; `--random` draws them from a Markov chain instead and needs no data.

    python -m benchmarks.layer_norm
    python -m benchmarks.layer_norm --random --width 32 --steps 60
"""

import argparse
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from benchmarks import common
from pipeline.base.errors import UserError
from pipeline.base.process import keep_memory, with_one_line_errors
from pipeline.models.settings import TransformerSettings
from pipeline.models.transformer import Transformer
from pipeline.models.weights import Linear, initialise
from pipeline.shards.format import INDEX
from pipeline.shards.read import TokenCorpus

PLACEMENTS = {"post": "Post-LN", "pre": "Pre-LN", "resi_dual": "ResiDual"}
COLOURS = {"post": "#d1495b", "pre": "#00798c", "resi_dual": "#c98a00"}
TOKENS = "data/tokens/generic/train"
SUCCESSORS = 4  # of each token in the random chain, equally likely
LENGTH = 64  # tokens of a sequence
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print both tables, write the numbers and both drawings."""
    options = _options(words)
    tokens = random_tokens(options.vocabulary) if options.random else frequent_tokens(options.vocabulary)
    about = {"machine": common.machine(), "options": vars(options)}
    result: dict[str, Any] = {}
    if options.only != "rates":
        norms = measure_gradients(tokens, options)
        result["gradients"] = about | {"norms": norms}
        common.write_drawing("gradient_norms", draw_gradients(norms, options.depths))
    if options.only != "gradients":
        entropy = unigram_entropy(measured_targets(tokens, options))
        losses = measure_rates(tokens, options, entropy)
        result["rates"] = about | {"unigram_entropy": entropy, "final_loss": losses}
        common.write_drawing("divergence", draw_rates(losses, options, entropy))
    print(common.machine_line(about["machine"]))
    common.write_json("layer_norm", common.read_json("layer_norm") | result)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--random", action="store_true", help="tokens of a random Markov chain, not of the default run")
    add("--only", choices=["gradients", "rates"], help="one part alone (default: both)")
    add("--start", choices=["equal", "own"], default="equal", help="first weights (default: %(default)s)")
    add("--vocabulary", type=int, default=1024, help="different tokens (default: %(default)s)")
    add("--width", type=int, default=64, help="of the networks (default: %(default)s)")
    add("--batch", type=int, default=16, help=f"sequences of {LENGTH} tokens in a batch (default: %(default)s)")
    add("--batches", type=int, default=8, help="to average gradient norms over (default: %(default)s)")
    add("--depths", type=int, nargs="+", default=[3, 6, 12, 24], help="layers, for the last layer's gradient")
    add("--layers", type=int, default=12, help="for the gradient of each layer (default: %(default)s)")
    add("--trained-layers", type=int, default=8, help="of the networks that are trained (default: %(default)s)")
    add("--steps", type=int, default=200, help="of each training run (default: %(default)s)")
    add("--warmup", type=float, default=0.5, help="share of the steps in which the rate rises (default: %(default)s)")
    add("--rates", type=float, nargs="+", default=RATES, help="learning rates")
    add("--seed", type=int, default=1, help="of weights and batches (default: %(default)s)")
    options = parser.parse_args(words)
    options.depths, options.rates = sorted(options.depths), sorted(options.rates)
    options.measured = max(1, options.steps // 10)  # steps whose mean loss is a run's
    return options


def frequent_tokens(vocabulary: int) -> np.ndarray:
    """All tokens of the default run's generic corpus, numbered by frequency; the last number is for all the rarer."""
    folder = common.ROOT / TOKENS
    if not (folder / INDEX).is_file():
        raise UserError(f"{TOKENS}: there are no tokens yet; make them with `make run`, or give --random")
    corpus = TokenCorpus(folder)
    tokens = corpus.read(0, corpus.tokens)
    counts = np.bincount(tokens, minlength=corpus.vocabulary)
    ranks = np.empty_like(counts)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.minimum(ranks[tokens], vocabulary - 1)


def random_tokens(vocabulary: int, count: int = 50_000) -> np.ndarray:
    """A chain in which each token has the same few successors: there is something to learn beyond frequencies."""
    random = np.random.Generator(np.random.PCG64(0))
    successors = random.integers(0, vocabulary, (vocabulary, SUCCESSORS))
    choices = random.integers(0, SUCCESSORS, count)
    tokens = np.zeros(count, dtype=np.int64)
    for place in range(1, count):
        tokens[place] = successors[tokens[place - 1], choices[place]]
    return tokens


def unigram_entropy(tokens: np.ndarray) -> float:
    """Loss in nats per token of the best guess that reads nothing."""
    shares = np.unique(tokens, return_counts=True)[1] / len(tokens)
    return float(-(shares * np.log(shares)).sum())


def batch_of(tokens: np.ndarray, options: argparse.Namespace, number: int) -> Tensor:
    """Windows (B, T + 1) from random places, always the same for equal seed and number."""
    random = np.random.Generator(np.random.PCG64([options.seed, number]))
    starts = random.integers(0, len(tokens) - LENGTH, options.batch)
    return torch.from_numpy(tokens[starts[:, None] + np.arange(LENGTH + 1)])


def network_of(placement: str, layers: int, options: argparse.Namespace, seed: int) -> Transformer:
    """A decoder like the original's, but for its placement; equal first weights for all placements unless own."""
    settings = TransformerSettings(
        layers=layers,
        width=options.width,
        heads=4,
        feedforward=4 * options.width,
        max_positions=LENGTH,
        placement=placement,  # type: ignore[arg-type]
        positions="sinusoidal",
        activation="relu",
        tied=False,
    )
    network = Transformer(settings, options.vocabulary)
    if options.start == "equal":
        for module in network.modules():
            if isinstance(module, Linear):
                module.std = math.sqrt(2 / (module.in_features + module.out_features))
    initialise(network, seed)
    return network


def loss_of(network: Transformer, windows_BT1: Tensor) -> Tensor:
    """Mean loss in nats per token."""
    hidden_BTD = network(windows_BT1[:, :-1])
    return F.cross_entropy(network.unembed(hidden_BTD.flatten(0, 1)), windows_BT1[:, 1:].flatten())


def measure_gradients(tokens: np.ndarray, options: argparse.Namespace) -> dict[str, Any]:
    """Of each placement: norms by layer (`W2`: the last matrix of the feed-forward, `block`), and the last by depth."""
    found: dict[str, Any] = {}
    for placement in PLACEMENTS:
        found[placement] = gradient_norms(placement, options.layers, tokens, options)
        by_depth = [gradient_norms(placement, depth, tokens, options)["W2"][-1] for depth in options.depths]
        found[placement]["last_W2_by_depth"] = by_depth
    print(f"gradient norm at the start, {options.layers} layers, of W2 (feed-forward's last matrix) and of the block")
    parts = [(placement, part) for part in ("W2", "block") for placement in PLACEMENTS]
    columns = {f"{PLACEMENTS[placement]} {part}": found[placement][part] for placement, part in parts}
    rows = [[str(n), *(f"{x:.4f}" for x in row)] for n, row in enumerate(zip(*columns.values(), strict=True), start=1)]
    rows.append(["last / first", *(f"{norms[-1] / norms[0]:.2f}" for norms in columns.values())])
    common.print_table(["layer", *columns], rows)
    print("\nthe last layer's W2 by depth")
    lasts = zip(options.depths, *(found[placement]["last_W2_by_depth"] for placement in PLACEMENTS), strict=True)
    common.print_table(["layers", *PLACEMENTS.values()], [[str(n), *(f"{x:.4f}" for x in row)] for n, *row in lasts])
    print(flush=True)
    return found


def gradient_norms(
    placement: str, layers: int, tokens: np.ndarray, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Frobenius norms of each layer's gradient, means over batches: of W2, and of all of the block's parameters."""
    matrix_NL, block_NL = [], []
    for number in range(options.batches):
        network = network_of(placement, layers, options, options.seed + number)
        loss_of(network, batch_of(tokens, options, number)).backward()
        blocks = [dict(block.named_parameters()) for block in network.stack.blocks]
        matrix_NL.append([_norm([block["feed_forward.down.weight"]]) for block in blocks])
        block_NL.append([_norm(block.values()) for block in blocks])
    return {"W2": np.mean(matrix_NL, axis=0).tolist(), "block": np.mean(block_NL, axis=0).tolist()}


def _norm(parameters: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None))


def draw_gradients(found: dict[str, Any], depths: Sequence[int]) -> Figure:
    """Norms by layer, and of the last layer by depth."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_layer, by_depth = figure.subplots(1, 2)
    for placement, name in PLACEMENTS.items():
        colour, norms = COLOURS[placement], found[placement]
        layers = range(1, len(norms["W2"]) + 1)
        by_layer.semilogy(layers, norms["W2"], "o-", color=colour, label=name, markersize=4)
        by_layer.semilogy(layers, norms["block"], "--", color=colour, linewidth=1)
        by_depth.loglog(depths, norms["last_W2_by_depth"], "o-", color=colour, label=name, markersize=4)
    start = found["pre"]["last_W2_by_depth"][0]
    falling = [start * math.sqrt(depths[0] / depth) for depth in depths]
    by_depth.loglog(depths, falling, ":", color="#555555", label="as 1 / √layers")
    by_depth.set_xticks(depths, [str(depth) for depth in depths])
    by_depth.xaxis.set_minor_locator(NullLocator())
    for axes in (by_layer, by_depth):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    _name(by_layer, "layer (W2; dashed: the whole block)", "gradient norm at initialisation")
    _name(by_depth, "layers of the network", "gradient norm of the last layer's W2")
    return figure


def measure_rates(tokens: np.ndarray, options: argparse.Namespace, entropy: float) -> dict[str, list[float | None]]:
    """Final loss of each variant at each rate; None where it is not finite."""
    variants = {name: (placement, 0) for placement, name in PLACEMENTS.items()}
    variants["Post-LN, warm-up"] = ("post", max(1, round(options.warmup * options.steps)))
    found: dict[str, list[float | None]] = {
        name: [train(placement, rate, warmup, tokens, options) for rate in options.rates]
        for name, (placement, warmup) in variants.items()
    }
    print(f"final loss of {options.steps} steps, {options.trained_layers} layers; unigram entropy {entropy:.3f}")
    rows = []
    for name, losses in found.items():
        highest = highest_rate(options.rates, losses, entropy)
        rows.append([name, *(_mark(loss, entropy) for loss in losses), "none" if highest is None else f"{highest:g}"])
    common.print_table(["learning rate", *(f"{rate:g}" for rate in options.rates), "highest that trains"], rows)
    print("(x: not below the unigram entropy)\n", flush=True)
    return found


def train(placement: str, rate: float, warmup: int, tokens: np.ndarray, options: argparse.Namespace) -> float | None:
    """Mean loss of the last steps, after the rate has risen to `rate` in the first `warmup`; None: not finite."""
    network = network_of(placement, options.trained_layers, options, options.seed)
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.0)
    losses = []
    for step in range(options.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / warmup) if warmup else rate
        loss = loss_of(network, batch_of(tokens, options, step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            return None
    return float(np.mean(losses[-options.measured :]))


def measured_targets(tokens: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """All that runs must predict in the steps whose loss is reported; it is the same for all."""
    steps = range(options.steps - options.measured, options.steps)
    return np.concatenate([batch_of(tokens, options, step)[:, 1:].flatten().numpy() for step in steps])


def highest_rate(rates: Sequence[float], losses: Sequence[float | None], entropy: float) -> float | None:
    """The last rate before the first failure above the best one; None where all fail."""
    finite = [math.inf if loss is None else loss for loss in losses]
    place = int(np.argmin(finite))
    if finite[place] >= entropy:
        return None
    while place + 1 < len(rates) and finite[place + 1] < entropy:
        place += 1
    return rates[place]


def _mark(loss: float | None, entropy: float) -> str:
    return "not finite x" if loss is None else f"{loss:.3f}{'  ' if loss < entropy else ' x'}"


def draw_rates(found: dict[str, list[float | None]], options: argparse.Namespace, entropy: float) -> Figure:
    """Final loss against rate; what is far above the entropy, or not finite, stands at the upper edge."""
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    lowest = min((loss for losses in found.values() for loss in losses if loss is not None), default=0.0)
    edge = entropy + max(entropy - lowest, 0.5)
    for name, losses in found.items():
        placement = next(key for key, label in PLACEMENTS.items() if name.startswith(label))
        heights = [edge if loss is None else min(loss, edge) for loss in losses]
        style = "o--" if name.endswith("warm-up") else "o-"
        axes.semilogx(options.rates, heights, style, color=COLOURS[placement], label=name, markersize=4)
    axes.axhline(entropy, color="#555555", linestyle=":", label="unigram entropy")
    _name(axes, "learning rate", "loss at the end (nats per token)")
    return figure


def _name(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, linewidth=0.4)
    axes.legend(frameon=False)


if __name__ == "__main__":
    keep_memory()
    with_one_line_errors(main)
