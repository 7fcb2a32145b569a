"""Small models and tokenizers of `transformers` with random weights, written as anybody's would be."""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from pipeline.interop.huggingface.load import load_huggingface
from pipeline.interop.huggingface.vocabulary import Vocabulary
from pipeline.models.build import Network
from pipeline.text.specials import SPECIALS

TEXTS = [
    "The captain of the ship looked at the harbour, and the harbour looked back.",
    "Sieben Äpfel, drei Körbe und ein Leiterwagen: “so viele!”",
    "배가 항구를 떠났다. 선장은 웃었다. 苹果树下有三只篮子。",
    "def f(x):\n    return x + 1  # twice\n\ttabs, and   many   spaces",
    "numbers 1234567890 3.14159 -2e10; e-mail a@b.co, <i>tags</i> & more",
] * 4
# Our special tokens and theirs are plain words where they stand in a text.
HARD = [*TEXTS[:5], "a <bos> in <mask> the <extra_7> text </s> <pad>", "", " ", "<bos>", "☃ unknown ☃☃ signs"]
SHIFT = len(SPECIALS)
LENGTH = 24


def byte_level(path: Path) -> Tokenizer:
    """As GPT-2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return _trained(tokenizer, trainer, path)


def roberta_like(path: Path) -> Tokenizer:
    """As RoBERTa's: names that we have too, and a mask behind the model's own vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens(["<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return _saved(tokenizer, path)


def word_piece(path: Path) -> Tokenizer:
    """As BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = _trained(tokenizer, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special), path)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return _saved(tokenizer, path)


def unigram(path: Path) -> Tokenizer:
    """As T5's: its control tokens are pieces too, `<` is unknown, sentinels come last."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    sentinels = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
    trainer = trainers.UnigramTrainer(
        vocab_size=350,
        special_tokens=["<pad>", "</s>", "<unk>", *sentinels],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator([text.replace("<", "") for text in TEXTS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return _saved(tokenizer, path)


def sentence_bpe(path: Path) -> Tokenizer:
    """As LLaMA's: BPE over characters with a mark for spaces, unknown ones as bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False)
    return _trained(tokenizer, trainer, path)


def _trained(tokenizer: Tokenizer, trainer: trainers.Trainer, path: Path) -> Tokenizer:
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _saved(tokenizer, path)


def _saved(tokenizer: Tokenizer, path: Path) -> Tokenizer:
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


def gpt2(vocabulary: int, **more: object) -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocabulary, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=4, **more)
    )


def bert(vocabulary: int, **more: object) -> PreTrainedModel:
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=LENGTH, **more,
        )
    )  # fmt: skip


def roberta(vocabulary: int, **more: object) -> PreTrainedModel:
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=LENGTH + 2, type_vocab_size=1, layer_norm_eps=1e-5, **more,
        )
    )  # fmt: skip


def t5(vocabulary: int, **more: object) -> PreTrainedModel:
    return T5ForConditionalGeneration(
        T5Config(vocab_size=vocabulary, d_model=32, d_kv=12, d_ff=64, num_layers=2, num_heads=4, **more)
    )


def t5_v1_1(vocabulary: int) -> PreTrainedModel:
    """With an output matrix of its own, as the published ones have it."""
    model = t5(vocabulary, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    model.lm_head.weight = torch.nn.Parameter(torch.empty(vocabulary, 32))
    return model


def t5_tied(vocabulary: int) -> PreTrainedModel:
    """As newer versions of `transformers` make version 1.1 when nothing is loaded into it."""
    return t5(vocabulary, feed_forward_proj="gated-gelu", tie_word_embeddings=False)


def llama(vocabulary: int, **more: object) -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=LENGTH, **more,
        )
    )  # fmt: skip


def grouped_llama(vocabulary: int) -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 500.0}
    return llama(vocabulary, num_key_value_heads=2, rope_parameters=rope, head_dim=12)


MODELS: dict[str, tuple[Callable[..., PreTrainedModel], Callable[[Path], Tokenizer]]] = {
    "gpt2": (gpt2, byte_level),
    "bert": (bert, word_piece),
    "roberta": (roberta, roberta_like),
    "t5": (t5, unigram),
    "t5 v1.1": (t5_v1_1, unigram),
    "t5 v1.1, tied": (t5_tied, unigram),
    "llama": (llama, sentence_bpe),
    "grouped llama": (grouped_llama, sentence_bpe),
}


def randomise(model: PreTrainedModel, seed: int = 1) -> None:
    """Weights so large, and norms so far from one, that a slip of any of them shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            is_norm = weight.dim() == 1 and name.endswith("weight")
            weight.copy_(1 + 0.3 * noise if is_norm else 0.3 * noise)


def make(kind: str, folder: Path) -> PreTrainedModel:
    """A random model and its tokenizer in `folder`, as `save_pretrained` writes them."""
    model_of, tokenizer_of = MODELS[kind]
    tokenizer = tokenizer_of(folder / "tokenizer.json")
    model = model_of(tokenizer.get_vocab_size()).eval()
    randomise(model)
    model.save_pretrained(folder)
    return model


def load(folder: Path) -> tuple[Network, Path, tuple[str, ...]]:
    """The model in a folder as ours, its tokenizer as stage tokenizer writes it (beside the folder), and the notes."""
    tokenizer = folder.parent / f"{folder.name}-tokenizer.json"
    tokenizer.write_text(Vocabulary(folder, SPECIALS).shifted(), encoding="utf-8")
    network, notes = load_huggingface(folder, SPECIALS, tokenizer)
    return network.eval(), tokenizer, notes


def tokens(vocabulary: int, rows: int = 3, length: int = 17, seed: int = 2) -> torch.Tensor:
    """Entries of the model's own vocabulary."""
    return torch.randint(5, vocabulary, (rows, length), generator=torch.Generator().manual_seed(seed))


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal to 1e-4 of their scale."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-4 * expected.std()
