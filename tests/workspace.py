"""A small workspace in which the training stages run as they do under DVC: configs, tokens, labels, all made here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.files import write_json
from pipeline.config.read import parse
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.interop.folders import save_language_model
from pipeline.linear.space import save_space
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.shards.write import write_shards
from pipeline.text import tokenizer as bpe

REPOSITORY = Path(__file__).resolve().parent.parent
LABELS = ("harbour", "kitchen", "orchard")
WORDS = {
    "harbour": ["ship", "anchor", "quay", "sailor", "tide", "crane", "rope", "captain", "cargo", "gull"],
    "kitchen": ["oven", "spoon", "flour", "butter", "knife", "apron", "dough", "simmer", "plate", "salt"],
    "orchard": ["apple", "ladder", "blossom", "basket", "prune", "root", "graft", "harvest", "bee", "shade"],
}
COMMON = ["the", "a", "of", "and", "in", "was", "near", "with", "from", "under", "before", "after"]

# In fp32 everywhere: `auto` is bf16 on some processors, and equality between micro batches and processes is promised in
# fp32.
CONFIGS = {
    "model": {
        "layers": 2, "width": 32, "heads": 2, "feedforward": 64, "max_positions": 64, "norm": "rmsnorm",
        "dropout": 0.1, "embedding_dropout": 0.1,
    },
    "pretrain": {
        "start": "scratch", "tokens": 6400, "batch_tokens": 256, "length": 32, "validate_every": 10,
        "checkpoint_every": 2, "precision": "fp32",
    },
    "finetune_lm": {
        "tokens": 6400, "batch_tokens": 256, "length": 32, "discriminative": 2.6, "schedule": "slanted_triangular",
        "optimizer": "muon", "validate_every": 10, "checkpoint_every": 2, "precision": "fp32",
    },
    "classifier": {
        "epochs": 4, "phase_epochs": 2, "batch_documents": 8, "learning_rate": 0.005, "discriminative": 2.6,
        "schedule": "slanted_triangular", "head_width": 16, "chunk_tokens": 32, "max_tokens": 96,
        "checkpoint_every": 2, "precision": "fp32",
    },
    "blend": {"weight": "auto", "folds": 2},
    "self_train": {"documents": 80, "epochs": 2},
    "hardware": {"accelerator": "cpu", "threads": 1, "micro_batch": 4},
}  # fmt: skip


def sentences(number: int, seed: int) -> list[tuple[str, int]]:
    """Documents of a few sentences about one of three places, with the place's number."""
    random = np.random.Generator(np.random.PCG64(seed))
    made = []
    for _ in range(number):
        label = int(random.integers(len(LABELS)))
        about = WORDS[LABELS[label]]
        words = [
            str(random.choice(about if random.random() < 0.4 else COMMON)) for _ in range(int(random.integers(8, 40)))
        ]
        made.append((" ".join(words), label))
    return made


def make(folder: Path, **changed: dict[str, object]) -> Path:
    """Fill `folder` with everything the training stages read; `changed` updates single configs."""
    choices = {
        "generic": "tiny", "domain": "tiny", "task": "tiny", "tokenizer": "tiny", "model": "tiny", "pretrain": "tiny",
        "pretrained": "none", "finetune_lm": "tiny", "classifier": "tiny", "blend": "tiny", "self_train": "tiny",
        "scratch": "tiny", "hardware": "tiny",
        "directions": ["forward"],
    }  # fmt: skip
    write_json(folder / "configs/config.yaml", choices)  # JSON is YAML
    for kind, values in CONFIGS.items():
        write_json(folder / f"configs/{kind}/tiny.yaml", values | changed.get(kind, {}))
    (folder / "data/pretrained/none").mkdir(parents=True)
    corpora = {"generic": sentences(150, 1), "domain": sentences(150, 2), "task": sentences(60, 3)}
    trained = bpe.train((text for text, _ in corpora["generic"]), TokenizerConfig(vocabulary=450))
    tokenizer = folder / "models/tokenizer/tokenizer.json"
    tokenizer.parent.mkdir(parents=True)
    bpe.save(trained, tokenizer)
    loaded = bpe.load(tokenizer)
    network = build(
        parse(TransformerSettings, CONFIGS["model"] | changed.get("model", {}), "model"),
        loaded.get_vocab_size(),
        seed=5,
    )
    for stage in ("pretrained", "domain"):
        save_language_model(folder / "models" / stage / "forward", network, direction="forward", tokenizer=tokenizer)
    for role, documents in corpora.items():
        held_out = len(documents) // 5
        for part, chosen in (("validation", documents[:held_out]), ("train", documents[held_out:])):
            tokens = bpe.encode(loaded, [text for text, _ in chosen])
            triples = ((ids, len(text), len(text)) for ids, (text, _) in zip(tokens, chosen, strict=True))
            write_shards(
                folder / "data/tokens" / role / part,
                triples,
                vocabulary=loaded.get_vocab_size(),
                tokenizer=bpe.fingerprint(tokenizer),
            )
            if role != "generic":
                prepared = folder / "data/prepared" / role
                prepared.mkdir(parents=True, exist_ok=True)
                labels = pa.array([label for _, label in chosen], pa.int32())
                table = pa.table({"text": [text for text, _ in chosen], "label": labels})
                pq.write_table(table if role == "task" else table.drop_columns("label"), prepared / f"{part}.parquet")
    save_space(folder / "models/lsa", None, spaced=True)  # as the stage lsa leaves it where there is little text
    write_json(
        folder / "data/prepared/task/labels.json",
        {"labels": list(LABELS), "multilabel": False, "text": ["text"], "max_characters": 1_000_000}
        | {"spaced": True, "transductive": False},
    )
    return folder


def environment(**more: str) -> dict[str, str]:
    """The environment of a stage that a test starts: one thread, our code on the path."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **more}


def run(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `python -m stages.WORDS` in a workspace to its end."""
    command = [sys.executable, "-m", f"stages.{words[0]}", *words[1:]]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under `folder` by its relative name, but for run.json, which holds times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def copies(source: Path, folder: Path) -> Path:
    """A copy of a workspace."""
    shutil.copytree(source, folder)
    return folder
