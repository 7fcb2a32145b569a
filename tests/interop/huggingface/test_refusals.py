"""What cannot be expressed, or is damaged, is refused in one line; what may be left behind is left behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.base.errors import UserError
from pipeline.config.finished import finished_model
from tests.interop.huggingface.examples import MODELS, close, load, make

Change = Callable[[Path], None]


def config(**values: Any) -> Change:
    """Other values in config.json."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")

    return change


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Change:
    """Other tensors in model.safetensors."""

    def changed(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return changed


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def nothing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_short(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-10])


def index(content: Any) -> Change:
    """An index of shards in the place of the weights."""

    def change(folder: Path) -> None:
        nothing(folder)
        (folder / "model.safetensors.index.json").write_text(json.dumps(content), encoding="utf-8")

    return change


INDEX = "model.safetensors.index.json: its `weight_map` does not name the file of each tensor; fetch it again"

WRONG = [
    ("gpt2", config(model_type="gpt3"), '`model_type: gpt3` is not known here; did you mean "gpt2"?'),
    (
        "gpt2",
        config(add_cross_attention=True),
        "`add_cross_attention: true` cannot be expressed here; it should be false",
    ),
    ("gpt2", config(scale_attn_by_inverse_layer_idx=True), "`scale_attn_by_inverse_layer_idx: true` cannot be"),
    (
        "gpt2",
        config(scale_attn_weights=False),
        "`scale_attn_weights: false` cannot be expressed here; it should be true",
    ),
    ("gpt2", config(activation_function="tanh"), "it should be gelu_new or gelu_pytorch_tanh or gelu or relu"),
    ("gpt2", config(n_layer="two"), "`n_layer: two` should be a whole number"),
    ("gpt2", config(n_head=5), "`width: 32` must be a multiple of `heads: 5`"),
    ("gpt2", config(n_layer=3), "the weights lack transformer.h.2.attn.c_attn.weight, which config.json calls for"),
    (
        "gpt2",
        config(n_layer=1),
        "the weights have transformer.h.1.attn.c_attn.bias, transformer.h.1.attn.c_attn.weight",
    ),
    (
        "gpt2",
        config(n_positions=30),
        "transformer.wpe.weight of shape (24, 32) should be of (30, 32) after config.json",
    ),
    ("bert", config(hidden_act="relu"), "`hidden_act: relu` cannot be expressed here; it should be gelu"),
    ("bert", config(is_decoder=True), "`is_decoder: true` cannot be expressed here; it should be false"),
    ("bert", config(position_embedding_type="relative_key"), "`position_embedding_type: relative_key` cannot be"),
    ("roberta", config(pad_token_id=0), "`pad_token_id: 0` cannot be expressed here; it should be 1"),
    ("t5", config(num_decoder_layers=3), "`num_decoder_layers: 3` cannot be expressed here; it should be 2"),
    ("t5", config(relative_attention_num_buckets=64), "`relative_attention_num_buckets: 64` cannot be expressed here"),
    ("t5", config(feed_forward_proj="gated-relu"), "should be relu or gelu or gated-gelu or gated-silu"),
    ("t5 v1.1", config(scale_decoder_outputs=True), "an output matrix of its own should not scale it"),
    ("llama", config(rope_parameters={"rope_type": "yarn", "factor": 2.0}), "`rope_parameters` of type yarn cannot be"),
    ("llama", config(rope_scaling={"type": "linear", "factor": 2.0}), "`rope_scaling` of type linear cannot be"),
    ("llama", config(attention_bias=True), "`attention_bias: true` cannot be expressed here; it should be false"),
    ("gpt2", config(layer_norm_epsilon="1e-5"), "`layer_norm_epsilon: 1e-5` should be a number; fetch the file again"),
    ("gpt2", config(embd_pdrop=True), "`embd_pdrop: true` should be a number"),
    ("gpt2", config(activation_function=["gelu"]), "`activation_function: ['gelu']` cannot be expressed here"),
    ("bert", config(layer_norm_eps=float("nan")), "`layer_norm_eps: nan` should be a number"),
    ("bert", config(hidden_dropout_prob="x"), "`hidden_dropout_prob: x` should be a number"),
    ("bert", config(hidden_act={"gelu": 1}), "`hidden_act: {'gelu': 1}` cannot be expressed here; it should be gelu"),
    ("t5", config(layer_norm_epsilon=[1e-6]), "`layer_norm_epsilon: [1e-06]` should be a number"),
    ("t5", config(dropout_rate="0.1"), "`dropout_rate: 0.1` should be a number"),
    ("t5", config(scale_decoder_outputs="no"), "`scale_decoder_outputs: no` should be true or false"),
    ("llama", config(rms_norm_eps="1e-5"), "`rms_norm_eps: 1e-5` should be a number"),
    ("llama", config(head_dim="8"), "`head_dim: 8` should be a whole number"),
    ("llama", config(rope_scaling="linear"), "`rope_scaling: linear` should be a mapping; fetch the file again"),
    ("llama", config(rope_parameters=[1]), "`rope_parameters: [1]` should be a mapping"),
    ("llama", config(rope_parameters={"rope_theta": "x"}), "`rope_theta: x` should be a number"),
    ("gpt2", index({"weight_map": ["a"]}), INDEX),
    ("gpt2", index({"weight_map": {"a": 3}}), INDEX),
    ("gpt2", index([]), INDEX),
    ("llama", config(hidden_act="gelu"), "`hidden_act: gelu` cannot be expressed here; it should be silu"),
    (
        "gpt2",
        pickled,
        "its weights are pickles, which can run code and are not read; convert them where you trust them",
    ),
    ("gpt2", nothing, "model.safetensors is missing; put the files of a `transformers` model there"),
    ("gpt2", cut_short, "model.safetensors: is damaged or cut short"),
    (
        "gpt2",
        weights(lambda found: found.update({"transformer.wte.weight": found["transformer.wte.weight"][:9].clone()})),
        "entries, but the weights only 9 rows; take both from one model",
    ),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for kind in MODELS:
        make(kind, folder / kind)
    return {kind: folder / kind for kind in MODELS}


def copied(source: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(("kind", "spoil", "message"), WRONG, ids=[message[:60] for _, _, message in WRONG])
def test_what_cannot_be_used_is_one_line(
    kind: str, spoil: Change, message: str, made: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(made[kind], tmp_path / "model")
    spoil(folder)
    with pytest.raises(UserError) as caught:
        load(folder)
    assert str(caught.value).startswith(str(folder))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_tokenizer_than_the_texts_are_in_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    from pipeline.interop.huggingface.load import load_huggingface
    from pipeline.text.specials import SPECIALS

    _, tokenizer, _ = load(made["bert"])
    with pytest.raises(UserError, match=r"is not the tokenizer of the model in .*; run `dvc repro --force"):
        load_huggingface(made["gpt2"], SPECIALS, tokenizer)


def as_on_the_hub(folder: Path) -> None:
    """BERT as it was first published: names of TensorFlow, heads for other tasks, copies, buffers."""

    def change(found: dict[str, torch.Tensor]) -> None:
        for name in [name for name in found if "LayerNorm" in name]:
            found[name.replace("weight", "gamma").replace("bias", "beta")] = found.pop(name)
        found["cls.seq_relationship.weight"] = torch.zeros(2, 32)
        found["bert.pooler.dense.weight"] = torch.zeros(32, 32)
        found["bert.embeddings.position_ids"] = torch.arange(24)
        found["cls.predictions.decoder.weight"] = found["bert.embeddings.word_embeddings.weight"].clone()

    weights(change)(folder)


def without_prefix(folder: Path) -> None:
    """GPT-2 as it is published: the model without its head, with its masks."""

    def change(found: dict[str, torch.Tensor]) -> None:
        for name in list(found):
            found[name.removeprefix("transformer.")] = found.pop(name)
        found["h.0.attn.bias"] = torch.ones(1, 1, 24, 24)

    weights(change)(folder)


def in_shards(folder: Path) -> None:
    """As large models are written."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{number % 2}.safetensors" for number, name in enumerate(sorted(tensors))}
    for file in set(places.values()):
        save_file({name: tensor for name, tensor in tensors.items() if places[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}), encoding="utf-8")


@pytest.mark.parametrize(("kind", "change"), [("bert", as_on_the_hub), ("gpt2", without_prefix), ("llama", in_shards)])
def test_the_forms_in_which_models_are_published_are_read(
    kind: str, change: Change, made: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(made[kind], tmp_path / "model")
    change(folder)
    expected, found = load(made[kind])[0], load(folder)[0]
    assert expected.settings == found.settings
    for name, weight in expected.state_dict().items():
        assert torch.equal(weight, found.state_dict()[name])


def test_half_precision_becomes_single(made: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(made["gpt2"], tmp_path / "model")
    weights(lambda found: found.update({name: tensor.bfloat16() for name, tensor in found.items()}))(folder)
    found = load(folder)[0].state_dict()
    for name, weight in load(made["gpt2"])[0].state_dict().items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], weight, rtol=1e-2, atol=1e-2)


def test_rows_without_an_entry_and_a_head_that_is_not_there_are_told(made: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(made["bert"], tmp_path / "model")

    def change(found: dict[str, torch.Tensor]) -> None:
        embeddings = found["bert.embeddings.word_embeddings.weight"]
        found["bert.embeddings.word_embeddings.weight"] = torch.cat([embeddings, torch.ones(8, 32)])
        for name in [name for name in found if name.startswith("cls.")]:
            del found[name]

    weights(change)(folder)
    network, _, notes = load(folder)
    assert notes == (
        "8 rows of the embeddings, which the tokenizer has no entries for, are left out",
        "the model has no head for masked words: it scores words by their embeddings alone",
    )
    whole = load(made["bert"])[0]
    tokens_BT = torch.arange(106, 120)[None]
    close(network(tokens_BT), whole(tokens_BT))


@pytest.mark.parametrize("kind", MODELS)
def test_check_knows_the_positions_without_reading_weights(kind: str, made: dict[str, Path]) -> None:
    finished = finished_model("huggingface", made[kind])
    assert (finished.positions, finished.direction) == (load(made[kind])[0].settings.max_positions, "forward")
