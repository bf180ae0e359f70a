"""`AnomalyDetector`: rows in, scores and suspects out, behind scikit-learn's outlier-detector interface."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from expose.decide import Combination, ScoreRule, conformal_p_values, describe, draw_line, needs_calibration
from expose.errors import CollapseWarning, ConstantScoresWarning, InputError
from expose.estimators.calibration import calibrate_by_folds, needs_rows
from expose.estimators.checks import (
    check_labels,
    check_number,
    check_parameters,
    check_used,
    warn_if_few,
)
from expose.estimators.fitting import (
    Prepared,
    earlier,
    exposure_name,
    exposure_of,
    one_sided,
    prepare_sample,
    settle_contamination,
    share_of_all,
    train,
)
from expose.estimators.folder import load_detector, save_detector
from expose.estimators.querying import query_rows
from expose.estimators.rows import PLURAL, check_kind_fits, encode_outliers, encode_rows, keep_width, rows_of
from expose.estimators.scoring import member_scores, ready_to_score
from expose.exposure import BatchRanking
from expose.inputs import DEFAULT_SCALING, Encoder, ViewEncoder, encoder_for, kind_of
from expose.objectives import Losses, MemoryObjective, Objective, make_objective
from expose.outliers import OutlierStream
from expose.training import Ensemble, TrainingSet, mix, survey

SUSPECT = [("rank", "i8"), ("row", "i8"), ("latent_label", "f8"), ("anomaly_score", "f8")]
Scores = NDArray[np.float64]


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Anomaly detector for training data that already hold anomalies.

    A network is trained on ``sum (1 - y) * normal + y * abnormal`` over the rows: the objective supplies the two
    losses, the exposure infers the latent labels y while the network learns (Qiu et al., "Latent Outlier Exposure
    for Anomaly Detection with Contaminated Data", ICML 2022).

    Parameters
    ----------
    objective : str or Objective, default="neighbours"
        The two losses: "neighbours", "ntl", "icl", "svdd", "autoencoder"; for auxiliary outliers or known anomalies
        "hsc", "bce", "deep_sad"; or an instance of your own.
    exposure : {"auto", "blind", "refine", "hard", "soft"}, default="auto"
        How unlabelled rows are weighted: all as normal; the suspects left out; the suspects as anomalies (LOE_H);
        the suspects half and half (LOE_S). "auto" is "refine" for "neighbours" and "soft" for networks.
    contamination : float or "auto", default="auto"
        Assumed share of anomalies in the training data, in [0, 0.5). It changes the training. 0 means clean data and
        equals "blind"; "auto" estimates it, biased low (see `contamination_estimate_`).
    threshold : None, float, str or object, default=None
        What is flagged. A float is the share of the training rows that lie above the decision threshold, in [0, 1);
        None takes `contamination_`. "mixture" parts two groups of training scores; "tail" or "tail:0.001" reads a rate
        of false alarms off their extreme values; "conformal" or "conformal:0.01" flags p-values of at most that, 0.05
        by default. An object with ``fit(scores)`` and ``predict(scores)`` learns from the training scores, and must
        flag (True or 1) what lies above some score. It may be changed after `fit` without a refit.
    calibration : int or None, default=None
        Folds of the training rows for p-values: so many further detectors are trained, each without one fold, and
        score it. See `p_value`; `calibrate` does it with other rows instead.
    members : int, default=1
        Number of differently seeded networks, trained together. Their robustly scaled scores are combined by median.
    epochs, batch_size : int or None
        None makes about 3,000 optimiser steps, in 5 to 200 epochs, with batches of 128 to 1,024 rows.
    learning_rate, weight_decay : float
        Of Adam.
    halve_every : int or None
        Halve the learning rate after every so many epochs.
    warmup : int, default=2
        Epochs in which every unlabelled row counts as normal.
    ranking : {"batch", "running", "dataset"}, default="batch"
        Over which rows the suspects' share is taken: each batch, the last batches, or all rows once per epoch.
    outlier_weight : float, default=1.0
        Weight of the mean abnormal loss of the auxiliary ``outliers`` beside the mean loss of the training rows.
    patience : int or None
        Stop after so many epochs in which no member's training loss fell by a thousandth, and keep each member's
        weights of its epoch of lowest training loss, the warm-up aside. None trains to the end and keeps the last.
    scaling : {"quantile", "robust", "standard", "none"}
        How numeric columns of a table are scaled.
    precision : {"auto", "32", "bf16"}, default="auto"
        Of training. "auto" takes bf16 for wide networks on hardware that computes in it. Scores are float32 or finer.
    device : {"auto", "cpu", "cuda"} or "cuda:<index>", default="auto"
        Where to train and score.
    checkpoint : path or None
        File for the state of a running training. The same call after a kill goes on from it to the same model;
        `save` removes it. Needs an integer ``random_state``.
    checkpoint_every : float, default=30.0
        Seconds between two checkpoints.
    random_state : int, RandomState or None
        Same integer, same scores, to the bit on a CPU.
    warm_start : bool, default=False
        `fit` again goes on from what was fitted, for a table of the same columns: with its scaling and seed; networks
        with their weights, without warm-up, and without ``epochs`` for a third of the usual passes.
    verbose : int, default=0
        1 shows progress on stderr.

    Attributes
    ----------
    contamination_ : float
        Share of the training rows taken as anomalous, known anomalies included.
    contamination_estimate_ : ContaminationEstimate
        The same for the unlabelled rows, with interval and method.
    offset_ : float
        ``decision_function = score_samples - offset_``; follows `threshold`.
    threshold_rule_ : str
        The rule of `threshold` in words.
    training_scores_ : ndarray of shape (n_train,)
    calibration_scores_ : ndarray of shape (m,) or None
        Scores of rows not trained on, ascending, in units of `anomaly_score`; None without calibration.
    latent_labels_ : ndarray of shape (n_train,)
        The weight y of each training row as an anomaly at the end of training, mean over members.
    suspects_ : recarray
        The suspects among the unlabelled training rows, most suspicious first: rank, row, latent_label, anomaly_score.
    history_ : list of dict
        One record per epoch: losses, contamination, share of rows flipped, overlaps of suspect sets, seconds.
    notes_ : list of str
        What is worth knowing of the training data.
    n_features_in_ : int
        Columns of a table; values of an encoded image or text.
    feature_names_in_ : ndarray of str, only for input with column names

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> X[:15] += 6
    >>> detector = AnomalyDetector(contamination=0.05, random_state=0).fit(X)
    >>> int(detector.is_anomaly(X)[:15].sum())
    15
    """

    metadata_: dict[str, Any]
    calibration_scores_: Scores | None
    _lines: dict[str, float]  # of named rules
    _rows: NDArray[np.float32] | None  # encoded training rows, for queries; not in a model folder

    def __init__(
        self,
        objective: str | Objective = "neighbours",
        *,
        exposure: str = "auto",
        contamination: float | str = "auto",
        threshold: float | str | ScoreRule | None = None,
        calibration: int | None = None,
        members: int = 1,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        halve_every: int | None = None,
        warmup: int = 2,
        ranking: str = "batch",
        outlier_weight: float = 1.0,
        patience: int | None = None,
        scaling: str = DEFAULT_SCALING,
        precision: str = "auto",
        device: str = "auto",
        checkpoint: str | Path | None = None,
        checkpoint_every: float = 30.0,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.objective = objective
        self.exposure = exposure
        self.contamination = contamination
        self.threshold = threshold
        self.calibration = calibration
        self.members = members
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.halve_every = halve_every
        self.warmup = warmup
        self.ranking = ranking
        self.outlier_weight = outlier_weight
        self.patience = patience
        self.scaling = scaling
        self.precision = precision
        self.device = device
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Missing values and text columns are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: Any = None, *, labels: Any = None, outliers: Any = None) -> Self:
        """Train on contaminated rows.

        Parameters
        ----------
        X : array, list, or data frame of shape (n, columns); or n images or texts
            NumPy, pandas, Polars, Arrow or anything narwhals reads. Numbers, booleans, text, categories, dates. Images
            and texts, for objectives that take them: see `expose.inputs.as_images` and `expose.inputs.as_texts`.
        y : ignored
            As in scikit-learn's outlier detectors; use ``labels`` for what you know.
        labels : array of shape (n,), optional
            1 known anomaly, 0 known normal, -1 unlabelled.
        outliers : of the same kind as X, or an `expose.outliers.OutlierStream` of such, optional
            Auxiliary outliers: rows known to be anomalous that are not part of the data.

        Raises
        ------
        ValueError
            If a parameter, a label or a value of the data cannot be used; the message says which and what to do.
        NonFiniteLossError
            If a loss became NaN or infinite.
        """
        prepared = self._prepare(X, labels, outliers)
        train([prepared])
        calibrate_by_folds(prepared, outliers)
        return self

    def query(self, k: int = 20, X: Any = None) -> NDArray[np.int64]:
        """Propose ``k`` training rows to be labelled; `fit` again with what you found, in ``labels``.

        The rows are suspicious, differ from each other, and each speaks for many: its label settles its neighbours too.
        Rows with a known label, and those that the known labels settle already, are left out while others remain.

        Parameters
        ----------
        k : int, default=20
            At most 4,096 at a time. A few rounds of few rows tell more than one of many.
        X : table, optional
            The training table. Needed only by a detector that was loaded: a model folder does not hold the rows.

        Returns
        -------
        array of shape (k,)
            Row numbers of the training table, in the order in which to look at them.

        Raises
        ------
        InputError
            If there are fewer unlabelled rows, or the training rows are not at hand.

        Notes
        -----
        Of more than 4,096 training rows, a random 4,096 are searched, known rows among them.

        Source: after Li, Qiu, Kloft, Smyth, Mandt, Rudolph, "Deep Anomaly Detection under Labeling Budget
        Constraints", ICML 2023; how rows are chosen differs, see `expose.decide.choose_queries`.

        Examples
        --------
        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(300, 4))
        >>> X[:15] += 6
        >>> detector = AnomalyDetector(random_state=0).fit(X)
        >>> labels = np.full(300, -1)
        >>> rows = detector.query(5)
        >>> labels[rows] = rows < 15  # the answers of somebody who knows
        >>> detector = detector.fit(X, labels=labels)
        """
        check_is_fitted(self)
        check_number("k", k, 1, whole=True)
        rows = self._rows if X is None else self._encode(X)
        if rows is None:
            raise InputError("This detector was loaded, and a model folder does not hold the training rows: pass X.")
        if len(rows) != len(self._known):
            raise InputError(f"X must be the training table of {len(self._known)} rows; got {len(rows)} rows.")
        return query_rows(self, rows, self.training_scores_, k)

    def anomaly_score(self, X: Any) -> Scores:
        """Anomaly score of each row, shape (n,), higher = more anomalous."""
        check_is_fitted(self)
        return self._combination.combine(self.member_scores(X))

    def member_scores(self, X: Any) -> Scores:
        """Raw anomaly scores of each member, shape (members, n)."""
        check_is_fitted(self)
        return member_scores(self.ensemble_, self._encode(X))

    def disagreement(self, X: Any) -> Scores:
        """Standard deviation of the members' robustly scaled scores of each row, shape (n,); 0 with one member."""
        check_is_fitted(self)
        disagreement: Scores = self._combination.standardise(self.member_scores(X)).std(axis=0)
        return disagreement

    def score_samples(self, X: Any) -> Scores:
        """Scikit-learn's direction: the negative of `anomaly_score`, lower = more anomalous."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> Scores:
        """``score_samples(X) - offset_``: negative for flagged rows."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for flagged rows, +1 for the others."""
        return np.where(self.is_anomaly(X), -1, 1)

    def is_anomaly(self, X: Any) -> NDArray[np.bool_]:
        """Whether each row's anomaly score lies above `threshold_score`."""
        flagged: NDArray[np.bool_] = self.anomaly_score(X) > self.threshold_score()
        return flagged

    def threshold_score(self) -> float:
        """The anomaly score above which rows are flagged; follows the parameter `threshold` at once."""
        check_is_fitted(self)
        if not isinstance(self.threshold, str):
            return self._draw_line()
        if self.threshold not in self._lines:  # a named rule takes a while, and always ends at the same score
            self._lines[self.threshold] = self._draw_line()
        return self._lines[self.threshold]

    def _draw_line(self) -> float:
        scores = self.training_scores_
        return draw_line(self.threshold, scores, self.contamination_, self.calibration_scores_)

    @property
    def threshold_rule_(self) -> str:
        """The rule of `threshold` in words."""
        check_is_fitted(self)
        return describe(self.threshold, self.contamination_, self.calibration_scores_)

    def p_value(self, X: Any) -> Scores:
        """Conformal p-value of each row, shape (n,): how rarely a calibration row has so high an anomaly score.

        For rows that were not trained on. With `calibrate` on normal rows it is exact: a normal row has a p-value of at
        most t with a probability of at most t. By folds (parameter `calibration`) it is approximate, because the
        calibration rows were scored by other detectors than X is. Where calibration rows are contaminated p-values are
        too large, and less is found. Of rows that were trained on they say nothing. `expose.select` chooses rows by
        them.

        Raises
        ------
        InputError
            If the detector is not calibrated.
        """
        check_is_fitted(self)
        return conformal_p_values(self.anomaly_score(X), needs_calibration(self.calibration_scores_))

    def calibrate(self, X: Any, labels: Any = None) -> Self:
        """Take rows that were not trained on as the ones p-values compare with, instead of any before.

        Parameters
        ----------
        X : table of shape (m, columns)
            Normal rows, or such as come in daily use, anomalies included.
        labels : array of shape (m,), optional
            1 known anomaly, which is left out; 0 and -1, normal and unlabelled rows, stay. It is enough to look at the
            rows that score highest, and honest so long as only confirmed anomalies are marked (Label-Trim of Bashari,
            Sesia and Romano, 2025). Leaving out rows *because* they score high would make false discoveries.
        """
        scores = self.anomaly_score(X)
        known = check_labels(labels, len(scores))
        kept = scores if known is None else scores[known != 1]
        self.calibration_scores_, self._lines = np.sort(needs_rows(kept)), {}
        return self

    @property
    def offset_(self) -> float:
        """The threshold in scikit-learn's direction."""
        return -self.threshold_score()

    @property
    def exposure_(self) -> str:
        """The name of the exposure that was used."""
        check_is_fitted(self)
        return exposure_name(self, self._objective)

    @property
    def objective_(self) -> Objective:
        """The first trained member, as a plain torch module on the CPU."""
        check_is_fitted(self)
        return self.ensemble_.member(0)

    def save(self, folder: str | Path, metadata: dict[str, Any] | None = None) -> None:
        """Write the fitted detector to a model folder, whole or not at all; ``metadata`` is any JSON of your own."""
        check_is_fitted(self)
        self.metadata_ = self.metadata_ if metadata is None else metadata
        save_detector(self, Path(folder), self.metadata_)
        if self.checkpoint is not None and not self._interrupted:
            Path(self.checkpoint).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path, objective: Objective | None = None, *, device: str = "auto") -> Self:
        """Read a model folder. Runs no code from it; an objective of your own is passed as an instance.

        Raises
        ------
        ModelFolderError
            If a byte was changed, a file is missing or foreign, or the folder comes from a newer version.
        """
        return load_detector(cls, Path(folder), objective, device)

    def _prepare(self, X: Any, labels: Any = None, outliers: Any = None) -> Prepared:
        """Check and encode everything; touches nothing that was fitted but the names of the columns."""
        check_parameters(self.get_params(deep=False))
        objective = make_objective(self.objective)
        check_used(self.get_params(deep=False), type(self)().get_params(deep=False), objective)
        before = earlier(self, objective) if self.warm_start and hasattr(self, "ensemble_") else None
        kind = kind_of(X) if before is None else before.encoder.layout.kind
        check_kind_fits(objective, kind)
        data = rows_of(self, X, kind, reset=before is None)
        known = check_labels(labels, data.n_rows)
        encoder = self._fit_encoder(objective, kind, data) if before is None else before.encoder
        objective.layout = encoder.layout
        rows = encoder.transform(data)
        if isinstance(outliers, OutlierStream) and isinstance(objective, MemoryObjective):
            outliers = outliers.take(objective.references)  # more it cannot remember
        extra = None if outliers is None else encode_outliers(self, encoder, outliers)
        if not isinstance(objective, MemoryObjective):
            warn_if_few(data.n_rows)
        root = int(check_random_state(self.random_state).randint(2**31 - 1)) if before is None else before.root
        estimate = settle_contamination(self.contamination, objective, rows, known, root)
        start = None if before is None else before.weights
        return Prepared(self, objective, encoder, rows, known, extra, root, estimate, data, start)

    def _fit_encoder(self, objective: Objective, kind: str, data: Any) -> Encoder:
        if kind != "table" and self.scaling != DEFAULT_SCALING:
            raise InputError(f"scaling is of the columns of a table; got {PLURAL[kind]}. Leave it out.")
        encoder = ViewEncoder(objective.scalings) if objective.scalings else encoder_for(kind, self.scaling)
        encoder.fit(data)
        keep_width(self, encoder)
        return encoder

    def _encode(self, X: Any) -> NDArray[np.float32]:
        """Any input of the kind trained on as encoded rows, ``(n, D)``."""
        return encode_rows(self, X, self.encoder_)[1]

    def _finish(
        self,
        prepared: Prepared,
        ensemble: Ensemble,
        device: torch.device,
        history: list[dict[str, Any]],
        interrupted: bool,
    ) -> None:
        """Take over a training that has succeeded: scores, latent labels and diagnoses of the training rows."""
        rows, known, root = prepared.rows, prepared.known, prepared.root
        self.history_, self._interrupted, self._objective = history, interrupted, prepared.objective
        self.ensemble_ = ready_to_score(ensemble, device, prepared.encoder.layout)
        self.encoder_, self.notes_ = prepared.encoder, list(prepared.encoder.notes)
        scores = member_scores(self.ensemble_, rows)  # (M, n)
        self._combination = Combination.of(scores)
        self.training_scores_ = self._combination.combine(scores)
        self.contamination_estimate_ = prepared.estimate
        self.contamination_ = share_of_all(self.contamination_estimate_.value, known)
        self.latent_labels_ = self._latent_labels(rows, scores, known, root)
        self._known = np.full(len(rows), -1, dtype=np.int8) if known is None else known
        self._rows, self._root = rows, root
        self.metadata_ = {}
        self.calibration_scores_, self._lines = None, {}
        self._diagnose(rows[prepare_sample(known, len(rows), root)], one_sided(prepared))

    def _latent_labels(
        self, rows: NDArray[np.float32], scores: Scores, known: NDArray[np.int8] | None, root: int
    ) -> Scores:
        weight = next(self.ensemble_.parameters())
        if isinstance(self._objective, MemoryObjective):  # to compute its scores again would take as long as the fit
            losses = Losses(torch.from_numpy(scores).to(weight), torch.from_numpy(-scores).to(weight))
        else:
            losses = survey(self.ensemble_, TrainingSet(torch.from_numpy(rows).to(weight)))
        labels = None if known is None else torch.from_numpy(known).to(weight.device).expand(self.members, -1)
        generator = torch.Generator().manual_seed(mix(root, 0, stream=4))
        ranking = BatchRanking(self.contamination_estimate_.value, generator)
        keep_normal = exposure_of(self, self._objective)(*losses, labels, ranking).keep_normal  # (M, n)
        latent: Scores = 1.0 - keep_normal.double().mean(0).cpu().numpy()
        return latent

    def _diagnose(self, sample: NDArray[np.float32], concern: str | None) -> None:
        if np.ptp(self.training_scores_) <= 1e-9 * np.abs(self.training_scores_).max():
            message = "All training rows have the same anomaly score, so no ranking can be made. "
            message += "Are all rows alike? Otherwise try another scaling or objective."
            warnings.warn(message, ConstantScoresWarning, stacklevel=5)
            self.notes_.append(message)
        rows = torch.from_numpy(sample).to(next(self.ensemble_.parameters()).dtype)
        found = [self.ensemble_.member(index).diagnose(rows) for index in range(self.ensemble_.n_members)]
        for message in dict.fromkeys(message for message in [concern, *found] if message):
            warnings.warn(message, CollapseWarning, stacklevel=5)
            self.notes_.append(message)

    @property
    def suspects_(self) -> np.recarray[Any, Any]:
        """The suspects among the unlabelled training rows, most suspicious first: by latent label, then by score."""
        check_is_fitted(self)
        unlabelled = np.flatnonzero(self._known == -1)
        latent, scores = self.latent_labels_[unlabelled], self.training_scores_[unlabelled]
        count = round(self.contamination_estimate_.value * len(unlabelled))
        chosen = np.lexsort((-scores, -latent))[:count]
        suspects = np.recarray(count, dtype=SUSPECT)
        suspects["rank"], suspects["row"] = np.arange(1, count + 1), unlabelled[chosen]
        suspects["latent_label"], suspects["anomaly_score"] = latent[chosen], scores[chosen]
        return suspects

    def _score_encoded(self, rows: NDArray[np.float32]) -> Scores:
        """Score rows that the encoder has already made into numbers, ``(n, D) -> (n,)``; for attributions."""
        return self._combination.combine(member_scores(self.ensemble_, np.ascontiguousarray(rows, np.float32)))
