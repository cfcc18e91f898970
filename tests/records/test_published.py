"""A published set holds what the folder of a run holds, is read alike, and is refused where it was altered."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_bytes
from robustbench_char.records.counts import write_counts
from robustbench_char.records.evaluation import Record, find_records, read_counts, read_predictions, write_record
from robustbench_char.records.published import find_files, publish

MakeRecord = Callable[..., Record]
PARTS = ("records/bert/clean", "records/bert/drop", "records/bert aug/clean")
"""Folders of records; their counts have different columns, and the last has none."""


def counted(*columns: str, value: float = 1.0) -> pd.DataFrame:
    """Return counts of three examples: whole numbers in all columns but the first, where `value` is a fraction."""
    table = pd.DataFrame({"row": [0, 2, 5, 2], "dimension": ["all"] * 3 + ["length"], "value": ["all"] * 3 + ["1-10"]})
    table = table.assign(**{name: [1, 0, number, 1] for number, name in enumerate(columns)})
    return table.assign(**{columns[0]: [value, 0, 0, 1]}).astype({"row": "int32"})


@pytest.fixture
def run(make_record: MakeRecord, tmp_path: Path) -> Path:
    """Return the folder of a run with three records, a manifest and a `run.json`."""
    run = tmp_path / "run"
    tables = (counted("correct", "examples"), counted("f1", "exact", "examples", value=0.5), None)
    for number, (name, table) in enumerate(zip(PARTS, tables, strict=True)):
        folder = run / name
        folder.mkdir(parents=True)
        table = None if table is None else table.astype({n: "int32" for n in table.columns[3:] if n != "f1"})
        sha256 = None if table is None else write_counts(folder, table)
        write_record(folder, make_record(number / 3, suite="drop" if number == 1 else None, counts_sha256=sha256))
    (run / "manifests").mkdir()
    (run / "manifests" / "manifest.json").write_text('{"suite": "drop", "strength": 0.1, "é": [1, 1.0, null]}')
    (run / "run.json").write_text('{\n  "schema": 1\n}\n')
    return run


@pytest.fixture
def published(run: Path, tmp_path: Path) -> Path:
    publish(run, tmp_path / "set")
    return tmp_path / "set"


def records(folder: Path) -> list[tuple[str, Record]]:
    return [(path.relative_to(folder).as_posix(), record) for path, record in find_records([folder])]


def test_a_published_set_is_read_as_the_run_is(run: Path, published: Path) -> None:
    assert records(published) == records(run)
    assert [path for path, _ in records(published)] == list(PARTS)
    for (path, record), (kept, _) in zip(find_records([run]), find_records([published]), strict=True):
        expected, table = read_counts(path, record), read_counts(kept, record)
        assert (table is None) == (expected is None) == (record.counts_sha256 is None)
        if table is not None and expected is not None:
            pd.testing.assert_frame_equal(table, expected)
        assert read_predictions(kept, record) is None
    ((path, manifest),) = find_files([published], "manifest.json")
    assert path == published / "manifests"
    assert list(manifest.items()) == [("suite", "drop"), ("strength", 0.1), ("é", [1, 1.0, None])]


def test_it_is_a_handful_of_files(published: Path) -> None:
    names = ["counts.parquet", "manifests.jsonl", "records.parquet", "run.json"]
    assert sorted(path.name for path in published.iterdir()) == names
    assert (published / "run.json").read_text() == '{"schema":1}\n'
    counts = pd.read_parquet(published / "counts.parquet")
    assert list(counts.columns) == ["path", "row", "dimension", "value", "correct", "examples", "f1", "exact"]
    assert set(counts["path"]) == set(PARTS[:2])
    assert counts["correct"].isna().sum() == 4  # of the record that has no such count


def test_a_part_of_a_set_is_read_as_a_part_of_the_run_is(run: Path, published: Path) -> None:
    assert records(published / "records" / "bert") == records(run / "records" / "bert")
    assert records(published / PARTS[0])[0][0] == "."
    for folder in (run, published):
        with pytest.raises(InputError, match="nobody: found no"):
            find_records([folder / "records" / "nobody"])


def test_sets_and_runs_are_found_below_one_folder(run: Path, published: Path, tmp_path: Path) -> None:
    found = [path.relative_to(tmp_path).as_posix() for path, _ in find_records([tmp_path])]
    assert found == [f"{folder}/{name}" for folder in ("run", "set") for name in PARTS]


def test_a_run_inside_a_set_keeps_its_own_counts(run: Path, published: Path) -> None:
    shutil.copytree(run / PARTS[1], published / "mine")
    (record,) = (record for path, record in find_records([published]) if path.name == "mine")
    assert read_counts(published / "mine", record) is not None


def test_published_again_it_is_the_same(published: Path, tmp_path: Path) -> None:
    publish(published, tmp_path / "again")
    for path in published.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_other_files_stay_and_earlier_ones_go(run: Path, published: Path) -> None:
    (published / "README.md").write_text("mine")
    shutil.rmtree(run / "manifests")
    publish(run, published)
    assert not (published / "manifests.jsonl").exists()
    assert (published / "README.md").read_text() == "mine"


def test_what_is_not_a_run_is_not_published(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifests: found no record\.json"):
        publish(run / "manifests", tmp_path / "set")
    (run / PARTS[0] / "counts.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"counts\.parquet: found another content than its record was made with"):
        publish(run, tmp_path / "set")
    assert list((tmp_path / "set").iterdir()) == []


def test_what_a_stop_left_is_neither_read_nor_published(run: Path, tmp_path: Path) -> None:
    before = find_records([run])
    folder = next(run.rglob("record.json")).parent
    left = folder.with_name(f".{folder.name}.unfinished-abcdefgh")
    left.mkdir()
    (left / "record.json").write_bytes((folder / "record.json").read_bytes())  # without the counts
    assert find_records([run]) == before
    publish(run, tmp_path / "set")
    assert len(find_records([tmp_path / "set"])) == len(before)


@pytest.mark.parametrize("name", ["manifests/sensitivity.json", "run.json", "records/bert/drop/record.json", "more"])
def test_what_a_link_leads_to_is_not_published(run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.json").write_text('{"schema": 1, "token": "private"}')
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(tmp_path / "mine.json")
    with pytest.raises(
        InputError, match=rf"{name}: found a link to .*mine\.json; expected a run, with its files in it"
    ):
        publish(run, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_links_inside_a_run_are_published(run: Path, tmp_path: Path) -> None:
    (run / "manifests" / "pretraining.json").symlink_to("../run.json")
    (tmp_path / "link").symlink_to("run")
    publish(tmp_path / "link", tmp_path / "set")
    assert len(find_files([tmp_path / "set"], "pretraining.json")) == 1


@pytest.mark.parametrize("name", ["record.json", "worst_case.json"])
@pytest.mark.parametrize("text", ["[]", '{"schema": 1}', '{"task": "qnli", "data": {}}', "1"])
def test_files_of_other_programs_are_not_published(run: Path, tmp_path: Path, name: str, text: str) -> None:
    (run / "manifests" / name).write_text(text)
    with pytest.raises(InputError, match=rf"manifests/{name}: found a file of another program; expected a result"):
        publish(run, tmp_path / "set")


def altered(published: Path) -> None:
    """Change one score, and keep all else."""
    table = parquet.read_table(published / "records.parquet")
    rows = table.to_pylist()
    rows[0]["record"] = rows[0]["record"].replace('"f1":0.0', '"f1":99.0', 1)
    assert rows != table.to_pylist()
    parquet.write_table(pa.Table.from_pylist(rows, table.schema), published / "records.parquet")


def special(published: Path, make: Callable[[Path], object]) -> None:
    (published / "records.parquet").unlink()
    make(published / "records.parquet")


def newer(published: Path) -> None:
    table = parquet.read_table(published / "records.parquet")
    about = json.loads(table.schema.metadata[b"robustbench_char"]) | {"schema": 2}
    table = table.replace_schema_metadata({b"robustbench_char": json.dumps(about)})
    parquet.write_table(table, published / "records.parquet")


def plain(published: Path) -> None:
    table = parquet.read_table(published / "records.parquet").replace_schema_metadata(None)
    parquet.write_table(table, published / "records.parquet")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "records.parquet").write_bytes(b"PAR1 cut off"), "found a damaged file"),
        (lambda folder: (folder / "records.parquet").write_bytes(b""), "found a damaged file"),
        (lambda folder: special(folder, os.mkfifo), r"found a damaged file \(a pipe\)"),
        (lambda folder: special(folder, Path.mkdir), r"found a damaged file \(a folder\)"),
        (plain, "found a damaged file"),
        (altered, "found another content than was published"),
        (newer, "found schema 2, of a newer version of robustbench-char"),
    ],
)
def test_altered_records_are_refused(damage: Callable[[Path], object], message: str, published: Path) -> None:
    damage(published)
    with pytest.raises(InputError, match=rf"records\.parquet: {message}"):
        find_records([published])


def again(published: Path, name: str, content: bytes, **row: object) -> None:
    """Write a set as somebody would who knows how its hashes are made."""
    (published / name).write_bytes(content)
    table = parquet.read_table(published / "records.parquet")
    about = json.loads(table.schema.metadata[b"robustbench_char"])
    rows = [table.to_pylist()[0] | row]
    about |= {"rows_sha256": sha256_bytes(json.dumps(rows, sort_keys=True).encode())}
    about["files"][name] = sha256_bytes(content)
    made = pa.Table.from_pylist(rows).replace_schema_metadata({b"robustbench_char": json.dumps(about)})
    parquet.write_table(made, published / "records.parquet")


@pytest.mark.parametrize("text", ["[]", "1", "{}", '{"path": 1, "content": {}}', '{"path"', "[" * 100_000])
def test_lines_that_are_none_are_refused(published: Path, text: str) -> None:
    again(published, "manifests.jsonl", f"{text}\n".encode())
    with pytest.raises(InputError, match=r"manifests\.jsonl: found a damaged file"):
        find_files([published], "manifest.json")


@pytest.mark.parametrize("row", [{"path": None}, {"path": 1}, {"record": None}, {"record": ["{}"]}])
def test_rows_that_are_no_records_are_refused(published: Path, row: dict[str, object]) -> None:
    again(published, "manifests.jsonl", b"", **row)
    with pytest.raises(
        InputError, match=r"records\.parquet: found a damaged file \(a path or a record that is no text"
    ):
        find_records([published])


@pytest.mark.parametrize("counts", [["none"], [""], 1, [1]])
def test_counts_of_other_columns_are_refused(published: Path, counts: object) -> None:
    again(published, "counts.parquet", (published / "counts.parquet").read_bytes(), counts=counts)
    ((folder, record),) = find_records([published])
    with pytest.raises(InputError, match=r"set/counts\.parquet: found a damaged file"):
        read_counts(folder, record.model_copy(update={"counts_sha256": "0"}))


def test_altered_counts_are_refused(published: Path) -> None:
    table = pd.read_parquet(published / "counts.parquet")
    table.assign(correct=table["correct"] + 1).to_parquet(published / "counts.parquet", index=False)
    (record,) = (record for path, record in records(published) if path == PARTS[0])
    with pytest.raises(InputError, match=r"set/counts\.parquet: found another content than was published"):
        read_counts(published / PARTS[0], record)
    (published / "counts.parquet").unlink()
    with pytest.raises(InputError, match=r"set/counts\.parquet: found no such file"):
        read_counts(published / PARTS[0], record)


def test_counts_that_the_set_lacks_are_refused(published: Path, make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match=r"bert aug/clean/counts\.parquet: found no such file"):
        read_counts(published / PARTS[2], make_record(counts_sha256="0"))


def test_altered_files_are_refused(published: Path) -> None:
    with (published / "manifests.jsonl").open("a") as file:
        file.write('{"path": "more", "content": {}}\n')
    with pytest.raises(InputError, match=r"manifests\.jsonl: found another content than was published"):
        find_files([published], "manifest.json")


def test_unusual_texts_come_back(run: Path, tmp_path: Path) -> None:
    texts = {"line": "a\u2028b\x85c\r\n", "half": "\ud83d", "word": "é"}
    (run / "manifests" / "manifest.json").write_text(json.dumps(texts))
    publish(run, tmp_path / "set")
    assert find_files([tmp_path / "set"], "manifest.json") == [(tmp_path / "set" / "manifests", texts)]


def test_another_file_of_the_name_above_a_run_is_not_read(run: Path, tmp_path: Path) -> None:
    (tmp_path / "records.parquet").write_bytes(b"mine")
    ((_, record), *_) = [item for item in find_records([run]) if item[1].counts_sha256]
    assert read_counts(run / PARTS[0], record) is not None
