"""`Fitted`: all that a training left behind, and what can be asked of it. Both estimators hold one and delegate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from expose.decide import Combination, Verdict, describe, draw_line, needs_calibration, p_values_among
from expose.decide.pooling import pool
from expose.encoders.base import Encoder
from expose.errors import InputError
from expose.exposure import ContaminationEstimate
from expose.kinds.base import Kind
from expose.objectives import OBJECTIVES, Objective
from expose.training import Ensemble, member_outputs

Floats = NDArray[np.float64]
PLAIN = (type(None), float, int, str)  # thresholds that always mean the same
ROBUST = 1.4826  # times the median deviation: the standard deviation of normal values
FAR = 1.5  # robust standard deviations: places further above the usual peak are marked,
OF_OWN = 1 / 3  # ... if they are above so much of what their own sample's highest place has


class Peak(NamedTuple):
    """What the most anomalous place of a training sample usually scores: median, and robust standard deviation."""

    centre: float
    spread: float

    @classmethod
    def of(cls, place_scores: Floats) -> Peak:
        """That of the places of samples, ``(n, P)``; up to half of the samples may be as anomalous as they like.

        Examples
        --------
        >>> Peak.of(np.array([[0.0, 1.0], [2.0, 0.0], [3.0, 1.0], [4.0, 0.0], [99.0, 0.0]]))
        Peak(centre=3.0, spread=1.4826)
        """
        peaks = place_scores.max(axis=1)
        centre = float(np.median(peaks))
        return cls(centre, ROBUST * float(np.median(np.abs(peaks - centre))))


class Decisions(NamedTuple):
    """What a model says of n samples.

    Attributes
    ----------
    anomaly_score : (n,) array of float
        Higher = more anomalous.
    is_anomaly : (n,) array of bool
    p_value : (n,) array of float, or None without calibration
    predicted : (n,) array of int, or None of a detector
        Number of the likeliest class, its place in ``classes_``.
    probability : (n,) array of float in [0, 1], or None of a detector
        Of that class, at the fitted temperature.
    """

    anomaly_score: Floats
    is_anomaly: NDArray[np.bool_]
    p_value: Floats | None = None
    predicted: NDArray[np.intp] | None = None
    probability: Floats | None = None

    def take(self, rows: NDArray[Any]) -> Decisions:
        """What is said of some samples, given by number or by a mask."""
        chosen: list[Any] = [None if said is None else said[rows] for said in self]
        return Decisions(*chosen)


@dataclass
class Fitted:
    """A trained model.

    Attributes
    ----------
    kind : Kind
        Of the samples.
    encoder : Encoder
    objective : Objective
        Unbuilt, as it was chosen.
    ensemble : Ensemble
        The trained members, ready to score.
    head : Combination or Verdict
        Makes scores of what the members say: of a detector the median, of a classifier by a score function.
    exposure : str
        The rule that was used.
    estimate : ContaminationEstimate
        Of the unlabelled training samples.
    training : (n,) or (n, W) array
        What the head keeps of the training samples.
    latent : (n,) array
        The weight of each training sample as an anomaly at the end of training.
    known : (n,) array of int8
        1 known anomaly, 0 known normal, -1 unlabelled.
    typical : (T, D) array of float32
        Some typical training parts, with which explanations compare.
    root : int
        The seed of all seeds.
    history : list of dict
        One record per epoch.
    notes : list of str
        What is worth knowing of the training data.
    n_features : int
        Columns of a table; values of an encoded part of another kind.
    columns : tuple of str
        Names of the columns, if they have any.
    calibration : array or None
        What the head keeps of samples that were not trained on.
    interrupted : bool
        Whether training was stopped before its end.
    metadata : dict
        The user's own.
    peak : Peak or None
        Of the places of training samples; None where samples have no places.
    """

    kind: Kind
    encoder: Encoder
    objective: Objective
    ensemble: Ensemble
    head: Combination | Verdict
    exposure: str
    estimate: ContaminationEstimate
    training: Floats
    latent: Floats
    known: NDArray[np.int8]
    typical: NDArray[np.float32]
    root: int
    history: list[dict[str, Any]]
    notes: list[str]
    n_features: int
    columns: tuple[str, ...] = ()
    calibration: Floats | None = None
    interrupted: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    peak: Peak | None = None
    lines: dict[Any, float] = field(default_factory=dict)  # by threshold: each is drawn once, not for every batch

    # ----------------------------------------------------------------------------------------------------- score

    def outputs(self, parts: NDArray[np.float32]) -> Floats:
        """What the head keeps of encoded samples, ``(n, D)`` or ``(n, P, D)``."""
        return kept_of(self.head, self.part_outputs(parts), len(parts), self.encoder.layout.pooling)

    def member_outputs(self, parts: NDArray[np.float32]) -> Floats:
        """What each member says of encoded samples: ``(M, n)``, of a classifier ``(1, n, W)``."""
        said = self.part_outputs(parts)
        return said if isinstance(self.head, Verdict) else pool(said, len(parts), self.encoder.layout.pooling)

    def part_outputs(self, parts: NDArray[np.float32]) -> Floats:
        """What each member says of every part, those of a sample in a row: ``(M, n * P)``."""
        flat = np.ascontiguousarray(parts.reshape(-1, parts.shape[-1]), dtype=np.float32)
        width = self.head.width if isinstance(self.head, Verdict) else None
        return member_outputs(self.ensemble, flat, self.head.method, width)

    def place_scores(self, parts: NDArray[np.float32]) -> Floats:
        """Anomaly scores of the parts, or the places, of encoded samples, ``(n, P)``; of one part the sample's."""
        layout = self.encoder.layout
        if layout.form != "grid" or isinstance(self.head, Verdict):
            return self.place_scores_of(self.part_outputs(parts), len(parts))
        said = member_outputs(self.ensemble, np.ascontiguousarray(parts), "part_scores", layout.n_places)  # (M, n, P)
        return self.place_scores_of(said.reshape(len(said), -1), len(parts))

    def place_scores_of(self, said: Floats, n_samples: int) -> Floats:
        """The same from what each member said of every place, ``(M, n * P)``."""
        return self.head.scores(self.head.kept(said)).reshape(n_samples, -1)

    @property
    def has_places(self) -> bool:
        """Whether places of a sample are told apart, so that there are maps."""
        return self.encoder.layout.n_places > 1

    @property
    def place_names(self) -> tuple[str, ...]:
        """Where each place of a sample lies, in words, ``P`` of them; several may share a name."""
        return self.encoder.name_places(self.kind)

    def check_places(self) -> None:
        """Raise InputError, which says what can be done, where no places are told apart."""
        if not self.has_places:
            raise InputError(f"there are no maps: {self.why_no_places}")

    @property
    def why_no_places(self) -> str:
        """What to say where no places are told apart, and what can be done."""
        if isinstance(self.head, Verdict):
            return f"a classifier judges each {self.kind.noun} as a whole."
        able = sorted(name for name, one in OBJECTIVES.items() if "grid" in one.forms)
        return (
            f"objective {self.objective.name or type(self.objective).__name__!r} judged each {self.kind.noun} as a "
            f"whole. Objectives that tell places apart: {', '.join(map(repr, able))}."
        )

    @property
    def usual_peak(self) -> Peak:
        """What the most anomalous place of a training sample usually scores."""
        self.check_places()
        return Peak.of(self.place_scores(self.typical)) if self.peak is None else self.peak

    @property
    def place_line(self) -> float:
        """The score above which a place is marked by a mask; it needs no label and no share of anomalies."""
        return self.usual_peak.centre + FAR * self.usual_peak.spread

    def place_lines(self, place_scores: Floats) -> Floats:
        """The same for each of some samples, ``(n, P) -> (n,)``: what is far below its own highest place is not marked.

        What surrounds a place that is very unusual looks unusual, too: a network sees both together.
        """
        usual = self.usual_peak.centre
        lines: Floats = np.maximum(self.place_line, usual + OF_OWN * (place_scores.max(axis=1) - usual))
        return lines

    @property
    def place_rule(self) -> str:
        """The rule in words."""
        nouns = f"{self.kind.noun}s"
        return (
            f"more than {FAR:g} robust standard deviations above the median of the highest place scores of the "
            f"training {nouns}, and more than a third as far above it as the highest place of the same {self.kind.noun}"
        )

    def scores(self, parts: NDArray[np.float32]) -> Floats:
        """Anomaly scores ``(n,)`` of encoded samples."""
        return self.head.scores(self.outputs(parts))

    def components(self, parts: NDArray[np.float32]) -> dict[str, Floats]:
        """Scores of which that of each sample is the largest, by name, ``(n,)`` each; of its most anomalous part.

        Empty for objectives without components. Of several members it is the median of each that is given.
        """
        names = list(self.objective.components)
        if not names or isinstance(self.head, Verdict):
            return {}
        flat = np.ascontiguousarray(parts.reshape(-1, parts.shape[-1]), dtype=np.float32)
        said = member_outputs(self.ensemble, flat, "component_scores", len(names))  # (M, n * P, K)
        each = np.stack([self.head.kept(said[..., place]) for place in range(len(names))])  # (K, n * P)
        by_part = each.reshape(len(names), len(parts), -1)
        worst = by_part.max(axis=0).argmax(axis=1)  # (n,)
        return dict(zip(names, by_part[:, np.arange(len(parts)), worst], strict=True))

    @property
    def training_scores(self) -> Floats:
        """Anomaly score of each training sample, ``(n,)``."""
        return self.head.scores(self.training)

    @cached_property  # sorted once, not for every batch: what it is made of is replaced with the model, never changed
    def calibration_scores(self) -> Floats | None:
        """Anomaly scores of the calibration samples, ascending, to be read only; None without."""
        if self.calibration is None:
            return None
        ordered = np.sort(self.head.scores(self.calibration))
        ordered.flags.writeable = False
        return ordered

    @property
    def contamination(self) -> float:
        """Share of anomalies among all training samples, known ones included."""
        return self.of_all(self.estimate.value)

    @property
    def contamination_interval(self) -> tuple[float, float]:
        """Between which shares it lies, by the estimate."""
        return self.of_all(self.estimate.low), self.of_all(self.estimate.high)

    def of_all(self, share: float) -> float:
        """The share of anomalies among all training samples, from that among the unlabelled ones."""
        unlabelled = self.known == -1
        if unlabelled.all():
            return share  # to the bit: a mean of it would round
        return float(np.where(unlabelled, share, self.known == 1).mean())

    # ---------------------------------------------------------------------------------------------------- decide

    def threshold_score(self, threshold: Any) -> float:
        """The anomaly score above which samples are flagged."""
        if type(threshold) not in PLAIN:  # an object of the user's own may have changed
            return self.draw_line(threshold)
        if threshold not in self.lines:
            self.lines[threshold] = self.draw_line(threshold)
        return self.lines[threshold]

    def draw_line(self, threshold: Any) -> float:
        """The same, worked out anew."""
        return draw_line(threshold, self.reference_scores, self.contamination, self.calibration_scores)

    @property
    def reference_scores(self) -> Floats:
        """Scores of which a share is flagged: of the training samples, or what a classifier was calibrated on.

        A classifier is surer of what it was trained on than of anything else, a detector is not.
        """
        calibration = self.calibration_scores if isinstance(self.head, Verdict) else None
        return self.training_scores if calibration is None else calibration

    def threshold_rule(self, threshold: Any) -> str:
        """The rule in words."""
        calibrated = isinstance(self.head, Verdict) and self.calibration is not None
        rows = "calibration" if calibrated else "training"
        return describe(threshold, self.contamination, self.calibration_scores, rows, f"{self.kind.noun}s")

    def decide(self, kept: Floats, threshold: Any) -> Decisions:
        """All that can be said of samples, from what `outputs` gave."""
        scores, calibration = self.head.scores(kept), self.calibration_scores
        flagged = scores > self.threshold_score(threshold)
        p_values = None if calibration is None else p_values_among(scores, calibration)
        if not isinstance(self.head, Verdict):
            return Decisions(scores, flagged, p_values)
        log_p = self.head.log_probabilities(kept)
        predicted = self.head.logits(kept).argmax(axis=1)
        return Decisions(scores, flagged, p_values, predicted, np.exp(log_p.max(axis=1)))

    def p_values(self, scores: Floats) -> Floats:
        """Conformal p-value of each score ``(n,)``.

        Raises
        ------
        InputError
            If there is no calibration.
        """
        return p_values_among(scores, needs_calibration(self.calibration_scores))

    def calibrated(self, kept: Floats) -> Fitted:
        """The same model with other calibration samples."""
        if not len(kept):
            raise InputError("Calibration needs rows that are not known anomalies; got none.")
        return replace(self, calibration=kept, lines={})

    def weights(self) -> Mapping[str, torch.Tensor]:
        """A copy of the members' weights on the CPU, in single precision."""
        state = self.ensemble.state_dict()
        return {k: (v.float() if v.is_floating_point() else v).detach().cpu().clone() for k, v in state.items()}


def kept_of(head: Combination | Verdict, said: Floats, n_samples: int, pooling: str) -> Floats:
    """What a head keeps of samples: of what their parts got from all members, pooled as a layout says."""
    kept = head.kept(said)
    return kept if isinstance(head, Verdict) else pool(kept[None], n_samples, pooling)[0]
