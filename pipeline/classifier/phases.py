"""Which layer groups train when: gradual unfreezing and its alternatives, each phase one `Trainer.fit`."""

from collections.abc import Callable

from pipeline.config.classifier import ClassifierConfig
from pipeline.training.module import Phase


def phases(config: ClassifierConfig, groups: list[str], steps: Callable[[float], int]) -> list[Phase]:
    """The phases of `config.unfreeze` over the layer groups of a network, named from input to output, head last.

    gradual: Howard & Ruder 2018, section 3.3: the head, then one more group below it each phase, then all.
    chain_thaw: Felbo et al. 2017: the head, then each group alone from the first to the last, then all.
    full and last: one phase, with everything or with the head alone.
    `steps` gives the optimiser steps of a number of epochs; the last phase has `config.epochs`, those before it
    `config.phase_epochs` each.
    """
    head = groups[-1]
    if config.unfreeze == "full":
        plan: list[tuple[str, tuple[str, ...] | None]] = [("all", None)]
    elif config.unfreeze == "last":
        plan = [("head", (head,))]
    elif config.unfreeze == "chain_thaw":
        plan = [("head", (head,)), *((group, (group,)) for group in groups[:-1]), ("all", None)]
    else:
        grown = [tuple(groups[-depth:]) for depth in range(1, len(groups))]
        plan = [("head", grown[0]), *((f"from {part[0]}", part) for part in grown[1:]), ("all", None)]
    last = len(plan) - 1
    return [
        Phase(name, steps(config.epochs if number == last else config.phase_epochs), part)
        for number, (name, part) in enumerate(plan)
    ]
