"""AWD-LSTM: each of its four dropouts does what its name says, with the noise of the sequence or of the step alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.settings import LSTMSettings
from pipeline.models.weights import initialise

NO_DROPOUT = {
    "embedding_dropout": 0.0,
    "input_dropout": 0.0,
    "hidden_dropout": 0.0,
    "output_dropout": 0.0,
    "weight_dropout": 0.0,
}
VOCABULARY = 50


def make(**changes: Any) -> AWDLSTM:
    """A network of three layers with those dropouts alone that are named."""
    shape = {"layers": 3, "width": 16, "hidden": 24}
    model = AWDLSTM(LSTMSettings(backbone="lstm", **{**shape, **NO_DROPOUT, **changes}), VOCABULARY)
    initialise(model, seed=1)
    return model.train()


def tokens(rows: int, length: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))


def seeds(count: int) -> Tensor:
    return torch.arange(count) * 1_000_003 + 5


EVERYTHING = {
    "embedding_dropout": 0.3,
    "input_dropout": 0.2,
    "hidden_dropout": 0.3,
    "output_dropout": 0.1,
    "weight_dropout": 0.4,
}


def test_noise_depends_on_the_sequence_and_the_step_alone() -> None:
    """Not on the micro batch, the order or the padding; and the global random state is neither read nor moved."""
    model, tokens_BT = make(**EVERYTHING), tokens(6, 9)
    model.begin_step(11)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    whole = model(tokens_BT, seeds_B=seeds(6))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    parts = [model(part, seeds_B=its) for part, its in zip(tokens_BT.split(4), seeds(6).split(4), strict=True)]
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(model(tokens_BT.flip(0), seeds_B=seeds(6).flip(0)).flip(0), whole)
    padded = model(torch.cat([tokens_BT, tokens_BT], dim=1), seeds_B=seeds(6))
    torch.testing.assert_close(padded[:, :9], whole)


def test_there_is_no_dropout_without_seeds_or_in_eval() -> None:
    model, tokens_BT = make(**EVERYTHING), tokens(2, 9)
    model.begin_step(11)
    plain = model(tokens_BT)
    assert not torch.allclose(model(tokens_BT, seeds_B=seeds(2)), plain, atol=1e-3)
    assert torch.equal(model.eval()(tokens_BT, seeds_B=seeds(2)), plain)
    without = make().train()
    without.load_state_dict(model.state_dict())
    torch.testing.assert_close(without(tokens_BT, seeds_B=seeds(2)), plain)


@pytest.mark.parametrize("only", ["input_dropout", "output_dropout"])
def test_locked_dropout_drops_a_channel_at_all_times_of_a_sequence(only: str) -> None:
    model, tokens_BT = make(**{only: 0.5}, width=64), tokens(200, 7)
    seen: list[Tensor] = []
    if only == "input_dropout":
        model.layers[0].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
        before_BTD = model.embeddings.weight[tokens_BT] * model.scale
    else:
        before_BTD = model(tokens_BT)
        seen.append(model(tokens_BT, seeds_B=seeds(200)))
    model(tokens_BT, seeds_B=seeds(200))
    mask_BTD = seen[0] / before_BTD
    torch.testing.assert_close(mask_BTD, mask_BTD[:, :1].expand_as(mask_BTD))
    assert mask_BTD.mean().item() == pytest.approx(1, abs=0.05)
    assert (mask_BTD == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert not torch.equal(mask_BTD[0], mask_BTD[1])


def test_hidden_dropout_acts_between_the_layers_with_noise_of_its_own_at_each_place() -> None:
    model = make(hidden_dropout=0.5, hidden=64)
    inputs, outputs = [], []
    for layer in model.layers:
        layer.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
        layer.register_forward_hook(lambda _, _arguments, out: outputs.append(out))
    last = model(tokens(2, 5), seeds_B=seeds(2))
    masks = [after / before for before, after in zip(outputs[:-1], inputs[1:], strict=True)]
    for mask_BTH in masks:
        assert {round(value, 3) for value in mask_BTH.unique().tolist()} == {0.0, 2.0}
        torch.testing.assert_close(mask_BTH, mask_BTH[:, :1].expand_as(mask_BTH))
    assert not torch.equal(masks[0] == 0, masks[1] == 0)
    assert torch.equal(last, outputs[-1])
    assert inputs[0].ne(0).all()


def test_embedding_dropout_drops_all_occurrences_of_a_word_in_a_sequence() -> None:
    rows = 400
    model, tokens_BT = make(embedding_dropout=0.25), tokens(1, 60).expand(rows, 60)
    seen: list[Tensor] = []
    model.layers[0].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    model(tokens_BT, seeds_B=seeds(rows))
    factor_BTD = seen[0] / (model.embeddings.weight[tokens_BT] * model.scale)
    torch.testing.assert_close(factor_BTD, factor_BTD[:, :, :1].expand_as(factor_BTD))  # whole vectors
    factor_BT = factor_BTD[:, :, 0].round(decimals=3)
    assert {round(value, 3) for value in factor_BT.unique().tolist()} == {0.0, 1.333}
    for word in tokens_BT[0].unique():
        its_BN = factor_BT[:, tokens_BT[0] == word]
        assert torch.equal(its_BN, its_BN[:, :1].expand_as(its_BN))  # wherever it stands
    distinct = torch.stack([factor_BT[:, tokens_BT[0] == word][:, 0] for word in tokens_BT[0].unique()], dim=1)
    assert (distinct == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    dropped = (distinct == 0).float()
    for other in (dropped.roll(1, 0), dropped.roll(1, 1)):  # independent of the next sequence and the next word
        assert (dropped * other).mean().item() == pytest.approx(0.25**2, abs=0.01)


def dropped_matrices(model: AWDLSTM, tokens_BT: Tensor) -> list[Tensor]:
    """What each layer's dropout makes of its recurrent matrix in one forward pass, divided by the matrix."""
    seen: list[Tensor] = []
    hooks = [
        layer.weight_dropout.register_forward_hook(lambda _, arguments, out: seen.append((out / arguments[0])[0]))
        for layer in model.layers
    ]
    model(tokens_BT, seeds_B=seeds(len(tokens_BT)))
    for hook in hooks:
        hook.remove()
    return seen


def test_weight_drop_is_one_mask_for_a_step_and_another_for_the_next() -> None:
    model = make(weight_dropout=0.3, width=64, hidden=64)
    assert all((mask == 1).all() for mask in dropped_matrices(model, tokens(2, 4)))  # before any step begins
    model.begin_step(1)
    first, again = dropped_matrices(model, tokens(2, 4)), dropped_matrices(model, tokens(3, 7))
    model.begin_step(2)
    second = dropped_matrices(model, tokens(2, 4))
    model.begin_step(1)
    back = dropped_matrices(model, tokens(2, 4))
    for mask, same, other, repeated in zip(first, again, second, back, strict=True):
        assert torch.equal(mask, same)
        assert torch.equal(mask, repeated)
        assert (mask == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
        assert mask.mean().item() == pytest.approx(1, abs=0.03)
        both = ((mask == 0) & (other == 0)).float().mean().item()
        assert both == pytest.approx(0.09, abs=0.02)  # independent
    assert not torch.equal(first[0][:64], first[1][:64])


def test_weight_drop_reaches_the_hidden_states_and_spares_the_dropped_weights_gradient() -> None:
    model, tokens_BT = make(weight_dropout=0.5, layers=1), tokens(2, 6)
    plain = model(tokens_BT, seeds_B=seeds(2))
    model.begin_step(2**64 - 1)  # any whole number is a seed
    mask = dropped_matrices(model, tokens_BT)[0]
    dropped = model(tokens_BT, seeds_B=seeds(2))
    assert torch.equal(dropped[:, 0], plain[:, 0])  # nothing recurs before the first token
    assert not torch.allclose(dropped[:, 1:], plain[:, 1:], atol=1e-3)
    dropped.sum().backward()
    gradient = model.layers[0].recurrent.weight.grad
    assert torch.equal(gradient == 0, mask == 0)


def test_every_dropout_has_a_site_of_its_own_and_is_scaled_together() -> None:
    model = make(**EVERYTHING)
    dropouts = [module for module in model.modules() if hasattr(module, "site")]
    assert sorted(module.site for module in dropouts) == list(range(1 + 4 + 3))
    assert [model.word_dropout.rate, *(each.rate for each in model.locked_dropouts)] == [0.3, 0.2, 0.3, 0.3, 0.1]
    assert {layer.weight_dropout.rate for layer in model.layers} == {0.4}
    model.set_drop_mult(0.5)
    assert {module.factor for module in dropouts} == {0.5}
    tokens_BT = tokens(3, 5)
    halved = make(**{name: rate / 2 for name, rate in EVERYTHING.items()})
    for each in (model, halved):
        each.begin_step(3)
    assert torch.equal(model(tokens_BT, seeds_B=seeds(3)), halved(tokens_BT, seeds_B=seeds(3)))
    with pytest.raises(ValueError, match="not below 1"):
        model.set_drop_mult(2.5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_computes_the_same_with_the_same_noise() -> None:
    model, tokens_BT = make(**EVERYTHING), tokens(4, 9)
    model.begin_step(5)
    here = model(tokens_BT, seeds_B=seeds(4))
    there = model.cuda()(tokens_BT.cuda(), seeds_B=seeds(4).cuda())
    torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-3)
