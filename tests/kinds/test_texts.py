"""Texts, and what has their form and is none: names of files."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.errors import InputError
from expose.kinds import Texts, kind_of
from expose.kinds.text import refuse_file_names
from expose.objectives import make_objective

NAMES = ["may.csv", "june.csv", "july.CSV.gz"]
TEXTS = [f"this is text {number} of many" for number in range(20)]


def fit(X, outliers=None) -> AnomalyDetector:
    return AnomalyDetector(make_objective("language", epochs=1), random_state=0).fit(X, outliers=outliers)


@pytest.mark.parametrize(
    "X",
    [NAMES, tuple(NAMES), [*NAMES, None], np.array(NAMES), pd.Series(NAMES), pl.Series(NAMES), [*map(Path, NAMES)]],
    ids=lambda X: type(X).__name__,
)
def test_names_of_files_are_no_texts_to_learn_from(X):
    with pytest.raises(InputError, match=r"list of 3 file names, 'may.csv' first; .* expose\.files\.read\(names\)"):
        fit(X)
    with pytest.raises(InputError, match="list of 3 file names"):
        OutlierExposureClassifier().fit(X, np.arange(len(X)) % 2)


@pytest.mark.parametrize(
    ("names", "way"),
    [
        (["a/1.png", "a/2.JPEG"], "Path(name) for name in names"),
        (["1.txt", "2.txt"], "Path(name).read_text() for name in names"),
        (["1.parquet", "2.xlsx"], "expose.files.read(names)"),
    ],
)
def test_the_way_to_read_them_is_said(names, way):
    with pytest.raises(InputError) as error:
        fit(names)
    assert way in str(error.value)


def test_a_file_that_is_there_needs_no_ending(tmp_path):
    names = [str(tmp_path / name) for name in ("first part", "second")]
    refuse_file_names(names)  # nothing is there yet
    for name in names:
        Path(name).write_text("x")
    with pytest.raises(InputError, match="list of 2 file names"):
        refuse_file_names(names)
    refuse_file_names([*names, "a text"])


@pytest.mark.parametrize(
    "texts",
    [
        ["see may.csv", "and june.csv"],
        ["https://here.org/may.html", "https://here.org/june.html"],
        ["may.csv", "a text"],
        ["may", "june"],
        ["", ""],
        [None, None],
        [],
        ["x" * 100_000, "a\0b"],
        Texts(tuple(NAMES)),
        "may.csv",
        7,
    ],
)
def test_texts_that_name_no_file_are_texts(texts):
    refuse_file_names(texts)


def test_names_that_are_meant_to_be_texts_and_single_texts_to_score():
    model = fit(Texts(tuple(f"{text.replace(' ', '_')}.csv" for text in TEXTS)))
    assert model.anomaly_score(["this_is_text_3_of_many.csv"]).shape == (1,)
    assert kind_of([Path("a.png")]).name == "image"


def test_outliers_are_read_too():
    with pytest.raises(InputError, match=r"outliers must be texts like X: .* list of 3 file names"):
        fit(TEXTS, NAMES)
