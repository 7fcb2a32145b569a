"""A small set of configs in a folder of its own, in order as it stands, for tests that spoil one thing at a time."""

from pathlib import Path

FILES = {
    "configs/config.yaml": """\
# What each stage uses.
generic: corpus  # pretrains
domain: none
task: reviews  # what to learn

tokenizer: bpe
model: small
pretrain: short
pretrained: none
finetune_lm: short
classifier: quick
blend: auto
self_train: auto
scratch: quick
directions: [forward]  # or both
hardware: auto
""",
    "configs/dataset/corpus.yaml": "path: text\ndata_files: {train: all.txt}\n",
    "configs/dataset/none.yaml": "path: none\n",
    "configs/dataset/reviews.yaml": "path: csv\ndata_files: {train: reviews.csv}\nlabel: stars\n",
    "configs/dataset/orders.yaml": "path: csv\ndata_files: {train: orders.csv}\nlabel: state\n",
    "configs/tokenizer/bpe.yaml": "vocabulary: 1000\n",
    "configs/model/small.yaml": "layers: 2\nwidth: 32\nheads: 2\nfeedforward: 64\nmax_positions: 128\n",
    "configs/model/large.yaml": "layers: 4\nwidth: 64\nheads: 2\nfeedforward: 128\nmax_positions: 256\n",
    "configs/pretrain/short.yaml": "start: scratch\ntokens: 1000\nbatch_tokens: 256\nlength: 64\nlearning_rate: 1e-3\n",
    "configs/pretrain/from_folder.yaml": "start: folder\ntokens: 1\nlearning_rate: 0.001\n",
    "configs/finetune_lm/short.yaml": "tokens: 1000\nbatch_tokens: 256\nlength: 64\nlearning_rate: 0.001\n",
    "configs/classifier/quick.yaml": "epochs: 1\nlearning_rate: 0.001\nchunk_tokens: 64\n",
    "configs/blend/auto.yaml": "weight: auto\n",
    "configs/self_train/auto.yaml": "documents: 400\n",
    "configs/hardware/auto.yaml": "accelerator: auto\n",
    "configs/hardware/gpu.yaml": "accelerator: gpu\n",
    "configs/presets/quick.yaml": "# A quick look.\ntask: reviews\nmodel: small\n",
    "configs/presets/large.yaml": "# Takes longer.\ntask: orders\nmodel: large\ndirections: [forward, backward]\n",
    "data/raw/corpus/all.txt": "text\n",
    "data/raw/none/README.md": "no text\n",
    "data/raw/reviews/reviews.csv": "text,stars\n",
    "data/raw/orders/orders.csv": "text,state\n",
    "data/pretrained/none/README.md": "no model\n",
    "data/pretrained/colleague/model.safetensors": "weights",
    "data/pretrained/colleague/config.json": '{"direction": "forward", "model": {"max_positions": 96}}',
    "data/pretrained/colleague/tokenizer.json": "{}",
}


def write_choices(root: Path) -> None:
    """Write all of it under `root`."""
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def replace_in(path: str, old: str, new: str) -> None:
    """Change one thing in a file below the current folder; `old` must be there."""
    content = Path(path).read_text(encoding="utf-8")
    assert old in content, f"{path} does not hold {old!r}"
    Path(path).write_text(content.replace(old, new), encoding="utf-8")
