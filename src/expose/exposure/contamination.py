"""A first, simple estimate of how many training rows are anomalies, from anomaly scores alone.

It compares the upper tail of the scores with an exponential tail fitted to their middle (the quantiles from 40 % to
60 %, which less than 40 % of anomalies leave nearly in place). The largest excess of rows over that tail is the
estimate. It is biased low on purpose: anomalies that hide among normal rows are not counted, and too low a ratio was
never worse than none, while too high a ratio was (docs/concepts.md). The interval is wide for the same honesty: its
lower end takes the Dvoretzky-Kiefer-Wolfowitz band off the excess; its upper end is the excess of the upper tail over
the mirrored lower tail, which counts skewness of the normal scores as anomalies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIDDLE = (0.4, 0.6)
LARGEST_TIE = 0.05  # share of rows with one and the same score beyond which no tail can be read
HIGHEST_SHARE = 0.49
TAIL_MIDDLE = (0.3, 0.6)
VARIED = 0.62  # mean cosine of features up to which samples show many things; photos of one product lie above
SELECTION_RATE, CERTAIN_RATE = 0.3, 0.05  # false-discovery rates
OVERLAPPING_RATE, CERTAIN_OVERLAPPING = 0.01, 1e-4  # ... of samples that overlap
QUARTERS = (0.25, 0.5, 0.75)
QUARTER = 0.6745  # standard deviations from the middle of a normal distribution to its upper quarter


@dataclass(frozen=True)
class ContaminationEstimate:
    """Share of anomalies in the training data, with an interval and one sentence on where it comes from."""

    value: float
    low: float
    high: float
    method: str


def given_contamination(value: float) -> ContaminationEstimate:
    """Wrap a ratio that the user gave; nothing was estimated."""
    return ContaminationEstimate(value, value, value, "given by the user")


def varied_contamination(likeness: float, share: float, estimate: ContaminationEstimate) -> ContaminationEstimate:
    """Assume a share where samples show many different things, whatever their scores say.

    Anomalies among such samples are things of another kind. They are many and unlike each other, no gap sets their
    scores apart, so an estimate from scores finds next to none. But the first suspects are right often enough that
    exposure gains by a share of them, and loses little where there is no anomaly. Among samples that are all alike,
    photos of one product, the most unusual are good products as a rule, and any share that is assumed costs.

    Parameters
    ----------
    likeness : float
        Mean cosine of the features of two samples.
    share : float
        That is assumed among varied samples.
    estimate : ContaminationEstimate
        That stands among others, or where it is the larger.

    Examples
    --------
    >>> next_to_none = ContaminationEstimate(0.001, 0.0, 0.05, "estimated")
    >>> varied_contamination(0.5, 0.1, next_to_none).value, varied_contamination(0.9, 0.1, next_to_none).value
    (0.1, 0.001)
    """
    if likeness > VARIED or share <= estimate.value:
        return estimate
    method = (
        f"assumed because they differ much from each other (mean cosine {likeness:.2f}; those of one product lie above "
        f"{VARIED:g}): among such this share gained much with few anomalies or many, and cost little without any"
    )
    return ContaminationEstimate(share, share, share, method)


def estimate_contamination(scores: NDArray[np.float64]) -> ContaminationEstimate:
    """Estimate the share of anomalies among rows with these scores.

    Parameters
    ----------
    scores : array of shape (n,)
        Scores of an isolation forest that was fitted on these rows, higher = more anomalous.

    Returns
    -------
    ContaminationEstimate
        At least one row, since no data set can be shown to hold none, and at most 0.49.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> scores = np.concatenate([rng.normal(size=900), 9 + rng.normal(size=100)])
    >>> round(estimate_contamination(scores).value, 2)
    0.09
    """
    n = len(scores)
    value = exponential_tail_excess(scores)
    band = math.sqrt(math.log(2 / 0.05) / (2 * n))
    low = max(0.0, value - band)
    high = min(HIGHEST_SHARE, max(value + band, mirrored_tail_excess(scores)))
    value = min(HIGHEST_SHARE, max(value, 1 / n))
    method = (
        "estimated, biased low: share of rows of which the isolation-forest score lies beyond an exponential tail "
        "fitted to the middle of the scores"
    )
    return ContaminationEstimate(value, low, max(high, value), method)


def select_contamination(evidence: NDArray[np.float64]) -> ContaminationEstimate:
    """Estimate the share of anomalies as the larger of two counts of rows that lie too far out.

    One is of the rows that the step-up rule of Benjamini and Hochberg (1995) selects at a false-discovery rate of 0.3;
    the p-value of a row is that of an exponential tail fitted to the quantiles from 30 % to 60 %. The other is the
    excess over such a tail that `estimate_contamination` looks for. The interval reaches from the share selected at
    0.05 to the excess over the mirrored lower tail.

    Parameters
    ----------
    evidence : array of shape (n,)
        How far from all others each row lies, higher = further.

    Examples
    --------
    >>> evidence = np.concatenate([np.random.default_rng(0).exponential(size=900), np.linspace(20, 21, 100)])
    >>> round(select_contamination(evidence).value, 2)
    0.11
    """
    n = len(evidence)
    low = selected_share(evidence, CERTAIN_RATE)
    value = max(selected_share(evidence, SELECTION_RATE), exponential_tail_excess(evidence), 1 / n)
    value = min(HIGHEST_SHARE, value)
    high = min(HIGHEST_SHARE, max(value, mirrored_tail_excess(evidence)))
    method = (
        "estimated: rows so far from all others that a step-up rule with a false-discovery rate of 0.3 selects them, "
        "or the excess, against an exponential tail fitted to the middle of the distances"
    )
    return ContaminationEstimate(value, min(low, value), high, method)


def overlapping_contamination(evidence: NDArray[np.float64]) -> ContaminationEstimate:
    """Estimate the share of anomalies among samples that overlap with their neighbours, such as the steps of a series.

    Means over overlapping windows are near to log-normal; an exponential tail, fitted to their middle, would call much
    of a clean series anomalous. So the p-value of a sample is that of a normal tail of the logarithms, by their
    quartiles, and the step-up rule is as strict as 0.01: neighbours are nearly copies, and lie far out together. For
    the same reason all that overlaps with something odd counts, and is to be left out of what counts as normal. The
    interval reaches from the share selected at 0.0001 to the excess over the mirrored lower tail of the logarithms.

    Parameters
    ----------
    evidence : array of shape (n,)
        How far from all others each sample lies, positive, higher = further.

    Examples
    --------
    >>> usual = np.exp(np.random.default_rng(0).normal(size=980))
    >>> found = overlapping_contamination(np.concatenate([usual, np.full(20, 1e3)]))
    >>> round(found.value, 3)
    0.02
    """
    logs = np.log(np.maximum(evidence, np.finfo(np.float64).tiny))
    low, value = (lognormal_share(logs, rate) for rate in (CERTAIN_OVERLAPPING, OVERLAPPING_RATE))
    value = min(HIGHEST_SHARE, max(value, 1 / len(evidence)))
    high = min(HIGHEST_SHARE, max(value, mirrored_tail_excess(logs)))
    method = (
        "estimated, biased low: those so far from all others that a step-up rule with a false-discovery rate of 0.01 "
        "selects them, against a log-normal tail fitted to the quartiles of the distances"
    )
    return ContaminationEstimate(value, min(low, value), high, method)


def lognormal_share(logs: NDArray[np.float64], rate: float) -> float:
    """Share of samples that the step-up rule selects, by the logarithms of their evidence; 0 where many tie."""
    lower, middle, upper = np.quantile(logs, QUARTERS)
    spread = max(upper - lower, 2 * (upper - middle)) / (2 * QUARTER)
    if spread <= 0 or tied(logs):
        return 0.0
    falling = np.sort(logs)[::-1]
    p_values = 0.5 * np.array([math.erfc(far) for far in (falling - middle) / (spread * math.sqrt(2))])
    return stepped_up(p_values, rate)


def stepped_up(p_values: NDArray[np.float64], rate: float) -> float:
    """Share of ascending p-values that the rule of Benjamini and Hochberg (1995) selects."""
    n = len(p_values)
    passed = np.flatnonzero(p_values * n <= rate * np.arange(1, n + 1))
    return float((passed[-1] + 1) / n) if len(passed) else 0.0


def labelled_contamination(scores: NDArray[np.float64], known: NDArray[np.int8]) -> ContaminationEstimate:
    """Estimate the share of anomalies from the labels of some rows, although they were not drawn at random.

    Whoever looks at suspicious rows first finds too many anomalies. So each labelled row q counts with the weight
    ``p(s_q) / q(s_q)``: p is the density of the scores s of all rows, q that of the labelled ones, both by Gaussian
    kernels whose width is the range of the scores over the number K of labels. The estimate is the mean of weight
    times label. The interval is Wilson's at 95 %, for as many labels as the weighted ones are worth.

    Source: Li, Qiu, Kloft, Smyth, Mandt, Rudolph, "Deep Anomaly Detection under Labeling Budget Constraints", ICML
    2023; the interval is ours.

    Parameters
    ----------
    scores : array of shape (n,)
        Anomaly scores that the labels had no part in.
    known : array of shape (n,)
        1 anomaly, 0 normal, -1 unlabelled.

    Returns
    -------
    ContaminationEstimate
        Of the share among all n rows, at least one row, as without labels, and at most 0.49.

    Examples
    --------
    >>> scores = np.arange(10.0)
    >>> known = np.array([0, -1, -1, 0, -1, -1, -1, 0, -1, 1])
    >>> round(labelled_contamination(scores, known).value, 2)
    0.19
    """
    labelled = known >= 0
    count, width = int(labelled.sum()), max(float(np.ptp(scores)) / max(1, labelled.sum()), 1e-12)
    queried, label = scores[labelled], known[labelled] == 1
    weight = density(queried, scores, width) / density(queried, queried, width)
    share = min(HIGHEST_SHARE, float((weight * label).mean()))
    low, high = wilson(share, float(weight.sum() ** 2 / (weight**2).sum()))
    value = min(HIGHEST_SHARE, max(share, 1 / len(scores)))
    method = f"estimated from {count} labels, each weighted by how rarely rows with such a score were looked at"
    return ContaminationEstimate(value, min(low, value), min(HIGHEST_SHARE, max(high, value)), method)


def density(at: NDArray[np.float64], of: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Mean of Gaussian kernels around ``of`` ``(n,)``, not normalised, at each place ``(m,)``."""
    found: NDArray[np.float64] = np.exp(-0.5 * ((at[:, None] - of[None]) / width) ** 2).mean(axis=1)
    return found


def wilson(share: float, count: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval (1927) for a share among ``count``."""
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def selected_share(evidence: NDArray[np.float64], rate: float) -> float:
    """Share of rows that the step-up rule selects at a false-discovery rate, against a tail fitted to the middle.

    It is 0 where many rows tie, as in `exponential_tail_excess`.
    """
    (a, b), (quantile_a, quantile_b) = TAIL_MIDDLE, np.quantile(evidence, TAIL_MIDDLE)
    if quantile_a == quantile_b or tied(evidence):
        return 0.0
    slope = math.log((1 - a) / (1 - b)) / (quantile_b - quantile_a)
    falling = np.sort(evidence)[::-1]
    return stepped_up((1 - b) * np.exp(-slope * np.maximum(falling - quantile_b, 0)), rate)


def exponential_tail_excess(scores: NDArray[np.float64]) -> float:
    """Largest excess of the observed over the exponential upper tail, in [0, 1); 0 where many scores tie.

    A table of few distinct rows has few distinct scores, whose steps would be taken for anomalies.
    """
    a, b = MIDDLE
    quantile_a, quantile_b = np.quantile(scores, MIDDLE)
    if quantile_a == quantile_b or tied(scores):
        return 0.0
    ordered = np.sort(scores)
    above = 1 - np.arange(len(scores)) / len(scores)  # share of rows at or above each score
    rate = math.log((1 - a) / (1 - b)) / (quantile_b - quantile_a)
    tail = (1 - b) * np.exp(-rate * np.maximum(ordered - quantile_b, 0))
    return float(np.max((above - tail)[ordered > quantile_b], initial=0.0))


def tied(scores: NDArray[np.float64]) -> bool:
    """Whether so many scores are one and the same that no tail can be read."""
    return bool(np.unique(scores, return_counts=True)[1].max() > max(LARGEST_TIE * len(scores), 1))


def mirrored_tail_excess(scores: NDArray[np.float64]) -> float:
    """Largest excess of the upper over the mirrored lower tail around the median, in [0, 1)."""
    offset = np.sort(scores) - np.median(scores)
    upper, lower = offset[offset > 0], np.sort(-offset[offset < 0])
    above = 1 - np.arange(len(upper)) / max(1, len(upper))
    mirrored = 1 - np.searchsorted(lower, upper) / max(1, len(lower))
    return float(np.max(above * len(upper) - mirrored * len(lower), initial=0.0) / len(scores))
