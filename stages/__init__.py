"""The stages: each script is a process of its own, `python -m stages.NAME`, and imports no more than it needs."""

from pipeline.base.process import spare_torchmetrics

spare_torchmetrics()
