"""What a report says about some rows, gathered from a fitted model: plain data, no markup."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.decide import needs_calibration, select
from expose.errors import DataWarning, InputError
from expose.estimators import AnomalyDetector, OutlierExposureClassifier
from expose.explain import explain_parts
from expose.model import Decisions, Fitted
from expose.report.given import checked_labels, id_columns, known_classes
from expose.report.lines import Line, assumed_shares, lines_of
from expose.report.readable import Readable, readable
from expose.report.suspects import Known, Suspect, reasons_of, suspects_of
from expose.report.typical import show_share
from expose.scoring import Scorer

MOST_SUSPECTS = 200  # keeps the page readable and below its size limit
SAMPLE_ROWS = 4_000
SAMPLE_CELLS = 20_000_000  # encoded numbers in memory for the sample: 80 MB
FEWEST_TYPICAL = 10  # with fewer typical rows the page says that its comparisons are rough

Model = AnomalyDetector | OutlierExposureClassifier
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Findings:
    """All that was found of n rows.

    Attributes
    ----------
    fitted : Fitted
    said : Decisions
        Of each row.
    threshold : float
        The score above which rows are flagged, and
    rule : str
        where it comes from, in words.
    known : Known
    suspects : tuple of Suspect
        The first rows of the ranking, flagged or not.
    lines : tuple of Line
        Where the ranking may end.
    sample : array of int
        Rows of the map, suspects first.
    vectors : (len(sample), D) array
        These encoded, the mean of their parts.
    n_typical : int
        Rows that typical values were taken from.
    has_columns : bool
        Whether what the encoder distinguishes is what a person sees of a row.
    """

    fitted: Fitted
    said: Decisions
    threshold: float
    rule: str
    known: Known
    suspects: tuple[Suspect, ...]
    lines: tuple[Line, ...]
    sample: Rows
    vectors: NDArray[np.float32]
    n_typical: int
    has_columns: bool

    @property
    def scores(self) -> NDArray[np.float64]:
        """Anomaly scores, (n,)."""
        return self.said.anomaly_score

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which rows lie above the threshold, (n,)."""
        return self.said.is_anomaly

    @property
    def noun(self) -> str:
        """What one sample is called."""
        return self.fitted.kind.noun

    @property
    def nouns(self) -> str:
        """What several are called."""
        return f"{self.noun}s"


def examine(
    model: Model,
    X: Any,
    *,
    ids: Any = None,
    labels: Any = None,
    classes: Any = None,
    top: int = 20,
    fdr: float | None = None,
) -> Findings:
    """Score the rows of ``X`` and find out what makes the top ones unusual.

    Parameters
    ----------
    model, X, ids, labels, classes, top, fdr
        As for `expose.report.build_report`.

    Raises
    ------
    InputError
        If ids, labels or classes do not fit the rows, or ``top`` is out of range.
    """
    if not 1 <= top <= MOST_SUSPECTS:
        raise InputError(f"top must be a number of suspects from 1 to {MOST_SUSPECTS}; got {top!r}.")
    scorer = model.scorer()
    fitted, samples = scorer.fitted, scorer.samples(X)
    if not len(samples):
        raise InputError("a report needs at least one row; got none.")
    of_classes = known_classes(classes, len(samples), fitted.head)
    given = checked_labels(labels, len(samples))
    given = of_classes.as_labels if given is None and of_classes is not None else given
    names = id_columns(ids, len(samples))
    said, threshold, rule = decided(scorer, samples, fdr)
    known = Known(names, given, of_classes, is_training_data(fitted, said.anomaly_score))
    order = ranked_rows(fitted, said.anomaly_score, known.trained_on)
    rows, shown = order[:top], readable(fitted, samples)
    sample, parts = encoded_sample(scorer, samples, said.anomaly_score, rows)
    typical = sample[typical_places(fitted, said.anomaly_score[sample])]
    first = parts[: len(rows)]
    reasons = reasons_of(shown, rows, typical, explain_parts(fitted, first))
    assumed = assumed_shares(fitted) if known.trained_on else None
    return Findings(
        fitted, said, threshold, rule, known,
        suspects_of(fitted, shown, rows, first, said, known, reasons),
        lines_of(said.anomaly_score[order], said.is_anomaly[order], assumed),
        sample, parts if parts.ndim == 2 else parts.mean(axis=1), len(typical),
        has_columns(fitted, shown),
    )  # fmt: skip


def has_columns(fitted: Fitted, shown: Readable) -> bool:
    """Whether what the encoder distinguishes is what a person sees of a row."""
    return not shown.show(0).keys().isdisjoint(name for name, _ in fitted.encoder.groups)


def decided(scorer: Scorer, samples: Any, fdr: float | None) -> tuple[Decisions, float, str]:
    """What the model says of all rows, the score above which it flags, and the rule in words."""
    fitted, said = scorer.fitted, scorer.decide(samples)
    if fdr is None:
        return said, fitted.threshold_score(scorer.threshold), fitted.threshold_rule(scorer.threshold)
    needs_calibration(fitted.calibration_scores)
    scores, chosen = said.anomaly_score, select(said.p_value, fdr)  # type: ignore[arg-type]
    kept = scores[~chosen]  # p-values fall as scores rise, so these are the lower ones
    line = float(kept.max()) if len(kept) else float(np.nextafter(scores.min(), -np.inf))
    rule = f"Benjamini-Hochberg: of the flagged rows at most {show_share(fdr)} false on average"
    return said._replace(is_anomaly=scores > line), line, rule


def is_training_data(fitted: Fitted, scores: NDArray[np.float64]) -> bool:
    """Whether these are the scores of the training rows, up to rounding."""
    trained = fitted.training_scores
    return len(trained) == len(scores) and bool(np.allclose(trained, scores, rtol=1e-4, atol=1e-6))


def ranked_rows(fitted: Fitted, scores: NDArray[np.float64], trained_on: bool) -> Rows:
    """Rows in the order of the page: suspects of the training first, by their weight, then by score."""
    weights = np.where(fitted.known == -1, fitted.latent, 0.0) if trained_on else np.zeros(len(scores))
    refuted = fitted.known == 0 if trained_on else np.zeros(len(scores), dtype=bool)
    return np.lexsort((-scores, -weights, refuted))


def encoded_sample(
    scorer: Scorer, samples: Any, scores: NDArray[np.float64], rows: Rows
) -> tuple[Rows, NDArray[np.float32]]:
    """Suspects, then other rows at random, as many as memory and the map allow; and these encoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # scoring all rows has given it already
        first = scorer.encode(samples.take(rows))
        most = min(SAMPLE_ROWS, max(SAMPLE_CELLS // first[0].size, 2 * FEWEST_TYPICAL))
        others = np.setdiff1d(np.arange(len(scores)), rows)
        others = np.sort(np.random.default_rng(0).permutation(others)[:most])
        rest = [scorer.encode(samples.take(others))] if len(others) else []
    return np.concatenate([rows, others]), np.concatenate([first, *rest])


def typical_places(fitted: Fitted, scores: NDArray[np.float64]) -> Rows:
    """Places in a sample of rows as ordinary as half the training rows, else of its own lower half."""
    typical = np.flatnonzero(scores <= np.median(fitted.training_scores))
    return typical if typical.size >= FEWEST_TYPICAL else np.flatnonzero(scores <= np.median(scores))
