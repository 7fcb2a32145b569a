"""Compile a network for training, in place: its weights keep their names."""

import os
import shutil

from torch import nn

from pipeline.base.errors import UserError
from pipeline.models.stack import Stack

COMPILERS = ("g++", "clang++", "c++")  # of C++, which torch looks for on a CPU


def compile_stacks(network: nn.Module, device: str) -> None:
    """Let torch.compile take over every stack of blocks, where nearly all of a step's time goes.

    Stacks and not the whole network: what surrounds them (chunks of documents, a carried state, the loss in parts)
    has shapes and branches that change from step to step, and would be compiled again and again.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    if device == "cpu" and not any(map(shutil.which, wanted)):
        raise UserError(
            f"hardware: `compile: true` needs a C++ compiler on a CPU, and there is none ({', '.join(wanted)}); "
            "install one, or write `compile: false`"
        )
    for module in network.modules():
        if isinstance(module, Stack):
            module.compile()
