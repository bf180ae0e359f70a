"""The laboratory: data sets, contamination protocols, metrics, statistics and studies, to judge detectors by the truth.

It imports the public face of `expose`, which never imports it. Its needs come with the extra ``bench``. Public names
are imported when first used, so that ``expose bench --help`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "contenders": "Contender baselines ours",
    "datasets": "EMBEDDINGS EXTRA_TABLES MIXED_TABLES MORE_TABLES PAPER_TABLES DataSet SeriesSet fetch load "
    "load_series thyroid",
    "grid": "bench read_results",
    "metrics": "OutlierResults affiliation aupro auroc average_precision base_rate f1_at_ratio f1_flagged fnr_at_tnr "
    "fpr_at_tpr fpr_flagged mad_calibration_error outlier_calibration outlier_detection over_seeds pixel_auroc "
    "pixel_average_precision pixel_metrics precision_at_k range_based rescaled series_metrics soft_f1 "
    "softmax_confidence vus",
    "protocols": "PAPER_SEEDS Split clean disjoint paper",
    "statistics": "cliques critical_difference friedman holm mean_ranks wilcoxon_pairs win_tie_loss",
    "summary": "cells fill_plain latest pivot",
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
