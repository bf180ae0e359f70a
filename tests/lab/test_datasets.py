import gzip
import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from expose.errors import InputError
from expose_lab import load, thyroid
from expose_lab.datasets import thyroid_csv
from expose_lab.datasets.tables import data_folder

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


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


def test_columns_of_several_types_stay_what_they_are(folder):
    text = 'size,"what, else",note,nothing,anomaly\n1,,NA,,0\n2,"a ""b"", ä",,,1\n3,1.5,x,,0\n'
    write(folder / "mixed" / "mine.csv.xz", text)
    table = load("mine", folder)
    assert table.X.tolist() == [[1, None, "NA", None], [2, 'a "b", ä', None, None], [3, "1.5", "x", None]]
    assert table.columns == ("size", "what, else", "note", "nothing")
    assert (table.y.tolist(), table.y.dtype) == ([0, 1, 0], np.int8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,0\n2,1\n", "last column of .*mine.csv.xz must be 'anomaly' and hold 0 and 1; it is 'b'"),
        ("a,anomaly\n1,0\n2,2\n", "must be 'anomaly' and hold 0 and 1"),
        ("a,anomaly\n1,0\n2,\n", "must be 'anomaly' and hold 0 and 1"),
        ("a,anomaly\n1,0\n2,1,3\n", "mine.csv.xz.*damaged or cut short"),
        ("", "mine.csv.xz.*damaged or cut short"),
    ],
)
def test_another_file_of_text_is_refused(folder, text, said):
    write(folder / "mine.csv.xz", text)
    with pytest.raises(InputError, match=said):
        load("mine", folder)


def test_a_file_of_text_cut_short_or_not_packed_is_refused(folder):
    path = write(folder / "mine.csv.xz", "a,anomaly\n1,0\n2,1\n")
    for content in (path.read_bytes()[:-9], b"a,anomaly\n1,0\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"mine\.csv\.xz.*damaged or cut short"):
            load("mine", folder)


def test_a_set_of_the_registry_with_other_values_is_refused(folder):
    columns = ",".join(f"c{i}" for i in range(20))
    rows = "".join(f"{','.join(['A11'] * 20)},{int(i < 300)}\n" for i in range(1000))
    write(folder / "mixed" / "german.csv.xz", f"{columns},anomaly\n{rows}")
    with pytest.raises(InputError, match="not the data set 'german': the size is right, but not the values"):
        load("german", folder)


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


def test_the_folder_is_the_one_given_else_the_environments_else_the_cache(folder, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert data_folder() == folder / "home" / ".cache" / "expose"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    assert data_folder() == folder / "cache" / "expose"
    monkeypatch.setattr("sys.platform", "darwin")
    assert data_folder() == folder / "home" / "Library" / "Caches" / "expose"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(folder / "local"))
    assert data_folder() == folder / "local" / "expose"
    monkeypatch.setenv("EXPOSE_DATA", str(folder / "data"))
    assert data_folder() == folder / "data"
    assert data_folder(folder) == folder


def test_a_set_that_can_be_fetched_is_looked_for_in_the_cache_and_says_so(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(InputError, match=r"in .*expose\. There: no .*'expose data fetch glass'"):
        load("glass")


def test_a_typo_is_told_near_names(folder):
    np.savez(folder / "payments.npz", X=np.eye(2), y=np.array([0, 1]))
    with pytest.raises(InputError, match=r"Did you mean arrhythmia\?"):
        load("arrythmia", folder)
    with pytest.raises(InputError, match=r"Did you mean payments\?"):
        load("payment", folder)


def test_speech_is_not_available_unless_the_user_has_it(folder):
    from scipy.io import savemat

    with pytest.raises(InputError, match=r"not available: its file is missing.*ODDS.*speech\.npz.*speech\.mat"):
        load("speech", folder)
    X, y = np.random.default_rng(0).normal(size=(3686, 400)).astype(np.float32), np.arange(3686) < 61
    savemat(folder / "speech.mat", {"X": X.astype(np.float64), "y": y[:, None].astype(np.uint8)})
    np.testing.assert_array_equal(load("speech", folder).X, X)
    np.testing.assert_array_equal(load("speech", folder).y, y)
    np.savez(folder / "speech.npz", X=X[:9], y=y[:9])
    with pytest.raises(InputError, match="expected 3686 x 400"):
        load("speech", folder)


def test_a_file_cut_short_is_refused(folder):
    np.savez(folder / "mine.npz", X=np.eye(9), y=np.arange(9) == 0)
    whole = (folder / "mine.npz").read_bytes()
    for cut in (0, 10, len(whole) // 2):
        (folder / "mine.npz").write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"mine\.npz.*damaged or cut short"):
            load("mine", folder)


def test_labels_and_rows_must_match(folder):
    np.savez(folder / "mine.npz", X=np.eye(9), y=np.arange(8) == 0)
    with pytest.raises(InputError, match="9 rows but 8 labels"):
        load("mine", folder)
    np.savez(folder / "mine.npz", X=np.arange(9), y=np.arange(9) == 0)
    with pytest.raises(InputError, match="1 dimension"):
        load("mine", folder)


def test_embeddings_lie_in_a_folder_of_their_own(folder):
    (folder / "embeddings" / "cats").mkdir(parents=True)
    np.savez(folder / "embeddings" / "cats" / "black.npz", X=np.eye(3, dtype=np.float16), y=np.array([0, 1, 0]))
    table = load("cats/black", folder)
    assert (table.name, table.X.dtype) == ("cats/black", np.float32)
