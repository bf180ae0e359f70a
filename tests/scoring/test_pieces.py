"""The contract of engines: pieces of Parquet files, and jobs that map a function over them."""

from __future__ import annotations

import gzip
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expose import AnomalyDetector, Scorer
from expose.errors import CountedWarning, InputError, ModelFolderError
from expose.scoring.pieces import Job, Piece, Pieces, pieces_of, run
from expose.scoring.work import scoring_with


class Here:
    """An engine of one process, which sends all it is given as others do."""

    threads = 1

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            yield pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(item)))


def same(batches: Any, first_row: int) -> Any:
    yield from batches


def numbered(batches: Any, first_row: int, add: int) -> Any:
    for batch in batches:
        yield batch.append_column("row", pa.array(range(first_row + add, first_row + add + len(batch))))
        first_row += len(batch)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    for place, (n, group) in enumerate([(10, 3), (1, 5), (7, 7)]):
        table = pa.table({"x": np.arange(n, dtype=float), "file": [place] * n})
        pq.write_table(table, folder / f"{place}.parquet", row_group_size=group)
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    return folder


def planned(source: Path | str, at_least: int = 1) -> Pieces:
    return pieces_of([str(source)], at_least)


@pytest.mark.parametrize("at_least", [1, 4, 100])
def test_pieces_are_all_rows_in_order(rows: Path, at_least: int) -> None:
    found = planned(rows, at_least).pieces
    assert [piece.number for piece in found] == list(range(len(found)))
    assert [piece.first_row for piece in found] == np.cumsum([0, *(piece.n_rows for piece in found[:-1])]).tolist()
    assert sum(piece.n_rows for piece in found) == 18
    assert all(piece.n_rows >= at_least or piece.groups[-1] == last_group(piece) for piece in found)
    assert len(found) == {1: 6, 4: 4, 100: 3}[at_least]


def last_group(piece: Piece) -> int:
    return int(pq.ParquetFile(piece.path).num_row_groups) - 1


def test_empty_row_groups_and_files_make_no_piece(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.float64())])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as file:
        for n in (0, 2, 0):
            file.write_table(pa.table({"x": np.zeros(n)}, schema))
    pq.write_table(schema.empty_table(), tmp_path / "b.parquet")
    assert [piece.n_rows for piece in planned(tmp_path).pieces] == [2]
    with pytest.raises(InputError, match="no row below"):
        planned(tmp_path / "b.parquet")


def test_types_are_those_of_all_files(tmp_path: Path, parts: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([1, 2])}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": pa.array([0.5])}), tmp_path / "b.parquet")
    list(run(Here(), same, pieces_of([str(tmp_path / name) for name in ("a.parquet", "b.parquet")]), parts))
    assert pq.read_table(parts).to_pydict() == {"x": [1.0, 2.0, 0.5]}


def test_what_is_not_parquet(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "new.csv").write_text("x\n1\n2\n")
    packed = tmp_path / "packed.parquet.gz"
    packed.write_bytes(gzip.compress((rows / "0.parquet").read_bytes()))
    for source, said in [
        (tmp_path / "new.csv", "needs Parquet; got .*new.csv"),
        ("-", "standard input"),
        (packed, "Unpack"),
    ]:
        with pytest.raises(InputError, match=said):
            planned(source)


def test_a_function_gets_the_number_of_the_first_row(rows: Path, parts: Path) -> None:
    assert len(list(run(Here(), partial(numbered, add=100), planned(rows), parts))) == 6
    assert sorted(path.name for path in parts.iterdir()) == [f"part-{n:07}.parquet" for n in range(6)]
    assert pq.read_table(parts)["row"].to_pylist() == list(range(100, 118))


def test_a_piece_that_nothing_comes_of_has_no_file(rows: Path, parts: Path) -> None:
    assert len(list(run(Here(), only_first, planned(rows), parts))) == 1
    assert [path.name for path in parts.iterdir()] == ["part-0000000.parquet"]


def only_first(batches: Any, first_row: int) -> Any:
    yield from batches if first_row == 0 else ()


def test_what_lost_workers_left_is_removed(rows: Path, parts: Path) -> None:
    (parts / ".half.parquet").write_text("half")
    list(run(Here(), same, planned(rows), parts))
    assert len(list(parts.iterdir())) == 6


def test_a_piece_that_is_done_again_is_written_again(rows: Path, parts: Path) -> None:
    plan = planned(rows)
    job = Job(same, plan.schema, str(parts), Counter)
    first, second = job(plan.pieces[0]), job(plan.pieces[0])
    assert (first.file_name, first.tally.n_rows) == (second.file_name, second.tally.n_rows)
    assert pq.read_table(parts)["x"].to_pylist() == [0.0, 1.0, 2.0]


class Counter:
    def __init__(self, first_row: int) -> None:
        self.first_row, self.n_rows = first_row, 0

    def add(self, table: pa.Table) -> None:
        self.n_rows += len(table)


def test_tallies_come_in_order(rows: Path, parts: Path) -> None:
    found = list(run(Here(), same, planned(rows, 4), parts, Counter))
    assert [(one.first_row, one.n_rows) for one in found] == [(0, 6), (6, 4), (10, 1), (11, 7)]


def fails(batches: Any, first_row: int) -> Any:
    yield next(batches)
    if first_row >= 6:
        raise InputError(f"wrong from row {first_row}")


def test_the_first_error_is_raised_and_the_rest_is_left(rows: Path, parts: Path) -> None:
    with pytest.raises(InputError, match="wrong from row 6") as error:
        list(run(Here(), fails, planned(rows), parts))
    assert "in fails" in error.value.__notes__[0]  # where, for --debug
    plan = planned(rows)
    assert Job(same, plan.schema, str(parts), Counter)(plan.pieces[0]).stopped


def test_an_error_of_a_piece_that_was_tried_again_is_an_error(rows: Path, parts: Path) -> None:
    (parts / ".failed").touch()
    with pytest.raises(InputError, match="lost before it could say why"):
        list(run(Here(), same, planned(rows), parts))


def warns(batches: Any, first_row: int) -> Any:
    warnings.warn(CountedWarning("{count} odd rows", 1, [first_row]), stacklevel=2)
    warnings.warn("of another package", stacklevel=2)
    yield from batches


def test_warnings_are_given_by_the_driver(rows: Path, parts: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(run(Here(), warns, planned(rows, 100), parts))
    assert [one.message.examples for one in caught] == [(0,), (10,), (11,)]


def test_a_folder_that_a_worker_does_not_see(rows: Path, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a worker on .*under the same path"):
        list(run(Here(), same, planned(rows), tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    plan = planned(rows)
    (rows / "2.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"a worker on .*2.parquet.*under the same path"):
        list(run(Here(), same, plan, parts))


def test_a_file_that_changes_meanwhile(rows: Path, parts: Path) -> None:
    plan = planned(rows)
    pq.write_table(pa.table({"x": np.zeros(6), "file": [2] * 6}), rows / "2.parquet")
    with pytest.raises(InputError, match=r"has changed.*6 rows instead of 7"):
        list(run(Here(), same, plan, parts))


# ---------------------------------------------------------------------------------------------------- scoring


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(tmp_path / "model", 0)


def saved(folder: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    AnomalyDetector(random_state=seed).fit(pa.table({"x": rng.normal(size=80)})).save(folder, metadata={"id": ["file"]})
    return folder


def test_pieces_score_as_the_whole(rows: Path, parts: Path, model: Path) -> None:
    list(run(Here(), scoring_with(model), planned(rows), parts))
    assert pq.read_table(parts).equals(pa.concat_tables(Scorer(model).scan([str(rows)])))


@pytest.mark.parametrize("at_once", [1, 100])
def test_a_message_names_the_row_of_all_rows(
    rows: Path, parts: Path, model: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expose.scoring.pieces.AT_ONCE", at_once)
    pq.write_table(pa.table({"x": [0.0, 1.0, np.inf], "file": [1, 1, 1]}), rows / "1.parquet")
    messages = []
    for act in (lambda: list(run(Here(), scoring_with(model), planned(rows), parts)), lambda: scanned(model, rows)):
        with pytest.raises(InputError) as error:
            act()
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def scanned(model: Path, rows: Path) -> list[pa.Table]:
    return list(Scorer(model).scan([str(rows)]))


def test_scores_of_two_models_are_not_mixed(rows: Path, parts: Path, model: Path) -> None:
    work = scoring_with(model)
    saved(model, 1)
    with pytest.raises(ModelFolderError, match="another model"):
        list(run(Here(), work, planned(rows), parts))


def test_ids_are_those_that_were_asked_for(rows: Path, parts: Path, model: Path) -> None:
    work = scoring_with(model, id=["x", "file"])  # of which one is looked at, too
    list(run(Here(), work, planned(rows), parts))
    assert pq.read_table(parts, columns=["x", "file"]).equals(pq.read_table(rows))
    assert "anomaly_score" in pq.read_schema(parts / "part-0000000.parquet").names


def test_a_model_is_named_by_its_folder(model: Path) -> None:
    with pytest.raises(InputError, match="path of a model folder"):
        scoring_with(AnomalyDetector())  # type: ignore[arg-type]


def test_an_empty_table_has_the_columns_of_scores(model: Path) -> None:
    empty = pa.table({"x": pa.array([], pa.float64()), "file": pa.array([], pa.int64())})
    found = scoring_with(model).table(empty)
    assert (found.column_names, len(found)) == (["file", "anomaly_score", "is_anomaly"], 0)
