"""What a user brings, of whatever kind, as encoded parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from expose.encoders import Encoder, make_encoder
from expose.errors import InputError
from expose.kinds import Kind, Samples, kind_of, samples_of
from expose.model import Fitted
from expose.objectives import OBJECTIVES, Objective
from expose.outliers import OutlierStream
from expose.training import OutlierSource

FEWEST = 2


@dataclass(frozen=True)
class Encoded:
    """Training samples with the encoder that was fitted on them.

    Attributes
    ----------
    parts : (n, D) or (n, P, D) array of float32
    n_features : int
        Columns of a table; values of an encoded part where samples have no columns.
    columns : tuple of str
        Names of the columns, if they have any.
    """

    kind: Kind
    samples: Samples
    encoder: Encoder
    parts: NDArray[np.float32]
    n_features: int
    columns: tuple[str, ...]

    @property
    def flat(self) -> NDArray[np.float32]:
        """Parts in a row, those of a sample together: ``(n * P, D)``."""
        return self.parts.reshape(-1, self.parts.shape[-1])

    @property
    def parts_per_sample(self) -> int:
        """P, 1 where a sample is one part."""
        return self.parts.shape[1] if self.parts.ndim == 3 else 1

    def taught(self, seed: int) -> NDArray[np.float32]:
        """What is trained on ``(m, D)``: all parts in a row, or one of each sample where all see the whole of it.

        Windows that cover a step are those of its neighbours, too, so that none is lost.
        """
        if self.parts_per_sample == 1 or self.encoder.layout.pooling == "largest":
            return self.flat
        chosen = np.random.default_rng(seed).integers(self.parts_per_sample, size=len(self.parts))
        one: NDArray[np.float32] = self.parts[np.arange(len(self.parts)), chosen]
        return one

    @property
    def anomalous_parts(self) -> float:
        """What share of the parts of an anomalous sample is anomalous at least."""
        return min(1.0, self.encoder.layout.least_anomalous / self.parts_per_sample)


def encode_training(
    X: Any, kind: Kind, choice: Any, objective: Objective, before: Fitted | None, verbose: int = 0
) -> Encoded:
    """Encode training samples, by an encoder fitted on them, or by the one of the fit before.

    Raises
    ------
    InputError
        When there are too few samples, or they cannot be encoded.
    """
    kind.check_training(X)
    samples = samples_of(X, kind)
    if len(samples) < FEWEST:
        raise InputError(
            f"training needs at least {FEWEST} {kind.noun}s, better hundreds; got {len(samples)} sample(s)."
        )
    columns = kind.columns(samples)
    encoder = encoder_for(kind, choice, objective, verbose) if before is None else before.encoder
    parts = encoder.fit_transform(samples) if before is None else encoder.transform(samples)
    n_features, names = (parts.shape[-1], ()) if columns is None else columns
    return Encoded(kind, samples, encoder, parts, n_features, names)


def encode_more(encoded: Encoded, X: Any) -> NDArray[np.float32]:
    """Further training samples as parts in a row ``(n * P, D)``, by the encoder that was fitted on the others."""
    parts = encoded.encoder.transform(samples_of(X, encoded.kind))
    return parts.reshape(-1, parts.shape[-1])


def encoder_for(kind: Kind, choice: Any, objective: Objective, verbose: int = 0) -> Encoder:
    """The encoder that was chosen, that the objective prefers or that is usual for the kind, to be fitted."""
    encoder = make_encoder(choice, kind, preferred_encoder(objective, kind)).suited(objective.forms)
    encoder.verbose = verbose
    return encoder


def check_form(objective: Objective, encoder: Encoder, kind: Kind, choice: Any = None) -> None:
    """Raise InputError, which says what can be done, unless an objective takes parts of this form.

    ``choice`` is the encoder as it was chosen; None if it was not.
    """
    form = encoder.layout.form
    if form in objective.forms:
        return
    able = sorted(name for name, registered in OBJECTIVES.items() if form in registered.forms)
    name = objective.name or type(objective).__name__
    usual = f", the usual one for {kind.plural}," if name == kind.objective else ""
    by, preferred = ("" if choice is None else f" by encoder {_shown(choice)}"), preferred_encoder(objective, kind)
    other = choice is not None and preferred != kind.encoder
    advice = f"Or leave the encoder out: {name!r} goes with {preferred!r}." if other else kind.advice
    raise InputError(
        f"objective {name!r}{usual} takes parts of the form {' or '.join(objective.forms)}; {kind.plural} are encoded "
        f"in the form {form}{by}. Objectives for it: {', '.join(map(repr, able)) or 'none'}. {advice}"
    )


def _shown(choice: Any) -> str:
    return repr(choice) if isinstance(choice, str) else type(choice).__name__


def preferred_encoder(objective: Objective, kind: Kind) -> str:
    """Name of the encoder that an objective takes where nobody chose one."""
    return objective.encoders.get(kind.name) or kind.encoder_for(objective.forms)


def encode_outliers(outliers: Any, encoded: Encoded) -> NDArray[np.float32] | OutlierSource:
    """Encode auxiliary outliers ``(r, D)``; those of a stream batch by batch, when they are needed."""
    if isinstance(outliers, OutlierStream):
        return EncodedStream(outliers, encoded.encoder, encoded.kind)
    try:
        encoded.kind.check_training(outliers)
        rows = encoded.encoder.transform(samples_of(outliers, encoded.kind))
    except ValueError as error:
        raise InputError(f"outliers must be {encoded.kind.plural} like X: {error}") from error
    if len(rows) == 0:
        raise InputError("outliers holds no row; leave it out, or give at least one.")
    return rows.reshape(-1, rows.shape[-1])


class EncodedStream:
    """Outliers of a stream as the loop takes them."""

    def __init__(self, stream: OutlierStream, encoder: Encoder, kind: Kind) -> None:
        self.stream = stream
        self.encoder = encoder
        self.kind = kind

    def batch(self, size: int, taken: int) -> torch.Tensor:
        """Encoded outliers ``(size, D)``, after so many that were taken before."""
        if self.stream.taken != taken:
            self.stream.seek(taken)
        rows = self.encoder.transform(self.kind.samples(self.stream.take(size)))
        return torch.from_numpy(rows.reshape(-1, rows.shape[-1]))


def check_input(estimator: Any, X: Any) -> Any:
    """``X`` as it came, after scikit-learn has compared an array's columns with those of training, if it had any."""
    if isinstance(X, np.ndarray) and X.ndim == 2 and kind_of(X) is estimator.fitted_.kind:
        named = hasattr(estimator, "feature_names_in_")
        if named or X.shape[1] != estimator.n_features_in_:  # else it has nothing to say, and takes time over it
            validate_data(estimator, X, reset=False, skip_check_array=True)
    return X
