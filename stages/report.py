"""Stage report: draw one page from what the other stages wrote (`python -m stages.report`)."""

from pathlib import Path

from pipeline.base.files import write_text
from pipeline.base.process import run_stage
from pipeline.report.collect import collect
from pipeline.report.page import render

PAGE = Path("results/report/index.html")


def main() -> None:
    """Write results/report/index.html."""
    write_text(PAGE, render(collect()))
    print(f"  {PAGE}")


if __name__ == "__main__":
    run_stage(main)
