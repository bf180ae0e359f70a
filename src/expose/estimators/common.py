"""What both estimators have: a `Fitted`, or none yet, and what can be asked of it whatever it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from expose.encoders import ColumnRead, Encoder
from expose.errors import ModelFolderError
from expose.estimators.samples import check_input
from expose.exporting import Exported, export
from expose.folder import save_fitted
from expose.model import Fitted
from expose.objectives import with_changes
from expose.scoring import Scorer
from expose.stores import Stored, place_of
from expose.training import Ensemble

NOT_KEPT = {"checkpoint", "device"}  # parameters of the place and the run, not of the model
Scores = NDArray[np.float64]


class FittedAttributes:
    """A mixin of both estimators; they add what is theirs alone."""

    saved_as: str  # the name in a model folder, that of our class also where a user's is made from it
    holds_settings: str  # the parameter that holds the settings of training, as an object of its own
    fitted_: Fitted
    threshold: Any
    checkpoint: Any
    encoder: Any

    def __sklearn_tags__(self) -> Any:
        """Missing values and text columns are welcome, unless an encoder of the user's own passes them on."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        ours = self.encoder is None or isinstance(self.encoder, str | Encoder)
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = ours
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters as in scikit-learn, and settings of the objective or recipe: ``objective__epochs=20``."""
        own = f"{self.holds_settings}__"
        settings = {name.removeprefix(own): params.pop(name) for name in list(params) if name.startswith(own)}
        super().set_params(**params)  # type: ignore[misc]
        if settings:
            changed = self.changed(getattr(self, self.holds_settings), settings)
            setattr(self, self.holds_settings, changed)
        return self

    def changed(self, holder: Any, settings: dict[str, Any]) -> Any:
        """What holds the settings of training, with some of them changed."""
        return with_changes(holder, settings)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fitted_")

    @property
    def _model(self) -> Fitted:
        """What was fitted, or NotFittedError."""
        check_is_fitted(self)
        return self.fitted_

    def take_over(self, fitted: Fitted) -> Self:
        """Hold another fitted model from now on."""
        self.fitted_ = fitted
        self.n_features_in_ = fitted.n_features
        self.__dict__.pop("feature_names_in_", None)
        if fitted.columns:
            self.feature_names_in_ = np.asarray(fitted.columns, dtype=object)
        return self

    # ----------------------------------------------------------------------------------------------------- score

    def scorer(self, id: str | Sequence[str] | None = None) -> Scorer:
        """What turns raw samples into scores, here and everywhere: Arrow record batches and files, too.

        Parameters
        ----------
        id : sequence of str, optional
            Columns that name a row. By default those that the model was saved with.
        """
        return Scorer(self._model, self.threshold, id=id)

    def anomaly_score(self, X: Any) -> Scores:
        """Anomaly score of each sample, shape (n,), higher = more anomalous."""
        scorer = self.scorer()
        return scorer.scores(check_input(self, X))

    def score_samples(self, X: Any) -> Scores:
        """Scikit-learn's direction: the negative of `anomaly_score`, lower = more anomalous."""
        return -self.anomaly_score(X)

    def is_anomaly(self, X: Any) -> NDArray[np.bool_]:
        """Whether each sample's anomaly score lies above `threshold_score`."""
        flagged: NDArray[np.bool_] = self.anomaly_score(X) > self.threshold_score()
        return flagged

    def threshold_score(self) -> float:
        """The anomaly score above which samples are flagged; follows the parameter `threshold` at once."""
        return self._model.threshold_score(self.threshold)

    # -------------------------------------------------------------------------------------------------- attributes

    @property
    def threshold_rule_(self) -> str:
        """The rule of `threshold` in words."""
        return self._model.threshold_rule(self.threshold)

    @property
    def training_scores_(self) -> Scores:
        """Anomaly score of each training sample, shape (n_train,)."""
        return self._model.training_scores

    @property
    def calibration_scores_(self) -> Scores | None:
        """Anomaly scores of samples not trained on, ascending; None without calibration."""
        return self._model.calibration_scores

    @property
    def latent_labels_(self) -> Scores:
        """The weight of each training sample as an anomaly at the end of training, shape (n_train,)."""
        return self._model.latent

    @property
    def history_(self) -> list[dict[str, Any]]:
        """One record per epoch."""
        return self._model.history

    @property
    def notes_(self) -> list[str]:
        """What is worth knowing of the training data."""
        return self._model.notes

    @property
    def columns_read_(self) -> list[ColumnRead]:
        """How each column of a table was read: name, kind, and what was made of its values, or why it was left out."""
        return list(self._model.encoder.columns_read)

    @property
    def encoder_(self) -> Encoder:
        """What makes vectors of samples, fitted on the training samples."""
        return self._model.encoder

    @property
    def ensemble_(self) -> Ensemble:
        """The trained members."""
        return self._model.ensemble

    @property
    def metadata_(self) -> dict[str, Any]:
        """Any JSON of your own that was saved along."""
        return self._model.metadata

    # ------------------------------------------------------------------------------------------------------- files

    def save(self, folder: str | Path | Stored, metadata: dict[str, Any] | None = None) -> None:
        """Write the fitted model to a folder, whole or not at all; ``metadata`` is any JSON of your own."""
        model = self._model if metadata is None else replace(self._model, metadata=metadata)
        given = self.get_params(deep=False)  # type: ignore[attr-defined]
        save_fitted(place_of(folder), model, self.saved_as, {k: v for k, v in given.items() if k not in NOT_KEPT})
        self.fitted_ = model
        self.forget_checkpoint()

    def forget_checkpoint(self) -> None:
        """Remove what a killed training would go on from, unless this one was interrupted."""
        if self.checkpoint is not None and not self._model.interrupted:
            Path(self.checkpoint).unlink(missing_ok=True)
            shutil.rmtree(passes_beside(self.checkpoint), ignore_errors=True)

    def export(self, file: str | Path) -> Exported:
        """Write an ONNX file that scores the raw numbers of a table as this model does, where there is no Python.

        It flags by the present `threshold`. Needs the extra ``onnx``. What takes texts, dates, categories or images, or
        is your own, cannot be exported; `scorer` goes wherever Python does.

        Returns
        -------
        Exported
            The ``columns`` of its input, its ``outputs``, and the largest ``difference`` of scores that was found.

        Raises
        ------
        InputError
            If something of the model cannot be exported; the message names what.
        """
        return export(self.scorer(), file)


def passes_beside(checkpoint: str | Path) -> Path:
    """The folder beside a checkpoint for what passes over files leave, see `AnomalyDetector.fit_files`."""
    return Path(f"{checkpoint}.passes")


def check_encoder(encoder: Any) -> None:
    """Raise ModelFolderError for an encoder of scikit-learn that was brought along unfitted."""
    if not type(encoder).__module__.startswith("sklearn."):
        return  # of others it cannot be known before they transform: some have nothing to learn
    try:
        check_is_fitted(encoder)
    except NotFittedError as error:
        raise ModelFolderError(
            f"load(folder, encoder=...) takes the encoder that was fitted in the training, detector.encoder_.own; this "
            f"{type(encoder).__name__} is not fitted."
        ) from error
