"""Schema of `configs/dataset/*.yaml`: where a data set's texts and labels come from.

The words are those of `datasets.load_dataset` (path, name, data_files, split), plus text, label, validation, test.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.numbers import Count, Rate, Seed

LOCAL_FORMATS = ("csv", "tsv", "json", "jsonl", "parquet", "text", "folder")
EMBEDDED_PARTS = (
    "generic",
    "domain",
    "task",
    "sample_generic",
    "sample_domain",
    "development_generic",
    "development_domain",
    "development_task",
)
# owner/name, as the hub allows it; `load_dataset` would take any other path for a folder on this machine.
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
Part = Literal["train", "validation", "test"]
# What a set may bring: its parts, and more text of the kind, which is read behind train where the set is a corpus.
Given = Literal["train", "validation", "test", "unlabelled"]


@dataclass(frozen=True)
class DatasetConfig:
    """One data set, usable as generic corpus, as domain corpus (labels unread) or as task."""

    # "csv", "tsv", "json", "jsonl", "parquet", "text", "folder" (files), "embedded" (installed documentation),
    # "none", or a hub id such as "stanfordnlp/imdb".
    path: str
    # Configuration of a hub set, for instance "wikitext-103-raw-v1"; of an embedded set, its part.
    name: str | None = None
    # Commit of a hub set, so that tomorrow's rows are today's.
    revision: str | None = None
    # Part -> file name or glob, or a list of them, relative to data/raw/NAME/; `$DATASETS_DIR/...` for files elsewhere.
    data_files: dict[Given, str | tuple[str, ...]] | None = None
    # Part -> split of the hub set, for instance {train: train, test: test, unlabelled: unsupervised}.
    split: dict[Given, str] | None = None
    # Files outside the repository (`$DATASETS_DIR`) carry their sha256: file as written in data_files -> hex digest.
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] | None = None
    # Column or columns that make a document; several are joined by a blank line.
    text: str | tuple[str, ...] = "text"
    # Column of the label; a list of 0/1 columns for several labels a document; null for unlabelled text.
    label: str | tuple[str, ...] | None = None
    # Splits one label column into several labels a document, for instance "," or ";".
    label_separator: str | None = None
    # Names in the order of a hub set's integer labels; null takes the set's own names.
    label_names: tuple[str, ...] | None = None
    # Where one file holds many documents of plain text: one a line, one a block between blank lines, or one a file;
    # "article" also joins the rows of a hub set: lines, of which ` = Title = ` begins the next article (WikiText).
    documents: Literal["line", "paragraph", "file", "article"] = "line"
    # Cut from train where the set has no validation part: a share, a number of documents, or 0 for none (where a
    # labelled set is a corpus, its language model is validated all the same, by 2 %).
    validation: Rate | Count | Literal[0] = 0.1
    # Cut from train where the set has no test part.
    test: Rate | Count | None = None
    # Keep this many labelled training documents of each class (few-label work), a sample by seed; null keeps all.
    # A validation part that is cut from train is cut from these, because its labels are used as well.
    labels_per_class: Count | None = None
    # Keep at most this many documents of each part, a sample by seed; null keeps all.
    max_documents: Count | None = None
    # Documents longer than this many characters are cut, and counted in the audit.
    max_characters: Count = 1_000_000
    # Of a task: keep its held-out documents' text in the unlabelled corpora; shown beside the result.
    transductive: bool = False
    # Of a task: words separated by spaces? false makes the linear baselines and the search for near-duplicates use
    # character n-grams.
    spaced: bool = True
    seed: Seed = 1

    def __post_init__(self) -> None:
        if self.path in LOCAL_FORMATS and not self.data_files:
            raise ValueError(f"`path: {self.path}` reads files; add `data_files: {{train: FILE}}`")
        if self.is_hub and not HUB_ID.fullmatch(self.path):
            allowed = ", ".join((*LOCAL_FORMATS, "embedded", "none"))
            raise ValueError(f"`path: {self.path}` is neither a hub id (owner/name) nor one of {allowed}")
        if self.data_files and self.path not in LOCAL_FORMATS:
            raise ValueError(f"`data_files` names files; `path:` must then be one of {', '.join(LOCAL_FORMATS)}")
        for names in (self.data_files or {}).values():
            for name in (names,) if isinstance(names, str) else names:
                if name.startswith("/") or ".." in name.split("/"):
                    raise ValueError(f"`data_files: {name}` must lie in data/raw/NAME/, or begin with `$DATASETS_DIR/`")
        if self.split and not self.is_hub:
            raise ValueError("`split` names splits of a hub set; name files in `data_files`")
        if self.path == "embedded" and self.name not in EMBEDDED_PARTS:
            raise ValueError(f"`path: embedded` needs `name:`, one of {', '.join(EMBEDDED_PARTS)}")
        texts, labels = self.text_columns, (self.label,) if isinstance(self.label, str) else self.label or ()
        if not texts or self.label == ():
            raise ValueError(f"`{'label' if texts else 'text'}` names no column; name one or several")
        for key, columns in (("text", texts), ("label", labels)):
            if twice := [column for column in columns if columns.count(column) > 1]:
                raise ValueError(f"`{key}` names the column `{twice[0]}` twice; name it once")
        if self.documents == "article" and len(texts) > 1:
            raise ValueError(f"`documents: article` joins the lines of one column; `text` names {len(texts)}, name one")
        if both := set(texts).intersection(labels):
            raise ValueError(f"`text` and `label` both name the column `{min(both)}`; a text must not hold its answer")
        if self.label_separator is not None and not isinstance(self.label, str):
            raise ValueError("`label_separator` needs one `label` column")
        if self.label_separator == "":
            raise ValueError("`label_separator` (`--separator` of new-task) is empty; write what is between two labels")
        if self.data_files and "train" not in self.data_files:
            raise ValueError("`data_files` needs a `train` part")
        if self.split and "train" not in self.split:
            raise ValueError("`split` needs a `train` part")

    @property
    def is_hub(self) -> bool:
        """Whether `path` is a hub id."""
        return self.path not in (*LOCAL_FORMATS, "embedded", "none")

    @property
    def text_columns(self) -> tuple[str, ...]:
        """`text`, as several."""
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def multilabel(self) -> bool:
        """Whether a document may carry several labels."""
        return self.label_separator is not None or isinstance(self.label, tuple)
