"""`AnomalyDetector`: samples in, scores and suspects out, behind scikit-learn's outlier-detector interface."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin

from expose.decide import Combination, ScoreRule
from expose.estimators.calibrate import calibrated_by_folds
from expose.estimators.checks import check_labels, check_minority, check_parameters, check_trained_on
from expose.estimators.common import FittedAttributes, check_encoder
from expose.estimators.conclude import conclude
from expose.estimators.large import (
    SAMPLE_ROWS,
    Paths,
    draw,
    files_of,
    fit_drawn,
    ranking_tables,
    scored_runs,
    workplace,
)
from expose.estimators.prepare import Prepared, prepare, seed_of
from expose.estimators.query import query_rows
from expose.explain import Explanation, explain
from expose.exposure import ContaminationEstimate
from expose.files import check_format, check_new_table, is_database, writer
from expose.folder import Own, load_fitted
from expose.kinds import Reading
from expose.objectives import Objective
from expose.objectives.recipes import check_number
from expose.scoring.pieces import Engine
from expose.stores import Stored, place_of
from expose.training import Trained, train

RANKED = [("rank", "i8"), ("row", "i8"), ("latent_label", "f8"), ("anomaly_score", "f8")]
Scores = NDArray[np.float64]


class AnomalyDetector(FittedAttributes, OutlierMixin, BaseEstimator):
    """Anomaly detector for training data that already hold anomalies.

    What is trained minimises ``sum (1 - y) * normal + y * abnormal`` over the samples: the objective supplies the two
    losses, the exposure infers the latent labels y while it learns (Qiu et al., "Latent Outlier Exposure for Anomaly
    Detection with Contaminated Data", ICML 2022).

    Parameters
    ----------
    objective : str or Objective, default="auto"
        How a sample is judged. "auto" is the usual one for the kind of samples: "neighbours" for tables. Others are
        "ntl", "icl", "svdd", "autoencoder"; for auxiliary outliers or known anomalies "hsc", "bce", "deep_sad";
        densities "flow", "pixelcnn", "language"; or an instance, of yours or with other settings than the usual:
        ``NTL(epochs=20)``. How it is trained is the objective's own, see its ``recipe``.
    encoder : None, str or object, default=None
        What makes vectors of samples. None is what the objective prefers, or else the usual one for the kind of
        samples; "quantile", "bounded", "robust", "standard" and "unscaled" scale the numbers of tables; or any object
        with fit and transform.
    exposure : {"auto", "blind", "refine", "hard", "soft"}, default="auto"
        How unlabelled samples are weighted: all as normal; the suspects left out; the suspects as anomalies (LOE_H);
        the suspects half and half (LOE_S). "auto" is "refine" for "neighbours" and "soft" for networks.
    contamination : float or "auto", default="auto"
        Assumed share of anomalies in the training data, in [0, 0.5). It changes the training. 0 means clean data and
        equals "blind"; "auto" estimates it, biased low (see `contamination_estimate_`).
    threshold : None, float, str or object, default=None
        What is flagged. A float is the share of the training samples that lie above the decision threshold, in [0, 1);
        None takes `contamination_`. "mixture" separates two groups of training scores; "tail" or "tail:0.001" reads a
        rate of false alarms off their extreme values; "conformal" or "conformal:0.01" flags p-values of at most that,
        0.05 by default. An object with ``fit(scores)`` and ``predict(scores)`` learns from the training scores, and
        must flag (True or 1) what lies above some score. It may be changed after `fit` without a refit.
    calibration : int or None, default=None
        Folds of the training samples for p-values: so many further detectors are trained, each without one fold, and
        score it. See `p_value`; `calibrate` does it with other samples instead.
    ensemble_size : int, default=1
        Number of differently seeded members, trained together. Their robustly scaled scores are combined by median.
    device : {"auto", "cpu", "cuda"} or "cuda:<index>", default="auto"
        Where to train and score.
    checkpoint : path or None
        File for the state of a running training by gradient descent. The same call after a kill goes on from it to the
        same model; `save` removes it. Needs an integer ``random_state``.
    random_state : int, RandomState or None
        Same integer, same scores, to the bit on a CPU.
    warm_start : bool, default=False
        `fit` again goes on from what was fitted, for samples of the same kind: with its encoder and seed; networks with
        their weights, without warm-up, and without ``epochs`` for a third of the usual passes.
    verbose : int, default=0
        1 shows progress on stderr.

    Attributes
    ----------
    contamination_ : float
        Share of the training samples taken as anomalous, known anomalies included.
    contamination_estimate_ : ContaminationEstimate
        The same for the unlabelled samples, with interval and method.
    offset_ : float
        ``decision_function = score_samples - offset_``; follows `threshold`.
    threshold_rule_ : str
        The rule of `threshold` in words.
    training_scores_ : ndarray of shape (n_train,)
    calibration_scores_ : ndarray of shape (m,) or None
        Scores of samples not trained on, ascending, in units of `anomaly_score`; None without calibration.
    latent_labels_ : ndarray of shape (n_train,)
        The weight y of each training sample as an anomaly at the end of training, mean over members.
    ranking_ : recarray
        All training samples, known anomalies first, then the most suspicious, known normal ones last: rank, row,
        latent_label, anomaly_score.
    suspects_ : recarray
        Of the unlabelled ones as many as training took for anomalies; none with the exposure "blind".
    history_ : list of dict
        One record per epoch: losses, contamination, share of samples flipped, overlaps of suspect sets, seconds.
    notes_ : list of str
        What is worth knowing of the training data.
    n_features_in_ : int
        Columns of a table; values of an encoded part of another kind.
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

    saved_as = "AnomalyDetector"
    holds_settings = "objective"

    def __init__(
        self,
        objective: str | Objective = "auto",
        *,
        encoder: Any = None,
        exposure: str = "auto",
        contamination: float | str = "auto",
        threshold: float | str | ScoreRule | None = None,
        calibration: int | None = None,
        ensemble_size: int = 1,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.objective = objective
        self.encoder = encoder
        self.exposure = exposure
        self.contamination = contamination
        self.threshold = threshold
        self.calibration = calibration
        self.ensemble_size = ensemble_size
        self.device = device
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    # ----------------------------------------------------------------------------------------------------- learn

    def fit(self, X: Any, y: Any = None, *, labels: Any = None, outliers: Any = None) -> Self:
        """Train on contaminated samples.

        Parameters
        ----------
        X : array, list, or data frame of shape (n, columns); or n images or texts
            NumPy, pandas, Polars, Arrow or anything narwhals reads. Numbers, booleans, text, categories, dates. Images
            and texts, for objectives that take them: see `expose.kinds.as_images` and `expose.kinds.as_texts`.
        y : ignored
            As in scikit-learn's outlier detectors; use ``labels`` for what you know.
        labels : array of shape (n,), optional
            1 known anomaly, 0 known normal, -1 unlabelled.
        outliers : of the same kind as X, or an `expose.outliers.OutlierStream` of such, optional
            Auxiliary outliers: samples known to be anomalous that are not part of the data.

        Raises
        ------
        ValueError
            If a parameter, a label or a value of the data cannot be used; the message says which and what to do.
        NonFiniteLossError
            If a loss became NaN or infinite.
        """
        prepared = self.prepare(X, labels, outliers)
        return self.conclude(prepared, train(prepared.plan, prepared.data), outliers)

    def fit_files(
        self,
        sources: Paths,
        *,
        id: Sequence[str] = (),
        ignore: Sequence[str] = (),
        label: str | None = None,
        outliers: Any = None,
        sample_rows: int = SAMPLE_ROWS,
        ranking: str | Path | None = None,
        engine: Engine | None = None,
    ) -> Self:
        """Train on files of more rows than memory holds.

        One pass over the files draws a uniform random sample, on which everything is fitted as by `fit`. Networks then
        walk through all rows, in blocks of chunks in random order; objectives that remember rows, such as
        "neighbours", keep fewer than the sample has anyway. Where there are no more rows than ``sample_rows``, all is
        exactly as with `fit`.

        Parameters
        ----------
        sources : path, pattern, or list of these
            Parquet, text files, JSON Lines or folders of them, as `expose.files.scan` reads.
        id, ignore : sequence of str
            Columns that name a row, and columns to leave out.
        label : str, optional
            Column of what is known: 1 anomaly, 0 normal, nothing or -1 unknown. Rows with a known label are kept in the
            sample, up to a quarter of it.
        outliers : optional
            As in `fit`.
        sample_rows : int, default=200,000
            Rows of the sample. `training_scores_`, `latent_labels_`, `ranking_` and what is drawn from them, such as
            the threshold, are of the sample; of those with a known label it has as many as chance would give it.
        ranking : path, optional
            Score all rows as well, and write them here, the highest score first: rank, row, ids, anomaly_score and
            above_line, to .parquet, .csv or another format of `expose.files.writer`. They are sorted on disk.
        engine : Engine, optional
            Of `expose.scoring.engines.opened_engine`, for Parquet files: its processes draw the sample and score all
            rows, with the same result. Training is done in this process. On more than one machine, `checkpoint` must
            lie where all of them see it.

        Raises
        ------
        InputError
            As by `fit`; or if files are no tables, or can be read only once.

        Notes
        -----
        Files for the passes lie in a temporary folder; with `checkpoint`, beside it, and the same call after a kill
        goes on from them. `save` removes them.

        Examples
        --------
        >>> import tempfile, numpy as np, pyarrow as pa, pyarrow.parquet as pq
        >>> from expose import AnomalyDetector
        >>> folder = Path(tempfile.mkdtemp())
        >>> X = np.random.default_rng(0).normal(size=(5_000, 3))
        >>> X[:50] += 6
        >>> pq.write_table(pa.table({"row": np.arange(5_000), "a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}),
        ...                folder / "rows.parquet")
        >>> detector = AnomalyDetector(random_state=0)
        >>> detector = detector.fit_files(folder / "*.parquet", id=["row"], sample_rows=1_000,
        ...                               ranking=folder / "ranking.parquet")
        >>> len(detector.training_scores_), pq.read_metadata(folder / "ranking.parquet").num_rows
        (1000, 5000)
        """
        check_number("sample_rows", sample_rows, 2, whole=True)
        check_parameters(self.get_params(deep=False))
        if ranking is not None:
            check_format(ranking)
            if is_database(ranking):
                check_new_table(str(ranking), "ranking")
        files = files_of(sources, Reading(id=tuple(id), ignore=tuple(ignore), label=label))
        files = replace(files, engine=engine)
        with workplace(self.checkpoint) as place:
            sample = draw(files, sample_rows, seed_of(self.random_state), place)
            fit_drawn(self, files, sample, files.kind.trained_on(sample.table, files.reading), outliers, place)
            if ranking is not None and not self.fitted_.interrupted:
                runs = scored_runs(self.scorer(), files, place, device=self.device)
                with writer(ranking) as sink:
                    for table in ranking_tables(runs.tables(), self.threshold_score(), label):
                        sink.write(table)
        return self

    def prepare(self, X: Any, labels: Any = None, outliers: Any = None) -> Prepared:
        """Check and encode everything, the first step of `fit`; nothing that was fitted is touched."""
        parameters = self.get_params(deep=False)
        check_parameters(parameters)
        check_minority(labels)
        before = self.fitted_ if self.warm_start and self.__sklearn_is_fitted__() else None
        return prepare(parameters, X, labels, outliers, before)

    def conclude(self, prepared: Prepared, trained: Trained, outliers: Any = None) -> Self:
        """Take over a training that has succeeded, the last step of `fit`."""
        fitted = conclude(prepared, trained)
        fitted = calibrated_by_folds(fitted, prepared, self.get_params(deep=False), outliers)
        return self.take_over(fitted)

    def query(self, X: Any, k: int = 20) -> NDArray[np.int64]:
        """Propose ``k`` training rows to be labelled; `fit` again with what you found, in ``labels``.

        The rows are suspicious, differ from each other, and each speaks for many: its label settles its neighbours too.
        Rows with a known label, and those that the known labels settle already, are left out while others remain.

        Parameters
        ----------
        X : the training data
        k : int, default=20
            At most 4,096 at a time. A few rounds of few rows tell more than one of many.

        Returns
        -------
        array of shape (k,)
            Row numbers of the training table, in the order in which to look at them.

        Raises
        ------
        InputError
            If there are fewer unlabelled rows, or X is not the training data, row by row.

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
        >>> rows = detector.query(X, 5)
        >>> labels[rows] = rows < 15  # the answers of somebody who knows
        >>> detector = detector.fit(X, labels=labels)
        """
        check_number("k", k, 1, whole=True)
        scorer = self.scorer()
        given = scorer.encoded(X)
        check_trained_on(scorer, given)
        return query_rows(self._model, given.parts, k)

    # ----------------------------------------------------------------------------------------------------- score

    def member_scores(self, X: Any) -> Scores:
        """Raw anomaly scores of each member, shape (ensemble_size, n)."""
        return self.scorer().member_scores(X)

    def disagreement(self, X: Any) -> Scores:
        """Standard deviation of the members' robustly scaled scores of each sample, shape (n,); 0 with one member."""
        head = self._model.head
        assert isinstance(head, Combination)
        standard = head.standardise(self.member_scores(X))
        disagreement: Scores = standard.std(axis=0)
        return disagreement

    def decision_function(self, X: Any) -> Scores:
        """``score_samples(X) - offset_``: negative for flagged samples."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for flagged samples, +1 for the others."""
        return np.where(self.is_anomaly(X), -1, 1)

    def explain(self, X: Any) -> Explanation:
        """What makes each sample as anomalous as it is: the part of its score that is due to each column or value.

        Returns
        -------
        Explanation
            ``names`` of what is distinguished, and ``effects`` (n, K), in units of `anomaly_score`.
        """
        return explain(self.scorer(), X)

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
        return self._model.p_values(self.anomaly_score(X))

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
        check_minority(labels)
        scores = self.anomaly_score(X)
        known = check_labels(labels, len(scores))
        return self.take_over(self._model.calibrated(scores if known is None else scores[known != 1]))

    # -------------------------------------------------------------------------------------------------- attributes

    @property
    def offset_(self) -> float:
        """The threshold in scikit-learn's direction."""
        return -self.threshold_score()

    @property
    def contamination_(self) -> float:
        """Share of the training samples taken as anomalous, known anomalies included."""
        return self._model.contamination

    @property
    def contamination_estimate_(self) -> ContaminationEstimate:
        """The same for the unlabelled samples, with interval and method."""
        return self._model.estimate

    @property
    def exposure_(self) -> str:
        """The name of the exposure that was used."""
        return self._model.exposure

    @property
    def objective_(self) -> Objective:
        """The first trained member, as a plain torch module on the CPU."""
        return self._model.ensemble.member(0)

    @property
    def ranking_(self) -> np.recarray[Any, Any]:
        """All training samples, the most suspicious first: by latent label, then by score; known normal ones last."""
        n_train = len(self.latent_labels_)
        return self._ranked(np.arange(n_train), n_train)

    @property
    def suspects_(self) -> np.recarray[Any, Any]:
        """The suspects among the unlabelled training samples, as many as training took for anomalies: none if blind."""
        unlabelled = np.flatnonzero(self._model.known == -1)
        share = 0.0 if self.exposure_ == "blind" else self.contamination_estimate_.value
        return self._ranked(unlabelled, round(share * len(unlabelled)))

    def _ranked(self, rows: NDArray[np.intp], count: int) -> np.recarray[Any, Any]:
        """The ``count`` most suspicious of some training samples, in that order."""
        latent, scores = self.latent_labels_[rows], self.training_scores_[rows]
        order = np.lexsort((-scores, -latent, self._model.known[rows] == 0))[:count]
        ranked = np.recarray(count, dtype=RANKED)
        ranked["rank"], ranked["row"] = np.arange(1, count + 1), rows[order]
        ranked["latent_label"], ranked["anomaly_score"] = latent[order], scores[order]
        return ranked

    # ------------------------------------------------------------------------------------------------------- files

    @classmethod
    def load(
        cls,
        folder: str | Path | Stored,
        objective: Objective | None = None,
        *,
        encoder: Any = None,
        device: str = "auto",
    ) -> Self:
        """Read a model folder. Runs no code from it; an objective or encoder of your own is passed as an instance.

        Raises
        ------
        ModelFolderError
            If a byte was changed, a file is missing or foreign, or the folder comes from another version.
        """
        check_encoder(encoder)
        own = Own(objective=objective, encoder=encoder)
        fitted, parameters = load_fitted(place_of(folder), cls.saved_as, own, device)
        given = {"objective": copy.deepcopy(fitted.objective), "encoder": encoder, **parameters}
        return cls(**given, device=device).take_over(fitted)
