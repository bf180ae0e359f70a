"""Judge a detector against the truth: data sets, contamination protocols, metrics."""

from expose.decide import Reliability, fit_temperature, reliability, rms_calibration_error
from expose.errors import FailedRunsWarning
from expose.evaluation.calibration import (
    mad_calibration_error,
    rescaled,
    soft_f1,
    softmax_confidence,
)
from expose.evaluation.contenders import Contender, baselines, ours
from expose.evaluation.datasets import DataSet, load, thyroid, thyroid_csv
from expose.evaluation.fetching import fetch
from expose.evaluation.metrics import (
    auroc,
    average_precision,
    base_rate,
    f1_at_ratio,
    f1_flagged,
    fnr_at_tnr,
    fpr_at_tpr,
    fpr_flagged,
    precision_at_k,
)
from expose.evaluation.outlier_protocol import outlier_calibration, outlier_detection
from expose.evaluation.outlier_results import OutlierResults, over_seeds
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
    "OutlierResults",
    "Reliability",
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
    "fit_temperature",
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
    "reliability",
    "rescaled",
    "rms_calibration_error",
    "soft_f1",
    "softmax_confidence",
    "thyroid",
    "thyroid_csv",
    "wilcoxon_pairs",
    "win_tie_loss",
]
