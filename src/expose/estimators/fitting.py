"""From prepared rows to a trained detector: the contamination to assume, the loop's settings, and the training itself.

Several detectors of the same settings may be trained in one batched computation, each on rows of its own.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from expose.errors import InputError
from expose.exposure import (
    EXPOSURES,
    HIGHEST_SHARE,
    ContaminationEstimate,
    Exposure,
    estimate_contamination,
    given_contamination,
    labelled_contamination,
    select_contamination,
)
from expose.inputs import Encoder, Rows
from expose.objectives import MemoryObjective, Objective
from expose.training import (
    Ensemble,
    Loop,
    OutlierSource,
    Settings,
    TrainingSet,
    alternate,
    build_members,
    choose,
    choose_places,
    default_batch_size,
    default_epochs,
    make_fabric,
    mix,
    torch_device,
)

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector

ESTIMATE_ROWS = 20_000  # rows from which "auto" estimates the contamination
FOREST_TREES = 300  # with 100 the estimate depends more on the seed (docs/notes.md)
PREPARE_ROWS = 4096
FEWEST_LABELS = 10  # from which "auto" estimates the contamination
WARM_SHORTER = 3  # how many times fewer epochs a warm start makes
EXPOSES_SUSPECTS = {"hard", "soft"}  # to the abnormal loss
UNDETERMINING = {"objective", "threshold", "calibration", "verbose", "checkpoint", "checkpoint_every", "random_state"}


@dataclass(frozen=True)
class Prepared:
    """A detector and what it is about to be trained on: rows ``(n, D)``, known ``(n,)``, outliers ``(r, D)``."""

    detector: AnomalyDetector
    objective: Objective
    encoder: Encoder
    rows: NDArray[np.float32]
    known: NDArray[np.int8] | None
    outliers: NDArray[np.float32] | OutlierSource | None
    root: int
    estimate: ContaminationEstimate
    table: Rows
    start: dict[str, torch.Tensor] | None = None  # weights to go on from

    @property
    def arrays(self) -> tuple[NDArray[Any] | None, ...]:
        """What the training depends on."""
        weights = () if self.start is None else tuple(value.numpy() for value in self.start.values())
        outliers = self.outliers if isinstance(self.outliers, np.ndarray) else None
        return self.rows, self.known, outliers, *weights


class Earlier(NamedTuple):
    """What a warm start takes over of the fit before; weights only of objectives that train them."""

    encoder: Encoder
    root: int
    weights: dict[str, torch.Tensor] | None


def earlier(detector: AnomalyDetector, objective: Objective) -> Earlier:
    """The fit before, if training can go on from it; else InputError."""
    old = detector._objective
    before = (old.name, type(old), old.hyperparameters(), detector.ensemble_.n_members)
    now = (objective.name, type(objective), objective.hyperparameters(), detector.members)
    if before != now:
        raise InputError(
            f"warm_start goes on from what was fitted: objective {old.name!r}, {before[2]}, {before[3]} member(s); now "
            f"it is {objective.name!r}, {now[2]}, {now[3]} member(s). Set warm_start=False to begin anew."
        )
    if isinstance(objective, MemoryObjective):
        return Earlier(detector.encoder_, detector._root, None)
    state = detector.ensemble_.state_dict()
    weights = {name: (v.float() if v.is_floating_point() else v).detach().cpu().clone() for name, v in state.items()}
    return Earlier(detector.encoder_, detector._root, weights)


def train(group: Sequence[Prepared]) -> None:
    """Train one detector, or several alike that are unlabelled and have equally many rows and columns, at once."""
    first, detector = group[0], group[0].detector
    if isinstance(first.objective, MemoryObjective):
        for prepared in group:
            remember(prepared)
        return
    settings = settings_for(detector, first.objective, first.root, first.arrays)
    seeds = [mix(prepared.root, member) for prepared in group for member in range(detector.members)]
    settings = replace(settings, seeds=tuple(seeds))
    if first.start is not None:
        settings = replace(settings, warmup=0, epochs=detector.epochs or -(-settings.epochs // WARM_SHORTER))
    samples = [torch.from_numpy(p.rows[prepare_sample(p.known, len(p.rows), p.root)]) for p in group]
    ensemble = build_members(first.objective, per_member(samples, detector.members), settings.seeds)
    if first.start is not None:
        ensemble.load_state_dict(first.start)
    fabric = make_fabric(
        detector.device, detector.precision, sum(p.numel() for p in ensemble.parameters()) // len(seeds)
    )
    rows = per_member([torch.from_numpy(p.rows) for p in group], detector.members)
    data = TrainingSet(rows, as_tensor(first.known), held(first.outliers))
    loop = Loop(fabric, exposure_of(detector, first.objective), shares(group), settings)
    history = loop.run(ensemble, data)
    for number, prepared in enumerate(group):
        own = own_members(ensemble, number, len(group))
        prepared.detector._finish(prepared, own, loop.fabric.device, history, loop.interrupted)


def train_alike(several: Sequence[Prepared]) -> None:
    """Train several unlabelled detectors of the same settings, those on tables of the same shape at once."""
    groups: dict[Any, list[Prepared]] = defaultdict(list)
    for prepared in several:
        own_share = prepared.estimate.value if prepared.detector.ranking == "running" else None
        groups[prepared.rows.shape, own_share].append(prepared)
    for group in groups.values():
        train(group)


def remember(prepared: Prepared) -> None:
    """Fit one detector whose objective remembers rows instead of training weights."""
    detector, seeds = prepared.detector, [mix(prepared.root, member) for member in range(prepared.detector.members)]
    data = TrainingSet(torch.from_numpy(prepared.rows), as_tensor(prepared.known), held(prepared.outliers))
    objective = cast(MemoryObjective, prepared.objective)
    exposure = exposure_of(detector, objective)
    ensemble, history = alternate(objective, data, exposure, prepared.estimate.value, seeds)
    detector._finish(prepared, ensemble, torch_device(detector.device), history, interrupted=False)


def exposure_name(detector: AnomalyDetector, objective: Objective) -> str:
    """The name of the exposure that is used: the objective's own choice for "auto"."""
    return objective.preferred_exposure if detector.exposure == "auto" else detector.exposure


def exposure_of(detector: AnomalyDetector, objective: Objective) -> Exposure:
    """The rule that is used."""
    return EXPOSURES[exposure_name(detector, objective)]


def one_sided(prepared: Prepared) -> str | None:
    """Say in one sentence that nothing abnormal was there for an objective that cannot do without; None if fine."""
    if not prepared.objective.needs_anomalies or prepared.outliers is not None:
        return None
    if prepared.known is not None and bool((prepared.known == 1).any()):
        return None
    exposes = exposure_name(prepared.detector, prepared.objective) in EXPOSES_SUSPECTS
    if exposes and prepared.estimate.value > 0:
        return None
    return (
        f"{prepared.objective.name or 'This objective'} was trained on nothing abnormal, so nothing keeps it from "
        "calling every row normal: pass outliers, label some anomalies, assume a contamination, or choose another "
        "objective."
    )


def per_member(rows: list[torch.Tensor], members: int) -> torch.Tensor:
    """The rows of one detector ``(n, D)``, or of several, once for each of their members ``(M, n, D)``."""
    return rows[0] if len(rows) == 1 else torch.stack(rows).repeat_interleave(members, dim=0)


def shares(group: Sequence[Prepared]) -> float | torch.Tensor:
    """The contamination to assume: one number, or each member's own ``(M,)``."""
    values = [prepared.estimate.value for prepared in group]
    if len(set(values)) == 1:
        return values[0]
    return torch.tensor(values, dtype=torch.float64).repeat_interleave(group[0].detector.members)


def own_members(ensemble: Ensemble, number: int, of: int) -> Ensemble:
    """The members of one of several detectors that were trained as one ensemble."""
    if of == 1:
        return ensemble
    count = ensemble.n_members // of
    return Ensemble([ensemble.member(index) for index in range(number * count, (number + 1) * count)])


def as_tensor(array: NDArray[Any] | None) -> torch.Tensor | None:
    """``array`` as a tensor on the same memory; None stays None."""
    return None if array is None else torch.from_numpy(array)


def held(outliers: NDArray[Any] | OutlierSource | None) -> torch.Tensor | OutlierSource | None:
    """Outliers that are in memory as a tensor, others as they are."""
    return as_tensor(outliers) if isinstance(outliers, np.ndarray) or outliers is None else outliers


def settle_contamination(
    contamination: float | str,
    objective: Objective,
    rows: NDArray[np.float32],
    known: NDArray[np.int8] | None,
    seed: int,
) -> ContaminationEstimate:
    """The share of anomalies to assume among the unlabelled rows: given for all rows, or estimated."""
    unlabelled = rows if known is None else rows[known == -1]
    if contamination == "auto" and known is not None and is_told_enough(known):
        return of_unlabelled(told_contamination(objective, rows, known, seed), known)
    if contamination == "auto" and len(unlabelled) > 1:
        if isinstance(objective, MemoryObjective):
            return select_contamination(remembered_evidence(objective, unlabelled, seed))
        return estimate_contamination(isolation_scores(unlabelled, seed))
    share = 0.0 if contamination == "auto" else float(contamination)
    if known is None:
        return given_contamination(share)
    if len(unlabelled) == 0:
        return ContaminationEstimate(0.0, 0.0, 0.0, "every row has a known label")
    return of_unlabelled(given_contamination(share), known)


def is_told_enough(known: NDArray[np.int8]) -> bool:
    """Whether labels can tell the share: enough of them, and not mostly anomalies, as a list of known frauds is."""
    normal, anomalies = int((known == 0).sum()), int((known == 1).sum())
    return normal + anomalies >= FEWEST_LABELS and normal >= anomalies and bool((known == -1).any())


def told_contamination(
    objective: Objective, rows: NDArray[np.float32], known: NDArray[np.int8], seed: int
) -> ContaminationEstimate:
    """The share of anomalies among all rows, from the labels and from scores that know of none."""
    memory = objective if isinstance(objective, MemoryObjective) else None
    most = ESTIMATE_ROWS if memory is None else memory.references
    place = choose_places(torch.from_numpy(known), most, most // 2, torch.Generator().manual_seed(seed)).numpy()
    chosen = rows[place]
    scores = isolation_scores(chosen, seed) if memory is None else remembered_evidence(memory, chosen, seed)
    return labelled_contamination(scores, known[place])


def of_unlabelled(estimate: ContaminationEstimate, known: NDArray[np.int8]) -> ContaminationEstimate:
    """The share among the unlabelled rows, from that among all rows, which counts known anomalies."""
    found, left = int((known == 1).sum()), int((known == -1).sum())
    value, low, high = (
        min(HIGHEST_SHARE, max(0.0, (share * len(known) - found) / left))
        for share in (estimate.value, estimate.low, estimate.high)
    )
    return ContaminationEstimate(value, low, high, estimate.method)


def share_of_all(share_of_unlabelled: float, known: NDArray[np.int8] | None) -> float:
    """The share of anomalies among all training rows, known anomalies included."""
    if known is None:
        return share_of_unlabelled
    return float((share_of_unlabelled * (known == -1) + (known == 1)).mean())


def isolation_scores(rows: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Anomaly scores of an isolation forest on at most 20,000 of the rows; serves the contamination estimate only."""
    if len(rows) > ESTIMATE_ROWS:
        rows = rows[np.random.default_rng(seed).choice(len(rows), ESTIMATE_ROWS, replace=False)]
    forest = IsolationForest(n_estimators=FOREST_TREES, random_state=seed % 2**32).fit(rows)
    return -np.asarray(forest.score_samples(rows), dtype=np.float64)


def remembered_evidence(objective: MemoryObjective, rows: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """How far from all others an objective that remembers rows finds some of these, (n,)."""
    member = copy.deepcopy(objective)
    member.build(rows.shape[1])
    chosen, _ = choose(TrainingSet(torch.from_numpy(rows)), member.references, torch.Generator().manual_seed(seed))
    return np.asarray(member.remember(chosen, torch.ones(len(chosen))), dtype=np.float64)


def prepare_sample(known: NDArray[np.int8] | None, n_rows: int, seed: int) -> NDArray[np.intp]:
    """Numbers of at most 4,096 random rows, none a known anomaly, on which members prepare and diagnose themselves."""
    rows = np.arange(n_rows) if known is None else np.flatnonzero(known != 1)
    if len(rows) <= PREPARE_ROWS:
        return rows
    return np.random.default_rng(seed).choice(rows, PREPARE_ROWS, replace=False)


def settings_for(
    detector: AnomalyDetector, objective: Objective, root: int, arrays: tuple[NDArray[Any] | None, ...]
) -> Settings:
    """The detector's parameters with their defaults resolved for these training arrays (rows first)."""
    n_rows = len(arrays[0]) if arrays[0] is not None else 0
    batch_size = detector.batch_size or default_batch_size(n_rows)
    return Settings(
        seeds=tuple(mix(root, member) for member in range(detector.members)),
        epochs=detector.epochs or default_epochs(n_rows, batch_size),
        batch_size=batch_size,
        learning_rate=detector.learning_rate,
        weight_decay=detector.weight_decay,
        halve_every=detector.halve_every,
        warmup=detector.warmup,
        ranking=detector.ranking,
        outlier_weight=detector.outlier_weight,
        patience=detector.patience,
        checkpoint=None if detector.checkpoint is None else Path(detector.checkpoint),
        checkpoint_every=detector.checkpoint_every,
        fingerprint=fingerprint(detector, objective, root, arrays) if detector.checkpoint else "",
        verbose=detector.verbose,
    )


def fingerprint(
    detector: AnomalyDetector, objective: Objective, root: int, arrays: tuple[NDArray[Any] | None, ...]
) -> str:
    """A digest of all that determines the training, so that a checkpoint serves only its own run."""
    parameters = {k: v for k, v in detector.get_params(deep=False).items() if k not in UNDETERMINING}
    return digest_of(parameters, root, repr((objective.name, type(objective), objective.hyperparameters())), arrays)


def digest_of(parameters: dict[str, Any], root: int, model: str, arrays: Iterable[NDArray[Any] | None]) -> str:
    """A digest of parameters, seed, what the model is, arrays, and the versions that compute."""
    digest = hashlib.sha256(json.dumps([parameters, root, version("expose"), torch.__version__], default=str).encode())
    digest.update(model.encode())
    for array in arrays:
        digest.update(repr(None if array is None else array.shape).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
