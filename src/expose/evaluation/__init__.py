"""Judge a detector against the truth: data sets, contamination protocols, metrics."""

from expose.evaluation.datasets import DataSet, load, thyroid, thyroid_csv
from expose.evaluation.metrics import (
    auroc,
    average_precision,
    base_rate,
    f1_at_ratio,
    f1_flagged,
    fpr_at_tpr,
    fpr_flagged,
    precision_at_k,
)
from expose.evaluation.protocols import PAPER_SEEDS, Split, clean, disjoint, paper

__all__ = [
    "PAPER_SEEDS",
    "DataSet",
    "Split",
    "auroc",
    "average_precision",
    "base_rate",
    "clean",
    "disjoint",
    "f1_at_ratio",
    "f1_flagged",
    "fpr_at_tpr",
    "fpr_flagged",
    "load",
    "paper",
    "precision_at_k",
    "thyroid",
    "thyroid_csv",
]
