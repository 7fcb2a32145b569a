"""Stage check: every choice in configs/, before anything is paid for (`python -m stages.check`)."""

from pipeline.base.files import write_json
from pipeline.base.process import run_stage
from pipeline.config.check import check_all


def main() -> None:
    """Stop on the first mistake; else write a constant, so that an edit that changes nothing re-runs nothing."""
    check_all()
    write_json("data/checked.json", {"checked": True})


if __name__ == "__main__":
    run_stage(main)
