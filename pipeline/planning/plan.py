"""The plan of some choices: every training stage on every number of devices, as objects and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import UserError
from pipeline.config.choices import SCHEMAS
from pipeline.config.chosen import CONFIGS, FOLDERS
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import LanguageModelConfig
from pipeline.config.read import load
from pipeline.planning.devices import THIS, Device, device_named
from pipeline.planning.memory import Memory, Strategy, memory_of
from pipeline.planning.scaling import Forecast, forecast
from pipeline.planning.stage import Stage
from pipeline.planning.stages import stages_of
from pipeline.training.place import Place

if TYPE_CHECKING:
    from pipeline.planning.measure import Measured


@dataclass(frozen=True)
class PlannedStage:
    """A stage and what to expect of it; a stage that trains nothing has no forecasts."""

    stage: Stage
    precision: str
    # In the order of the plan's numbers of devices.
    forecasts: tuple[Forecast, ...]
    # Of one device at the plan's largest number of devices that are still in one node; of the one that trains, where
    # a stage trains alone.
    memory: dict[Strategy, Memory]


@dataclass(frozen=True)
class Plan:
    """All training stages of some choices on one kind of device."""

    device: Device
    devices: tuple[int, ...]
    # Devices over which `PlannedStage.memory` divides.
    together: int
    stages: tuple[PlannedStage, ...]
    measured: "Measured | None"

    def to_json(self) -> dict[str, Any]:
        """Everything; times in seconds, memory in bytes, unknown numbers null."""
        return {
            "device": asdict(self.device),
            "measured": asdict(self.measured) if self.measured else None,
            "stages": {one.stage.name: _stage_json(one) for one in self.stages},
        }


def plan(choices: Mapping[str, Any], device: str, devices: Sequence[int], *, measures: bool = False) -> Plan:
    """Plan choices that `check_all` has found in order.

    Args:
        device: of `devices.DEVICES`, or `this`.
        devices: how many of them, in rising order.
        measures: train the first language-model stage a few steps on this machine, to know the share of its peak.
    """
    hardware: HardwareConfig = load(SCHEMAS["hardware"], CONFIGS / FOLDERS["hardware"] / f"{choices['hardware']}.yaml")
    hardware = replace(hardware, devices=1, nodes=1)  # how many is the plan's question
    stages = stages_of(choices)
    places = {stage.name: Place(hardware, stage.config.precision) for stage in stages}
    try:
        chosen = device_named(device, places["pretrain"])
    except UserError as error:
        if device != THIS:
            raise
        raise UserError(f"{error}; or plan for a device that is not here, such as --device h100") from error
    measured = None
    if measures:
        if device != THIS:
            raise UserError(f"--measure measures this machine, not a `{device}`; leave --device or --measure out")
        stage = next((s for s in stages if s.phases and isinstance(s.config, LanguageModelConfig)), None)
        if stage is None:
            raise UserError("--measure trains a language model, and none is trained by these choices; leave it out")
        from pipeline.planning.measure import measure  # loads Lightning, which takes seconds

        place = places[stage.name]
        micro_batch = _micro_batch(stage, hardware, place, here=True) or stage.sequences
        measured = measure(stage, place, chosen, micro_batch)
        chosen = replace(chosen, share=measured.share, share_from="measured")
    together = max([number for number in devices if number <= max(8, chosen.node)], default=devices[0])
    made = []
    for stage in stages:
        place = places[stage.name]
        precision = place.precision if device == THIS else chosen.precision(stage.config.precision)
        micro = _micro_batch(stage, hardware, place, here=device == THIS)
        made.append(_planned(stage, chosen, precision, devices, together, micro, hardware.strategy == "fsdp"))
    return Plan(chosen, tuple(devices), together, tuple(made), measured)


def _micro_batch(stage: Stage, hardware: HardwareConfig, place: Place, *, here: bool) -> int | None:
    """What a run would take: the config's, this machine's estimate, or None, to be found by what fits."""
    if hardware.micro_batch != "auto":
        return int(hardware.micro_batch)
    if not here or place.device == "cuda":
        return None
    return place.micro_batch(stage.settings[-1], stage.kept_length, stage.sequences)


def _planned(
    stage: Stage, device: Device, precision: str, devices: Sequence[int], together: int, micro: int | None, fsdp: bool
) -> PlannedStage:
    if not stage.phases:
        return PlannedStage(stage, precision, (), {})
    made = tuple(
        forecast(stage, device, precision, number, micro, "FSDP" if fsdp and number > 1 else None) for number in devices
    )
    strategies: list[tuple[Strategy, int]] = [("one process", 1)]
    if together > 1:
        strategies += [("DDP", together), ("FSDP", together)]
    memory = {}
    for name, number in strategies:
        micro_batch = made[devices.index(number) if number in devices else 0].micro_batch
        runs: tuple[Strategy, int] = ("one process", 1) if stage.alone else (name, number)
        memory[name] = memory_of(stage, device, precision, micro_batch, *runs)
    return PlannedStage(stage, precision, made, memory)


def _stage_json(one: PlannedStage) -> dict[str, Any]:
    stage = one.stage
    flops = stage.phases[-1].flops if stage.phases else None
    return {
        "note": stage.note,
        "parameters": stage.parts,
        "precision": one.precision,
        "tokens": stage.tokens if stage.known else None,
        "steps": stage.steps if stage.known else None,
        "flops_per_token": {"forward": flops.forward, "backward": flops.backward} if flops else None,
        "flops": stage.flops if stage.known else None,
        "memory": {name: {**asdict(memory), "total": memory.total} for name, memory in one.memory.items()},
        "forecasts": [_forecast_json(one, found) for found in one.forecasts],
    }


def _forecast_json(one: PlannedStage, found: Forecast) -> dict[str, Any]:
    known = one.stage.known
    return {
        **asdict(found),
        "memory": found.memory.total,
        "seconds": found.seconds if known else None,
        "communication": found.communication if known else None,
        "device_hours": found.device_hours if known else None,
    }
