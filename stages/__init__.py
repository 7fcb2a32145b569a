"""The stages: each script is a process of its own, `python -m stages.NAME`, and imports no more than it needs."""

import sys
from importlib.util import find_spec

from pipeline.base.process import share_cores, spare_torchmetrics

# DVC runs the `python` of the PATH, which is another where the environment is not active.
if find_spec("ruamel") is None:
    sys.exit(f"{sys.executable} lacks the pipeline's packages; `source .venv/bin/activate`, then try again")

share_cores()
spare_torchmetrics()
