"""Weights of `transformers` give the same scores here, and go back as they came."""

from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.interop.huggingface.export import export_language_model
from pipeline.models.build import Network
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.text.specials import SPECIALS
from tests.interop.huggingface.examples import MODELS, SHIFT, close, load, make, tokens

LENGTHS = torch.tensor([17, 9, 1])


def theirs(model: PreTrainedModel, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
    """Scores of `transformers` at the true tokens, (N, V)."""
    mask = torch.arange(tokens_BT.size(1)) < lengths_B[:, None]
    more = {"decoder_input_ids": tokens_BT.flip(1)} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        logits = model(input_ids=tokens_BT, attention_mask=mask.long(), **more).logits
    return logits.flatten(0, 1) if more else logits[mask]


def ours(network: Network, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
    """The same of our network."""
    mask = torch.arange(tokens_BT.size(1)) < lengths_B[:, None]
    with torch.no_grad():
        if isinstance(network, EncoderDecoder):
            return network.unembed(network(tokens_BT.flip(1), source_BS=tokens_BT, lengths_B=lengths_B).flatten(0, 1))
        return network.unembed(network(tokens_BT, lengths_B=lengths_B)[mask])


@pytest.mark.parametrize("kind", MODELS)
def test_scores_are_equal_here_and_there_and_back_there(kind: str, tmp_path: Path) -> None:
    model = make(kind, tmp_path / "theirs")
    vocabulary = model.config.vocab_size
    network, tokenizer, _ = load(tmp_path / "theirs")
    tokens_BT = tokens(vocabulary)
    expected = theirs(model, tokens_BT, LENGTHS)
    found = ours(network, tokens_BT + SHIFT, LENGTHS)
    close(found[:, SHIFT:], expected)

    name = export_language_model(
        tmp_path / "back",
        network,
        direction="forward",
        tokenizer=tokenizer,
        specials=SPECIALS,
        where="models/domain/forward",
    )
    again, report = getattr(transformers, name).from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values()), report
    close(theirs(again.eval(), tokens_BT + SHIFT, LENGTHS), found)
    _check_equal_weights(
        load_file(tmp_path / "theirs/model.safetensors"), load_file(tmp_path / "back/model.safetensors")
    )


def _check_equal_weights(before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    """The same tensors to rounding, behind rows for our specials; RoBERTa's come back under BERT's names."""
    renamed = {"roberta.": "bert.", "lm_head.dense": "cls.predictions.transform.dense"}
    renamed |= {"lm_head.layer_norm": "cls.predictions.transform.LayerNorm", "lm_head.bias": "cls.predictions.bias"}
    roberta = any(name.startswith("roberta.") for name in before)
    compared = 0
    for name, tensor in before.items():
        if "token_type" in name:
            continue
        for old, new in renamed.items() if roberta else ():
            name = name.replace(old, new)
        back = after[name]
        if "position_embeddings" in name:
            prefix = "roberta" if roberta else "bert"
            tensor = tensor[2 if roberta else 0 :] + before[f"{prefix}.embeddings.token_type_embeddings.weight"][0]
        elif len(back) == len(tensor) + SHIFT:
            back = back[SHIFT:]
        torch.testing.assert_close(back, tensor, rtol=1e-6, atol=1e-7)
        compared += 1
    assert compared >= 16


def test_a_model_that_came_from_here_comes_back_without_a_second_set_of_specials(tmp_path: Path) -> None:
    make("gpt2", tmp_path / "theirs")
    first, tokenizer, _ = load(tmp_path / "theirs")
    export_language_model(
        tmp_path / "back",
        first,
        direction="forward",
        tokenizer=tokenizer,
        specials=SPECIALS,
        where="here",
    )
    second, _, _ = load(tmp_path / "back")
    assert first.vocabulary == second.vocabulary
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
