"""Judge a detector against the truth: data sets, contamination protocols, metrics."""

from expose.errors import FailedRunsWarning
from expose.evaluation.contenders import Contender, baselines, ours
from expose.evaluation.datasets import DataSet, load, thyroid, thyroid_csv
from expose.evaluation.fetching import fetch
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
from expose.evaluation.registry import EMBEDDINGS, EXTRA_TABLES, PAPER_TABLES
from expose.evaluation.runner import bench
from expose.evaluation.statistics import (
    cliques,
    critical_difference,
    friedman,
    holm,
    mean_ranks,
    wilcoxon_pairs,
    win_tie_loss,
)
from expose.evaluation.store import read_results
from expose.evaluation.summary import cells, fill_plain, latest, pivot

__all__ = [
    "EMBEDDINGS",
    "EXTRA_TABLES",
    "PAPER_SEEDS",
    "PAPER_TABLES",
    "Contender",
    "DataSet",
    "FailedRunsWarning",
    "Split",
    "auroc",
    "average_precision",
    "base_rate",
    "baselines",
    "bench",
    "cells",
    "clean",
    "cliques",
    "critical_difference",
    "disjoint",
    "f1_at_ratio",
    "f1_flagged",
    "fetch",
    "fill_plain",
    "fpr_at_tpr",
    "fpr_flagged",
    "friedman",
    "holm",
    "latest",
    "load",
    "mean_ranks",
    "ours",
    "paper",
    "pivot",
    "precision_at_k",
    "read_results",
    "thyroid",
    "thyroid_csv",
    "wilcoxon_pairs",
    "win_tie_loss",
]
