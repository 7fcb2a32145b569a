"""Which folders hold classifiers: what can be said of a name before anything slow is imported or read."""

from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.files import read_config
from pipeline.config.blend import FOLDER as BLEND

CONFIG, KIND = "config.json", "classifier"


def classifiers_in(folder: Path) -> list[Path]:
    """`folder` itself if it is a classifier, else its sub-folders that are, sorted; `UserError` where there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; train a classifier (`dvc repro`) or name the folder of one")
    if (folder / CONFIG).is_file():
        found = [folder]
    else:
        found = sorted(path.parent for path in folder.glob(f"*/{CONFIG}") if path.parent.name != BLEND)
    if not found:
        raise holds_none(folder)
    for one in found:
        read_config(one / CONFIG, KIND)
    return found


def holds_none(folder: Path) -> UserError:
    """That there is no classifier in a folder."""
    return UserError(f"{folder}: holds no classifier; run `dvc repro`, or `dvc pull` to fetch a trained one")
