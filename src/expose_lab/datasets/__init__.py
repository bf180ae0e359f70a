"""Labelled data sets: what there is, where it comes from, how it is read."""

from expose_lab.datasets.fetching import fetch
from expose_lab.datasets.registry import EMBEDDINGS, EXTRA_TABLES, MIXED_TABLES, MORE_TABLES, PAPER_TABLES
from expose_lab.datasets.series import SeriesSet, load_series
from expose_lab.datasets.tables import DataSet, data_folder, load, thyroid, thyroid_csv

__all__ = [
    "EMBEDDINGS",
    "EXTRA_TABLES",
    "MIXED_TABLES",
    "MORE_TABLES",
    "PAPER_TABLES",
    "DataSet",
    "SeriesSet",
    "data_folder",
    "fetch",
    "load",
    "load_series",
    "thyroid",
    "thyroid_csv",
]
