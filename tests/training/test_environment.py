"""Results say which code made them, and whose matrix products."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.environment import commit, data_sheet


def git(*words: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_dirty_after_a_change_of_code_and_not_after_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit() is None
    git("init", "-q")
    for name in ("results/metrics.json", "stages/pretrain.py", "dvc.lock"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("before")
    git("add", ".")
    git("commit", "-qm", "first")
    name = git("describe", "--always")
    for result in ("results/metrics.json", "dvc.lock"):
        Path(result).write_text("after")
    Path("notes.txt").write_text("not tracked")
    assert commit() == name
    Path("stages/pretrain.py").write_text("after")
    assert commit() == f"{name}-dirty"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="OPENBLAS_CORETYPE names processors of this kind")
def test_a_run_says_which_kernels_a_variable_of_openblas_chose() -> None:
    """Linear models and spectral embeddings differ in their last digits by it: seen in a log loss's eighth digit."""
    said = "import numpy; from pipeline.training.environment import blas_kernels; print(blas_kernels())"
    found = [
        subprocess.run(
            [sys.executable, "-c", said],
            env={**os.environ, "OPENBLAS_CORETYPE": kernels},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for kernels in ("Haswell", "Nehalem")
    ]
    assert [one[-1] for one in found] == ["Haswell", "Nehalem"]
    assert found[0][:2] == found[1][:2]


def test_a_run_names_numpys_blas_where_scipy_has_loaded_its_own() -> None:
    """Two runs of one machine named different ones, by what had been imported, and looked like different machines."""
    found = {
        subprocess.run(
            [sys.executable, "-c", f"{first}; from pipeline.training.environment import blas_kernels as b; print(b())"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for first in ("import numpy", "import scipy.linalg", "import scipy.special, numpy", "import sklearn.svm")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("name", "bf16"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40", None),
        ("NVIDIA T400 4GB", None),
    ],
)
def test_a_gpu_is_known_by_its_whole_name(name: str, bf16: float | None) -> None:
    peaks = data_sheet(name)
    assert (peaks and peaks[0]) == bf16
