"""Predictions survive the file, and the summary holds what the table and the report need."""

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import sha256
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.predictions import read_predictions, write_predictions
from pipeline.evaluation.summary import summarise


@pytest.mark.parametrize(("labels", "multilabel"), [([1, 0, 1], False), ([[0, 1], [], [1]], True)])
def test_predictions_survive_the_file_bit_for_bit(tmp_path, labels, multilabel: bool) -> None:
    generator = np.random.default_rng(0)
    systems = {name: generator.random((3, 2)).astype(np.float32) for name in ("pipeline", "nb_svm", "majority")}
    write_predictions(tmp_path / "one.parquet", labels, systems, multilabel)
    write_predictions(tmp_path / "two.parquet", labels, systems, multilabel)
    assert sha256(tmp_path / "one.parquet") == sha256(tmp_path / "two.parquet")
    found = read_predictions(tmp_path / "one.parquet")
    assert found.labels == labels
    assert list(found.systems) == list(systems)
    for name, probabilities_NC in systems.items():
        assert (found.systems[name] == probabilities_NC).all()


def test_no_documents_leave_no_systems(tmp_path) -> None:
    write_predictions(tmp_path / "none.parquet", [], {"pipeline": np.zeros((0, 3))}, False)
    found = read_predictions(tmp_path / "none.parquet")
    assert (found.labels, found.systems) == ([], {})
    assert summarise(np.zeros((0, 3), dtype=bool), {}, {}, "abc", False) == {
        "systems": {},
        "members": {},
        "lead": {},
    }


def test_a_missing_or_damaged_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"absent\.parquet: no such file"):
        read_predictions(tmp_path / "absent.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match=r"broken\.parquet: is damaged"):
        read_predictions(tmp_path / "broken.parquet")


def test_the_summary_measures_every_system_and_the_lead_over_the_others() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=80)
    good, bad = np.eye(2)[labels] * 0.8 + 0.1, np.full((80, 2), 0.5)
    found = summarise(carried(labels, 2, False), {"pipeline": good, "majority": bad}, {}, ["x", "y"], False)
    assert found["systems"]["pipeline"]["accuracy"] == 1
    assert found["lead"]["majority"]["accuracy"] == pytest.approx(1 - (labels == 0).mean())
    low, high = found["lead"]["majority"]["accuracy_interval"]
    assert 0 < low < found["lead"]["majority"]["accuracy"] < high
    assert set(found["lead"]) == {"majority"}
