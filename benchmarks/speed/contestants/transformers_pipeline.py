"""A peer: the text-classification pipeline of `transformers`, as people call it or tuned by hand."""

import argparse
import json
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast, pipeline

from benchmarks.speed.turns import Turns

LONGEST = 512


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--tuned", action="store_true", help="sorted by length, 32 at once")
    parser.add_argument("--one-by-one", action="store_true")
    options = parser.parse_args()
    turns = Turns("torch", "transformers")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(options.tokenizer), pad_token="<pad>", model_max_length=LONGEST
    )
    config = GPT2Config(
        vocab_size=8192, n_positions=LONGEST, n_embd=256, n_layer=6, n_head=4, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    model = GPT2ForSequenceClassification(config).eval().to(dtype)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu", truncation=True)
    texts = json.loads(options.texts.read_text(encoding="utf-8"))

    def work() -> int:
        if options.one_by_one:
            for text in texts:
                classify(text)
        elif options.tuned:
            classify(sorted(texts, key=len), batch_size=32)
        else:
            classify(texts)
        return len(texts)

    turns.serve(work)


if __name__ == "__main__":
    main()
