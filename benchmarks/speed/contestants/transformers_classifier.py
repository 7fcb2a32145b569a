"""A peer: GPT-2 of the same size for sequence classification under the Trainer; one epoch a turn."""

import argparse
import json
import tempfile
from pathlib import Path

from transformers import (
    DataCollatorWithPadding,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from benchmarks.speed.turns import Turns


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    parser.add_argument("--longest", type=int, required=True)
    parser.add_argument("--by-length", action="store_true", help="documents of like length together")
    options = parser.parse_args()
    turns = Turns("torch", "transformers")
    texts = json.loads(options.texts.read_text(encoding="utf-8"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(options.tokenizer), pad_token="<pad>")
    encoded = tokenizer(texts, truncation=True, max_length=options.longest)["input_ids"]
    rows = [{"input_ids": ids, "labels": number % 2} for number, ids in enumerate(encoded)]
    config = GPT2Config(
        vocab_size=8192, n_positions=options.longest, n_embd=256, n_layer=6, n_head=4,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=1, eos_token_id=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    model = GPT2ForSequenceClassification(config)
    while True:
        with tempfile.TemporaryDirectory() as folder:
            words = TrainingArguments(
                folder,
                use_cpu=True,
                bf16=options.precision == "bf16",
                per_device_train_batch_size=16,
                num_train_epochs=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                train_sampling_strategy="group_by_length" if options.by_length else "random",
            )
            collator = DataCollatorWithPadding(tokenizer)
            turns.wait()
            done = Trainer(model, words, train_dataset=rows, data_collator=collator).train()
            turns.report(len(texts), done.metrics["train_runtime"])


if __name__ == "__main__":
    main()
