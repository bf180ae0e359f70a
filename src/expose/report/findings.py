"""What a report says about some rows, gathered from a fitted model: plain data, no markup."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from expose.decide import conformal_p_values, needs_calibration, select
from expose.errors import DataWarning, InputError
from expose.inputs.frames import Table, as_table
from expose.inputs.images import ImageEncoder
from expose.inputs.texts import TextEncoder
from expose.report.attribution import Attribution, attribute
from expose.report.typical import describe_typical, show_share, show_text, show_value

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier
    from expose.estimators.detector import AnomalyDetector
    from expose.inputs.encoder import TableEncoder

    Model = AnomalyDetector | OutlierExposureClassifier

MOST_SUSPECTS = 200  # keeps the page readable and below its size limit
MOST_REASONS = 6  # columns shown per suspect
SMALLEST_SHARE = 0.01  # a column that explains less of a suspect's excess score is not shown
SAMPLE_ROWS = 4_000
SAMPLE_CELLS = 20_000_000  # encoded numbers held for the sample: 80 MB
DESCRIBED_ROWS = 1_000  # typical rows whose values are put into words
FEWEST_TYPICAL = 10  # with fewer typical rows the page says that its comparisons are rough

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Reason:
    """One column that makes a suspect unusual; ``share`` of its excess score is due to it."""

    column: str
    value: str
    typical: str
    share: float


@dataclass(frozen=True)
class Suspect:
    """One of the most anomalous rows.

    ``weight`` is its latent label, None for a row not trained on; ``p_value`` is None for a row trained on, and without
    calibration.
    """

    rank: int
    row: int
    ids: tuple[tuple[str, str], ...]
    score: float
    p_value: float | None
    flagged: bool
    label: int | None
    weight: float | None
    disagreement: float | None
    reasons: tuple[Reason, ...]

    @property
    def name(self) -> str:
        """Ids where there are any, otherwise the row number."""
        return ", ".join(value for _, value in self.ids) or f"row {self.row}"


@dataclass(frozen=True)
class Findings:
    """Scores of all rows, the suspects, and an encoded sample for the map."""

    scores: Floats
    threshold: float
    rule: str  # what drew the line, in words
    labels: npt.NDArray[np.int_] | None
    trained_on: bool
    suspects: tuple[Suspect, ...]
    sample: Rows  # suspects first
    encoded: npt.NDArray[np.float32]  # (len(sample), D)
    n_typical: int

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        """Which rows lie above the threshold, (n,)."""
        return self.scores > self.threshold


def examine(
    detector: Model, X: Any, *, ids: Any = None, labels: Any = None, top: int = 20, fdr: float | None = None
) -> Findings:
    """Score the rows of ``X`` and find out what makes the top ones unusual.

    Parameters
    ----------
    detector : AnomalyDetector or OutlierExposureClassifier
        Fitted, on a table.
    X : table-like of n rows
        Anything ``detector.anomaly_score`` takes.
    ids : sequence of n values, mapping of name to such, or a frame of n rows, optional
        Names of the rows.
    labels : sequence of n values in {-1, 0, 1}, optional
        Known labels (1 anomaly, 0 normal, -1 unknown); shown, never used for scoring.
    top : int
        How many suspects, 1 to 200.
    fdr : float, optional
        Flag by p-values at this false-discovery rate, over all rows of ``X``, instead of by the detector's threshold.

    Raises
    ------
    InputError
        If ids or labels do not fit the rows, or ``top`` is out of range.
    """
    if not 1 <= top <= MOST_SUSPECTS:
        raise InputError(f"top must be a number of suspects from 1 to {MOST_SUSPECTS}; got {top!r}.")
    table_encoder(detector)
    table = as_table(X)
    id_columns, known = _id_columns(ids, table.n_rows), _known_labels(labels, table.n_rows)
    scores = np.asarray(detector.anomaly_score(X), dtype=np.float64)
    threshold, rule = _line(detector, scores, fdr)
    trained_on = _is_training_data(detector, scores)
    rows = _ranked_rows(detector, scores, trained_on)[:top]
    sample = _sample(scores, rows, detector.encoder_.n_features_out)
    encoded = _encode(detector, table, sample)
    typical = _typical(detector, scores, sample)
    found = attribute(detector._score_encoded, encoded[: len(rows)], encoded[typical], table_encoder(detector).groups)
    reasons = _reasons(detector, table, rows, sample[typical], found)
    apart = _disagreements(detector, table, rows)
    p_values = _p_values(detector, scores[rows], trained_on)
    suspects = tuple(
        Suspect(
            rank=place + 1,
            row=row,
            ids=_ids_of(id_columns, row),
            score=float(scores[row]),
            p_value=None if p_values is None else float(p_values[place]),
            flagged=bool(scores[row] > threshold),
            label=None if known is None else int(known[row]),
            weight=float(detector.latent_labels_[row]) if trained_on else None,
            disagreement=apart[place],
            reasons=reasons[place],
        )
        for place, row in enumerate(rows.tolist())
    )
    return Findings(scores, threshold, rule, known, trained_on, suspects, sample, encoded, int(typical.size))


def table_encoder(detector: Model) -> TableEncoder:
    """The encoder of a model of tables, or InputError."""
    encoder = detector.encoder_
    if isinstance(encoder, ImageEncoder | TextEncoder):
        raise InputError(f"a report is about the rows of a table; this model reads {encoder.layout.kind}s.")
    return cast("TableEncoder", encoder)


def _line(detector: Model, scores: Floats, fdr: float | None) -> tuple[float, str]:
    """The score above which rows are flagged, and the rule in words."""
    if fdr is None:
        return float(detector.threshold_score()), detector.threshold_rule_
    p_values = conformal_p_values(scores, needs_calibration(detector.calibration_scores_))
    kept = scores[~select(p_values, fdr)]  # p-values fall as scores rise, so these are the lower ones
    line = float(kept.max()) if len(kept) else float(np.nextafter(scores.min(), -np.inf))
    return line, f"Benjamini-Hochberg: of the flagged rows at most {show_share(fdr)} false on average"


def _p_values(detector: Model, scores: Floats, trained_on: bool) -> Floats | None:
    if trained_on or detector.calibration_scores_ is None:
        return None
    return conformal_p_values(scores, detector.calibration_scores_)


def _known_labels(labels: Any, n_rows: int) -> npt.NDArray[np.int_] | None:
    if labels is None:
        return None
    known = np.asarray(labels)
    if known.shape != (n_rows,) or not np.isin(known, (-1, 0, 1)).all():
        raise InputError(
            f"labels must hold {n_rows:,} values, one per row, each 1 (anomaly), 0 (normal) or -1 (unknown); "
            f"got shape {known.shape} with values such as {show_text(known.reshape(-1)[:5].tolist())}."
        )
    return known.astype(np.int_)


def _id_columns(ids: Any, n_rows: int) -> dict[str, Sequence[Any]]:
    """Id columns by name; a bare sequence is one column without a name."""
    if ids is None:
        return {}
    if hasattr(ids, "column_names"):  # Arrow
        columns = {name: ids.column(name).to_pylist() for name in ids.column_names}
    elif isinstance(ids, Mapping) or hasattr(ids, "columns"):  # mapping, pandas or Polars frame
        columns = {str(name): list(ids[name]) for name in (ids if isinstance(ids, Mapping) else ids.columns)}
    else:
        columns = {"": list(ids)}
    for name, values in columns.items():
        if len(values) != n_rows:
            raise InputError(
                f"ids must name each of the {n_rows:,} rows; {show_text(name) if name else 'the list'} has "
                f"{len(values):,} values. Give the ids of exactly the rows of X, in their order."
            )
    return columns


def _is_training_data(detector: Model, scores: Floats) -> bool:
    trained = detector.training_scores_
    return len(trained) == len(scores) and bool(np.allclose(trained, scores, rtol=1e-4, atol=1e-6))


def _ranked_rows(detector: Model, scores: Floats, trained_on: bool) -> Rows:
    """Rows in the order of the page: suspects of the training first, then by score."""
    by_score = np.argsort(-scores, kind="stable")
    known: Any = getattr(detector, "suspects_", ())  # a classifier has none
    if not trained_on or not len(known):
        return by_score
    suspects = np.asarray(known["row"], dtype=np.intp)
    return np.concatenate([suspects, by_score[~np.isin(by_score, suspects)]])


def _sample(scores: Floats, rows: Rows, width: int) -> Rows:
    """Suspects, then other rows drawn at random, as many as memory and the map allow."""
    n_others = min(SAMPLE_ROWS, max(SAMPLE_CELLS // width, 2 * FEWEST_TYPICAL))
    others = np.setdiff1d(np.arange(len(scores)), rows)
    drawn = np.random.default_rng(0).permutation(others)[:n_others]
    return np.concatenate([rows, np.sort(drawn)])


def _encode(detector: Model, table: Table, rows: Rows) -> npt.NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # scoring all rows has said it already
        return detector.encoder_.transform(table.take(rows))


def _typical(detector: Model, scores: Floats, sample: Rows) -> Rows:
    """Positions in the sample of rows as ordinary as half the training rows, else of its own lower half."""
    typical = np.flatnonzero(scores[sample] <= np.median(detector.training_scores_))
    return typical if typical.size >= FEWEST_TYPICAL else np.flatnonzero(scores[sample] <= np.median(scores[sample]))


def _ids_of(columns: Mapping[str, Sequence[Any]], row: int) -> tuple[tuple[str, str], ...]:
    return tuple((show_text(name) if name else "", show_text(values[row])) for name, values in columns.items())


def _disagreements(detector: Model, table: Table, rows: Rows) -> list[float | None]:
    if not hasattr(detector, "disagreement") or detector.members == 1:
        return [None] * len(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return [float(value) for value in detector.disagreement(table.take(rows))]


def _reasons(detector: Model, table: Table, rows: Rows, typical: Rows, found: Attribution) -> list[tuple[Reason, ...]]:
    """Columns that explain each suspect, the most telling first."""
    mine, usual = table.take(rows), table.take(typical[:DESCRIBED_ROWS])
    place_of = _places(detector, table)
    shown = [
        [(int(column), float(share)) for column, share in zip(columns, parts, strict=True) if share >= SMALLEST_SHARE]
        for columns, parts in zip(found.columns[:, :MOST_REASONS], found.shares()[:, :MOST_REASONS], strict=True)
    ]
    columns = {column for row in shown for column, _ in row}
    values = {column: _cells(mine, place_of[column]) for column in columns}
    described = {column: describe_typical(_cells(usual, place_of[column])) for column in columns}
    names = {column: show_text(table.names[place_of[column]]) for column in columns}
    return [
        tuple(
            Reason(names[column], show_value(values[column][place]), described[column], share) for column, share in row
        )
        for place, row in enumerate(shown)
    ]


def _places(detector: Model, table: Table) -> list[int]:
    """Where in the table each training column is: by name, or by position where either side has no names."""
    names = [name for name, _ in table_encoder(detector).groups]
    if not (table_encoder(detector).named and table.named):
        return list(range(len(names)))
    by_name = {name: place for place, name in enumerate(table.names)}
    return [by_name[name] for name in names]


def _cells(table: Table, place: int) -> list[Any]:
    column = table.at(place)
    values = column if isinstance(column, np.ndarray) else column.values()
    return list((values.astype(bool) if place in table.booleans else values).tolist())
