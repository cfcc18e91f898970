"""What the scripts share: their arguments, the folder of failing cases, the table at the end."""

from __future__ import annotations

import argparse
import shutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Kept", "parser", "reason", "show"]


def parser(module: str, doc: str | None, count: int) -> argparse.ArgumentParser:
    """Return the arguments that each script has: --count, --first, --seed, --keep."""
    name = module.rpartition(".")[2]
    made = argparse.ArgumentParser(
        prog=f"python -m tools.hardness.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--count", type=int, default=count, help=f"cases (default: {count:,})")
    made.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    made.add_argument("--seed", type=int, default=0, help="seed of all draws (default: 0)")
    made.add_argument("--keep", type=Path, default=Path("hardness") / name, help="folder for cases that fail")
    return made


class Kept:
    """The cases that failed, each in a folder with its input and a text that says how."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.reasons = folder, dict[str, str]()

    def keep(self, name: str, why: str, files: Mapping[str, bytes] | Path | None = None) -> None:
        """Keep one case: its files by name, or a folder of them."""
        self.reasons[name] = why
        case = self.folder / name
        shutil.rmtree(case, ignore_errors=True)
        if isinstance(files, Path):
            shutil.copytree(files, case, symlinks=True)
        case.mkdir(parents=True, exist_ok=True)
        for path, data in ({} if files is None or isinstance(files, Path) else files).items():
            (case / path).parent.mkdir(parents=True, exist_ok=True)
            (case / path).write_bytes(data)
        (case / "why.txt").write_text(why + "\n", encoding="utf-8", errors="backslashreplace")

    def end(self) -> int:
        """Say which cases failed, and return the exit code."""
        for name, why in self.reasons.items():
            sys.stdout.write(f"FAILED {name}: {why.splitlines()[0] if why else ''}\n")
        if self.reasons:
            sys.stdout.write(f"{len(self.reasons)} cases are in {self.folder}\n")
        return 1 if self.reasons else 0


def reason(error: BaseException) -> str:
    """Return an error in one line, and its traceback below."""
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"


def show(rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a table; the first is its head."""
    texts = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        first, *others = (cell.ljust(width) if at == 0 else cell.rjust(width)
                          for at, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        sys.stdout.write("  ".join([first, *others]) + "\n")
    sys.stdout.flush()
