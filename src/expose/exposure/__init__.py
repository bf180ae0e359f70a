"""WHO: how much each row of a batch counts as normal and as abnormal. Pure functions of losses and known labels."""

from expose.exposure.contamination import (
    HIGHEST_SHARE,
    ContaminationEstimate,
    estimate_contamination,
    given_contamination,
    labelled_contamination,
    overlapping_contamination,
    select_contamination,
    varied_contamination,
)
from expose.exposure.ranking import RANKINGS, BatchRanking, Ranking, RunningRanking
from expose.exposure.rules import EXPOSURES, Exposure, Weights, blind, hard, refine, soft
from expose.exposure.spreading import RELATIVES, spread_labels, spreads

__all__ = [
    "EXPOSURES",
    "HIGHEST_SHARE",
    "RANKINGS",
    "RELATIVES",
    "BatchRanking",
    "ContaminationEstimate",
    "Exposure",
    "Ranking",
    "RunningRanking",
    "Weights",
    "blind",
    "estimate_contamination",
    "given_contamination",
    "hard",
    "labelled_contamination",
    "overlapping_contamination",
    "refine",
    "select_contamination",
    "soft",
    "spread_labels",
    "spreads",
    "varied_contamination",
]
