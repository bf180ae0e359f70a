"""The registry: what it lists, and that local files are what it says."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from expose.errors import InputError
from expose_lab import EMBEDDINGS, EXTRA_TABLES, MIXED_TABLES, MORE_TABLES, PAPER_TABLES, load
from expose_lab.datasets import layouts
from expose_lab.datasets.conversion import convert
from expose_lab.datasets.registry import REGISTRY, digest, entry, markdown, near, select

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("EXPOSE_DATA") or CHECKOUT.parent / "shared" / "data")
SHIPPED = ("thyroid", "mulcross")
LARGE = ("kdd", "kddrev")


def original(name: str) -> Path:
    """The file of a set, or skip."""
    path = layouts.find(entry(name).stem, DATA)
    if path is None:
        pytest.skip(f"{name} is not at hand; set EXPOSE_DATA to a folder that has it")
    return path


def test_the_groups_are_those_of_the_literature() -> None:
    assert len(PAPER_TABLES) == 30
    assert EXTRA_TABLES == ("http", "smtp")
    assert len(EMBEDDINGS) == 18
    assert (len(MORE_TABLES), len(MIXED_TABLES)) == (9, 14)
    assert {*PAPER_TABLES, *EXTRA_TABLES, *MORE_TABLES, *MIXED_TABLES, *EMBEDDINGS} == REGISTRY.keys()


@pytest.mark.parametrize("name", REGISTRY)
def test_every_entry_is_complete(name: str) -> None:
    one = entry(name)
    assert 0 < one.anomalies < one.rows / 2
    assert one.columns > 0
    assert all([one.anomaly, one.licence, one.citation])
    assert (len(one.sha256) == 64) == (name != "speech")
    assert bool(one.sources) == (name not in ("speech", "mulcross", *MIXED_TABLES))
    assert (Path(one.place).parent / Path(one.place).name.split(".")[0]).name == one.stem.rpartition("/")[2]


@pytest.mark.parametrize("name", [*(name for name in REGISTRY if name not in LARGE), *LARGE])
def test_local_files_hold_what_the_registry_says(name: str) -> None:
    if name not in SHIPPED:
        original(name)
    table = load(name, DATA)
    assert table.X.shape == (entry(name).rows, entry(name).columns)
    assert table.X.dtype == (object if name in MIXED_TABLES else np.float32)
    assert table.y.dtype == np.int8
    assert len(set(table.columns)) == entry(name).columns
    assert table.y.sum() == entry(name).anomalies
    assert digest(table.X, table.y) == entry(name).sha256


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_what_the_registry_says(name: str, tmp_path: Path) -> None:
    table = load(name, tmp_path)
    assert digest(table.X, table.y) == entry(name).sha256


def test_mulcross_is_the_known_draw() -> None:
    import hashlib

    assert hashlib.sha256(load("mulcross").X.tobytes()).hexdigest()[:16] == "25c828f1064aa27c"


def test_kddrev_is_drawn_as_the_index_says() -> None:
    index = original("kdd").with_name("kddrev_index.npz")
    if not index.is_file():
        pytest.skip("the index is not at hand")
    with np.load(index) as stored:
        np.testing.assert_array_equal(load("kddrev", DATA).X, load("kdd", DATA).X[stored["index"]])
        np.testing.assert_array_equal(load("kddrev", DATA).y, stored["y"])


def test_kdd_is_converted_as_it_lies(tmp_path: Path) -> None:
    """Write the first rows of the table as the origin has them, convert, and compare."""
    with np.load(original("kdd")) as stored:
        parts = {name: stored[name] for name in stored.files}
    rows = np.arange(0, 494021, 100)
    numbers = iter(range(34))
    nominal = {1: 0, 2: 1, 3: 2, 6: 3, 11: 4, 20: 5, 21: 6}
    columns = []
    for i in range(41):
        if i in nominal:
            names = parts[f"cats_{parts['cat_names'][nominal[i]]}"]
            columns.append(names[parts["cat"][nominal[i], rows]])
        else:
            number = next(numbers)
            values = parts["num"][number, rows]
            columns.append([f"{v / 100:.2f}" if parts["num_is_pct"][number] else str(v) for v in values])
    columns.append(parts["label_names"][parts["label"][rows]])
    with gzip.open(tmp_path / "raw", "wt") as file:
        file.writelines(",".join(line) + "\n" for line in zip(*columns, strict=True))
    found = convert("kdd", tmp_path / "raw")
    np.testing.assert_array_equal(found["num"], parts["num"][:, rows])
    np.testing.assert_array_equal(found["num_is_pct"], parts["num_is_pct"])
    np.testing.assert_array_equal(found["cat_names"], parts["cat_names"])
    np.testing.assert_array_equal(found["label_names"][found["label"]], columns[-1])
    for j, name in enumerate(parts["cat_names"]):
        np.testing.assert_array_equal(
            found[f"cats_{name}"][found["cat"][j]], parts[f"cats_{name}"][parts["cat"][j, rows]]
        )
        assert (np.diff(np.unique(found["cat"][j])) == 1).all()
        assert found[f"cats_{name}"].tolist() == sorted(found[f"cats_{name}"])
    np.savez(tmp_path / "kddcup99_10pct.npz", **found)
    X, y = layouts.kdd(tmp_path / "kddcup99_10pct.npz")
    whole, truth = layouts.kdd(original("kdd"))
    np.testing.assert_array_equal(X[:, :34], whole[rows, :34])
    np.testing.assert_array_equal(y, truth[rows])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X, y: (X[:-1], y[:-1]), r"expected 3 x 2 with 1 anomalies, got 2 x 2 with 1 anomalies"),
        (lambda X, y: (X, 1 - y), "got 3 x 2 with 2 anomalies"),
        (lambda X, y: (X + np.float32(1e-6), y), "not the values"),
        (lambda X, y: (X, y[::-1]), "not the values"),
    ],
)
def test_another_table_under_the_name_is_refused(change: object, said: str, tmp_path: Path) -> None:
    from dataclasses import replace

    X, y = np.eye(3, 2, dtype=np.float32), np.array([1, 0, 0], np.int8)
    one = replace(entry("wine"), rows=3, columns=2, anomalies=1, sha256=digest(X, y))
    one.check(X, y, "it")
    with pytest.raises(InputError, match=said):
        one.check(*change(X, y), "it")  # type: ignore[operator]


def test_load_refuses_another_table_under_a_known_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "wine.npz", X=np.eye(4), y=np.array([0, 0, 0, 1]))
    with pytest.raises(InputError, match=r"wine\.npz is not the data set 'wine': expected 129 x 13.*another name"):
        load("wine", tmp_path)


def test_the_digest_sees_shape_values_and_labels() -> None:
    X, y = np.zeros((2, 3), np.float32), np.zeros(2, np.int8)
    variants = [(X, y), (X.reshape(3, 2), y), (X + 1, y), (X, y + 1)]
    assert len({digest(*one) for one in variants}) == len(variants)
    assert digest(np.asfortranarray(X), y) == digest(X, y)


def test_the_digest_tells_numbers_from_texts_and_missing_ones() -> None:
    y = np.array([0, 1], np.int8)
    variants = [np.array([[one, "b"], ["c", 2.5]], dtype=object) for one in (1, 1.0, "1", None, True)]
    assert len({digest(X, y) for X in variants}) == len(variants)
    assert digest(variants[0].copy(order="F"), y) == digest(variants[0], y)


def test_what_is_missing_and_cannot_be_fetched_says_where_it_comes_from_and_belongs(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load("german", tmp_path)
    said = str(caught.value)
    assert "jbrownlee/Datasets" in said
    assert "ODDS" not in said
    assert f"{tmp_path / 'mixed' / 'german.csv.xz'}, the truth (0 or 1) in its last column 'anomaly'" in said
    with pytest.raises(InputError, match="'expose data fetch landsat' downloads it"):
        load("landsat", tmp_path)


def test_names_are_found_and_near_names_told() -> None:
    assert [one.name for one in select(["smtp", "extra"])] == ["smtp", "http"]
    assert len(select(["all"])) == len(REGISTRY)
    with pytest.raises(InputError, match=r"Did you mean satimage-2\?"):
        entry("satimage")
    assert near("xyzq", REGISTRY) == "'expose data list' shows the names."


def test_the_guide_has_the_table_of_the_registry() -> None:
    guide = (CHECKOUT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert markdown() in guide, "put the output of expose_lab.datasets.registry.markdown() into docs/datasets.md"
