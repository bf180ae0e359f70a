"""Ray, Dask and Spark, each with two processes of this machine: the same scores to the bit, whatever dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Run, command, facts, run_in_process
from pyarrow import fs
from wire import HOST, free_port, served

from expose import AnomalyDetector
from expose.errors import InputError
from expose.scoring.engines import opened_engine
from expose.scoring.pieces import Engine, pieces_of, run
from expose.scoring.work import scoring_with
from expose.stores import place_of

N_ROWS, GROUP = 2_400, 200


class Cluster(NamedTuple):
    name: str
    engine: Engine
    address: str  # at which the command finds it


@pytest.fixture(scope="module", params=["dask", "ray", "spark"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    name = request.param
    pytest.importorskip({"dask": "distributed", "ray": "ray", "spark": "pyspark"}[name], reason=f"needs {name}")
    if name == "spark" and not shutil.which("java"):
        pytest.skip("needs a Java runtime")
    with opened_engine(name, "local[2]") as engine:
        yield Cluster(name, engine, engine.client.scheduler.address if name == "dask" else "local[2]")


def readings(n_rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    ids = pa.array([None if row % 97 == 0 else f"r{row}" for row in range(n_rows)])
    days = pa.array(np.arange(n_rows), pa.timestamp("s"))
    numbers = {f"x{place}": rng.normal(size=n_rows) for place in range(4)}
    return pa.table({"key": ids, "day": days, **numbers, "shop": rng.choice(["a", "b", "c"], n_rows)})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    detector = AnomalyDetector(random_state=0, calibration=2).fit(readings(600, 1).drop_columns(["key", "day"]))
    detector.save(folder, metadata={"id": ["key", "day"]})
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files, of several row groups each."""
    folder = tmp_path_factory.mktemp("data") / "rows"
    folder.mkdir()
    table = readings(N_ROWS, 2)
    for place in range(3):
        part = table.slice(place * N_ROWS // 3, N_ROWS // 3)
        pq.write_table(part, folder / f"{place}.parquet", row_group_size=GROUP)
    return folder


@pytest.fixture(scope="module")
def alone(model: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What one process makes of them."""
    out = tmp_path_factory.mktemp("alone") / "scores.parquet"
    assert run_in_process("score", model, rows, "--out", out).exit_code == 0
    return pq.read_table(out)


@pytest.fixture(autouse=True)
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_of, "__defaults__", (GROUP,))


@pytest.fixture
def on(cluster: Cluster) -> Callable[..., Any]:
    """`expose score` on the cluster."""
    return lambda *words: run_in_process("score", *words, "--engine", cluster.name, "--address", cluster.address)


def test_a_file_is_that_of_one_process(on: Run, model: Path, rows: Path, alone: pa.Table, tmp_path: Path) -> None:
    said = facts(on(model, rows, "--out", tmp_path / "scores.parquet", "--json"))
    expected = facts(run_in_process("score", model, rows, "--out", tmp_path / "one.parquet", "--json"))
    assert pq.read_table(tmp_path / "scores.parquet").equals(alone)
    assert (said["rows"], said["top"]) == (N_ROWS, expected["top"])
    assert said["flagged"] == expected["flagged"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "scores.parquet"]


@pytest.mark.parametrize("cluster", ["dask"], indirect=True)
def test_a_folder_of_parts_flagged_by_p_values(on: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    result = on(model, rows, "--out", tmp_path / "scores", "--fdr", "0.2")
    assert result.exit_code == 0, result.output
    run_in_process("score", model, rows, "--out", tmp_path / "one.parquet", "--fdr", "0.2")
    parts = sorted((tmp_path / "scores").iterdir())
    assert [part.name for part in parts] == [f"part-{place:07}.parquet" for place in range(N_ROWS // GROUP)]
    assert pa.concat_tables(map(pq.read_table, parts)).equals(pq.read_table(tmp_path / "one.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "scores"]


@pytest.mark.parametrize("cluster", ["dask"], indirect=True)
def test_a_worker_killed_midway_loses_nothing(
    cluster: Cluster, model: Path, rows: Path, alone: pa.Table, tmp_path: Path
) -> None:
    scoring, dead = scoring_with(model), tmp_path / "dead"

    def dies_once(batches: Any, first_row: int) -> Any:
        scored = scoring(batches, first_row)
        yield next(scored)
        if first_row == 5 * GROUP and not dead.exists():  # half of the piece is written
            dead.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from scored

    folder = tmp_path / "parts"
    folder.mkdir()
    assert len(list(run(cluster.engine, dies_once, pieces_of([str(rows)]), folder))) == N_ROWS // GROUP
    assert dead.exists()
    assert pq.read_table(folder).equals(alone)
    assert all(path.name.startswith("part-") for path in folder.iterdir())


def test_an_error_is_that_of_one_process_and_leaves_nothing(on: Run, model: Path, rows: Path, tmp_path: Path) -> None:
    table = readings(3 * GROUP, 3)
    infinite = table["x2"].to_numpy().copy()
    infinite[2 * GROUP + 7] = np.inf
    table = table.set_column(table.column_names.index("x2"), "x2", pa.array(infinite))
    pq.write_table(table, tmp_path / "new.parquet", row_group_size=GROUP)
    result = on(model, tmp_path / "new.parquet", "--out", tmp_path / "scores")
    expected = run_in_process("score", model, tmp_path / "new.parquet", "--out", tmp_path / "scores.parquet")
    assert (result.exit_code, result.stderr) == (2, expected.stderr)
    assert "'x2'" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new.parquet"]


def test_what_is_unseen_is_counted_over_all_pieces(on: Run, model: Path, tmp_path: Path) -> None:
    table = readings(3 * GROUP, 3)
    table = table.set_column(table.column_names.index("shop"), "shop", pa.array(["pub"] * len(table)))
    pq.write_table(table, tmp_path / "new.parquet", row_group_size=GROUP)
    said = facts(on(model, tmp_path / "new.parquet", "--out", tmp_path / "scores", "--json"))
    assert [text for text in said["warnings"] if f"'shop': {3 * GROUP:,} row(s)" in text], said["warnings"]


def test_a_frame_of_the_engine(cluster: Cluster, model: Path, rows: Path, alone: pa.Table) -> None:
    scored = SCORED[cluster.name](cluster, str(rows), str(model))
    assert scored.column_names == alone.column_names
    for name in alone.column_names:
        assert scored[name].to_pylist() == alone[name].to_pylist(), name


def scored_by_dask(cluster: Any, rows: str, model: str) -> pa.Table:
    pytest.importorskip("dask.dataframe", reason="needs the data frames of Dask")
    import dask.dataframe as dd

    from expose.scoring.dask import score

    frame = score(dd.read_parquet(rows, split_row_groups=2), model)
    assert isinstance(frame, dd.DataFrame)
    assert frame.npartitions > 2
    return pa.Table.from_pandas(cluster.engine.client.compute(frame, sync=True), preserve_index=False)


def scored_by_ray(cluster: Any, rows: str, model: str) -> pa.Table:
    import ray.data

    from expose.scoring.ray import score

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    found = score(ray.data.read_parquet(rows), model)
    assert isinstance(found, ray.data.Dataset)
    return pa.concat_tables(ray.get(found.to_arrow_refs()))


def scored_by_spark(cluster: Any, rows: str, model: str) -> pa.Table:
    from pyspark.sql import DataFrame, SparkSession

    from expose.scoring.spark import score

    frame = score(SparkSession.getActiveSession().read.parquet(rows), model)
    assert isinstance(frame, DataFrame)
    found = frame.toArrow()
    return found.set_column(1, "day", found["day"].cast(pa.timestamp("s"))).sort_by("day")


SCORED = {"dask": scored_by_dask, "ray": scored_by_ray, "spark": scored_by_spark}


# ---------------------------------------------------------------------------------------------------------- fit


class Losing(NamedTuple):
    """An engine of which one worker dies, when a piece is written and nobody knows it yet."""

    engine: Engine
    dead: Path
    threads: int = 1

    def map(self, function: Any, items: Any) -> Any:
        dead = self.dead

        def dies_once(piece: Any) -> Any:
            made = function(piece)
            if piece.number == 5 and not dead.exists():
                dead.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return made

        return self.engine.map(dies_once, items)


SAMPLED: dict[str, Any] = {"id": ["key", "day"], "sample_rows": 600}


@pytest.fixture(scope="module")
def ranked_alone(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """All rows, ranked by one process."""
    target = tmp_path_factory.mktemp("ranked") / "ranking.parquet"
    AnomalyDetector(random_state=0).fit_files(rows, ranking=target, **SAMPLED)
    return pq.read_table(target)


def test_a_fit_is_that_of_one_process_though_a_worker_dies(
    cluster: Cluster, rows: Path, ranked_alone: pa.Table, tmp_path: Path
) -> None:
    target, dead = tmp_path / "ranking.parquet", tmp_path / "dead"
    detector = AnomalyDetector(random_state=0, checkpoint=tmp_path / "checkpoint")
    detector.fit_files(rows, ranking=target, engine=Losing(cluster.engine, dead), **SAMPLED)
    assert dead.exists()
    assert pq.read_table(target).equals(ranked_alone)
    detector.save(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dead", "model", "ranking.parquet"]


@pytest.fixture
def stored(rows: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same rows in an object store, of which workers know nothing but what they are sent."""
    pytest.importorskip("moto.server", reason="needs moto: pip install 'expose[engines]'")
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{port}")
    with served([sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)], port):
        place: Any = place_of("s3://nobody:knows@rows-of-ours")
        fs.S3FileSystem(allow_bucket_creation=True, **dict(place.options)).create_dir(place.bucket)
        for path in rows.iterdir():
            (place / path.name).upload(path)
        yield "rows-of-ours/*.parquet"


@pytest.mark.parametrize("cluster", ["dask"], indirect=True)
def test_the_command_fits_what_lies_in_an_object_store(
    cluster: Cluster, stored: str, ranked_alone: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking, on = tmp_path / "ranking.parquet", ["--engine", cluster.name, "--address", cluster.address]
    words = ["--id", "key,day", "--sample-rows", "600", "--out", tmp_path / "model", "--out-suspects", ranking, *on]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "knows")
    refused = run_in_process("fit", f"s3://{stored}", *words)
    assert (refused.exit_code, "Workers have credentials of their own" in refused.stderr) == (2, True), refused.output
    assert [path.name for path in tmp_path.iterdir()] == []
    said = facts(run_in_process("fit", f"s3://nobody:knows@{stored}", *words, "--json"))
    assert (said["rows"], said["sample_rows"]) == (N_ROWS, 600)
    names = ["row", "anomaly_score"]
    assert pq.read_table(ranking).select(names).equals(ranked_alone.select(names))


def test_what_kills_every_worker_is_given_up(cluster: Cluster) -> None:
    """After the others: workers that live again have everything to import."""

    def dies(item: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match="workers died again and again"):
        list(cluster.engine.map(dies, [0]))


def test_a_driver_that_is_killed_leaves_no_scores_and_no_workers(model: Path, rows: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs Dask")
    words = ["score", model, rows, "--out", tmp_path / "scores.parquet", "--engine", "dask", "--address", "local[1]"]
    with subprocess.Popen(command(*words), stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while not list(tmp_path.glob(".scores.parquet.parts.expose-draft/*")):  # workers have begun
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not (tmp_path / "scores.parquet").exists()
    end = time.monotonic() + 60
    while alive(process.pid):
        assert time.monotonic() < end, "its workers live on"
        time.sleep(0.1)


def alive(session: int) -> bool:
    """Whether a process of a session is left."""
    done = subprocess.run(["ps", "-o", "pid=", "--sid", str(session)], capture_output=True, text=True, check=False)
    return bool(done.stdout.split())
