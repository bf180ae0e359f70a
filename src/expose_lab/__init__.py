"""The laboratory: data sets, contamination protocols, metrics, statistics and studies, to judge detectors by the truth.

It imports the public face of `expose`, which never imports it. Its needs come with the extra ``bench``.
"""

from expose_lab.contenders import Contender, baselines, ours
from expose_lab.datasets import EMBEDDINGS, EXTRA_TABLES, PAPER_TABLES, DataSet, fetch, load, thyroid
from expose_lab.grid import bench, read_results
from expose_lab.metrics import (
    OutlierResults,
    auroc,
    average_precision,
    base_rate,
    f1_at_ratio,
    f1_flagged,
    fnr_at_tnr,
    fpr_at_tpr,
    fpr_flagged,
    mad_calibration_error,
    outlier_calibration,
    outlier_detection,
    over_seeds,
    precision_at_k,
    rescaled,
    soft_f1,
    softmax_confidence,
)
from expose_lab.protocols import PAPER_SEEDS, Split, clean, disjoint, paper
from expose_lab.statistics import (
    cliques,
    critical_difference,
    friedman,
    holm,
    mean_ranks,
    wilcoxon_pairs,
    win_tie_loss,
)
from expose_lab.summary import cells, fill_plain, latest, pivot

__all__ = [
    "EMBEDDINGS",
    "EXTRA_TABLES",
    "PAPER_SEEDS",
    "PAPER_TABLES",
    "Contender",
    "DataSet",
    "OutlierResults",
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
    "fnr_at_tnr",
    "fpr_at_tpr",
    "fpr_flagged",
    "friedman",
    "holm",
    "latest",
    "load",
    "mad_calibration_error",
    "mean_ranks",
    "ours",
    "outlier_calibration",
    "outlier_detection",
    "over_seeds",
    "paper",
    "pivot",
    "precision_at_k",
    "read_results",
    "rescaled",
    "soft_f1",
    "softmax_confidence",
    "thyroid",
    "wilcoxon_pairs",
    "win_tie_loss",
]
