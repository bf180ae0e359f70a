"""How good a ranking is, and how far a confidence can be trusted, once the truth is known.

None of these numbers may steer training: they look at labels.
"""

from expose_lab.metrics.calibration import mad_calibration_error, rescaled, soft_f1, softmax_confidence
from expose_lab.metrics.outliers import OutlierResults, outlier_calibration, outlier_detection, over_seeds
from expose_lab.metrics.pixels import aupro, pixel_auroc, pixel_average_precision, pixel_metrics
from expose_lab.metrics.ranking import (
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
from expose_lab.metrics.series import affiliation, range_based, series_metrics, vus

__all__ = [
    "OutlierResults",
    "affiliation",
    "aupro",
    "auroc",
    "average_precision",
    "base_rate",
    "f1_at_ratio",
    "f1_flagged",
    "fnr_at_tnr",
    "fpr_at_tpr",
    "fpr_flagged",
    "mad_calibration_error",
    "outlier_calibration",
    "outlier_detection",
    "over_seeds",
    "pixel_auroc",
    "pixel_average_precision",
    "pixel_metrics",
    "precision_at_k",
    "range_based",
    "rescaled",
    "series_metrics",
    "soft_f1",
    "softmax_confidence",
    "vus",
]
