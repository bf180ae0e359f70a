import linecache
import os
import signal
import subprocess
import sys
import threading
import warnings
from importlib import import_module, metadata

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from typer import Typer

from expose import AnomalyDetector
from expose.errors import FailedRunsWarning, InputError, MissingExtraError
from expose.objectives import NTL, OBJECTIVES, make_objective
from expose.training import descend
from expose_lab import baselines, bench, contenders, grid, ours, provenance, read_results, runner
from expose_lab.contenders import own
from expose_lab.grid import COSTS, schema

QUICK = {"objective": make_objective("ntl", epochs=2, batch_size=100), "device": "cpu"}
TIMES = {*COSTS, "finished"}


@pytest.fixture
def fitted(monkeypatch):
    """The cells that were really run, as data set, contender and seeds."""
    done = []
    original = grid.run_cell

    def counting(cell):
        rows = original(cell)
        done.append((cell.name, cell.contender.detector, cell.seeds))
        return rows

    monkeypatch.setattr(grid, "run_cell", counting)
    return done


def plain(table):
    """Rows without what differs from run to run, by key."""
    rows = [{name: value for name, value in row.items() if name not in TIMES} for row in table.to_pylist()]
    return sorted(rows, key=lambda row: row["key"])


def test_any_outlier_estimator_and_a_pipeline_take_part(toy, make_toy):
    estimators = {
        "forest": IsolationForest(n_estimators=10),
        "lof": LocalOutlierFactor(novelty=True),
        "svm": make_pipeline(StandardScaler(), OneClassSVM()),
        "ours": AnomalyDetector(**QUICK),
    }
    table = bench([toy, make_toy("other", seed=1)], estimators, seeds=[0, 1], true_ratios=[0.05, 0.2])
    assert table.schema == schema()
    assert table.num_rows == 2 * 4 * 2 * 2
    assert len(set(table["key"].to_pylist())) == table.num_rows
    assert min(table["auroc"].to_pylist()) > 0.5
    rows = table.to_pylist()
    assert {row["dataset"] for row in rows} == {"toy", "other"}
    assert {row["exposure"] for row in rows} == {"as is", "auto"}
    assert {row["seeds_together"] for row in rows if row["detector"] == "ours"} == {2}


def test_names_ours_and_baselines_take_part(tmp_path, toy):
    np.savez(tmp_path / "mine.npz", X=toy.X, y=toy.y)
    table = bench(["mine"], baselines(["IsolationForest"], trimmed=[1]), seeds=[0], data_dir=tmp_path)
    assert table["exposure"].to_pylist() == ["as is", "trimmed 1x"]
    assert table["dataset"].to_pylist() == ["mine", "mine"]


def test_restarting_repeats_nothing(toy, forest, tmp_path, fitted):
    out = tmp_path / "r.parquet"
    first = bench([toy], {"forest": forest}, seeds=[0, 1], out=out)
    assert len(fitted) == 1
    second = bench([toy], {"forest": forest}, seeds=[0, 1], out=out)
    assert len(fitted) == 1
    assert second.equals(first)
    wider = bench([toy], {"forest": forest}, seeds=[0, 1, 2], true_ratios=[0.1, 0.2], out=out)
    assert fitted[1:] == [("toy", "forest", (2,)), ("toy", "forest", (0, 1, 2))]
    assert wider.num_rows == 6
    assert read_results(out).num_rows == 6


def test_what_breaks_off_is_kept_and_goes_on(toy, make_toy, forest, tmp_path, fitted, monkeypatch):
    sets = [make_toy(name, seed) for seed, name in enumerate("abcd")]
    with monkeypatch.context() as patch:
        counting = grid.run_cell

        def breaking(cell):
            if cell.name == "c":
                raise KeyboardInterrupt
            return counting(cell)

        patch.setattr(grid, "run_cell", breaking)
        with pytest.raises(KeyboardInterrupt):
            bench(sets, {"forest": forest}, seeds=[0, 1], out=tmp_path / "r.parquet")
    assert set(read_results(tmp_path / "r.parquet")["dataset"].to_pylist()) == {"a", "b"}
    table = bench(sets, {"forest": forest}, seeds=[0, 1], out=tmp_path / "r.parquet")
    assert [name for name, *_ in fitted] == ["a", "b", "c", "d"]  # each once
    assert table.num_rows == 8


KILLED = """
import os, sys
import numpy as np
from sklearn.ensemble import IsolationForest
from expose_lab import DataSet, bench, grid

original = grid.run_cell
def run_cell(cell):
    if cell.name == sys.argv[2]:
        os.kill(os.getpid(), 9)
    rows = original(cell)
    print(cell.name, flush=True)
    return rows
grid.run_cell = run_cell
rng = np.random.default_rng(0)
y = np.repeat(np.array([0, 1], np.int8), [80, 20])
sets = [DataSet(name, rng.normal(size=(100, 3)).astype(np.float32), y, tuple("abc")) for name in "abcd"]
bench(sets, {"forest": IsolationForest(n_estimators=5)}, seeds=[0, 1], out=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_benchmark_repeats_nothing(tmp_path):
    def run(die_at):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "r.parquet"), die_at]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout.split()

    assert run("c") == (-signal.SIGKILL, ["a", "b"])
    assert read_results(tmp_path / "r.parquet").num_rows == 4
    assert run("nowhere") == (0, ["c", "d"])  # the lock is free, and keys are the same in every process
    assert read_results(tmp_path / "r.parquet").num_rows == 8
    assert {file.name for file in tmp_path.iterdir()} == {"r.parquet", ".r.parquet.lock"}


def test_ctrl_c_in_a_training_does_not_make_a_row_of_half_a_training(make_cell, monkeypatch):
    original = descend.Loop.epoch
    seen = []

    def epoch(self, *args, **kwargs):
        seen.append(1)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(descend.Loop, "epoch", epoch)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        runner.attempt(0, make_cell(AnomalyDetector(make_objective("ntl", epochs=5), device="cpu"), seeds=(0,)))
    assert len(seen) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_a_cell_runs_in_a_thread_too(make_cell):
    got = []
    thread = threading.Thread(target=lambda: got.append(runner.attempt(7, make_cell())))
    thread.start()
    thread.join(timeout=60)
    assert (got[0][0], len(got[0][1]), got[0][2]) == (7, 2, None)


@pytest.mark.parametrize(
    "change",
    ["settings", "code", "versions", "data", "caps"],
)
def test_old_rows_are_not_taken_for_new_ones(toy, forest, make_toy, tmp_path, fitted, monkeypatch, change):
    given = {"seeds": [0], "out": tmp_path / "r.parquet"}
    bench([toy], {"forest": forest}, **given)
    if change == "settings":
        forest = IsolationForest(n_estimators=11)
    elif change == "code":
        monkeypatch.setattr(grid, "code_of", lambda *_: "other")
    elif change == "versions":
        monkeypatch.setattr(contenders, "installed", lambda _: "99")
    elif change == "data":
        toy = make_toy(seed=1)
    else:
        given["train_rows"] = 60
    table = bench([toy], {"forest": forest}, **given)
    assert len(fitted) == 2
    assert table.num_rows == 1
    assert read_results(tmp_path / "r.parquet").num_rows == 2  # the old one is kept


OWN = """
from sklearn.ensemble import IsolationForest

class Mine(IsolationForest):
    def score_samples(self, X):
        return {factor} * super().score_samples(X){comment}
"""


def test_changed_code_of_ones_own_estimator_counts_and_comments_do_not(toy, tmp_path, fitted, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for factor, comment, runs in [(1, "", 1), (1, "  # so", 1), (-1, "", 2)]:
        (tmp_path / "own_detector.py").write_text(OWN.format(factor=factor, comment=comment))
        sys.modules.pop("own_detector", None)
        linecache.clearcache()
        mine = make_pipeline(StandardScaler(), import_module("own_detector").Mine(n_estimators=5))
        bench([toy], {"mine": mine}, seeds=[0], out=tmp_path / "r.parquet")
        assert len(fitted) == runs
    monkeypatch.delitem(sys.modules, "own_detector")


def test_the_source_of_ones_own_objective_counts_too(monkeypatch):
    class Mine(NTL):
        """Ours, changed."""

    assert [one.identity for one in [*ours(["ntl"]), *baselines(["LOF"])]] == [""] * 7
    monkeypatch.setitem(OBJECTIVES, "mine", Mine)
    for who in (*ours(["mine"]), *own({"a": AnomalyDetector("mine"), "b": AnomalyDetector(Mine())})):
        assert "Mine " in who.identity
        assert "expose.objectives.ntl" in who.roots  # the parent


def test_other_peoples_classes_count_by_their_version(monkeypatch):
    assert provenance.origin(Typer) == f"typer=={metadata.version('typer')}"
    assert provenance.origin(dict) == provenance.origin(IsolationForest) == provenance.origin(AnomalyDetector) == ""
    monkeypatch.setattr(provenance, "version", lambda _: "99")
    assert provenance.origin(Typer) == "typer==99"


def test_the_same_run_is_not_made_twice(toy, forest, fitted):
    given = {"seeds": [0, 0], "true_ratios": [0, 0.0, 0.1], "assumed_ratios": [0.1, 0, 0.0]}
    table = bench([toy, toy], {"forest": forest}, **given)
    assert len(fitted) == table.num_rows == 4
    assert table["true_ratio"].to_pylist() == [0.0, 0.0, 0.1, 0.1]
    assert table["assumed"].to_pylist() == ["0.1", "0.0"] * 2


def test_where_nothing_is_assumed_only_the_plain_are_run(toy):
    who = ours(["ntl"]) + baselines(["IsolationForest"])
    given = {"protocols": ["clean", "disjoint"], "true_ratios": [0.0, 0.1], "assumed_ratios": [0.0, "true", "auto"]}
    cells = list(grid.grid_of([toy], who, **given))
    told = {(cell.protocol, cell.true_ratio, cell.assumed): set() for cell in cells}
    for cell in cells:
        told[cell.protocol, cell.true_ratio, cell.assumed].add(cell.contender.exposure)
    few, all_ = {"blind", "as is"}, {one.exposure for one in who}
    assert told == {
        ("clean", 0.0, 0.0): few,
        ("clean", 0.0, "true"): few,
        ("clean", 0.0, "auto"): all_,
        ("disjoint", 0.0, 0.0): few,
        ("disjoint", 0.0, "true"): few,
        ("disjoint", 0.0, "auto"): all_,
        ("disjoint", 0.1, 0.0): few,
        ("disjoint", 0.1, "true"): all_,
        ("disjoint", 0.1, "auto"): all_,
    }


def test_a_failing_contender_does_not_end_the_others(toy, forest, tmp_path, capsys):
    who = {"bad": IsolationForest(n_estimators=-1), "good": forest, "none": LocalOutlierFactor()}
    out = tmp_path / "r.parquet"
    with pytest.warns(FailedRunsWarning, match=r"2 of 3 tasks failed\. bad as is \(own\) on toy.*n_estimators"):
        table = bench([toy], who, seeds=[0, 1], out=out, verbose=1)
    assert table["detector"].to_pylist() == ["good", "good"]
    said = capsys.readouterr().err
    assert "failed: bad" in said
    assert "task 3 of 3" in said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bench([toy], {"good": forest}, seeds=[0, 1], out=out, verbose=1).num_rows == 2
    assert capsys.readouterr().err == "2 of 2 runs are there already\n"


def test_two_benchmarks_on_one_file_are_refused(toy, forest, tmp_path, monkeypatch):
    run_cell = grid.run_cell

    def inner(cell):
        with pytest.raises(InputError, match="Another benchmark"):
            bench([toy], {"forest": forest}, seeds=[0], out=tmp_path / "r.parquet")
        return run_cell(cell)

    monkeypatch.setattr(grid, "run_cell", inner)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bench([toy], {"forest": forest}, seeds=[0], out=tmp_path / "r.parquet").num_rows == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"protocols": "disjoint"}, "protocols must be a list"),
        ({"protocols": ["honest"]}, "'clean', 'disjoint', 'paper'"),
        ({"true_ratios": []}, "at least one value"),
        ({"true_ratios": [0.5]}, r"\[0, 0.5\)"),
        ({"true_ratios": ["true"]}, r"\[0, 0.5\)"),
        ({"assumed_ratios": ["half"]}, "'true' or 'auto'"),
        ({"assumed_ratios": [float("nan")]}, "nan"),
        ({"seeds": []}, "seeds"),
        ({"backend": "mpi"}, "'loky', 'dask', 'ray'"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_run(toy, forest, fitted, tmp_path, wrong, said):
    with pytest.raises(InputError, match=said):
        bench([toy], {"forest": forest}, out=tmp_path / "r.parquet", **wrong)
    assert fitted == []
    assert list(tmp_path.iterdir()) == []


def test_absent_sets_and_nobody_are_refused(forest, toy, tmp_path, fitted):
    with pytest.raises(InputError, match="expose data fetch glass"):
        bench([toy, "glass"], {"forest": forest}, data_dir=tmp_path)
    with pytest.raises(InputError, match="needs data sets and contenders"):
        bench([toy], {})
    with pytest.raises(InputError, match="'wein'"):  # one name, not its letters
        bench("wein", {"forest": forest}, data_dir=tmp_path)
    assert fitted == []


@pytest.mark.parametrize(
    ("blocked", "given", "line"),
    [
        ("pyod.models.knn", {}, r"pip install 'expose\[bench\]'"),
        ("distributed", {"backend": "dask"}, r"pip install 'expose\[dask\]'"),
        ("ray", {"backend": "ray"}, r"pip install 'expose\[ray\]'"),
    ],
)
def test_a_missing_extra_names_its_install_line(toy, monkeypatch, fitted, blocked, given, line):
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(MissingExtraError, match=line):
        bench([toy], baselines(["kNN" if not given else "IsolationForest"]), seeds=[0], **given)
    assert fitted == []


def test_everything_imports_without_the_extras():
    extras = ("pyod", "ray", "distributed", "dask", "matplotlib", "jinja2", "pooch")
    code = f"import sys\nfor name in {extras}: sys.modules[name] = None\n"
    code += "import expose, expose_lab, expose.cli.app, expose_lab.grid"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def tuned(n_jobs=1, **given):
    who = {"forest": IsolationForest(n_estimators=10), "ours": AnomalyDetector(**QUICK)}
    return lambda sets: plain(bench(sets, who, seeds=[0, 1], true_ratios=[0.05, 0.1, 0.2], n_jobs=n_jobs, **given))


@pytest.mark.slow
def test_processes_give_the_same_rows(toy, tmp_path):
    parallel = tuned(2, out=tmp_path / "r.parquet")([toy])
    assert parallel == tuned()([toy])
    assert len(parallel) == 12


@pytest.mark.slow
def test_a_killed_process_is_told_and_what_was_finished_is_kept(toy, forest):
    class Deadly(IsolationForest):
        def fit(self, X, y=None, sample_weight=None):
            os.kill(os.getpid(), signal.SIGKILL)

    Deadly.__module__ = "__main__"  # so that it travels by value
    with pytest.raises(InputError, match=r"killed.*kept"):
        bench([toy], {"deadly": Deadly(), "forest": forest}, seeds=[0], n_jobs=2)


@pytest.mark.slow
def test_dask_gives_the_same_rows(toy, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    expected = tuned()([toy])
    assert tuned(2, backend="dask", out=tmp_path / "r.parquet")([toy]) == expected
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert tuned(backend="dask", address=cluster.scheduler_address)([toy]) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_ray_gives_the_same_rows(toy, tmp_path):
    pytest.importorskip("ray", reason="needs the extra ray")
    assert tuned(2, backend="ray", out=tmp_path / "r.parquet")([toy]) == tuned()([toy])
