"""How long a stage takes on so many devices: calculation, communication, updates, measurements.

The global batch is that of the config, whatever the number of devices (strong scaling): each gets its share of the
sequences, and where there are more devices than sequences the others wait. A stage that trains `alone` has one device
at work, and all are paid for. A step takes

    calculation of the largest share  +  communication that nothing hides  +  update
"""

from dataclasses import dataclass

from pipeline.planning.communication import BUCKET, all_gather, all_reduce
from pipeline.planning.devices import Device
from pipeline.planning.memory import USABLE, Memory, Strategy, fewest_devices, largest_micro_batch, memory_of
from pipeline.planning.stage import Phase, Stage


@dataclass(frozen=True)
class Forecast:
    """A stage on so many devices."""

    devices: int
    strategy: Strategy
    micro_batch: int
    memory: Memory
    fits: bool
    seconds: float
    # Of them, spent waiting for other devices.
    communication: float
    # How many of the devices have a sequence to work on.
    busy: int
    tokens_per_second: float
    # What would fit, where this does not.
    remedy: str = ""

    @property
    def device_hours(self) -> float:
        """Paid for, idle devices included."""
        return self.devices * self.seconds / 3600


def forecast(
    stage: Stage,
    device: Device,
    precision: str,
    devices: int,
    micro_batch: int | None,
    strategy: Strategy | None = None,
) -> Forecast:
    """What to expect of a stage that trains.

    Args:
        micro_batch: sequences that go through the network at once; None takes the largest that fits.
        strategy: None takes one process or DDP where it fits, else FSDP; a stage that trains alone has one process.
    """
    used = 1 if stage.alone else devices
    for chosen in _strategies(used, None if stage.alone else strategy):
        micro = _micro_batch(stage, device, precision, chosen, used, micro_batch)
        memory = memory_of(stage, device, precision, max(1, micro), chosen, used)
        fits = micro > 0 and memory.total <= USABLE * device.memory
        if fits:
            break
    seconds, waiting = _seconds(stage, device, precision, used, max(1, micro), chosen)
    training = seconds - stage.read_only * stage.phases[-1].flops.forward / device.speed(precision) / used
    return Forecast(
        devices=devices,
        strategy=chosen,
        micro_batch=max(1, micro),
        memory=memory,
        fits=fits,
        seconds=seconds,
        communication=waiting,
        busy=min(used, stage.sequences),
        tokens_per_second=stage.tokens / training if stage.tokens else _speed(stage, device, precision, used),
        remedy="" if fits else _remedy(stage, device, precision, micro_batch),
    )


def _strategies(devices: int, wanted: Strategy | None) -> list[Strategy]:
    """What is tried, in this order."""
    if wanted:
        return [wanted]
    return ["one process"] if devices == 1 else ["DDP", "FSDP"]


def _micro_batch(
    stage: Stage, device: Device, precision: str, strategy: Strategy, devices: int, wanted: int | None
) -> int:
    share = -(-stage.sequences // devices)
    return largest_micro_batch(stage, device, precision, strategy, devices) if wanted is None else min(share, wanted)


def _remedy(stage: Stage, device: Device, precision: str, micro_batch: int | None) -> str:
    found = largest_micro_batch(stage, device, precision, "one process", 1)
    if micro_batch is not None and 0 < found < micro_batch:
        return f"`micro_batch: {found}`"
    enough = None if stage.alone else fewest_devices(stage, device, precision)
    if enough is None:
        number = ", as one alone trains it" if stage.alone else " up to 1,024"
        return f"no number of devices{number}: a shorter `length`, a smaller `model`, or devices with more memory"
    return f"FSDP on {enough:,} of them"


def _speed(stage: Stage, device: Device, precision: str, devices: int) -> float:
    """Tokens a second, without communication, when the number of all tokens is not known."""
    at_once = stage.sequences / -(-stage.sequences // devices)  # the largest share sets the pace
    return at_once * device.speed(precision) / stage.phases[-1].flops.both


def _seconds(
    stage: Stage, device: Device, precision: str, devices: int, micro_batch: int, strategy: Strategy
) -> tuple[float, float]:
    """Of the whole stage, and those of them in which devices wait for each other."""
    seconds = waiting = 0.0
    for phase in stage.phases:
        if phase.steps:
            step, wait = step_seconds(stage, phase, device, precision, devices, micro_batch, strategy)
            seconds, waiting = seconds + phase.steps * step, waiting + phase.steps * wait
    forward = stage.phases[-1].flops.forward
    return seconds + stage.read_only * forward / device.speed(precision) / devices, waiting


def step_seconds(
    stage: Stage, phase: Phase, device: Device, precision: str, devices: int, micro_batch: int, strategy: Strategy
) -> tuple[float, float]:
    """Of one step, and those of them that communication adds."""
    share = -(-stage.sequences // devices)
    passes = -(-share // micro_batch)
    speed = device.speed(precision)
    tokens = phase.tokens / phase.steps * share / stage.sequences
    calculation = tokens * phase.flops.both / speed
    parts = devices if strategy == "FSDP" else 1
    update = phase.update.flops / speed + phase.update.bytes / parts / device.bandwidth
    wait = 0.0
    if devices > 1 and strategy == "FSDP":
        wait = _fsdp_wait(stage, phase, device, devices, passes, calculation)
    elif devices > 1:
        # The backward pass of the last micro batch hides what is sent meanwhile, but for the last bucket.
        size = 4.0 * phase.update.parameters
        hidden = tokens * phase.flops.backward / speed / passes
        wait = max(all_reduce(size, devices, device) - hidden, all_reduce(min(size, BUCKET), devices, device))
    return calculation + update + wait, wait


def _fsdp_wait(stage: Stage, phase: Phase, device: Device, devices: int, passes: int, calculation: float) -> float:
    """Weights are gathered twice in each micro batch and gradients scattered once in a step (ZeRO, section 7.2.2).

    Where processes have unequally many micro batches, weights are gathered once and stay.

    While one block is at work the next is gathered; what nothing hides is the first block's gathering, twice, and
    whatever takes longer than the calculation. Behind it every device gathers Muon's matrices, to orthogonalise them.
    """
    weights, gradients = 4.0 * stage.parameters, 4.0 * phase.update.parameters
    times = passes * 2 if stage.even else 1
    busy = times * all_gather(weights, devices, device) + all_gather(gradients, devices, device)
    first = times * all_gather(4.0 * stage.largest_block, devices, device)
    whole = all_gather(4.0 * phase.update.orthogonalised, devices, device) if phase.update.orthogonalised else 0.0
    return max(busy - calculation, first) + whole
