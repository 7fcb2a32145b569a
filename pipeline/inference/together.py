"""Which models of models/classifier belong together: a run that was stopped half way leaves parts of two."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, sha256, write_json
from pipeline.config.blend import FOLDER as BLEND
from pipeline.config.self_train import FOLDER as STUDENT
from pipeline.interop.folders import CONFIG, MODEL

FILE = "beside.json"


def remember(part: Path, classifier: Path, names: Iterable[str]) -> None:
    """Write beside a part, a blend or a student, which networks (by direction) and which blend it was made with."""
    write_json(part / FILE, {name: sha256(_of(classifier, name)) for name in names})


def require_together(part: Path, classifier: Path) -> None:
    """Refuse a part that was made with other models than those that now lie in `classifier`."""
    if not (part / FILE).is_file():  # made by other hands, or by an older version
        return
    for name, digest in read_json(part / FILE).items():
        there = _of(classifier, name) if str(name).isalpha() else None
        if there is None or not there.is_file() or sha256(there) != digest:
            raise UserError(f"{part}: was made beside another {classifier / name}; run `dvc repro` to its end")


def refuse_students_alone(classifier: Path) -> None:
    """Refuse a folder without a blend that has students: networks of the present run, beside those of a former one."""
    if any((classifier / STUDENT).glob(f"*/{CONFIG}")):
        raise UserError(
            f"{classifier}: has no {BLEND}, which says what its networks weigh; run `dvc repro`, or name one of them"
        )


def _of(classifier: Path, name: str) -> Path:
    return classifier / name / (CONFIG if name == BLEND else MODEL)
