"""What a classifier's outputs say of samples: a class, how likely it is, and how anomalous the sample is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from expose.errors import InputError
from expose.objectives.classification import SCORES, anomaly_score

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """Reads outputs ``(n, K + 1)``, with a background class ``(n, K + 2)``: logits, and last that of the confidence.

    Attributes
    ----------
    classes : (K,) array
    terms : dict of str to float
        Trained on.
    score_function : str
        "auto", which is the usual one, or one of `expose.objectives.classification.SCORES`.
    temperature : float
        By which logits are divided before they become probabilities.
    usual : str
        The score function that belongs to what was trained.
    """

    classes: NDArray[np.generic]
    terms: dict[str, float] = field(default_factory=dict)
    score_function: str = "auto"
    temperature: float = 1.0
    usual: str = "entropy"

    method = "outputs_of"  # of the objective

    @property
    def width(self) -> int:
        """Outputs of each sample."""
        return len(self.classes) + ("background" in self.terms) + 1

    def kept(self, outputs: Floats) -> Floats:
        """What is remembered of samples: the outputs of the one member, ``(1, n, W) -> (n, W)``."""
        first: Floats = outputs[0]
        return first

    @property
    def score(self) -> str:
        """The name of the score function that is used."""
        return self.usual if self.score_function == "auto" else self.score_function

    def scores(self, kept: Floats) -> Floats:
        """Anomaly scores ``(n,)``."""
        name = self.score
        if name not in SCORES:
            raise InputError(f"score_function must be one of {['auto', *SCORES]}; got {name!r}.")
        if name in ("confidence", "background") and name not in self.terms:
            raise InputError(f"score_function={name!r} needs a network trained with the term {name!r}: terms={name!r}.")
        z, c = torch.from_numpy(kept[:, :-1]), torch.from_numpy(kept[:, -1])
        return anomaly_score(name, z, c, len(self.classes)).double().numpy()

    def logits(self, kept: Floats) -> Floats:
        """Logits of the classes ``(n, K)``."""
        return kept[:, : len(self.classes)]

    def log_probabilities(self, kept: Floats) -> Floats:
        """Logarithms of the probabilities of the classes ``(n, K)``, at the temperature."""
        from scipy.special import log_softmax

        found: Floats = log_softmax(self.logits(kept) / self.temperature, axis=1)
        return found
