"""From a training that has succeeded to a model: scores, latent labels and diagnoses of the training samples."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from expose.decide import Combination, Verdict
from expose.decide.pooling import pool
from expose.errors import CollapseWarning, ConstantScoresWarning
from expose.estimators.prepare import Prepared
from expose.estimators.samples import Encoded
from expose.exposure import EXPOSURES, BatchRanking
from expose.model import Fitted, Peak, kept_of
from expose.objectives import Losses, MemoryObjective
from expose.scoring import Scorer
from expose.training import Ensemble, Trained, TrainingSet, member_outputs, ready_to_score, survey

TYPICAL = 16  # parts kept to compare with

Floats = NDArray[np.float64]


def conclude(prepared: Prepared, trained: Trained, head: Verdict | None = None) -> Fitted:
    """Score the training samples, infer their latent labels and look for signs of failure.

    Parameters
    ----------
    prepared : Prepared
    trained : Trained
    head : Verdict, optional
        Of a classifier; a detector's is measured on its training scores.
    """
    plan, encoded = prepared.plan, prepared.encoded
    n_samples = len(encoded.samples)
    method, width = ("score", None) if head is None else (head.method, head.width)
    ensemble = ready_to_score(trained.ensemble, plan.device, method)
    said, of_places = outputs_of(ensemble, encoded, method, width)
    reader = head or Combination.of(said)
    kept = kept_of(reader, said, n_samples, encoded.encoder.layout.pooling)
    scores = reader.scores(kept)
    latent = latent_labels(prepared, ensemble, None if head is not None else said)
    fitted = Fitted(
        kind=encoded.kind,
        encoder=encoded.encoder,
        objective=plan.objective,
        ensemble=ensemble,
        head=reader,
        exposure=plan.exposure,
        estimate=prepared.estimate,
        training=kept,
        latent=latent,
        known=np.full(n_samples, -1, dtype=np.int8) if prepared.known is None else prepared.known,
        typical=typical_parts(prepared, scores),
        root=prepared.root,
        history=trained.history,
        notes=list(encoded.encoder.notes),
        n_features=encoded.n_features,
        columns=encoded.columns,
        interrupted=trained.interrupted,
    )
    fitted.training = Scorer(fitted).in_context(encoded.samples, kept)
    if fitted.has_places:
        fitted.peak = Peak.of(fitted.place_scores_of(of_places, n_samples))
    if head is None:
        diagnose(fitted, prepared)
    return fitted


def outputs_of(ensemble: Ensemble, encoded: Encoded, method: str, width: int | None) -> tuple[Floats, Floats]:
    """What members say of training parts ``(M, n * P)``, and of every place: the same, unless a part has several."""
    layout = encoded.encoder.layout
    if layout.form != "grid" or layout.n_places == 1 or method != "score":
        said = member_outputs(ensemble, encoded.flat, method, width)
        return said, said
    both = member_outputs(ensemble, encoded.flat, "with_places", 1 + layout.n_places)  # (M, n, 1 + P)
    return both[..., 0].copy(), both[..., 1:].reshape(len(both), -1)


def latent_labels(prepared: Prepared, ensemble: Ensemble, said: Floats | None) -> Floats:
    """The weight of each training sample as an anomaly ``(n,)``, ranked over all: those of its parts, pooled.

    What members said ``(M, n * P)`` spares objectives that remember a second pass: their losses are those scores.
    """
    plan, data, known = prepared.plan, prepared.data, prepared.known
    n_samples = len(prepared.encoded.samples)
    if plan.contamination == 0 and known is None:
        return np.zeros(n_samples)
    weight = next(ensemble.parameters())
    pooling = prepared.encoded.encoder.layout.pooling
    if isinstance(plan.objective, MemoryObjective) and said is not None:
        said = said if pooling == "largest" else pool(said, n_samples, pooling)  # as many as were trained on
        losses = Losses(torch.from_numpy(said).to(weight), torch.from_numpy(-said).to(weight))
    else:
        rows = TrainingSet(data.rows.to(weight.dtype), targets=data.targets).to(weight.device)
        losses = survey(ensemble, rows)
    labels = None if data.known is None else data.known.to(weight.device).expand(len(losses.normal), -1)
    weights = EXPOSURES[plan.exposure](*losses, labels, BatchRanking(plan.contamination))
    of_parts: Floats = 1.0 - weights.keep_normal.double().mean(0, keepdim=True).cpu().numpy()  # (1, n * P)
    latent: Floats = pool(of_parts, n_samples, pooling)[0]
    return latent


def typical_parts(prepared: Prepared, scores: Floats) -> NDArray[np.float32]:
    """Some parts of the more ordinary half of the training samples, ``(T, D)``."""
    ordinary = np.flatnonzero(scores <= np.median(scores))
    rng = np.random.default_rng(prepared.root)
    chosen = rng.permutation(ordinary)[:TYPICAL]
    parts: NDArray[np.float32] = prepared.encoded.parts[chosen]
    if parts.ndim == 3:  # one of each sample
        parts = parts[np.arange(len(parts)), rng.integers(parts.shape[1], size=len(parts))]
    return parts


def diagnose(fitted: Fitted, prepared: Prepared) -> None:
    """Warn of scores that carry no information, and note it."""
    scores = fitted.training_scores
    if np.ptp(scores) <= 1e-9 * np.abs(scores).max():
        noun = fitted.kind.noun
        message = f"All training {noun}s have the same anomaly score, so no ranking can be made. "
        message += f"Are all {noun}s alike? Otherwise try another encoder or objective."
        warnings.warn(message, ConstantScoresWarning, stacklevel=4)
        fitted.notes.append(message)
    rows = prepared.data.sample.to(next(fitted.ensemble.parameters()).dtype)
    found = [fitted.ensemble.member(index).diagnose(rows) for index in range(fitted.ensemble.n_members)]
    for message in dict.fromkeys(message for message in [prepared.concern, *found] if message):
        warnings.warn(message, CollapseWarning, stacklevel=4)
        fitted.notes.append(message)
