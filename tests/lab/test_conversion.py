"""Raw files of the origins, each form on a few rows by hand."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from expose_lab.datasets import registry
from expose_lab.datasets.conversion import FORMS, convert

X = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
Y = (np.arange(20) < 3).astype(np.int8)


def test_ecoli(tmp_path: Path) -> None:
    classes = ["cp", "imL", "imS", "imU", "om", "omL"]
    (tmp_path / "raw").write_text(
        "".join(f"AAT 0.49 0.29 0.48 0.50 0.56 0.24 0.{i}5   {classes[i]}\n" for i in range(6))
    )
    stored = convert("ecoli", tmp_path / "raw")
    np.testing.assert_array_equal(stored["X"][1], np.float32([0.49, 0.29, 0.48, 0.5, 0.56, 0.24, 0.15]))
    assert stored["y"].tolist() == [0, 1, 1, 0, 0, 1]


def test_abalone(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("label,X1,X2,V2\nnominal,1,0,0.465\nanomaly,0,1,0.725\n")
    stored = convert("abalone", tmp_path / "raw")
    np.testing.assert_array_equal(stored["X"], np.float32([[1, 0, 0.465], [0, 1, 0.725]]))
    assert stored["y"].tolist() == [0, 1]


def test_seismic(tmp_path: Path) -> None:
    lines = ["@attribute x", "a,a,W,15180,48,-72,-72,a,1,2,3,4,5,6,7,8,2000,1000,0"]
    lines += ["b,a,N,1,2,3,4,b,5,6,7,8,9,0,0,0,10,11,1"]
    (tmp_path / "raw").write_text("\n".join(lines))
    stored = convert("seismic", tmp_path / "raw")
    assert stored["X"].tolist() == [[15180, 48, -72, -72, 1, 2, 3, 4, 5, 2000, 1000], [*range(1, 12)]]
    assert stored["X_cat"].tolist() == [[0, 0, 1, 0], [1, 0, 0, 1]]
    assert stored["y"].tolist() == [0, 1]


MATLAB_7_3 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400)


def test_a_matlab_file_of_version_7_3_is_turned_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 holds MATLAB's columns as rows; a stand-in for h5py gives them so."""

    class File(dict[str, np.ndarray]):
        def __init__(self, *_: object) -> None:
            super().__init__(X=X.T, y=Y[None])

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=File))
    (tmp_path / "raw").write_bytes(MATLAB_7_3)
    stored = convert("mat", tmp_path / "raw")
    np.testing.assert_array_equal(stored["X"], X)
    np.testing.assert_array_equal(stored["y"], Y)


def test_embeddings_are_kept_in_half_precision(tmp_path: Path) -> None:
    np.savez(tmp_path / "raw.npz", X=X, y=Y)
    assert convert("npz16", tmp_path / "raw.npz")["X"].dtype == np.float16
    assert convert("npz", tmp_path / "raw.npz")["X"].dtype == np.float32


def test_every_source_has_a_form_and_a_pinned_or_checked_address() -> None:
    for entry in registry.REGISTRY.values():
        for source in entry.sources:
            assert source.form in FORMS
            assert source.url.startswith("https://")
            assert len(source.blob) in (0, 12)
            assert entry.sha256
