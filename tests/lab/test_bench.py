"""``expose bench``: a grid from the command line, resumed, shown and told to machines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run, facts

from expose_lab import grid, read_results
from expose_lab.cli.bench import OBJECTIVES as OFFERED
from expose_lab.cli.bench import SHOWN, listed, means, whole_numbers
from expose_lab.datasets import registry
from expose_lab.grid import Cell, run_cell
from expose_lab.store import Row

FOREST = ["--objective", "none", "--no-trimmed", "--seeds", "0,1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two small sets of one's own."""
    place = tmp_path / "data"
    place.mkdir()
    monkeypatch.setenv("EXPOSE_DATA", str(place))
    rng = np.random.default_rng(0)
    for name, distance in (("near", 2), ("far", 6)):
        X = np.concatenate([rng.normal(size=(120, 3)), rng.normal(size=(30, 3)) + distance])
        np.savez(place / f"{name}.npz", X=X, y=np.repeat([0, 1], [120, 30]))
    return place


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results.parquet"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of the runner."""
    seen: dict[str, Any] = {}

    def catch(names: list[str], who: list[Any], **given: Any) -> None:
        seen.update(given, names=names, who=[(one.detector, one.exposure, one.settings) for one in who])
        raise ValueError("caught")

    monkeypatch.setattr(grid, "bench", catch)
    return seen


def test_a_table_of_means_and_a_file_of_runs(run: Run, out: Path) -> None:
    result = run("bench", "near,far", *FOREST, "--baseline", "IsolationForest,LOF", "--out", out)
    assert result.exit_code == 0, result.output
    head, *lines = [line.split() for line in result.stdout.split("\n\n")[0].splitlines()]
    assert head == ["detector", "exposure", "AUROC", "AP", "F1", "oracle", "FPR", "FPR@95", "seconds", "sets", "runs"]
    assert {line[0] for line in lines} == {"IsolationForest", "LOF"}
    assert [line[-2:] for line in lines] == [["2", "4"]] * 2
    rows = read_results(out).to_pylist()
    assert len(rows) == 8
    for line in lines:
        mean = np.mean([row["auroc"] for row in rows if row["detector"] == line[0]])
        assert line[3] == f"{mean:.3f}"  # exposure is two words
    assert "(8 runs, 0 of them there already)" in result.stdout
    assert "task 4 of 4" in result.stderr


def test_a_set_with_more_seeds_does_not_count_more() -> None:
    import pyarrow as pa

    from expose_lab.grid import schema

    common = {name: 0.5 for name in SHOWN} | {"detector": "LOF", "exposure": "as is"}
    runs = [("near", 0.4), ("near", 0.6), ("near", 0.5), ("far", 0.9)]
    rows = [common | {"dataset": name, "auroc": value} for name, value in runs]
    [line] = means(pa.Table.from_pylist(rows, schema=schema()))
    assert line["auroc"] == pytest.approx(0.7)
    assert (line["sets"], line["runs"]) == (2, 4)


def test_the_same_command_repeats_nothing(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = facts(run("bench", "near", *FOREST, "--out", out, "--json"))
    assert (first["runs"], first["there_already"], first["results"]) == (2, 0, str(out))

    def never(cell: Cell) -> list[Row]:
        raise AssertionError(f"{cell} was run again")

    monkeypatch.setattr(grid, "run_cell", never)
    again = run("bench", "near", *FOREST, "--out", out)
    assert again.exit_code == 0
    assert "2 of them there already" in again.stdout
    assert "2 of 2 runs are there already" in again.stderr


def test_for_machines_and_in_silence(run: Run, out: Path) -> None:
    result = run("bench", "far", *FOREST, "--ratio", "0,0.1", "--out", out, "--json")
    said = facts(result)
    assert [one["true_ratio"] for one in said["contenders"]] == [0.0, 0.1]
    assert "protocol" not in said["contenders"][0]  # there is only one
    assert said["contenders"][0]["auroc"] > 0.9
    assert said["contenders"][0].keys() >= {"average_precision", "f1", "f1_oracle", "fpr", "fpr_at_95", "fit_seconds"}
    assert run("bench", "far", *FOREST, "--out", out, "--quiet").output == ""


def test_our_own_detectors_are_trained(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from expose_lab import contenders

    monkeypatch.setattr(contenders, "epochs_for", lambda *_: 1)
    given = ["--objective", "ntl", "--settings", "brief", "--exposure", "soft,blind"]
    given += ["--baseline", "none", "--seeds", "3"]
    said = facts(run("bench", "far", *given, "--train-rows", "40", "--out", out, "--json"))
    assert {(one["detector"], one["exposure"]) for one in said["contenders"]} == {("ntl", "soft"), ("ntl", "blind")}
    row = read_results(out).to_pylist()[0]
    assert (row["seed"], row["train_rows"], row["test_rows"], row["settings"]) == (3, 40, 10000, "brief")
    assert "epochs=1," in json.loads(row["parameters"])["objective"]


def test_defaults(run: Run, out: Path, asked: dict[str, Any]) -> None:
    assert "caught" in run("bench", "near", "--out", out).stderr
    ours = [("neighbours", exposure, "default") for exposure in ("blind", "refine", "hard", "soft")]
    forest = [("IsolationForest", exposure, "standard") for exposure in ("as is", "trimmed 1x", "trimmed 2x")]
    assert asked == {
        "names": ["near"],
        "who": ours + forest,
        "protocols": ["disjoint"],
        "true_ratios": [0.1],
        "assumed_ratios": ["true"],
        "seeds": [0, 1, 2],
        "train_rows": 5000,
        "test_rows": 10000,
        "n_jobs": 1,
        "backend": "loky",
        "address": None,
        "data_dir": None,
        "out": out,
        "verbose": 1,
    }


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        (["--protocol", "clean", "--protocol", "paper"], "protocols", ["clean", "paper"]),
        (["--protocol", "all"], "protocols", ["clean", "disjoint", "paper"]),
        (["--ratio", "0.1,0.2", "--ratio", "0"], "true_ratios", [0.1, 0.2, 0.0]),
        (["--assumed", "0.1,true,auto"], "assumed_ratios", [0.1, "true", "auto"]),
        (["--seeds", "40-42,7"], "seeds", [40, 41, 42, 7]),
        (["--train-rows", "0"], "train_rows", None),
        (["--train-rows", "70"], "train_rows", 70),
        (["--test-rows", "all"], "test_rows", None),
        (["--jobs", "-1"], "n_jobs", -1),
        (["--backend", "ray", "--address", "auto"], "address", "auto"),
        (["--backend", "dask"], "backend", "dask"),
        (["--data-dir", "else"], "data_dir", Path("else")),
        (["--quiet"], "verbose", 0),
        (["--objective", "icl", "--exposure", "hard", "--baseline", "none"], "who", [("icl", "hard", "default")]),
        (["--objective", "none", "--baseline", "LOF", "--no-trimmed"], "who", [("LOF", "as is", "standard")]),
        (["--objective", "svdd", "--exposure", "blind", "--settings", "brief", "--baseline", "none"], "who",
         [("svdd", "blind", "brief")]),
    ],
)  # fmt: skip
def test_every_option_reaches_the_runner(
    run: Run, out: Path, asked: dict[str, Any], given: list[str], name: str, expected: Any
) -> None:
    assert "caught" in run("bench", "near", "--out", out, *given).stderr
    assert asked[name] == expected


def test_groups(run: Run, out: Path, asked: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.GROUPS, "paper", ("thyroid", "speech", "mulcross"))
    result = run("bench", "paper", "near", "thyroid", "--out", out)
    assert asked["names"] == ["thyroid", "mulcross", "near"]
    assert "speech: left out" in result.stdout
    asked.clear()
    monkeypatch.setitem(registry.GROUPS, "paper", ("thyroid", "glass", "wine"))
    result = run("bench", "paper", "--out", out)
    assert result.exit_code == 2
    assert asked == {}
    assert f"Not in {folder}: glass, wine. 'expose data fetch paper'" in result.stderr


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (["--objective", "nlt"], "ntl"),
        (["--exposure", "harsh"], "hard"),
        (["--settings", "quick"], "published"),
        (["--settings", "all"], "published"),
        (["--baseline", "forest"], "IsolationForest"),
        (["--protocol", "honest"], "disjoint"),
        (["--ratio", "0.5"], "[0, 0.5)"),
        (["--ratio", "half"], "'half'"),
        (["--assumed", "half"], "'half'"),
        (["--seeds", "one"], "0-4"),
        (["--seeds", "4-2"], "0-4"),
        (["--train-rows", "-5"], "'-5'"),
        (["--test-rows", "few"], "'few'"),
        (["--backend", "mpi"], "'ray'"),
        (["--address", "tcp://here"], "--backend dask"),
        (["--objective", "none", "--baseline", "none"], "nobody"),
    ],
)
def test_wrong_options_are_refused_with_a_hint(run: Run, out: Path, given: list[str], hint: str) -> None:
    result = run("bench", "near", "--out", out, *given)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert not out.exists()


def test_what_is_not_here_or_not_results_is_refused(run: Run, out: Path) -> None:
    assert "expose data fetch glass" in run("bench", "glass", *FOREST, "--out", out).stderr
    out.write_text("mine")
    result = run("bench", "near", *FOREST, "--out", out)
    assert result.exit_code == 2
    assert "another name" in result.stderr
    assert out.read_text() == "mine"


def test_failures_are_told_and_the_rest_is_kept(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(cell: Cell) -> list[Row]:
        if cell.name == "near":
            raise RuntimeError("no")
        return run_cell(cell)

    with monkeypatch.context() as patch:
        patch.setattr(grid, "run_cell", half)
        result = run("bench", "near,far", *FOREST, "--out", out)
        assert result.exit_code == 2
        assert "warning: 1 of 2 tasks failed. IsolationForest as is (standard) on near" in result.stderr
        assert "(2 runs, 0 of them there already)" in result.stdout
        told = run("bench", "near,far", *FOREST, "--out", out, "--json")
        assert (told.exit_code, facts(told)["runs"], len(facts(told)["warnings"])) == (2, 2, 1)
    mended = run("bench", "near,far", *FOREST, "--out", out)
    assert mended.exit_code == 0
    assert "(4 runs, 2 of them there already)" in mended.stdout


def test_all_failed(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "run_cell", lambda cell: 1 / 0)
    result = run("bench", "near", *FOREST, "--out", out)
    assert result.exit_code == 2
    assert "ZeroDivisionError" in result.stderr
    assert "(0 runs, 0 of them there already)" in result.stdout


def test_ctrl_c_says_what_is_kept(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(cell: Cell) -> list[Row]:
        if cell.name == "far":
            raise KeyboardInterrupt
        return run_cell(cell)

    monkeypatch.setattr(grid, "run_cell", interrupted)
    result = run("bench", "near,far", *FOREST, "--out", out)
    assert result.exit_code == 130
    assert f"finished are kept in {out}; the same command goes on" in result.stderr
    assert "Traceback" not in result.output
    assert read_results(out).num_rows == 2


def test_a_missing_extra_names_its_install_line(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyod.models.ecod", None)
    result = run("bench", "near", *FOREST, "--baseline", "ECOD", "--out", out)
    assert result.exit_code == 2
    assert "pip install 'expose[bench]'" in result.stderr


def test_lists() -> None:
    assert listed(["a, b", "b,c"]) == ["a", "b", "c"]
    assert whole_numbers("0-2, 5,1") == [0, 1, 2, 5, 1]


def test_objectives_that_want_outliers_or_other_rows_are_not_offered():
    from expose.objectives import OBJECTIVES

    suited = [name for name, one in OBJECTIVES.items() if "vector" in one.forms and not one.needs_anomalies]
    assert sorted(OFFERED) == sorted(suited)
