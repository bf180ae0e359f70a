import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expose.errors import InputError
from expose_lab import store
from expose_lab.grid import METRICS, read_results, schema
from expose_lab.store import Store, read_table


def row(key, **more):
    return {"key": key, "dataset": "wine", "auroc": 0.5, "seed": 0} | more


def test_rows_are_found_again_by_their_key(tmp_path):
    path = tmp_path / "new" / "r.parquet"
    with Store(path, schema()) as one:
        one.add([row("a"), row("b", auroc=0.75)])
    with Store(path, schema()) as again:
        assert "a" in again
        assert "c" not in again
        again.add([row("c")])
        assert again.table(["c", "x", "a"])["key"].to_pylist() == ["c", "a"]
    table = read_results(str(path))
    assert table.schema == schema()
    assert table["key"].to_pylist() == ["a", "b", "c"]
    assert table["auroc"].to_pylist() == [0.5, 0.75, 0.5]


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store(None, schema()) as one:
        one.add([row("a")])
        assert one.table(["a"]).num_rows == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "r.parquet"
    with Store(path, schema()) as one:
        one.add([row("a")])
    write_table = pq.write_table

    def half(table, file, **options):
        write_table(table.slice(0, 1), file, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", half)
    with pytest.raises(KeyboardInterrupt), Store(path, schema()) as one:
        one.add([row("b"), row("c")])
    assert read_results(path)["key"].to_pylist() == ["a"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [".r.parquet.lock", "r.parquet"]


def test_every_cell_is_on_disk_before_the_next(tmp_path):
    with Store(tmp_path / "r.parquet", schema()) as one:
        for number, key in enumerate("abc", start=1):
            one.add([row(key)])
            assert read_results(tmp_path / "r.parquet").num_rows == number


def test_one_file_has_one_writer(tmp_path):
    path = tmp_path / "r.parquet"
    with Store(path, schema()) as one:
        with pytest.raises(InputError, match=r"Another benchmark is writing to .*r.parquet"), Store(path):
            pass
        one.add([row("a")])
    with Store(path, schema()) as later:
        assert "a" in later


@pytest.mark.parametrize("content", ["text", "other columns", "one column more", "folder"])
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "r.parquet"
    if content == "text":
        path.write_text("key\na\n")
    elif content == "folder":
        path.mkdir()
    elif content == "other columns":
        pq.write_table(pa.table({"key": ["a"]}), path)
    else:
        full = pa.Table.from_pylist([row("a")], schema=schema())
        pq.write_table(full.append_column("note", pa.array(["mine"])), path)
    before = path.stat().st_mtime_ns
    refused = Store(path, schema())
    with pytest.raises(InputError, match="another name"), refused:
        pass
    assert path.stat().st_mtime_ns == before
    with store.locked(path):  # it was released
        pass


def test_the_schema_holds_what_a_trial_gives(make_cell):
    from expose_lab.grid import run_cell

    [one] = run_cell(make_cell(seeds=(0,)))
    assert set(one) == set(schema().names)
    table = pa.Table.from_pylist([one], schema=schema())
    assert table["auroc"][0].as_py() == one["auroc"]
    assert {type(one[name]) for name in METRICS} <= {float, np.float64}


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path):
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("")
        place = tmp_path / "file" / "r.parquet"
    else:
        tmp_path.chmod(0o500)
        place = tmp_path / "r.parquet"
    with pytest.raises(OSError), Store(place):  # noqa: PT011
        pass


def test_the_guide_explains_every_column():
    text = (Path(__file__).parents[2] / "docs" / "benchmarking.md").read_text(encoding="utf-8")
    table = text[text.index("## What a row holds") : text.index("## When a row is used again")]
    told = [
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    ]
    assert sorted(told) == sorted(schema().names)


def test_no_rows_are_a_table_too():
    with Store(None, schema()) as store:
        assert store.table([]).num_rows == store.table(["absent"]).num_rows == 0
        assert store.table([]).schema == schema()


def test_a_run_that_is_there_stays_as_it_is():
    with Store(None, schema()) as store:
        store.add([{"key": "a", "auroc": 0.8}])
        store.add([{"key": "a", "auroc": 0.1}, {"key": "b", "auroc": 0.9}])
        assert store.table(["b", "a"])["auroc"].to_pylist() == [0.9, 0.8]


def test_rows_of_studies_bring_their_own_columns_and_a_key_may_have_several(tmp_path):
    path = tmp_path / "study.parquet"
    with Store(path) as one:
        one.add([{"key": "a", "what": "first", "auroc": 1}, {"key": "a", "what": "second", "auroc": 0.5}])
        one.add([{"key": "b"}, {"key": "a", "what": "too late"}, {"key": "b", "scores": [0.5, 1.5]}])
    with Store(path) as again:
        assert again.table(["b", "a"])["what"].to_pylist() == [None, None, "first", "second"]
    rows = read_table(path).to_pylist()
    assert [row["auroc"] for row in rows] == [1.0, 0.5, None, None]
    assert rows[3]["scores"] == [0.5, 1.5]
