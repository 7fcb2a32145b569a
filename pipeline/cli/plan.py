"""`ulmfit plan`: what training will cost, before it is paid for."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.base.process import keep_memory
from pipeline.cli.use import changes_of
from pipeline.config.check import check_all
from pipeline.config.chosen import read_choices

NUMBERS = "1,2,4,8,16,32,64,128,256,512,1024"
KNOWN = "t4, l4, rtx4090, a100, h100, h200, b200, mi300x"


def add_parser(subparsers: Any) -> None:
    """Add `plan` to the commands."""
    parser = subparsers.add_parser(
        "plan",
        help="what training will cost, before it is paid for",
        description="Parameters, tokens, FLOPs, memory by part, tokens/s, hours and device-hours of every training "
        "stage, on 1 to 1,024 devices with communication counted. No weights are made and nothing is written but "
        "--json FILE. docs/scaling.md explains the model and how well it has predicted.",
    )
    parser.add_argument(
        "choices",
        nargs="*",
        metavar="PRESET | KEY=NAME",
        help="other choices for this plan alone, named as for `ulmfit use`, such as model=gpt2_small",
    )
    parser.add_argument("--device", default="this", metavar="NAME", help=f"this (machine; the default), {KNOWN}")
    parser.add_argument("--devices", default=NUMBERS, metavar="N,N", help=f"how many of them (default: {NUMBERS})")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="train a few steps here to know what share of its peak this machine reaches (seconds to minutes)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers, of every stage and every N")


def run(args: argparse.Namespace) -> None:
    """Print the plan; raises `UserError` for choices that do not fit together."""
    numbers = numbers_of(args.devices)
    choices = {**read_choices(), **changes_of(args.choices)}
    check_all(choices)
    if args.measure:
        keep_memory()  # as the stages have it
    from pipeline.base.files import write_json
    from pipeline.cli.plan_tables import print_plan
    from pipeline.planning.plan import plan

    made = plan(choices, args.device, numbers, measures=args.measure)
    print_plan(made, choices)
    if args.json:
        write_json(args.json, made.to_json())
        print(f"numbers: {args.json}")


def numbers_of(words: str) -> list[int]:
    """`8,1` as [1, 8]; anything that is no number above 0 is refused.

    >>> numbers_of("8,1,8")
    [1, 8]
    """
    try:
        numbers = sorted({int(word) for word in words.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise UserError(f"--devices {words}: should be numbers of devices such as 1,8,64")
    return numbers
