"""Every kind of source behind one function: a data set's config and part in, rows out."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.config.dataset import DatasetConfig, Given, Part
from pipeline.text.embedded import read_embedded
from pipeline.text.sources.articles import join_articles
from pipeline.text.sources.delimited import read_delimited
from pipeline.text.sources.files import named, resolve
from pipeline.text.sources.folders import read_folder
from pipeline.text.sources.hub import Hub
from pipeline.text.sources.json_array import read_json_array
from pipeline.text.sources.json_lines import read_json_lines
from pipeline.text.sources.parquet import read_parquet
from pipeline.text.sources.plain import read_plain
from pipeline.text.sources.row import Row


class Source:
    """A data set's rows, part by part.

    `folder`: its place in data/raw; `elsewhere`: paths in place of the files that the config names, for a set that
    is not there yet.
    """

    def __init__(self, config: DatasetConfig, folder: Path, elsewhere: dict[Given, Path] | None = None) -> None:
        self.config, self.folder, self.elsewhere = config, folder, elsewhere
        self.hub = Hub(config) if config.is_hub else None

    @property
    def given(self) -> Iterable[Given]:
        """What the source brings; nothing for `path: none`."""
        if self.hub is not None:
            return self.hub.parts
        return self.config.data_files or (() if self.config.path == "none" else ("train",))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts among it, train first."""
        order: tuple[Part, ...] = ("train", "validation", "test")
        return tuple(part for part in order if part in self.given)

    def rows(self, part: Given) -> Iterator[Row]:
        """Stream a part's rows, file after file."""
        rows = self._rows(part)
        return join_articles(rows, self.config.text_columns[0]) if self.config.documents == "article" else rows

    def text_rows(self, part: Part) -> Iterator[Row]:
        """A part's rows for who reads no labels: behind those of train the unlabelled ones."""
        more = part == "train" and "unlabelled" in self.given
        return chain(self.rows("train"), self.rows("unlabelled")) if more else self.rows(part)

    def _rows(self, part: Given) -> Iterator[Row]:
        if self.hub is not None:
            return self.hub.rows(part)
        if self.config.path == "embedded":
            return read_embedded(str(self.config.name))
        return (row for path in self.files(part) for row in self._read(path))

    def files(self, part: Given) -> list[Path]:
        """Where a part's files are; a `UserError` names the first that is not there, or not what it should be.

        Of a source that has files: neither a hub set nor the embedded one.
        """
        if self.elsewhere is not None:
            return [self.elsewhere[part]]
        files = self.config.data_files
        assert files is not None  # the schema asks for them
        own = set(named(files[part], self.folder))
        for other in files:
            if other != part and (both := own.intersection(named(files[other], self.folder))):
                raise UserError(
                    f"{min(both)}: is in both {part} and {other}; name each part's own files in `data_files`"
                )
        paths = resolve(files[part], self.folder, self.config.sha256)
        if self.config.path != "folder" and (wrong := [path for path in paths if path.is_dir()]):
            raise UserError(f"{wrong[0]}: is a folder; name the files in it, for instance `{wrong[0].name}/*`")
        return paths

    def _read(self, path: Path) -> Iterator[Row]:
        match self.config.path:
            case "csv":
                return read_delimited(path, ",")
            case "tsv":
                return read_delimited(path, "\t")
            case "json":
                return read_json_array(path)
            case "jsonl":
                return read_json_lines(path)
            case "parquet":
                return read_parquet(path)
            case "folder":
                return read_folder(path)
            case _:
                return read_plain(path, self.config.documents)
