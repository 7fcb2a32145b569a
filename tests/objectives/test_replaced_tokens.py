"""Replaced-token detection: the labels are right, the two networks meet in their embeddings alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from pipeline.config.read import load
from pipeline.interop.tensors import load_tensors, save_tensors
from pipeline.models.settings import TransformerSettings
from pipeline.models.transformer import Transformer
from pipeline.models.weights import initialise
from pipeline.objectives.masked import Masking
from pipeline.objectives.noise import Purpose, bits, fractions
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection, generator_settings, sample
from pipeline.text.specials import MASK, PAD
from tests.objectives.rows import VOCABULARY, seeds, windows

SETTINGS = TransformerSettings(
    layers=2, width=32, heads=4, feedforward=64, max_positions=64, family="encoder", output_bias=True
)
CONFIGS = Path(__file__).parents[2] / "configs/model"
ROWS, LENGTH = 6, 30


def detection(rate: float = 0.2, **changes: Any) -> ReplacedTokenDetection:
    discriminator = Transformer(replace(SETTINGS, **changes), VOCABULARY)
    initialise(discriminator, 1)
    return ReplacedTokenDetection(discriminator, Masking(VOCABULARY, rate), seed=1)


def seen(trainee: ReplacedTokenDetection, windows_BT1: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What generator and discriminator are given to read."""
    read = []
    for network in (trainee.generator, trainee.discriminator):
        network.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    trainee.losses(windows_BT1, seeds(len(windows_BT1)))
    return read[0], read[1]


def test_the_generator_reads_masks_and_the_discriminator_what_was_drawn_there() -> None:
    trainee, windows_BT1 = detection(), windows(ROWS, LENGTH)
    masked_BT, replaced_BT = seen(trainee, windows_BT1)
    tokens_BT, places_BT = windows_BT1[:, :-1], masked_BT == MASK
    assert places_BT.sum(dim=1).tolist() == [6] * ROWS
    assert torch.equal(masked_BT[~places_BT], tokens_BT[~places_BT])
    assert torch.equal(replaced_BT[~places_BT], tokens_BT[~places_BT])
    assert (replaced_BT[places_BT] != MASK).any()


def test_the_losses_equal_their_literal_description() -> None:
    """A label is 1 exactly where the token drawn differs from the one that was there."""
    trainee, seeds_B = detection(), seeds(ROWS)
    windows_BT1 = 200 + windows(ROWS, LENGTH) % 3
    with torch.no_grad():
        trainee.discriminator.output_bias.fill_(9.0)  # takes no part
        trainee.generator.output_bias[200:203] = 7.0  # so that some draws are what was there
    tokens_BT = windows_BT1[:, :-1]
    places_BT = trainee.masking.places(tokens_BT, seeds_B)
    scores_BTV = trainee.generator.unembed(trainee.generator(tokens_BT.masked_fill(places_BT, MASK)))
    place_seeds_BT = bits(seeds_B, Purpose.SAMPLE, LENGTH).long()
    filling = sum(-scores_BTV[b, t].log_softmax(0)[tokens_BT[b, t]] for b, t in places_BT.nonzero().tolist())
    replaced_BT = tokens_BT.clone()
    for b, t in places_BT.nonzero().tolist():
        uniform_V = fractions(place_seeds_BT[b, t][None], Purpose.SAMPLE, VOCABULARY)[0].double()
        # A race of exponential clocks: the first to ring is a draw from the softmax.
        replaced_BT[b, t] = (-uniform_V.log() / scores_BTV[b, t].double().softmax(0)).argmin()
    assert 0 < (replaced_BT != tokens_BT).sum() < places_BT.sum()
    hidden_BTD = trainee.discriminator(replaced_BT)
    detecting = torch.zeros(())
    for b in range(ROWS):
        for t in range(LENGTH):
            score = hidden_BTD[b, t] @ trainee.head.weight[0] + trainee.head.bias[0]
            replaced = replaced_BT[b, t] != tokens_BT[b, t]
            detecting = detecting - (score.sigmoid() if replaced else 1 - score.sigmoid()).log()
    got = trainee.losses(windows_BT1, seeds_B)
    torch.testing.assert_close(got[0], filling)
    torch.testing.assert_close(got[1], detecting)
    assert got[2] == 6 * ROWS
    # ELECTRA's objective: a mean over masked tokens, and 50 times a mean over all tokens.
    whole = trainee.loss_sum(windows_BT1, seeds_B) / (trainee.targets(LENGTH) * ROWS)
    torch.testing.assert_close(whole, filling / (6 * ROWS) + 50 * detecting / (LENGTH * ROWS))
    measured, count = trainee.measured_sum(windows_BT1, seeds_B)
    torch.testing.assert_close(measured / count, whole)


def test_padding_is_not_asked_about() -> None:
    trainee, windows_BT1 = detection(), windows(ROWS, LENGTH)
    windows_BT1[:, 20:] = PAD
    hidden_BTD = trainee.discriminator(seen(trainee, windows_BT1)[1])
    expected = F.binary_cross_entropy_with_logits(
        trainee.head(hidden_BTD)[:, :20, 0],
        (seen(trainee, windows_BT1)[1] != windows_BT1[:, :-1])[:, :20].float(),
        reduction="sum",
    )
    torch.testing.assert_close(trainee.losses(windows_BT1, seeds(ROWS))[1], expected)


POSITIONS = pytest.mark.parametrize("positions", ["rotary", "learned", "t5"])


def with_gradients(network: Transformer) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.grad is not None}


def shared(positions: str) -> set[str]:
    """Clark et al. 2020, section 3.2: both the token and the positional embeddings."""
    return {"embeddings.weight", *(["positions.table.weight"] if positions == "learned" else [])}


@POSITIONS
def test_detection_reaches_the_generator_in_the_embeddings_alone(positions: str) -> None:
    trainee = detection(positions=positions)
    _, detecting, _ = trainee.losses(windows(ROWS, LENGTH), seeds(ROWS))
    detecting.backward()
    assert with_gradients(trainee.generator) == shared(positions)


@POSITIONS
def test_the_generator_s_loss_reaches_the_discriminator_in_the_embeddings_alone(positions: str) -> None:
    trainee = detection(positions=positions)
    filling, _, _ = trainee.losses(windows(ROWS, LENGTH), seeds(ROWS))
    filling.backward()
    assert with_gradients(trainee.discriminator) == shared(positions)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tied": False, "output_transform": True},
        {"embedding_width": 16, "norm": "rmsnorm"},
        {"placement": "post", "positions": "learned"},
    ],
    ids=str,
)
def test_every_parameter_that_trains_is_in_one_group_and_gets_a_gradient(changes) -> None:
    trainee = detection(**changes)
    trainee.loss_sum(windows(ROWS, LENGTH), seeds(ROWS)).backward()
    grouped = [id(parameter) for _, group in trainee.layer_groups() for parameter in group]
    training = {id(parameter): name for name, parameter in trainee.named_parameters() if parameter.requires_grad}
    assert sorted(grouped) == sorted(training)
    assert not [name for name, p in trainee.named_parameters() if p.requires_grad and p.grad is None]
    assert {id(matrix) for matrix in trainee.hidden_matrices()} < set(grouped)
    assert [name for name, _ in trainee.layer_groups()] == ["embeddings", "generator", "block 1", "block 2"]


@POSITIONS
def test_files_hold_what_is_shared_once_and_give_everything_back(tmp_path: Path, positions: str) -> None:
    trainee, other = detection(positions=positions), detection(positions=positions)
    with torch.no_grad():
        for parameter in trainee.parameters():
            parameter.add_(0.5)
    save_tensors(tmp_path / "all.safetensors", trainee)
    load_tensors(tmp_path / "all.safetensors", other)
    held = safetensors.torch.load_file(tmp_path / "all.safetensors")
    assert not held.keys() & {f"generator.{name}" for name in shared(positions)}
    windows_BT1, seeds_B = windows(ROWS, LENGTH), seeds(ROWS)
    assert torch.equal(other.loss_sum(windows_BT1, seeds_B), trainee.loss_sum(windows_BT1, seeds_B))
    third = detection(positions=positions)
    third.load_state_dict(trainee.state_dict())
    assert third.generator.embeddings is third.discriminator.embeddings
    assert torch.equal(third.loss_sum(windows_BT1, seeds_B), trainee.loss_sum(windows_BT1, seeds_B))
    # The network that is kept and what was trained beside it, each in a file of its own.
    fourth = detection(positions=positions)
    save_tensors(tmp_path / "kept", trainee.discriminator)
    save_tensors(tmp_path / "companion", trainee.companion())
    load_tensors(tmp_path / "kept", fourth.discriminator)
    load_tensors(tmp_path / "companion", fourth.companion())
    assert torch.equal(fourth.loss_sum(windows_BT1, seeds_B), trainee.loss_sum(windows_BT1, seeds_B))


def test_draws_follow_the_generator_s_distribution() -> None:
    trainee, rows = detection(), 20_000
    hidden_D = torch.randn(8, generator=torch.Generator().manual_seed(1)) * 3
    drawn_N = sample(trainee.generator, hidden_D.expand(rows, -1), torch.arange(rows))
    with torch.no_grad():
        chances_V = trainee.generator.unembed(hidden_D[None])[0].softmax(0)
    times_V = drawn_N.bincount(minlength=VOCABULARY)
    frequent = chances_V * rows > 10
    deviations = (times_V - chances_V * rows)[frequent] / (chances_V * (1 - chances_V) * rows).sqrt()[frequent]
    assert frequent.sum() > 50
    assert deviations.abs().max() < 4.5
    assert deviations.square().mean().item() == pytest.approx(1, abs=5 * (2 / int(frequent.sum())) ** 0.5)


def test_draws_and_masks_of_a_row_do_not_depend_on_its_batch() -> None:
    trainee, windows_BT1, seeds_B = detection(), windows(ROWS, LENGTH), seeds(ROWS)
    whole = trainee.losses(windows_BT1, seeds_B)
    parts = [trainee.losses(windows_BT1[rows], seeds_B[rows]) for rows in ([5], [2, 0, 4], [1, 3])]
    for part, of_all in zip(zip(*parts, strict=True), whole, strict=True):
        torch.testing.assert_close(sum(part), of_all)


def test_dropout_is_on_in_training_alone() -> None:
    trainee, windows_BT1, seeds_B = detection(dropout=0.3), windows(ROWS, LENGTH), seeds(ROWS)
    training = trainee.train().losses(windows_BT1, seeds_B)
    assert torch.equal(trainee.losses(windows_BT1, seeds_B)[0], training[0])
    trainee.set_drop_mult(0.0)
    without = trainee.losses(windows_BT1, seeds_B)
    assert not torch.isclose(training[0], without[0])
    trainee.set_drop_mult(1.0)
    assert torch.equal(trainee.eval().losses(windows_BT1, seeds_B)[0], without[0])


def test_each_network_has_dropout_noise_of_its_own() -> None:
    trainee, given = detection(), []
    for network in (trainee.generator, trainee.discriminator):
        network.register_forward_pre_hook(lambda *call: given.append(call[2]["seeds_B"]), with_kwargs=True)
    trainee.losses(windows(ROWS, LENGTH), seeds(ROWS))
    assert torch.equal(given[1], seeds(ROWS))
    assert not torch.isin(given[0], given[1]).any()


@pytest.mark.parametrize(
    ("size", "divisor", "expected"),
    [("small", 4, (12, 64, 1, 256, 128)), ("base", 3, (12, 256, 4, 1024, 768)), ("large", 4, (24, 256, 4, 1024, 1024))],
)
def test_generators_are_electra_s(size: str, divisor: int, expected: tuple[int, ...]) -> None:
    """Clark et al. 2020, table 6: layers, width, heads, feed-forward, and embeddings as wide as the discriminator's."""
    made = generator_settings(load(TransformerSettings, CONFIGS / f"electra_{size}.yaml"), divisor)
    assert (made.layers, made.width, made.heads, made.feedforward, made.token_width) == expected


@pytest.mark.parametrize("width", [32, 48, 96, 256, 768])
@pytest.mark.parametrize("heads", [1, 2, 4, 8])
@pytest.mark.parametrize("divisor", [1, 3, 4])
@pytest.mark.parametrize("positions", ["rotary", "sinusoidal"])
def test_a_generator_can_be_made_for_any_discriminator(width, heads, divisor, positions) -> None:
    for kv_heads in {None, 1, heads}:
        made = generator_settings(
            replace(SETTINGS, width=width, heads=heads, kv_heads=kv_heads, positions=positions, tied=False), divisor
        )
        assert made.width <= width
        assert made.width == pytest.approx(width / divisor, abs=made.heads)
        assert made.token_width == width
        assert made.tied


def test_flops_count_both_networks_and_the_scores_of_masked_tokens_alone() -> None:
    trainee = detection()
    both = trainee.generator.flops_per_token(LENGTH) + trainee.discriminator.flops_per_token(LENGTH)
    scores = 6 * VOCABULARY * SETTINGS.width
    back = 6 * trainee.generator.settings.width * SETTINGS.width  # to the width of the embeddings
    assert trainee.flops_per_token(LENGTH) == pytest.approx(both - scores - 0.8 * (scores + back))


@pytest.mark.slow
def test_it_learns_to_tell_replaced_tokens() -> None:
    """In rows of consecutive numbers a replacement stands out: far below 0.45 nats, the entropy of 1 label in 6."""
    trainee, rows, length = detection(rate=0.15), 16, 12
    optimizer = torch.optim.AdamW((p for p in trainee.parameters() if p.requires_grad), lr=1e-2)
    detecting = []
    for step in range(100):
        starts_B = torch.randint(110, 280, (rows,), generator=torch.Generator().manual_seed(step))
        windows_BT1, seeds_B = starts_B[:, None] + torch.arange(length + 1), torch.arange(rows) + rows * step
        (trainee.loss_sum(windows_BT1, seeds_B) / (rows * trainee.targets(length))).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            detecting.append(trainee.losses(windows_BT1, seeds_B)[1].item() / (rows * length))
    assert sum(detecting[-10:]) / 10 < 0.3
