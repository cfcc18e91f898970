"""Publish results: `python tools/publish.py RUN SET` writes a run's records, and the report on them, to the folder SET.

RUN is the output of `robustbench-char run`, or any folder of records; see `robustbench_char.records.published` for the
files. No text of the data is published. Of the report, `index.html` and `report.md` are kept: tables and figures are
made again by `robustbench-char report SET --no-examples`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from robustbench_char.common import InputError
from robustbench_char.common.files import machine_error
from robustbench_char.common.scratch import scratch_folder
from robustbench_char.records.published import publish
from robustbench_char.reports import write_report


def publish_with_report(run: Path, output: Path) -> None:
    """Write the published set and its report."""
    publish(run, output)
    (output / "report").mkdir(exist_ok=True)
    with scratch_folder(output / "report") as scratch:
        write_report([output], scratch / "report", examples=False)
        for name in ("index.html", "report.md"):
            os.replace(scratch / "report" / name, output / "report" / name)


def main(run: Path, output: Path) -> None:
    """Do so; bad input, a disk that is full or fails, and too little memory end with their message and code 2."""
    try:
        publish_with_report(run, output)
    except (InputError, OSError, MemoryError, RuntimeError) as error:
        told = error if isinstance(error, InputError) else machine_error(error)
        if told is None:
            raise
        sys.stderr.write(f"error: {told}\n")
        sys.exit(2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder with the results")
    parser.add_argument("output", type=Path, metavar="set", help="folder to write; other files in it stay")
    asked = parser.parse_args()
    main(asked.run, asked.output)
