import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from expose.errors import InputError
from expose.evaluation import load, thyroid, thyroid_csv

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("EXPOSE_DATA", raising=False)
    return tmp_path


def test_thyroid_is_the_table_of_the_literature():
    table = thyroid()
    assert table.X.shape == (3772, 6)
    assert table.X.dtype == np.float32
    assert table.y.sum() == 93
    np.testing.assert_array_equal(table.X.min(0), 0)
    np.testing.assert_array_equal(table.X.max(0), 1)


def test_thyroid_columns_are_those_of_uci():
    """Undo the scaling: the free thyroxine index is TT4 / T4U in UCI's units, and row 0 is UCI's row 0."""
    low = np.array([0.01, 0, 0.0005, 0.002, 0.019, 0.002])
    high = np.array([0.94, 0.53, 0.1059, 0.43, 0.232, 0.612])
    values = low + thyroid().X * (high - low)
    np.testing.assert_allclose(values[0], [0.73, 0.0006, 0.015, 0.12, 0.082, 0.146], atol=1e-7)
    t4, uptake, index = values[:, 3], values[:, 4], values[:, 5]
    assert np.median(np.abs(t4 / uptake / 10 / index - 1)) < 0.01


def test_thyroid_equals_the_original_values_where_they_are_at_hand():
    data = Path(os.environ.get("EXPOSE_DATA") or CHECKOUT.parent / "shared" / "data")
    original = data / "tabular" / "thyroid.npz"
    if not original.is_file():
        pytest.skip("the ODDS file is not at hand; set EXPOSE_DATA to its folder")
    with np.load(original) as stored:
        np.testing.assert_array_equal(thyroid().X, stored["X"])
        np.testing.assert_array_equal(thyroid().y, stored["y"])


def test_the_file_names_its_columns_and_its_attribution_lies_beside_it():
    with gzip.open(thyroid_csv(), "rt", encoding="ascii") as text:
        assert text.readline() == "age,TSH,T3,TT4,T4U,FTI,is_anomaly\n"
    attribution = thyroid_csv().with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in attribution
    assert "Changes" in attribution


def test_load_reads_a_folder_or_its_tabular_folder(folder, monkeypatch):
    (folder / "tabular").mkdir()
    np.savez(folder / "flat.npz", X=np.eye(3, dtype=np.uint8), y=np.array([0, 1, 0]))
    np.savez(folder / "tabular" / "deep.npz", X=np.eye(2), y=np.array([0, 1]))
    flat = load("flat", folder)
    assert flat.X.dtype == np.float32
    assert flat.columns == ("x0", "x1", "x2")
    monkeypatch.setenv("EXPOSE_DATA", str(folder))
    assert load("deep").y.tolist() == [0, 1]


def test_nominal_columns_become_indicators(folder):
    np.savez(folder / "mixed.npz", X=np.zeros((3, 1)), X_cat=np.array([["a"], ["b"], ["a"]]), y=np.array([0, 0, 1]))
    np.testing.assert_array_equal(load("mixed", folder).X, [[0, 1, 0], [0, 0, 1], [0, 1, 0]])


def test_what_is_not_there_is_named(folder):
    np.savez(folder / "here.npz", X=np.eye(2), y=np.array([0, 1]))
    np.savez(folder / "odd.npz", values=np.eye(2))
    assert load("thyroid").columns[0] == "age"
    with pytest.raises(InputError, match="EXPOSE_DATA"):
        load("here")
    with pytest.raises(InputError, match="There: here, odd"):
        load("gone", folder)
    with pytest.raises(InputError, match=r"no \.npz file at all"):
        load("gone", folder / "nowhere")
    with pytest.raises(InputError, match=r"it holds \['values'\]"):
        load("odd", folder)


def test_a_pickled_array_is_not_unpickled(folder):
    np.savez(folder / "pickled.npz", X=np.array([object()]), y=np.array([0]))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load("pickled", folder)
