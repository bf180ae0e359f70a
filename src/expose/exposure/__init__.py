"""WHO: how much each row of a batch counts as normal and as abnormal. Pure functions of losses and known labels."""

from expose.exposure.auxiliary import LATENT, Mining, all_outliers, hardest, latent
from expose.exposure.contamination import (
    HIGHEST_SHARE,
    ContaminationEstimate,
    estimate_contamination,
    given_contamination,
    labelled_contamination,
    select_contamination,
    varied_contamination,
)
from expose.exposure.ranking import RANKINGS, BatchRanking, Ranking, RunningRanking
from expose.exposure.rules import EXPOSURES, Exposure, Weights, blind, hard, refine, soft
from expose.exposure.spreading import RELATIVES, spread_labels, spreads

__all__ = [
    "EXPOSURES",
    "HIGHEST_SHARE",
    "LATENT",
    "RANKINGS",
    "RELATIVES",
    "BatchRanking",
    "ContaminationEstimate",
    "Exposure",
    "Mining",
    "Ranking",
    "RunningRanking",
    "Weights",
    "all_outliers",
    "blind",
    "estimate_contamination",
    "given_contamination",
    "hard",
    "hardest",
    "labelled_contamination",
    "latent",
    "refine",
    "select_contamination",
    "soft",
    "spread_labels",
    "spreads",
    "varied_contamination",
]
