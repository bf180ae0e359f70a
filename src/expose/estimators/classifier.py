"""`OutlierExposureClassifier`: a classifier that doubts what it was not trained to know."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import column_or_1d
from torch import nn

from expose.decide import Verdict, fit_temperature
from expose.errors import CalibrationWarning
from expose.estimators.checks import check_class_parameters, check_classes
from expose.estimators.classes import fit_classes
from expose.estimators.common import FittedAttributes, check_encoder
from expose.estimators.samples import check_input
from expose.folder import Own, load_fitted
from expose.model import Decisions, Fitted
from expose.networks import Unfolded
from expose.objectives import Descend
from expose.objectives.classification import Classification
from expose.objectives.recipes import with_settings
from expose.stores import Stored, place_of

Scores = NDArray[np.float64]


class OutlierExposureClassifier(FittedAttributes, ClassifierMixin, BaseEstimator):
    """Classifier with anomaly scores, exposed to auxiliary outliers while it learns.

    Source: Hendrycks, Mazeika, Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019. The outliers
    teach the network to be unsure of what belongs to no class, and it stays unsure of kinds of outliers it never met.

    Parameters
    ----------
    network : {"auto", "mlp", "conv", "wrn-40-2", "wrn-16-4", "gru"} or nn.Module, default="auto"
        "auto" is a perceptron for vectors, a small convolutional network for images, gated recurrent units for texts.
        A module of your own maps vectors ``(B, D)``, images ``(B, C, H, W)`` in [0, 1] or token numbers ``(B, T)``
        to ``(B, K)`` logits; a copy is trained, from the weights it has, so a trained one is fine-tuned. The terms
        "confidence" and "background" need one output more each.
    terms : str, list of str or dict of str to float, default="uniform"
        How outliers are exposed, each with its lambda: "uniform" (0.5), "prior" (0.5), "energy" (0.1), "confidence"
        (0.5), "background" (1.0); see `expose.objectives.classification.Classification`.
    score_function : {"auto", "entropy", "msp", "energy", "confidence", "background"}, default="auto"
        What `anomaly_score` is: -H(U; p), minus the maximum softmax probability, the free energy, minus the learned
        confidence, or the probability of the background class. "auto" is what belongs to the terms: "entropy" to
        "uniform" and "prior", else the score of the term's name; "entropy" as well if nothing was exposed. It may be
        changed after `fit`.
    energy_margins : (float, float) or None
        Energies that normal samples shall lie below and outliers above. None: the tenth percentile of normal samples
        and the ninetieth of outliers, measured after half of the epochs without outliers, or before fine-tuning.
        Margins that cost the classes give an `ExposureWarning`, with the energies of the data.
    augment : bool, default=False
        Random flips and crops, images only.
    recipe : Descend or None, default=None
        How it is trained: epochs, batch size, learning rate, and how outliers are used; None is ``Descend()``, with a
        learning rate that falls along a cosine.
    encoder : None, str or object, default=None
        What makes vectors of samples, as in `AnomalyDetector`.
    exposure : {"soft", "hard", "refine", "blind"}, default="soft"
        How suspects among the training samples are weighted.
    contamination : float, default=0.0
        Share of the training samples that belong to no class, or not to theirs; they are inferred while training
        (latent outlier exposure). In [0, 0.5).
    threshold : float, str or object, default=0.05
        What is flagged: a share of the training samples, after `calibrate` of the calibration samples, in [0, 1), or a
        rule as in `AnomalyDetector`.
    device, checkpoint, random_state, warm_start, verbose
        As in `AnomalyDetector`. A warm start goes on for the same kind of samples and the same classes: that is
        fine-tuning.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    network_ : nn.Module
        The trained network.
    temperature_ : float
        By which `predict_proba` divides the logits; 1 until `calibrate` fits it.
    score_function_ : str
        The one that is used, where "auto" was asked for.
    energy_margins_ : (float, float) or None
    latent_labels_ : ndarray of shape (n_train,)
        The weight of each training sample as an anomaly; more than 0 for suspects, where contamination was assumed.
    history_ : list of dict
        One record per epoch.
    n_features_in_, feature_names_in_ : as in scikit-learn

    Examples
    --------
    >>> import numpy as np
    >>> from expose import OutlierExposureClassifier
    >>> from expose.objectives import Descend
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2)) + [[3, 0]]
    >>> X[100:] *= -1
    >>> y = np.repeat(["right", "left"], 100)
    >>> outliers = rng.uniform(-8, 8, size=(400, 2))
    >>> classifier = OutlierExposureClassifier(recipe=Descend(epochs=40), random_state=0).fit(X, y, outliers=outliers)
    >>> classifier.predict([[3, 0], [-3, 0]]).tolist()
    ['right', 'left']
    >>> inside, outside = classifier.anomaly_score([[3, 0], [0, 9]])
    >>> bool(outside > inside)
    True
    """

    saved_as = "OutlierExposureClassifier"
    holds_settings = "recipe"

    def __init__(
        self,
        network: str | nn.Module = "auto",
        *,
        terms: str | list[str] | Mapping[str, float] = "uniform",
        score_function: str = "auto",
        energy_margins: tuple[float, float] | None = None,
        augment: bool = False,
        recipe: Descend | None = None,
        encoder: Any = None,
        exposure: str = "soft",
        contamination: float = 0.0,
        threshold: Any = 0.05,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.network = network
        self.terms = terms
        self.score_function = score_function
        self.energy_margins = energy_margins
        self.augment = augment
        self.recipe = recipe
        self.encoder = encoder
        self.exposure = exposure
        self.contamination = contamination
        self.threshold = threshold
        self.device = device
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    # ----------------------------------------------------------------------------------------------------- learn

    def fit(self, X: Any, y: Any, *, outliers: Any = None) -> Self:
        """Train on samples of known classes, and on auxiliary outliers.

        Parameters
        ----------
        X : table, images or texts
            Table: array, list or data frame ``(n, columns)``. Images: array ``(n, H, W)`` or ``(n, H, W, C)``, list of
            arrays, or a folder. Texts: list of str.
        y : array of shape (n,)
            Classes, at least two.
        outliers : of the same kind as X, or an `expose.outliers.OutlierStream`, optional
            Samples of none of the classes. Without them it is an ordinary classifier: the baseline.

        Raises
        ------
        ValueError
            If a parameter or a value of the data cannot be used; the message says which and what to do.
        NonFiniteLossError
            If a loss became NaN or infinite.
        """
        parameters = self.get_params(deep=False)
        check_class_parameters(parameters)
        before = self.fitted_ if self.warm_start and self.__sklearn_is_fitted__() else None
        return self.take_over(fit_classes(parameters, X, y, outliers, before))

    def changed(self, holder: Descend | None, settings: dict[str, Any]) -> Descend:
        """The recipe with some settings changed."""
        return with_settings(holder or Descend(), settings, "recipe")

    def take_over(self, fitted: Fitted) -> Self:
        """Hold another fitted model from now on."""
        assert isinstance(fitted.head, Verdict)
        self.classes_ = fitted.head.classes
        return super().take_over(fitted)

    def calibrate(self, X: Any, y: Any = None) -> Self:
        """Take samples that were not trained on for the threshold and for p-values, and, with ``y``, for probabilities.

        Parameters
        ----------
        X : of the kind that was trained on
            Normal samples, no outliers.
        y : array of shape (m,), optional
            Their classes: the temperature is the one of largest likelihood of these, unless all are classified rightly.
            Then there is no best one, it stays 1, and a warning says so.
        """
        kept = self.scorer().outputs(X)
        fitted = self._model.calibrated(kept)
        if y is not None:
            _, targets = check_classes(column_or_1d(y), len(kept), self.classes_)
            temperature = likeliest_temperature(self._verdict.logits(kept), targets)
            fitted = replace(fitted, head=replace(self._verdict, temperature=temperature))
        return self.take_over(fitted)

    # ----------------------------------------------------------------------------------------------------- score

    @property
    def _model(self) -> Fitted:
        """What was fitted, read by the score function of now."""
        fitted = super()._model
        head = fitted.head
        if isinstance(head, Verdict) and head.score_function != self.score_function:
            head = replace(head, score_function=self.score_function)
            self.fitted_ = fitted = replace(fitted, head=head, lines={})
        return fitted

    @property
    def _verdict(self) -> Verdict:
        """How outputs are read."""
        head = self._model.head
        assert isinstance(head, Verdict)
        return head

    def _outputs(self, X: Any) -> Scores:
        """All outputs of samples, (n, K + 1) or (n, K + 2): logits, and last the logit of the confidence."""
        scorer = self.scorer()
        return scorer.outputs(check_input(self, X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each sample, shape (n,)."""
        outputs = self._outputs(X)
        predicted: NDArray[Any] = self.classes_[self._verdict.logits(outputs).argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> Scores:
        """Probability of each class, shape (n, K), at the temperature that `calibrate` fitted."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Scores:
        """Logarithm of `predict_proba`, shape (n, K)."""
        outputs = self._outputs(X)
        return self._verdict.log_probabilities(outputs)

    def decision_function(self, X: Any) -> Scores:
        """Logits of the classes, shape (n, K); for two classes their difference, shape (n,)."""
        outputs = self._outputs(X)
        logits = self._verdict.logits(outputs)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def anomaly_score(self, X: Any, score_function: str | None = None) -> Scores:
        """Anomaly score of each sample, shape (n,), higher = more anomalous; by default as the parameter says."""
        outputs = self._outputs(X)
        head = self._verdict if score_function is None else replace(self._verdict, score_function=score_function)
        return head.scores(outputs)

    def decide(self, X: Any) -> Decisions:
        """Scores, flags, p-values, classes and probabilities by one pass through the network."""
        return self.scorer().decide(X)

    def p_value(self, X: Any) -> Scores:
        """Conformal p-value of each sample, shape (n,): how rarely a calibration sample has so high an anomaly score.

        A sample like the calibration samples has a p-value of at most t with a probability of at most t.

        Raises
        ------
        InputError
            If `calibrate` was not called.
        """
        return self._model.p_values(self.anomaly_score(X))

    # -------------------------------------------------------------------------------------------------- attributes

    @property
    def temperature_(self) -> float:
        """By which `predict_proba` divides the logits; 1 until `calibrate` fits it."""
        return self._verdict.temperature

    @property
    def score_function_(self) -> str:
        """The score function that is used, where "auto" was asked for."""
        return self._verdict.score

    @property
    def network_(self) -> nn.Module:
        """The trained network, a copy on the CPU, for unfolded samples."""
        trained = copy.deepcopy(self._trained.network).float().cpu()
        return trained.network if isinstance(trained, Unfolded) else trained

    @property
    def energy_margins_(self) -> tuple[float, float] | None:
        """The margins of the term "energy"; None without it."""
        margins: tuple[float, float] = tuple(self._trained.margins.tolist())
        return margins if "energy" in self._trained.terms else None

    @property
    def _trained(self) -> Classification:
        """The trained objective."""
        member = self._model.ensemble.only
        assert isinstance(member, Classification)
        return member

    # ------------------------------------------------------------------------------------------------------- files

    @classmethod
    def load(
        cls, folder: str | Path | Stored, network: nn.Module | None = None, *, encoder: Any = None, device: str = "auto"
    ) -> Self:
        """Read a model folder. Runs no code from it; a network or encoder of your own is passed as an object.

        Raises
        ------
        ModelFolderError
            If a byte was changed, a file is missing or foreign, or the folder comes from another version.
        """
        check_encoder(encoder)
        own = Own(network=network, encoder=encoder)
        fitted, parameters = load_fitted(place_of(folder), cls.saved_as, own, device)
        recipe = fitted.objective.recipe
        changed = recipe != type(fitted.objective).recipe
        given = {"network": network, "encoder": encoder, "recipe": recipe if changed else None, **parameters}
        return cls(**given, device=device).take_over(fitted)


def likeliest_temperature(logits: Scores, targets: NDArray[np.int64]) -> float:
    """The likeliest temperature; where no sample is mistaken it would make all certain, outliers as well."""
    if (logits.argmax(axis=1) != targets).any():
        return fit_temperature(logits, targets)
    warnings.warn(
        f"All {len(targets)} calibration rows are classified rightly, so no temperature is the likeliest: "
        "probabilities stay as they are. Hold out more rows.",
        CalibrationWarning,
        stacklevel=3,
    )
    return 1.0
