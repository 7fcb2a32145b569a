"""Promise: every switch of ULMFiT's third stage does what its name says, on a Transformer and on an AWD-LSTM."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.base.errors import UserError
from pipeline.batches.reverse import reverse_document
from pipeline.classifier.data import InMemory, LabelledDocuments
from pipeline.classifier.network import ClassifierNetwork, classifier_network
from pipeline.classifier.phases import phases
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.models.build import build
from pipeline.models.residual import RESIDUALS
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings
from pipeline.training.module import TrainingModule
from pipeline.training.optimiser import MuonAdamW
from pipeline.training.schedules import rate
from tests.classifier.small import VOCABULARY, documents

NO_DROPOUT = {"embedding_dropout": 0.0, "input_dropout": 0.0, "hidden_dropout": 0.0, "output_dropout": 0.0}
TRANSFORMER = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=32)
LSTM = LSTMSettings(backbone="lstm", layers=2, width=32, hidden=40, max_positions=32, weight_dropout=0.0, **NO_DROPOUT)
DROPPING = {
    "transformer": (TRANSFORMER, replace(TRANSFORMER, dropout=0.2, embedding_dropout=0.2)),
    "lstm": (LSTM, replace(LSTM, hidden_dropout=0.3, weight_dropout=0.2)),
}
BACKBONES = pytest.mark.parametrize("settings", [TRANSFORMER, LSTM], ids=["transformer", "lstm"])
RATE = 0.01
CONFIG = ClassifierConfig(
    epochs=1, phase_epochs=1, batch_documents=4, learning_rate=RATE, weight_decay=0.0, unfreeze="full",
    schedule="constant", head_width=0, head_dropout=(0.0,), chunk_tokens=16, max_tokens=64, precision="fp32",
)  # fmt: skip
PLACE = HardwareConfig(accelerator="cpu", threads=1, micro_batch=4)
ONE_STEP = replace(CONFIG, batch_documents=8, warmup=0.0)  # the eight documents together
SCHEDULES = ("slanted_triangular", "cosine", "one_cycle")


def labelled(*, reverse: bool = False) -> LabelledDocuments:
    """Eight documents of three classes."""
    texts = documents(5, 9, 12, 20, 7, 30, 11, 14)
    return LabelledDocuments(InMemory(texts), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]), reverse)


def fresh(settings: ModelSettings, config: ClassifierConfig) -> ClassifierNetwork:
    """A classifier whose head says something, so that gradients reach the backbone from the first step."""
    made = classifier_network(build(settings, VOCABULARY, seed=1), config, classes=3)
    nn.init.normal_(made.head.output.weight, std=0.5, generator=torch.Generator().manual_seed(2))
    return made


def train(
    settings: ModelSettings, config: ClassifierConfig, given: LabelledDocuments | None = None
) -> tuple[ClassifierNetwork, TrainingModule, dict[str, float]]:
    """A classifier after its training, the module that trained it, and how far each layer group's weights moved."""
    network, given = fresh(settings, config), given or labelled()
    before = {name: [one.detach().clone() for one in group] for name, group in network.layer_groups()}
    module = ClassifierTraining(network, given, given.subset(np.zeros(0, dtype=np.int64)), config, PLACE).run(None)
    moved = {
        name: max(float((new.detach() - old).abs().max()) for new, old in zip(group, before[name], strict=True))
        for name, group in network.layer_groups()
    }
    return network, module, moved


def groups_of(settings: ModelSettings) -> list[str]:
    return [name for name, _ in fresh(settings, CONFIG).layer_groups()]


@pytest.mark.parametrize(
    ("unfreeze", "expected"),
    [
        ("full", [("all", 7, None)]),
        ("last", [("head", 7, ("head",))]),
        (
            "gradual",
            [
                ("head", 2, ("head",)),
                ("from block 2", 2, ("block 2", "head")),
                ("from block 1", 2, ("block 1", "block 2", "head")),
                ("all", 7, None),
            ],
        ),
        (
            "chain_thaw",
            [
                ("head", 2, ("head",)),
                ("embeddings", 2, ("embeddings",)),
                ("block 1", 2, ("block 1",)),
                ("block 2", 2, ("block 2",)),
                ("all", 7, None),
            ],
        ),
    ],
)
def test_phases_are_those_of_the_papers(unfreeze: str, expected: list[object]) -> None:
    """Gradual: Howard & Ruder 2018, section 3.3; chain-thaw: Felbo et al. 2017."""
    config = replace(CONFIG, unfreeze=unfreeze, epochs=7, phase_epochs=2)
    made = phases(config, ["embeddings", "block 1", "block 2", "head"], lambda epochs: int(epochs))
    assert [(phase.name, phase.steps, phase.groups) for phase in made] == expected


@BACKBONES
def test_the_head_alone_trains_with_last_and_everything_with_full(settings: ModelSettings) -> None:
    _, _, last = train(settings, replace(CONFIG, unfreeze="last"))
    assert {name for name, moved in last.items() if moved} == {"head"}
    _, _, full = train(settings, CONFIG)
    assert min(full.values()) > 0


@BACKBONES
@pytest.mark.parametrize("unfreeze", ["gradual", "chain_thaw"])
def test_frozen_groups_do_not_move_in_a_phase(
    settings: ModelSettings, unfreeze: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are compared from phase to phase of a training as it runs."""
    seen: list[dict[str, list[Tensor]]] = []
    begin = TrainingModule.begin

    def watched(module: TrainingModule, number: int, phase: object) -> None:
        seen.append({name: [one.detach().clone() for one in group] for name, group in module.network.layer_groups()})
        begin(module, number, phase)

    monkeypatch.setattr(TrainingModule, "begin", watched)
    config = replace(CONFIG, unfreeze=unfreeze)
    network, _, _ = train(settings, config)
    seen.append({name: [one.detach() for one in group] for name, group in network.layer_groups()})
    plan = phases(config, groups_of(settings), lambda epochs: 1)
    assert len(seen) == len(plan) + 1
    for phase, before, after in zip(plan, seen[:-1], seen[1:], strict=True):
        moved = {name for name in before if any(map(differ, before[name], after[name]))}
        assert moved == set(phase.groups or before), phase.name


def differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(one, other)


@BACKBONES
def test_discriminative_rates_divide_each_groups_step(settings: ModelSettings) -> None:
    """Adam's first step is as long as the rate, so how far weights move tells the rate that they train at."""
    _, _, alike = train(settings, ONE_STEP)
    assert list(alike.values()) == pytest.approx([RATE] * len(alike), rel=0.01)
    _, _, moved = train(settings, replace(ONE_STEP, discriminative=2.6))
    assert list(reversed(moved.values())) == pytest.approx([RATE / 2.6**depth for depth in range(len(moved))], rel=0.01)


@BACKBONES
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("unfreeze", ["full", "gradual"])
def test_each_phase_runs_through_the_schedule(settings: ModelSettings, schedule: str, unfreeze: str) -> None:
    config = replace(CONFIG, schedule=schedule, unfreeze=unfreeze, epochs=4, phase_epochs=2)
    _, module, _ = train(settings, config)
    rates = [row["learning_rate"] for row in module.curve if "train_loss" in row]
    steps = [phase.steps for phase in phases(config, groups_of(settings), lambda epochs: round(2 * epochs))]
    assert rates == pytest.approx([RATE * rate(config, step, many) for many in steps for step in range(many)])
    assert len(set(rates)) > 3


@pytest.mark.parametrize("backbone", DROPPING)
def test_drop_mult_scales_the_dropout_of_training(backbone: str) -> None:
    without, dropping = DROPPING[backbone]
    weights = [
        torch.cat([one.detach().flatten() for one in train(settings, replace(CONFIG, drop_mult=mult))[0].parameters()])
        for settings, mult in ((without, 1.0), (dropping, 0.0), (dropping, 1.0))
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_drop_mult_that_would_drop_everything_is_refused_in_one_line() -> None:
    with pytest.raises(
        UserError, match=r"^`drop_mult: 5` does not fit .*: a dropout rate of 0.2 times 5.0 is not below"
    ):
        train(DROPPING["transformer"][1], replace(CONFIG, drop_mult=5.0))


def first_loss(config: ClassifierConfig, given: LabelledDocuments) -> float:
    """What training counts in its first step."""
    _, module, _ = train(TRANSFORMER, config, given)
    return next(float(row["train_loss"]) for row in module.curve if "train_loss" in row)


def test_class_weights_and_label_smoothing_are_part_of_the_loss_that_trains() -> None:
    """Beside torch's own: a class of N_c of 8 documents weighs 8 / (3 N_c), a smoothed target is shared by all."""
    given = LabelledDocuments(labelled().documents, torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]))
    network = fresh(TRANSFORMER, ONE_STEP).eval()
    logits_BC = network(*network.reading.batch(documents(5, 9, 12, 20, 7, 30, 11, 14))).detach()
    for changes, options in (
        ({}, {}),
        ({"class_weights": "balanced"}, {"weight": torch.tensor([8 / 15, 8 / 6, 8 / 3])}),
        ({"label_smoothing": 0.3}, {"label_smoothing": 0.3}),
    ):
        expected = nn.functional.cross_entropy(logits_BC, given.targets, **options).item()
        assert first_loss(replace(ONE_STEP, **changes), given) == pytest.approx(expected, rel=1e-5), changes


def test_a_gradient_longer_than_clip_is_scaled_down_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the optimiser is given; the curve tells how long the gradient was."""
    lengths: list[float] = []
    step = MuonAdamW.step

    def watched(optimizer: MuonAdamW, closure: Callable[[], object] | None = None) -> object:
        result = step(optimizer, closure)
        gradients = [one.grad.flatten() for group in optimizer.param_groups for one in group["params"]]
        lengths.append(float(torch.cat(gradients).norm()))
        return result

    monkeypatch.setattr(MuonAdamW, "step", watched)
    _, module, _ = train(TRANSFORMER, replace(ONE_STEP, clip=0))
    (whole,) = (row["gradient_norm"] for row in module.curve if "gradient_norm" in row)
    for clip in (2 * whole, whole / 2, whole / 1000):
        train(TRANSFORMER, replace(ONE_STEP, clip=clip))
    assert lengths == pytest.approx([whole, whole, whole / 2, whole / 1000], rel=1e-4)


def test_a_backward_classifier_is_one_of_reversed_documents() -> None:
    backward, _, _ = train(TRANSFORMER, CONFIG, labelled(reverse=True))
    texts = [reverse_document(tokens) for tokens in documents(5, 9, 12, 20, 7, 30, 11, 14)]
    reversed_documents = LabelledDocuments(InMemory(texts), labelled().targets)
    expected, _, _ = train(TRANSFORMER, CONFIG, reversed_documents)
    forward, _, _ = train(TRANSFORMER, CONFIG)
    assert all(map(torch.equal, backward.parameters(), expected.parameters()))
    assert any(map(differ, backward.parameters(), forward.parameters()))


def test_an_lstm_pools_last_max_and_mean_over_all_chunks_with_gradients_through_the_last_ones() -> None:
    """Concat pooling and BPT3C (section 3.3), which tests/classifier/test_network.py holds for a Transformer."""
    config = replace(CONFIG, chunk_tokens=8, gradient_chunks=2)
    network = fresh(LSTM, config).eval()
    tokens = np.arange(6, 36).astype(np.uint16)  # distinct tokens in chunks of 8, 8 | 8, 6
    states_TD = network.backbone(torch.from_numpy(tokens.astype(np.int64))[None])[0]  # as if it were one chunk
    found_BP = network.pooled(*network.reading.batch([tokens]))
    pools = states_TD[-1], states_TD.amax(0), states_TD.mean(0)
    expected = [nn.functional.layer_norm(pool_D, (32,)) for pool_D in pools]
    torch.testing.assert_close(found_BP[0], torch.cat(expected), atol=1e-5, rtol=0)
    found_BP.square().sum().backward()
    moved_V = network.backbone.embeddings.weight.grad.abs().sum(dim=1)
    assert (moved_V[tokens[:16].astype(int)] == 0).all()
    assert (moved_V[tokens[16:].astype(int)] > 0).all()


def test_chunks_of_an_lstm_go_on_from_the_state_that_the_one_before_has_left() -> None:
    """BPT3C (section 3.3): with gradients through three chunks a long document is one sequence, in training too."""
    short, long = (
        fresh(LSTM, replace(CONFIG, chunk_tokens=size, gradient_chunks=9)).eval() for size in (8, LSTM.max_positions)
    )
    some = documents(30, 3, 8, 17, 25, 9)
    wholes = [network.pooled(*network.reading.batch(some)) for network in (short, long)]
    torch.testing.assert_close(*wholes, atol=1e-5, rtol=0)
    alone = [short.pooled(*short.reading.batch([one])) for one in some]
    torch.testing.assert_close(torch.cat(alone), wholes[0], atol=1e-5, rtol=0)
    gradients = []
    for network, pooled_BP in zip((short, long), wholes, strict=True):
        pooled_BP.square().sum().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in network.backbone.layers.parameters()]))
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)


def test_gradients_of_an_lstm_end_where_bpt3c_cuts_them_though_its_state_goes_on() -> None:
    """Only the last chunk's inputs are moved by the last state; what came before them changes it all the same."""
    network = fresh(LSTM, replace(CONFIG, pooling=("last",), chunk_tokens=8, gradient_chunks=1)).eval()
    tokens = np.arange(6, 26).astype(np.uint16)
    pooled_BP = network.pooled(*network.reading.batch([tokens]))
    pooled_BP[0, 0].backward()
    moved_V = network.backbone.embeddings.weight.grad.abs().sum(dim=1)
    assert (moved_V[6:22] == 0).all()
    assert (moved_V[22:26] > 0).all()
    other = np.concatenate([tokens[:1] + 30, tokens[1:]])
    assert not torch.equal(network.pooled(*network.reading.batch([other])), pooled_BP)


def test_chunks_of_an_lstm_must_not_overlap() -> None:
    with pytest.raises(UserError, match=r"`overlap: 2` of the classifier does not fit .* write `overlap: 0`"):
        fresh(LSTM, replace(CONFIG, overlap=2))


@pytest.mark.parametrize("pooling", [("mean",), ("last", "max", "mean")])
@pytest.mark.parametrize(
    "settings",
    [
        *(replace(TRANSFORMER, placement=placement) for placement in RESIDUALS),
        replace(TRANSFORMER, family="encoder", share_layers=True),
        LSTM,
    ],
    ids=[*RESIDUALS, "shared", "lstm"],
)
def test_the_head_may_read_all_layers_from_the_embeddings_on(settings: ModelSettings, pooling: tuple[str, ...]) -> None:
    """Each layer's pool is normalised for itself, and the last layer's are what a head that reads it alone is given."""
    every, last = (
        fresh(settings, replace(CONFIG, pooling=pooling, pool_layers=which)).eval() for which in ("all", "last")
    )
    batch = every.reading.batch(documents(5, 20, 33))
    widths = every.backbone.state_widths()
    assert len(widths) == settings.layers + 1
    layers = every.pooled(*batch).split([*widths * len(pooling)], dim=1)
    for layer_BD in layers:
        torch.testing.assert_close(layer_BD.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    tops = torch.cat(layers[settings.layers :: len(widths)], dim=1)
    torch.testing.assert_close(tops, last.pooled(*batch), atol=1e-6, rtol=0)


@BACKBONES
def test_the_lowest_layer_that_a_head_reads_is_the_embeddings(settings: ModelSettings) -> None:
    network = fresh(settings, replace(CONFIG, pooling=("mean",), pool_layers="all")).eval()
    tokens_BT, lengths_B = network.reading.batch(documents(5))
    entered_TD = network.backbone.embeddings(tokens_BT[0, :5])
    expected_D = nn.functional.layer_norm(entered_TD, (32,)).mean(0)
    found_D = network.pooled(tokens_BT, lengths_B)[0, :32]
    torch.testing.assert_close(found_D, nn.functional.layer_norm(expected_D, (32,)), atol=2e-2, rtol=0)


@BACKBONES
def test_a_head_on_all_layers_trains_all_of_them(settings: ModelSettings) -> None:
    _, _, moved = train(settings, replace(CONFIG, pool_layers="all", unfreeze="gradual"))
    assert min(moved.values()) > 0
