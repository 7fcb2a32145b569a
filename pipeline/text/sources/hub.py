"""Data sets of the Hugging Face hub, streamed through `datasets.load_dataset`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError, suggest
from pipeline.config.dataset import DatasetConfig, Given
from pipeline.text.sources.row import Row


class Hub:
    """One hub set, opened once; rows come part by part."""

    def __init__(self, config: DatasetConfig) -> None:
        if Path(config.path).exists():  # which `load_dataset` would read, and DVC would not know of
            raise UserError(
                f"`path: {config.path}` is a hub id, and {config.path} is on this machine too; for its files put them "
                "into data/raw/NAME/ and set `path: csv` (or jsonl, parquet, folder) and `data_files:`, for the hub's "
                "set rename it"
            )
        import datasets  # takes a second, and only hub sets need it

        self.config = config
        self.describe = config.path + (f" ({config.name})" if config.name else "")
        try:
            self.splits = datasets.load_dataset(config.path, config.name, revision=config.revision, streaming=True)
        except Exception as error:  # the client raises errors of half a dozen libraries
            raise self._unreachable(error) from error

    @property
    def parts(self) -> dict[Given, str]:
        """The parts that the set gives: those the config names, else those the hub calls so."""
        if self.config.split is not None:
            return self.config.split
        if "train" not in self.splits:
            known = ", ".join(self.splits)
            raise UserError(
                f"{self.describe}: has no split called train; name one (`split: {{train: ...}}`) of {known}"
            )
        parts: tuple[Given, ...] = ("train", "validation", "test")
        return {part: part for part in parts if part in self.splits}

    def rows(self, part: Given) -> Iterator[Row]:
        """Stream a part's rows; integers of a class column become the set's names. `train+extra` joins splits."""
        for name in self.parts[part].split("+"):
            if name not in self.splits:
                raise UserError(f'{self.describe}: no split "{name}"; {suggest(name, self.splits)}')
            split = self.splits[name]
            names = {} if self.config.label_names else _class_names(split.features or {})
            for number, values in enumerate(self._guarded(split), start=1):
                for column, known in names.items():
                    values[column] = _named(values[column], known)
                yield Row(values, f"{self.describe} {name}", "row", number)

    def _guarded(self, split: Any) -> Iterator[dict[str, Any]]:
        rows = iter(split)
        while True:
            try:
                values = next(rows)
            except StopIteration:
                return
            except Exception as error:
                raise self._unreachable(error) from error
            yield values

    def _unreachable(self, error: Exception) -> UserError:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        return UserError(
            f"{self.describe}: cannot be read from the hub ({why}); check the name and the network, or use a local "
            f"copy: save its files in data/raw/NAME/ and set `path: parquet` (or csv, jsonl) and `data_files:`"
        )


def _class_names(features: dict[str, Any]) -> dict[str, list[str]]:
    """Names of the classes of each column that holds a class, or a list of classes."""
    names = {}
    for column, kind in features.items():
        known = getattr(kind, "names", None) or getattr(getattr(kind, "feature", None), "names", None)
        if known:
            names[column] = known
    return names


def _named(value: Any, names: list[str]) -> Any:
    """A class's name for its number; the hub writes -1 where the label is not given."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return None if value is None or value < 0 else names[value]
