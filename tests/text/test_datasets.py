"""Every data set that is shipped: its config is valid and prepares rows of its source's real shape."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, sha256
from pipeline.config.dataset import DatasetConfig
from pipeline.config.read import load, parse, read_yaml
from pipeline.text.corpus import prepare_corpus
from pipeline.text.prepared import read_texts
from pipeline.text.sources.hub import Hub
from pipeline.text.sources.read import Source
from pipeline.text.task import prepare_task
from tests.text.small import NO_TASK

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = {path.stem: path for path in sorted((REPOSITORY / "configs/dataset").glob("*.yaml"))}

# The columns, classes and splits of each hub set, as its page on the hub shows them.
TEXT = datasets.Value("string")
DBPEDIA = (
    "Company EducationalInstitution Artist Athlete OfficeHolder MeanOfTransportation Building NaturalPlace Village "
    "Animal Plant Album Film WrittenWork"
)
STARS = ["1 star", "2 star", "3 stars", "4 stars", "5 stars"]
HUB: dict[str, tuple[dict[str, Any], list[str]]] = {
    "Salesforce/wikitext": ({"text": TEXT}, ["test", "train", "validation"]),
    "stanfordnlp/imdb": (
        {"text": TEXT, "label": datasets.ClassLabel(names=["neg", "pos"])},
        ["train", "test", "unsupervised"],
    ),
    "fancyzhx/ag_news": (
        {"text": TEXT, "label": datasets.ClassLabel(names=["World", "Sports", "Business", "Sci/Tech"])},
        ["train", "test"],
    ),
    "CogComp/trec": (
        {
            "text": TEXT,
            "coarse_label": datasets.ClassLabel(names=["ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"]),
            "fine_label": datasets.ClassLabel(num_classes=50),
        },
        ["train", "test"],
    ),
    "fancyzhx/dbpedia_14": (
        {"label": datasets.ClassLabel(names=DBPEDIA.split()), "title": TEXT, "content": TEXT},
        ["train", "test"],
    ),
    "Yelp/yelp_review_full": ({"label": datasets.ClassLabel(names=STARS), "text": TEXT}, ["train", "test"]),
    "fancyzhx/yelp_polarity": (
        {"text": TEXT, "label": datasets.ClassLabel(names=["1", "2"])},
        ["train", "test"],
    ),
}
LABELS = {
    "imdb": ["neg", "pos"],
    "agnews": ["Business", "Sci/Tech", "Sports", "World"],
    "trec": ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"],
    "dbpedia": sorted(DBPEDIA.split()),
    "yelp_full": STARS,
    "yelp_polarity": ["negative", "positive"],
}
FILES_LABELS = {"imdb": ["neg", "pos"], "agnews": ["Business", "World"], "trec": ["HUM", "LOC"]}


def value(kind: Any, column: str, number: int, split: str) -> Any:
    """A value of a column: text like no other, or the classes in turn (-1 where the hub has no labels)."""
    if isinstance(kind, datasets.ClassLabel):
        return -1 if split == "unsupervised" else number % kind.num_classes
    return f"{split} {column} {number} " + " ".join(f"word{number * place}" for place in range(20))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets.load_dataset` gives stub rows with the real features, streaming, and refuses what the hub would."""

    def load_dataset(path: str, name: str | None = None, *, revision: str | None, streaming: bool) -> Any:
        assert streaming
        assert (path == "Salesforce/wikitext") == (name == "wikitext-103-raw-v1")
        assert (path == "CogComp/trec") == (revision == "refs/convert/parquet")
        features, splits = HUB[path]
        found = {}
        for split in splits:
            made = [{column: value(kind, column, n, split) for column, kind in features.items()} for n in range(140)]
            if path == "Salesforce/wikitext":
                made = [
                    {"text": line} for n in range(40) for line in ("", f" = {split} {n} = \n", "", f" Body {n} . \n")
                ]
            found[split] = datasets.Dataset.from_list(made, datasets.Features(features)).to_iterable_dataset()
        return datasets.IterableDatasetDict(found)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_shipped_config_is_valid_and_has_its_folder_of_raw_files(name: str) -> None:
    settings = load(DatasetConfig, CONFIGS[name])
    folder = REPOSITORY / "data/raw" / name
    if settings.data_files and not settings.sha256:
        assert all((folder / file).is_file() for file in settings.data_files.values())
    else:
        assert (folder / "SOURCE.md").is_file()


@pytest.mark.parametrize("name", LABELS)
def test_a_hub_task_prepares_with_its_real_columns_and_classes(name: str, hub: None, tmp_path: Path) -> None:
    settings = load(DatasetConfig, CONFIGS[name])
    prepare_task(settings, Source(settings, tmp_path), tmp_path, name)
    assert read_json(tmp_path / "labels.json")["labels"] == LABELS[name]
    texts = {part: list(read_texts(tmp_path / f"{part}.parquet")) for part in ("train", "validation", "test")}
    assert {part: len(found) for part, found in texts.items()} == {"train": 126, "validation": 14, "test": 140}
    assert all("test" in text for text in texts["test"])
    if name == "dbpedia":
        assert texts["test"][0].startswith("test title 0")
        assert "\n\ntest content 0" in texts["test"][0]


def test_imdbs_unlabelled_reviews_join_its_domain(hub: None, tmp_path: Path) -> None:
    settings = load(DatasetConfig, CONFIGS["imdb_domain"])
    prepare_corpus(settings, Source(settings, tmp_path), tmp_path, NO_TASK, "imdb_domain")
    texts = [text for part in ("train", "validation") for text in read_texts(tmp_path / f"{part}.parquet")]
    assert sum(text.startswith("train") for text in texts) == sum(text.startswith("unsup") for text in texts) == 140


def test_a_label_that_the_hub_does_not_give_is_no_label(hub: None) -> None:
    settings = parse(DatasetConfig, {"path": "stanfordnlp/imdb", "split": {"train": "unsupervised"}}, "x")
    assert {row.values["label"] for row in Hub(settings).rows("train")} == {None}


def test_wikitext_is_articles(hub: None, tmp_path: Path) -> None:
    settings = load(DatasetConfig, CONFIGS["wikitext103"])
    prepare_corpus(settings, Source(settings, tmp_path), tmp_path, NO_TASK, "wikitext103")
    train = list(read_texts(tmp_path / "train.parquet"))
    assert len(train) == 40
    assert train[3] == "= train 3 = \n\n Body 3 ."
    assert len(list(read_texts(tmp_path / "validation.parquet"))) == 40


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("local_")])
def test_a_set_kept_elsewhere_prepares_rows_of_its_files_shape(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = read_yaml(CONFIGS[name])
    labels = FILES_LABELS.get(name.removeprefix("local_").removesuffix("_100"), ["unlabelled"])
    for file in values["sha256"]:
        path = tmp_path / file.removeprefix("$DATASETS_DIR/")
        path.parent.mkdir(exist_ok=True)
        lines = [{"text": value(TEXT, file, n, ""), "label": labels[n % len(labels)]} for n in range(40)]
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(content))
        else:
            import lzma

            path.write_bytes(lzma.compress(content))
    values["sha256"] = {file: sha256(tmp_path / file.removeprefix("$DATASETS_DIR/")) for file in values["sha256"]}
    monkeypatch.setenv("DATASETS_DIR", str(tmp_path))
    settings = parse(DatasetConfig, values, name)
    out = tmp_path / "out"
    out.mkdir()
    if settings.label is None:
        prepare_corpus(settings, Source(settings, tmp_path), out, NO_TASK, name)
    else:
        prepare_task(settings, Source(settings, tmp_path), out, name)
        assert read_json(out / "labels.json")["labels"] == sorted(labels)
    assert read_json(out / "audit.json")["parts"]["train"]["documents"] > 0


def test_the_example_prepares(tmp_path: Path) -> None:
    settings = load(DatasetConfig, CONFIGS["example_tickets"])
    prepare_task(settings, Source(settings, REPOSITORY / "data/raw/example_tickets"), tmp_path, "example_tickets")
    audit = read_json(tmp_path / "audit.json")
    assert audit["parts"]["test"]["labels"] == {"account": 6, "billing": 6, "delivery": 6, "technical": 6}
    assert audit["rows"]["train"] == {
        "rows_read": 120, "documents_kept": 120, "dropped": {}, "cut_to_max_characters": 0
    }  # fmt: skip


def test_an_unreachable_hub_says_how_to_use_a_local_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        UserError, match=r"stanfordnlp/imdb: cannot be read .*no route to the hub.*data/raw/NAME/ and set"
    ):
        Hub(load(DatasetConfig, CONFIGS["imdb"]))


def test_a_hub_id_that_is_also_a_folder_here_is_not_read_from_there(
    hub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would not see its files."""
    monkeypatch.chdir(tmp_path)
    settings = parse(DatasetConfig, {"path": "stanfordnlp/imdb"}, "x")
    assert Source(settings, tmp_path).parts == ("train", "test")
    (tmp_path / "stanfordnlp/imdb").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^`path: stanfordnlp/imdb` is a hub id, and .* `path: csv` .*`data_files:`"):
        Source(settings, tmp_path)


def test_a_hub_that_breaks_off_half_way_is_the_same_error(hub: None) -> None:
    def rows() -> Any:
        yield {"text": "x", "label": 0}
        raise OSError("connection reset")

    source = Hub(load(DatasetConfig, CONFIGS["imdb"]))
    source.splits["train"] = datasets.IterableDataset.from_generator(rows)
    with pytest.raises(UserError, match=r"cannot be read from the hub .connection reset"):
        list(source.rows("train"))


def test_a_split_that_the_hub_lacks_is_named_with_the_nearest(hub: None) -> None:
    settings = parse(DatasetConfig, {"path": "stanfordnlp/imdb", "split": {"train": "train+unsupervized"}}, "x")
    with pytest.raises(UserError, match=r'no split "unsupervized"; did you mean "unsupervised"'):
        list(Hub(settings).rows("train"))


def test_a_hub_set_without_a_train_split_wants_one_named(hub: None) -> None:
    source = Hub(load(DatasetConfig, CONFIGS["agnews"]))
    del source.splits["train"]
    with pytest.raises(UserError, match=r"fancyzhx/ag_news: has no split called train; name one .* of test"):
        list(source.parts)


def test_a_list_of_classes_becomes_their_names() -> None:
    features = datasets.Features(
        {"text": TEXT, "labels": datasets.Sequence(datasets.ClassLabel(names=["joy", "fear"]))}
    )
    rows = datasets.Dataset.from_list([{"text": "x", "labels": [1, 0]}, {"text": "y", "labels": []}], features)
    settings = parse(DatasetConfig, {"path": "a/b", "label": "labels", "label_separator": ","}, "x")
    hub = Hub.__new__(Hub)
    hub.config, hub.describe, hub.splits = settings, "a/b", {"train": rows.to_iterable_dataset()}
    assert [row.values["labels"] for row in hub.rows("train")] == [["fear", "joy"], []]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"path": "imdb"}, "`path: imdb` is neither a hub id (owner/name) nor one of csv"),
    ({"path": "data/raw/films"}, "`path: data/raw/films` is neither a hub id (owner/name) nor one of csv"),
    ({"path": "./films"}, "`path: ./films` is neither a hub id (owner/name) nor one of csv"),
    ({"path": "/data/films"}, "`path: /data/films` is neither a hub id (owner/name) nor one of csv"),
    ({"path": "films/"}, "`path: films/` is neither a hub id (owner/name) nor one of csv"),
    ({"path": "csv"}, "`path: csv` reads files; add `data_files"),
    ({"path": "csv", "data_files": {"test": "a.csv"}}, "`data_files` needs a `train` part"),
    ({"path": "a/b", "data_files": {"train": "a.csv"}}, "`data_files` names files; `path:` must then be one of csv"),
    ({"path": "a/b", "split": {"test": "test"}}, "`split` needs a `train` part"),
    ({"path": "csv", "data_files": {"train": "a"}, "split": {"train": "x"}}, "`split` names splits of a hub set"),
    ({"path": "embedded", "name": "tasks"}, "`path: embedded` needs `name:`, one of generic, domain, task"),
    ({"path": "a/b", "label": ["x", "y"], "label_separator": ","}, "`label_separator` needs one `label` column"),
    ({"path": "a/b", "text": ["t", "x"], "documents": "article"}, "`documents: article` joins the lines of one column"),
    ({"path": "a/b", "txt": "x"}, 'unknown key `txt`; did you mean "text"?'),
    ({"path": "a/b", "validation": 1.5}, "`validation: 1.5` is not allowed"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_a_config_that_cannot_be_meant_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        parse(DatasetConfig, values, "configs/dataset/x.yaml")
    assert str(refused.value).startswith(f"configs/dataset/x.yaml: {message}")
    assert "\n" not in str(refused.value)
