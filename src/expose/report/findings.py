"""What a report says about some rows, gathered from a fitted model: plain data, no markup."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.decide import needs_calibration, select
from expose.errors import DataWarning, InputError
from expose.estimators import AnomalyDetector, OutlierExposureClassifier
from expose.explain import explain, explain_parts
from expose.model import Decisions, Fitted
from expose.report.given import checked_labels, id_columns, known_classes
from expose.report.heat import Floats, Layer, layers_of, why_no_maps
from expose.report.lines import Line, assumed_shares, lines_of
from expose.report.readable import Readable, readable
from expose.report.survey import Rows, survey, vectors_of
from expose.report.suspects import Known, Reason, Suspect, called, reasons_of, suspects_of
from expose.report.typical import show_share
from expose.scoring import Scorer

MOST_SUSPECTS = 200  # keeps the page readable and below its size limit
TOP, TOP_PICTURES = 20, 40  # suspects, where nobody said how many
EXAMPLES = 8  # typical samples shown as pictures
FEWEST_TYPICAL = 10  # with fewer typical rows the page says that its comparisons are rough

Model = AnomalyDetector | OutlierExposureClassifier


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
    order : (n,) array of int
        All rows, the first of the ranking first.
    sample : array of int
        Rows of the map, suspects first.
    vectors : (len(sample), D) array
        These encoded, one vector of each.
    typical : array of int
        Those of the sample that typical values were taken from.
    shown : Readable
        The rows as a person reads them.
    pictured : bool
        Whether they can be seen as pictures.
    examples : array of int
        Some typical rows, to be shown as pictures.
    layers : list of Layer
        Heat maps of the suspects and then of the examples, if there are any.
    no_maps : str
        Why there are none.
    """

    fitted: Fitted
    said: Decisions
    threshold: float
    rule: str
    known: Known
    suspects: tuple[Suspect, ...]
    lines: tuple[Line, ...]
    order: Rows
    sample: Rows
    vectors: NDArray[np.float32]
    typical: Rows
    shown: Readable
    pictured: bool
    examples: Rows
    layers: list[Layer]
    no_maps: str

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

    @property
    def n_typical(self) -> int:
        """Rows that typical values were taken from."""
        return len(self.typical)

    @cached_property
    def has_columns(self) -> bool:
        """Whether what the encoder distinguishes is what a person sees of a row."""
        return legible(self.fitted, self.shown)

    @cached_property
    def ranks(self) -> Rows:
        """The place of each row in the ranking, from 1, (n,)."""
        ranks = np.empty_like(self.order)
        ranks[self.order] = np.arange(1, len(ranks) + 1)
        return ranks

    @property
    def of_events(self) -> bool:
        """Whether the suspects are the highest of an event each, and not the first of the ranking in a row."""
        first: list[int] = self.order[: len(self.suspects)].tolist()
        return [one.row for one in self.suspects] != first

    def name(self, row: int) -> str:
        """What a row is called."""
        return ", ".join(value for _, value in called(self.fitted, self.shown, self.known.ids, row)) or (
            f"{self.noun} {row}"
        )

    def picture(self, row: int, side: int) -> NDArray[np.uint8]:
        """A row as a picture, of rows that can be seen as pictures."""
        return self.shown.picture(row, side)


def examine(
    model: Model,
    X: Any,
    *,
    ids: Any = None,
    labels: Any = None,
    classes: Any = None,
    top: int | None = None,
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
    if top is not None and not 1 <= top <= MOST_SUSPECTS:
        raise InputError(f"top must be a number of suspects from 1 to {MOST_SUSPECTS}; got {top!r}.")
    scorer = model.scorer()
    fitted, samples = scorer.fitted, scorer.samples(X)
    if not len(samples):
        raise InputError("a report needs at least one row; got none.")
    of_classes = known_classes(classes, len(samples), fitted.head)
    given = checked_labels(labels, len(samples))
    given = of_classes.as_labels if given is None and of_classes is not None else given
    names = id_columns(ids, len(samples))
    shown, pictured = readable(fitted, samples), fitted.kind.pictured
    found = survey(scorer, samples)
    said, threshold, rule = decided(scorer, found.kept, fdr)
    scores = said.anomaly_score
    known = Known(names, given, of_classes, is_training_data(fitted, scores))
    order = ranked_rows(fitted, scores, known.trained_on)
    rows = fitted.kind.foremost(shown.samples, scores, order)[: top or (TOP_PICTURES if pictured else TOP)]
    typical = typical_rows(fitted, scores, np.union1d(found.sample, rows))
    examples = examples_of(typical, scores, rows) if pictured else rows[:0]
    parts = encoded_again(scorer, samples, np.concatenate([rows, examples]))
    first, no_maps = parts[: len(rows)], why_no_maps(fitted)
    drawn = pictured and not no_maps
    assumed = assumed_shares(fitted) if known.trained_on else None
    others = ~np.isin(found.sample, rows)
    return Findings(
        fitted, said, threshold, rule, known,
        suspects_of(fitted, shown, rows, first, said, known, why(scorer, shown, rows, typical, first)),
        lines_of(scores[order], said.is_anomaly[order], assumed),
        order,
        np.concatenate([rows, found.sample[others]]),
        np.concatenate([vectors_of(fitted, first), found.vectors[others]]),
        typical, shown, pictured, examples,
        layers_of(fitted, samples.take(np.concatenate([rows, examples])), parts) if drawn else [],
        no_maps,
    )  # fmt: skip


def legible(fitted: Fitted, shown: Readable) -> bool:
    """Whether what the encoder distinguishes is what a person sees of a row."""
    return not shown.show(0).keys().isdisjoint(name for name, _ in fitted.encoder.groups)


def why(
    scorer: Scorer, shown: Readable, rows: Rows, typical: Rows, parts: NDArray[np.float32]
) -> list[tuple[Reason, ...]]:
    """What explains each of some rows; nothing where the encoder tells nothing apart, or a picture says more."""
    fitted = scorer.fitted
    if fitted.kind.has_pieces:
        return reasons_of(shown, rows, typical, explain(scorer, shown.samples.take(rows)))
    if not legible(fitted, shown) and (len(fitted.encoder.groups) <= 1 or fitted.kind.pictured):
        return [()] * len(rows)
    return reasons_of(shown, rows, typical, explain_parts(fitted, parts))


def decided(scorer: Scorer, kept: Floats, fdr: float | None) -> tuple[Decisions, float, str]:
    """What the model says of all rows, the score above which it flags, and the rule in words."""
    fitted, said = scorer.fitted, scorer.fitted.decide(kept, scorer.threshold)
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


def encoded_again(scorer: Scorer, samples: Any, rows: Rows) -> NDArray[np.float32]:
    """Some rows, encoded; of what is wrong with them was warned before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return scorer.encode(samples.take(rows))


def typical_rows(fitted: Fitted, scores: Floats, sample: Rows) -> Rows:
    """Those of a sample that are as ordinary as half the training rows, else its own lower half."""
    of_sample = scores[sample]
    typical = sample[of_sample <= np.median(fitted.training_scores)]
    return typical if typical.size >= FEWEST_TYPICAL else sample[of_sample <= np.median(of_sample)]


def examples_of(typical: Rows, scores: Floats, suspects: Rows) -> Rows:
    """Some typical rows that are no suspects, from the most to the least ordinary."""
    ordered = np.setdiff1d(typical, suspects)
    ordered = ordered[np.argsort(scores[ordered], kind="stable")]
    return ordered[np.linspace(0, len(ordered) - 1, min(EXAMPLES, len(ordered))).round().astype(np.intp)]
