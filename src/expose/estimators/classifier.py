"""`OutlierExposureClassifier`: a classifier that doubts what it was not trained to know."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn

from expose.decide import conformal_p_values, fit_temperature, needs_calibration
from expose.errors import CalibrationWarning, InputError
from expose.estimators.calibration import needs_rows
from expose.estimators.checks import check_choice, check_class_parameters, check_classes
from expose.estimators.class_folder import load_classifier, save_classifier
from expose.estimators.class_training import Learned, learn
from expose.estimators.rows import encode_outliers, encode_rows
from expose.estimators.scoring import member_outputs
from expose.inputs import DEFAULT_SCALING, Encoder
from expose.networks import Unfolded
from expose.objectives.classification import SCORES, anomaly_score

Scores = NDArray[np.float64]


class OutlierExposureClassifier(ClassifierMixin, BaseEstimator):
    """Classifier with anomaly scores, exposed to auxiliary outliers while it learns.

    Source: Hendrycks, Mazeika, Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019. The outliers
    teach the network to be unsure of what belongs to no class, and it stays unsure of kinds of outliers it never met.

    Parameters
    ----------
    network : {"auto", "mlp", "conv", "wrn-40-2", "wrn-16-4", "gru"} or nn.Module, default="auto"
        "auto" is a perceptron for tables, a small convolutional network for images, gated recurrent units for texts.
        A module of your own maps rows ``(B, columns)``, images ``(B, C, H, W)`` in [0, 1] or token numbers ``(B, T)``
        to ``(B, K)`` logits; a copy is trained, from the weights it has, so a trained one is fine-tuned. The terms
        "confidence" and "background" need one output more each.
    terms : str, list of str or dict of str to float, default="uniform"
        How outliers are exposed, each with its lambda: "uniform" (0.5), "prior" (0.5), "energy" (0.1), "confidence"
        (0.5), "background" (1.0); see `expose.objectives.classification.Classification`.
    score_function : {"entropy", "msp", "energy", "confidence", "background"}, default="entropy"
        What `anomaly_score` is: -H(U; p), minus the maximum softmax probability, the free energy, minus the learned
        confidence, or the probability of the background class. It may be changed after `fit`.
    threshold : float, default=0.05
        Share of the training rows, or after `calibrate` of the calibration rows, that lie above the decision threshold
        of `is_anomaly`, in [0, 1).
    contamination : float, default=0.0
        Share of the training rows that belong to no class, or not to theirs; they are inferred while training
        (latent outlier exposure). In [0, 0.5).
    exposure : {"soft", "hard", "refine", "blind"}, default="soft"
        How those suspects are weighted.
    outlier_share : float, default=1.0
        Share of ``outliers`` that are anomalous, in (0, 1]. Below 1, as for unlabelled wild data, it is inferred
        which; the others count as normal rows of the class they are taken for.
    hardest : float, default=1.0
        Share of every batch of outliers that is trained on: those most taken for normal. In (0, 1].
    energy_margins : (float, float) or None
        Energies that normal rows shall lie below and outliers above. None: the tenth percentile of normal rows and the
        ninetieth of outliers, measured after half of the epochs without outliers, or before fine-tuning.
    joint_pass : bool, default=True
        One forward pass for training rows and outliers, so that batch normalisation sees both.
    augment : bool, default=False
        Random flips and crops, images only.
    epochs, batch_size, outlier_batch_size : int or None
        None makes about 3,000 steps, in 5 to 200 epochs, of 128 to 1,024 rows, and as many outliers. An epoch is one
        pass over the training rows; passes over the outliers go on from epoch to epoch.
    optimizer : {"adam", "sgd"}, default="adam"
        "sgd" is with Nesterov's momentum of 0.9.
    learning_rate : float or None
        Falls to zero along a cosine, step by step. None is 0.001 for "adam" and 0.1 for "sgd".
    weight_decay : float, default=0.0
    scaling : {"quantile", "robust", "standard", "none"}
        How numeric columns of tables are scaled.
    warm_start : bool, default=False
        `fit` again goes on from what was fitted, for the same kind of rows and the same classes: that is fine-tuning.
    precision, device, checkpoint, checkpoint_every, random_state, verbose
        As in `AnomalyDetector`.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    network_ : nn.Module
        The trained network.
    temperature_ : float
        By which `predict_proba` divides the logits; 1 until `calibrate` fits it.
    energy_margins_ : (float, float) or None
    latent_labels_ : ndarray of shape (n_train,)
        The weight of each training row as an anomaly; more than 0 for suspects, where contamination was assumed.
    history_ : list of dict
        One record per epoch.
    n_features_in_, feature_names_in_ : as in scikit-learn

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2)) + [[3, 0]]
    >>> X[100:] *= -1
    >>> y = np.repeat(["right", "left"], 100)
    >>> outliers = rng.uniform(-8, 8, size=(400, 2))
    >>> classifier = OutlierExposureClassifier(epochs=40, random_state=0).fit(X, y, outliers=outliers)
    >>> classifier.predict([[3, 0], [-3, 0]]).tolist()
    ['right', 'left']
    >>> inside, outside = classifier.anomaly_score([[3, 0], [0, 9]])
    >>> bool(outside > inside)
    True
    """

    metadata_: dict[str, Any]
    _training: Scores  # outputs of the training rows
    _calibration: Scores | None  # and of the calibration rows

    def __init__(
        self,
        network: str | nn.Module = "auto",
        *,
        terms: str | list[str] | Mapping[str, float] = "uniform",
        score_function: str = "entropy",
        threshold: float = 0.05,
        contamination: float = 0.0,
        exposure: str = "soft",
        outlier_share: float = 1.0,
        hardest: float = 1.0,
        energy_margins: tuple[float, float] | None = None,
        joint_pass: bool = True,
        augment: bool = False,
        epochs: int | None = None,
        batch_size: int | None = None,
        outlier_batch_size: int | None = None,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        scaling: str = DEFAULT_SCALING,
        warm_start: bool = False,
        precision: str = "auto",
        device: str = "auto",
        checkpoint: str | Path | None = None,
        checkpoint_every: float = 30.0,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.network = network
        self.terms = terms
        self.score_function = score_function
        self.threshold = threshold
        self.contamination = contamination
        self.exposure = exposure
        self.outlier_share = outlier_share
        self.hardest = hardest
        self.energy_margins = energy_margins
        self.joint_pass = joint_pass
        self.augment = augment
        self.epochs = epochs
        self.batch_size = batch_size
        self.outlier_batch_size = outlier_batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.scaling = scaling
        self.warm_start = warm_start
        self.precision = precision
        self.device = device
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Missing values and text columns are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: Any, *, outliers: Any = None) -> Self:
        """Train on rows of known classes, and on auxiliary outliers.

        Parameters
        ----------
        X : table, images or texts
            Table: array, list or data frame ``(n, columns)``. Images: array ``(n, H, W)`` or ``(n, H, W, C)``, list of
            arrays, or a folder. Texts: list of str.
        y : array of shape (n,)
            Classes, at least two.
        outliers : of the same kind as X, or an `expose.outliers.OutlierStream`, optional
            Rows of none of the classes. Without them it is an ordinary classifier: the baseline.

        Raises
        ------
        ValueError
            If a parameter or a value of the data cannot be used; the message says which and what to do.
        NonFiniteLossError
            If a loss became NaN or infinite.
        """
        check_class_parameters(self.get_params(deep=False))
        before: Learned | None = getattr(self, "_learned", None) if self.warm_start else None
        encoder, rows = encode_rows(self, X, None if before is None else before.encoder)
        if y is None:
            raise ValueError("This OutlierExposureClassifier requires y to be passed, but the target y is None.")
        names = column_or_1d(y, warn=True)
        check_classification_targets(names)
        classes, targets = check_classes(names, len(rows), None if before is None else before.classes)
        extra = None if outliers is None else encode_outliers(self, encoder, outliers)
        self._learned = learn(self, encoder, rows, classes, targets, extra, before)
        self.classes_, self.history_ = classes, self._learned.history
        self.latent_labels_ = self._learned.latent
        self.temperature_, self._calibration = 1.0, None
        self._training = self._outputs(rows)
        self.metadata_ = {}
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row, shape (n,)."""
        chosen = self._logits(X).argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[chosen]
        return predicted

    def predict_proba(self, X: Any) -> Scores:
        """Probability of each class, shape (n, K), at the temperature that `calibrate` fitted."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Scores:
        """Logarithm of `predict_proba`, shape (n, K)."""
        logits = self._logits(X) / self.temperature_
        logits -= logits.max(axis=1, keepdims=True)
        log_proba: Scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return log_proba

    def decision_function(self, X: Any) -> Scores:
        """Logits of the classes, shape (n, K); for two classes their difference, shape (n,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def anomaly_score(self, X: Any, score_function: str | None = None) -> Scores:
        """Anomaly score of each row, shape (n,), higher = more anomalous; by default as the parameter says."""
        check_is_fitted(self)
        return self._score_encoded(encode_rows(self, X, self._learned.encoder)[1], score_function)

    def score_samples(self, X: Any) -> Scores:
        """Scikit-learn's direction: the negative of `anomaly_score`."""
        return -self.anomaly_score(X)

    def is_anomaly(self, X: Any) -> NDArray[np.bool_]:
        """Whether each row's anomaly score lies above `threshold_score`."""
        flagged: NDArray[np.bool_] = self.anomaly_score(X) > self.threshold_score()
        return flagged

    def threshold_score(self) -> float:
        """The anomaly score above which rows are flagged: a quantile of the calibration rows, or the training rows."""
        check_is_fitted(self)
        scores = self.training_scores_ if self.calibration_scores_ is None else self.calibration_scores_
        return float(np.quantile(scores, 1 - self.threshold, method="higher"))

    def calibrate(self, X: Any, y: Any = None) -> Self:
        """Take rows that were not trained on for the threshold and for p-values, and, with ``y``, for probabilities.

        Parameters
        ----------
        X : of the kind that was trained on
            Normal rows, no outliers.
        y : array of shape (m,), optional
            Their classes: the temperature is the one of largest likelihood of these, unless all are classified rightly.
            Then there is no best one, it stays 1, and a warning says so.
        """
        check_is_fitted(self)
        outputs = self._outputs(encode_rows(self, X, self._learned.encoder)[1])
        needs_rows(outputs[:, 0])
        if y is not None:
            _, targets = check_classes(column_or_1d(y), len(outputs), self.classes_)
            self.temperature_ = self._temperature(outputs[:, : len(self.classes_)], targets)
        self._calibration = outputs
        return self

    def p_value(self, X: Any) -> Scores:
        """Conformal p-value of each row, shape (n,): how rarely a calibration row has so high an anomaly score.

        A row like the calibration rows has a p-value of at most t with a probability of at most t.

        Raises
        ------
        InputError
            If `calibrate` was not called.
        """
        scores = self.anomaly_score(X)
        return conformal_p_values(scores, needs_calibration(self.calibration_scores_))

    @property
    def training_scores_(self) -> Scores:
        """Anomaly score of each training row, shape (n_train,)."""
        check_is_fitted(self)
        return self._scores(self._training)

    @property
    def calibration_scores_(self) -> Scores | None:
        """Anomaly scores of the calibration rows, rising; None before `calibrate`."""
        check_is_fitted(self)
        return None if self._calibration is None else np.sort(self._scores(self._calibration))

    @property
    def threshold_rule_(self) -> str:
        """What draws the line, in words."""
        return f"share: {self.threshold:g} of the {'training' if self._calibration is None else 'calibration'} rows"

    @property
    def encoder_(self) -> Encoder:
        """What makes vectors of rows, fitted on the training rows."""
        check_is_fitted(self)
        return self._learned.encoder

    @property
    def network_(self) -> nn.Module:
        """The trained network, a copy on the CPU, for unfolded rows."""
        check_is_fitted(self)
        trained = copy.deepcopy(self._learned.objective.network).float().cpu()
        return trained.network if isinstance(trained, Unfolded) else trained

    @property
    def energy_margins_(self) -> tuple[float, float] | None:
        """The margins of the term "energy"; None without it."""
        check_is_fitted(self)
        objective = self._learned.objective
        return tuple(objective.margins.tolist()) if "energy" in objective.terms else None

    def save(self, folder: str | Path, metadata: dict[str, Any] | None = None) -> None:
        """Write the fitted classifier to a model folder, whole or not at all; ``metadata`` is any JSON of your own."""
        check_is_fitted(self)
        self.metadata_ = self.metadata_ if metadata is None else metadata
        save_classifier(self, Path(folder), self.metadata_)
        if self.checkpoint is not None and not self._learned.interrupted:
            Path(self.checkpoint).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path, network: nn.Module | None = None, *, device: str = "auto") -> Self:
        """Read a model folder. Runs no code from it; a network of your own is passed as a module of the same make.

        Raises
        ------
        ModelFolderError
            If a byte was changed, a file is missing or foreign, or the folder comes from a newer version.
        """
        return load_classifier(cls, Path(folder), network, device)

    def _outputs(self, rows: NDArray[np.float32]) -> Scores:
        """All outputs of encoded rows, (n, K + 1) or (n, K + 2): logits, and last the logit of the confidence."""
        learned = self._learned
        outputs: Scores = member_outputs(learned.ensemble, rows, "outputs_of", learned.objective.n_logits + 1)[0]
        return outputs

    def _score_encoded(self, rows: NDArray[np.float32], score_function: str | None = None) -> Scores:
        return self._scores(self._outputs(rows), score_function)

    def _logits(self, X: Any) -> Scores:
        check_is_fitted(self)
        return self._outputs(encode_rows(self, X, self._learned.encoder)[1])[:, : len(self.classes_)]

    def _temperature(self, logits: Scores, targets: NDArray[np.int64]) -> float:
        """The likeliest temperature; where no row is mistaken it would make all rows certain, outliers as well."""
        if (logits.argmax(axis=1) != targets).any():
            return fit_temperature(logits, targets)
        warnings.warn(
            f"All {len(targets)} calibration rows are classified rightly, so no temperature is the likeliest: "
            "probabilities stay as they are. Hold out more rows.",
            CalibrationWarning,
            stacklevel=3,
        )
        return 1.0

    def _scores(self, outputs: Scores, score_function: str | None = None) -> Scores:
        name = self.score_function if score_function is None else score_function
        check_choice("score_function", name, SCORES)
        if name in ("confidence", "background") and name not in self._learned.objective.terms:
            raise InputError(f"score_function={name!r} needs a network trained with the term {name!r}: terms={name!r}.")
        z, c = torch.from_numpy(outputs[:, :-1]), torch.from_numpy(outputs[:, -1])
        scores: Scores = anomaly_score(name, z, c, len(self.classes_)).double().numpy()
        return scores
