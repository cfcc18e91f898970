"""Generated files of each format, read and written again, and attacked, verified and undone.

Reading a file and writing it without an edit gives the same bytes: for --count files of each format. For --attacked of
them: an attack, `verify`, and undoing the ledger gives the same bytes (the same table of a Parquet file).
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from random import Random

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attack_sets.manifest import LEDGER, SPELLINGS
from robustbench_char.attack_sets.verify import verify
from robustbench_char.attacks.ledger import rows_by_text, undoing_edit_of
from robustbench_char.attacks.suites import Suite, load_suites, suite_names
from robustbench_char.common import InputError
from robustbench_char.tasks.base import Attacked, NativeFile, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import get_task
from tools.hardness._files import FORMATS, Made, make
from tools.hardness._round_trip import written
from tools.hardness._script import Kept, parser, reason, show

LITERAL = rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][-+.0-9eE]*'


@cache
def suites(task: str) -> list[Suite]:
    """Return the shipped suites that a task takes, at each of their strengths, less one that needs another package."""
    names = [name for name in suite_names() if name != "human_typos"]
    every = (suite for name in names for suite in load_suites(name, task=task))
    return [suite for suite in every if suite.keeps_words or get_task(task).family != "tagging"]


def undone(task: Task, clean: NativeFile, attacked: Path) -> bytes:
    """Return an attacked file after undoing its ledger."""
    import pyarrow.parquet as pq

    rows, contexts = rows_by_text(pq.read_table(attacked.parent / LEDGER)), dict[str, int]()

    def items() -> Iterable[Attacked]:
        for example in clean.examples():
            edits = {}
            for field in task.fields:
                own = example.row
                if field == "context" and example.context_key:
                    own = contexts.setdefault(example.context_key, own)
                edits[field] = [undoing_edit_of(row) for row in rows.get((own, field), [])]
            yield Attacked(example, edits)

    return respelled(written(open_native(task, attacked), items()), attacked.with_name(SPELLINGS))


def respelled(data: bytes, spellings: Path) -> bytes:
    """Return JSON with the literals that a table beside an attacked set spells otherwise, by their number."""
    import pyarrow.parquet as pq

    if not spellings.is_file():
        return data
    numbers, texts = (column.to_pylist() for column in pq.read_table(spellings).columns)
    own, number = dict(zip(numbers, texts, strict=True)), count()
    return re.sub(LITERAL, lambda match: own[at].encode() if (at := next(number)) in own else match[0], data)


def same(name: str, one: bytes, other: bytes) -> bool:
    """Return whether two files are the same: their bytes, or the tables of Parquet files."""
    import pyarrow.parquet as pq

    if one == other or not name.endswith(".parquet"):
        return one == other
    return bool(pq.read_table(io.BytesIO(one)).equals(pq.read_table(io.BytesIO(other))))


def round_trip(made: Made, path: Path) -> str | None:
    """Return what is wrong with reading a file and writing it again, or None."""
    after = written(open_native(get_task(made.task), path))
    return None if after == made.data else "other bytes are written than were read"


def attack_round_trip(made: Made, path: Path, rng: Random, folder: Path) -> str | None:
    """Return what is wrong with an attack of a file, or None."""
    task, output = get_task(made.task), folder / "attacked"
    shutil.rmtree(output, ignore_errors=True)
    suite = rng.choice(suites(task.name))
    seed, wanted = rng.randrange(1 << 30), rng.choice((None, None, rng.sample(task.fields, 1)))
    try:
        manifest = attack_file(task, path, suite=suite, seed=seed, output=output, fields=wanted)
        verify(output, path)
        back = undone(task, open_native(task, path), output / manifest.output.name)
    except (InputError, ValueError) as error:
        return f"suite {suite.name}, seed {seed}, fields {wanted}: {reason(error)}"
    if same(made.name, back, made.data):
        return None
    return f"suite {suite.name}, seed {seed}, fields {wanted}: undoing the ledger gives other bytes"


def _case(kind: str, number: int, seed: int, attack: bool, folder: Path) -> tuple[str | None, Made]:
    rng = Random(f"{seed}/{kind}/{number}")
    made = make(kind, rng)
    path = folder / made.name
    path.write_bytes(made.data)
    try:
        wrong = round_trip(made, path)
        if attack and not wrong:
            wrong = attack_round_trip(made, path, rng, folder)
    except Exception as error:  # whatever it is, it is a failing case
        wrong = reason(error)
    return wrong, made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script."""
    asked = parser("tools.hardness.round_trips", __doc__, 100_000)
    asked.add_argument("--attacked", type=int, help="cases of each format to attack too (default: a tenth)")
    asked.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="formats (default: all)")
    given = asked.parse_args(arguments)
    kept, rows = Kept(given.keep), [("format", "read and written", "attacked, verified, undone", "failed", "seconds")]
    every = max(1, given.count // given.attacked) if given.attacked else 10
    with tempfile.TemporaryDirectory() as name:
        for kind in given.formats:
            start, failed, attacks = time.monotonic(), len(kept.reasons), 0
            for number in range(given.first, given.first + given.count):
                attack = number % every == 0 and given.attacked != 0
                attacks += attack
                wrong, made = _case(kind, number, given.seed, attack, Path(name))
                if wrong:
                    kept.keep(f"{kind}-{given.seed}-{number}", wrong, {made.name: made.data})
            seconds = round(time.monotonic() - start)
            rows.append((kind, given.count, attacks, len(kept.reasons) - failed, seconds))  # type: ignore[arg-type]
            show([rows[0], rows[-1]])
    show(rows)
    return kept.end()


if __name__ == "__main__":
    sys.exit(main())
