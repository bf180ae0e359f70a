"""Collections of series, the published detectors on them, and the study."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from expose.errors import InputError, MissingExtraError
from expose_lab import load_series
from expose_lab.datasets import series as collections
from expose_lab.datasets.series import COLLECTIONS
from expose_lab.series_contenders import CONTENDERS, NUMBERS, Given, compiled, matrix_profile, period, to_steps
from expose_lab.studies import series as study
from expose_lab.studies import series_spans as spans_study

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("EXPOSE_DATA") or CHECKOUT.parent / "shared" / "data")


@pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=lambda one: one.name)
def test_a_collection_is_what_is_said_of_it(collection):
    if not collection.place(DATA).exists():
        pytest.skip(f"{collection.name} is not at hand; set EXPOSE_DATA to a folder that has it")
    found = list(load_series(collection.name, DATA))
    assert (len(found), sum(map(len, found))) == (collection.series, collection.steps)
    assert sum(int(one.y.sum()) for one in found) == collection.anomalous
    assert [one.name for one in found] == sorted(one.name for one in found)
    for one in found:
        assert one.values.dtype == np.float32
        assert one.values.shape == (len(one.y), collection.channels)
        assert np.isfinite(one.values).all()
        assert set(np.unique(one.y)) <= {0, 1}
        assert one.training is None or one.training.shape[1] == collection.channels


def test_the_guide_has_all_collections():
    guide = (CHECKOUT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for one in COLLECTIONS.values():
        share = one.anomalous / one.steps
        line = f"| `{one.name}` | `{one.file}.npz` | {one.series} | {one.channels} | {one.steps:,} "
        assert f"{line}| {one.anomalous:,} ({share:.1%}) | {one.licence} |" in guide


@pytest.fixture
def tiny(tmp_path):
    """Files laid out as those of NAB and of telemanom, of some steps."""
    steps, rng = 400, np.random.default_rng(0)
    wave = np.sin(np.arange(steps) * 2 * np.pi / 20) + 0.1 * rng.normal(size=steps)
    wave[330:336] += 2
    label = np.isin(np.arange(steps), range(330, 336)).astype(np.uint8)
    bits = np.packbits(rng.integers(0, 2, (2, steps)), axis=1)
    files = {
        "nab": {"a/odd/value": wave, "a/odd/time": np.arange(steps), "a/odd/label": label}
        | {"a/even/value": wave, "a/even/time": np.arange(steps), "a/even/label": 0 * label},
        "msl": {"T-1/test_value": wave, "T-1/test_cmd": bits, "T-1/label": label}
        | {"T-1/train_value": wave[:50], "T-1/train_cmd": bits[:, :7]},
        "smd_4machines": {"m/test": (1000 * np.stack([wave, wave]) + 3000).astype(np.uint16), "m/label": label}
        | {"m/train": np.full((2, 30), 5000, np.uint16), "scale": np.float32(1e-4)},
    }
    (tmp_path / "timeseries").mkdir()
    for name, stored in files.items():
        np.savez(tmp_path / "timeseries" / f"{name}.npz", **stored)
    study.chosen.cache_clear()
    return tmp_path, files


def test_layouts_are_read(tiny, monkeypatch):
    folder, files = tiny
    monkeypatch.setattr(collections, "digest", lambda stored: next(each))
    each = iter([COLLECTIONS["nab"].sha256, COLLECTIONS["msl"].sha256, COLLECTIONS["smd"].sha256])
    even, odd = load_series("nab", folder)
    assert (even.name, even.y.sum(), odd.y.sum()) == ("nab/a/even", 0, 6)
    assert odd.time.tolist() == list(range(400))
    (channel,) = load_series("msl", folder)
    assert channel.values.shape == (400, 3)
    assert channel.training.shape == (50, 3)
    bits = np.unpackbits(files["msl"]["T-1/test_cmd"], axis=1)
    assert (channel.values[:, 1:] == bits.T).all()
    (machine,) = load_series("smd", folder)
    assert machine.training == pytest.approx(np.full((30, 2), 0.5))


def test_what_is_not_there_or_something_else_is_told(tiny, tmp_path):
    with pytest.raises(InputError, match="differ"):
        list(load_series("nab", tiny[0]))
    with pytest.raises(InputError, match=r"nab\.npz"):
        list(load_series("nab", tmp_path / "nowhere"))
    with pytest.raises(InputError, match="Did you mean smap"):
        list(load_series("smapp", tmp_path))


@pytest.mark.parametrize("steps", [6, 24, 150, 303])
def test_the_period_of_a_wave_is_found(steps):
    wave = np.sin(np.arange(3000) * 2 * np.pi / steps)
    assert period(wave) == steps


@pytest.mark.parametrize("values", [np.zeros(500), np.arange(500.0), np.array([1.0, 2.0]), np.tile([0.0, 1.0], 200)])
def test_what_has_no_period_has_the_usual_window(values):
    assert period(values) == 125


def test_a_step_has_the_mean_of_the_windows_that_cover_it():
    scores, window = np.array([1.0, 5.0, 0.0, 2.0]), 3
    cover = [[w for w in range(4) if w <= step < w + window] for step in range(6)]
    assert to_steps(scores, window) == pytest.approx([scores[some].mean() for some in cover])


def wave_with_a_bump() -> np.ndarray:
    wave = np.sin(np.arange(600) * 2 * np.pi / 24) + 0.1 * np.random.default_rng(0).normal(size=600)
    wave[400:412] += 1.5
    return np.stack([wave, np.roll(wave, 7)], axis=1)


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name not in ("random", "matrix profile")])
@pytest.mark.parametrize("half", [0, 300])
def test_detectors_see_a_bump(name, half):
    given = study.split(wave_with_a_bump(), half, seed=0)
    scores = CONTENDERS[name].score(given)
    assert scores.shape == (600 - half,)
    assert 380 <= half + int(scores.argmax()) <= 440


def test_windows_of_many_channels_are_short():
    given = Given(np.zeros((300, 100)), np.zeros((300, 100)), 125, 0)
    assert given.window == NUMBERS // 100
    assert given.windows()[0].shape == (300 - 5 + 1, 500)


@pytest.mark.parametrize("name", ["Sub-PCA, whitened", "Sub-PCA, residual", "kNN on windows", "isolation forest"])
def test_a_channel_that_begins_to_vary_later_harms_nothing(name):
    values = np.zeros((400, 2))
    values[:, 0] = np.sin(np.arange(400) / 4)
    values[300:, 1] = 1
    assert np.isfinite(CONTENDERS[name].score(study.split(values, 200, seed=0))).all()


@pytest.mark.slow
def test_the_matrix_profile_sees_a_bump():
    pytest.importorskip("stumpy", reason="needs the extra bench")
    for half in (0, 300):
        scores = matrix_profile(study.split(wave_with_a_bump(), half, seed=0))
        assert scores.shape == (600 - half,)
        assert np.isfinite(scores).all()
        assert 375 <= half + int(scores.argmax()) <= 445


def test_the_matrix_profile_says_what_it_needs(monkeypatch):
    compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "stumpy", None)
    with pytest.raises(MissingExtraError, match=r"expose\[bench\]"):
        compiled()


def test_the_study_judges_what_has_anomalies(tiny, monkeypatch):
    monkeypatch.setattr(collections, "digest", lambda stored: COLLECTIONS["nab"].sha256)
    cell = {"detector": "Sub-PCA, whitened", "collection": "nab", "protocol": "whole", "seed": 0}
    (row,) = study.measure(cell, tiny[0])
    assert (row["series"], row["steps"], row["channels"]) == ("nab/a/odd", 400, 1)
    assert row["vus_pr"] > 0.5
    (later,) = study.measure(cell | {"protocol": "later"}, tiny[0])
    assert later["contaminated"] == 0
    assert later["anomalous"] == pytest.approx(6 / 200)


def test_rows_of_others_do_not_hang_on_the_code_of_the_product():
    ours = {"detector": study.OURS}
    assert study.STUDY.measure_of(ours) is study.measure_ours
    assert study.STUDY.measure_of({"detector": "random"}) is study.measure


def test_the_command_measures_series_as_they_are(tiny, tmp_path, monkeypatch):
    from expose_lab.cli.bench import collections_of
    from expose_lab.series_bench import bench_series, series_means

    out = tmp_path / "r.parquet"
    found = [collections.SeriesSet("nab/odd", tiny[1]["nab"]["a/odd/value"][:, None], tiny[1]["nab"]["a/odd/label"])]
    monkeypatch.setattr(study, "chosen", lambda collection, data: found)
    table = bench_series(["nab", "msl"], ["kNN"], out=out)
    lines = series_means(table.to_pylist())
    assert [(line["protocol"], line["runs"]) for line in lines] == [("later", 2)] * 2 + [("whole", 2)] * 2
    assert {line["detector"] for line in lines} == {study.OURS, "kNN on windows"}
    assert all(0 < line["vus_pr"] <= 1 for line in lines)
    assert bench_series(["nab", "msl"], ["kNN"], out=out).equals(table)
    assert collections_of(["nab,smd"]) == ["nab", "smd"]
    assert collections_of(["thyroid"]) == []
    with pytest.raises(InputError, match="Series are measured alone"):
        collections_of(["nab", "thyroid"])


@pytest.mark.parametrize(("more", "said"), [
    (["--objective", "ntl"], "--objective: series are measured as they are"),
    (["--seeds", "3"], "counted from 0"),
    ([], "Series have no origin to download from"),
])  # fmt: skip
def test_what_cannot_be_measured_of_series_is_refused(more, said, tmp_path):
    from typer.testing import CliRunner

    from expose.cli.app import app

    command = ["bench", "nab", "--data-dir", str(tmp_path), "-o", str(tmp_path / "r.parquet"), *more]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_made_series_and_what_is_flagged_of_them():
    cell = {"set": "made", "base": "periodic", "faults": "noise 30", "seed": 100, "steps": 3_000}
    row = spans_study.of_made(cell)
    assert (row["spans"], row["false_spans"], row["found"]) == (1, 0, 1.0)
    assert 0 < row["beyond"] < 0.5
    assert len(spans_study.faults_of({**cell, "faults": "three"})) == 3
    assert spans_study.faults_of({**cell, "faults": "none"}) == []
    for base in spans_study.BASES:
        assert np.isfinite(spans_study.made(base, 0, 100)).all()
    for what in ("noise", "shift", "spike", "flat"):
        changed = spans_study.with_fault(
            spans_study.made("walk", 0, 100), slice(20, 30), what, np.random.default_rng(0)
        )
        assert np.flatnonzero((changed != spans_study.made("walk", 0, 100)).any(axis=1)).min() >= 20
