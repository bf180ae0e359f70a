"""The one loop. Alternates two half-steps: weights from the losses, network from the weights (Qiu et al., 2022).

Every random number of an epoch follows from the member's seed and the epoch's number, so a run that was killed goes
on from its last checkpoint to the very same model.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from expose.errors import InterruptedWarning, NonFiniteLossError
from expose.exposure import BatchRanking, Exposure, Ranking, RunningRanking, Weights, blind, hard
from expose.objectives import Losses
from expose.training.checkpoint import restore, store
from expose.training.churn import epoch_overlap, flipped_share, member_overlap
from expose.training.devices import fitting_threads
from expose.training.ensemble import Ensemble, torch_seed
from expose.training.optimizers import cosine, make_optimizer, set_rate
from expose.training.order import OutlierSource, batches, mix, outlier_batches, shuffle
from expose.training.progress import progress

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SURVEY_VALUES = 2**18  # values per forward pass without gradient
NO_CLASS = -1  # target of rows whose class is not known


@dataclass(frozen=True)
class Settings:
    """How to train; the estimator's parameters after its defaults are resolved."""

    seeds: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    halve_every: int | None = None
    optimizer: str = "adam"  # or "sgd", with Nesterov's momentum
    cosine: bool = False  # the learning rate falls to zero along a cosine, step by step
    warmup: int = 2
    ranking: str = "batch"
    outlier_weight: float = 1.0
    outlier_batch_size: int | None = None  # None: as many as training rows
    outlier_share: float = 1.0  # share of the outliers that are anomalous; below 1 their labels are latent
    hardest: float = 1.0  # share of each batch of outliers that is trained on, those of largest abnormal loss
    joint_pass: bool = True  # training rows and outliers go through the network together
    patience: int | None = None
    checkpoint: Path | None = None
    checkpoint_every: float = 30.0
    fingerprint: str = ""
    verbose: int = 0


@dataclass(frozen=True)
class TrainingSet:
    """Rows ``(N, D)`` or ``(M, N, D)``, one set per member; known ``(N,)``; outliers ``(R, D)``; targets ``(N,)``.

    Outliers may be a stream instead of a tensor; targets are the numbers of the classes, for a classifier.
    """

    rows: Tensor
    known: Tensor | None = None
    outliers: Tensor | OutlierSource | None = None
    targets: Tensor | None = None

    def to(self, device: torch.device) -> TrainingSet:
        """The same set on another device; a stream stays where it is."""

        def there(tensor: Any) -> Any:
            return tensor.to(device) if isinstance(tensor, Tensor) else tensor

        return TrainingSet(self.rows.to(device), there(self.known), there(self.outliers), there(self.targets))

    def batch(self, index: Tensor) -> Tensor:
        """Rows by number: ``(M, B) -> (M, B, D)``."""
        if self.rows.ndim == 2:
            return self.rows[index]
        return self.rows[torch.arange(len(index), device=index.device)[:, None], index]


@dataclass
class State:
    """What changes while training, beside the weights."""

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    suspects: Tensor | None = None  # (M, N) boolean, of the last epoch
    best: list[float] = field(default_factory=list)  # lowest epoch loss of each member since the warm-up
    best_weights: dict[str, Tensor] = field(default_factory=dict)  # the members' weights at that epoch's end
    stale: int = 0  # epochs in which no member's loss fell by a thousandth


class Loop:
    """Trains an `Ensemble` on a `TrainingSet` under an exposure rule.

    Parameters
    ----------
    fabric : Fabric
        Device and precision.
    exposure : Exposure
        The rule that gives each row its weights.
    contamination : float, or Tensor of shape (M,)
        Assumed share of anomalies among the unlabelled rows, in [0, 0.5); with the rankings "batch" and "dataset"
        perhaps each member's own.
    settings : Settings
        Everything else.
    """

    def __init__(self, fabric: Fabric, exposure: Exposure, contamination: float | Tensor, settings: Settings) -> None:
        self.fabric = fabric
        self.exposure = exposure
        self.contamination = contamination
        self.settings = settings
        self.interrupted = False

    def run(self, ensemble: Ensemble, data: TrainingSet) -> list[dict[str, Any]]:
        """Train ``ensemble`` in place; return the history, one record per epoch."""
        s = self.settings
        data = data.to(self.fabric.device)
        model, optimizer = self.fabric.setup(
            ensemble, make_optimizer(ensemble.to(self.fabric.device), s.optimizer, s.learning_rate, s.weight_decay)
        )
        state = restore(s.checkpoint, s.fingerprint, ensemble, optimizer, State())
        saved = time.monotonic()
        work = sum(p.numel() for p in ensemble.parameters()) * s.batch_size
        try:
            with fitting_threads(work), progress(s.epochs, s.verbose) as report:
                while state.epoch < s.epochs and not self.is_stale(state):
                    report(self.epoch(model, optimizer, ensemble, data, state))
                    if s.checkpoint and time.monotonic() - saved >= s.checkpoint_every:
                        store(s.checkpoint, s.fingerprint, ensemble, optimizer, state)
                        saved = time.monotonic()
            if s.checkpoint:  # a kill between here and the saving of the model loses nothing
                store(s.checkpoint, s.fingerprint, ensemble, optimizer, state)
        except KeyboardInterrupt:
            if state.epoch == 0:
                raise
            self.interrupted = True
            warnings.warn(
                f"Training was interrupted after {state.epoch} of {s.epochs} epochs. The model is usable as it is; "
                "the same call goes on from the last checkpoint, if one was written.",
                InterruptedWarning,
                stacklevel=3,
            )
        if state.best_weights:
            ensemble.load_state_dict(state.best_weights)
        return state.history

    def epoch(self, model: Any, optimizer: Any, ensemble: Ensemble, data: TrainingSet, state: State) -> dict[str, Any]:
        """One pass over the data; append its record to the history and return it."""
        started = time.perf_counter()
        s, number = self.settings, state.epoch
        set_rate(optimizer, s.learning_rate * 0.5 ** (number // s.halve_every if s.halve_every else 0))
        order = shuffle(s.seeds, number, data.rows.shape[-2]).to(data.rows.device)  # (M, N)
        with torch_seed(mix(s.seeds[0], number, stream=1), data.rows.device):
            steps = list(self.steps(model, optimizer, data, order, number))
        losses = Losses(*(torch.cat(parts, -1) for parts in zip(*(step[0] for step in steps), strict=True)))
        weights = Weights(*(torch.cat(parts, -1) for parts in zip(*(step[1] for step in steps), strict=True)))
        outliers = torch.stack([step[2] for step in steps]).mean(0)  # (M,)
        minimised = weighted_mean(losses, weights) + s.outlier_weight * outliers  # (M,)
        self.check_finite(minimised, number)
        record: dict[str, Any] = {"epoch": number + 1, "loss": float(minimised.mean())}
        record |= self.record(losses, weights, order, data.known, state)
        record["outliers"] = None if data.outliers is None else float(outliers.mean())
        record["seconds"] = time.perf_counter() - started
        state.history.append(record)
        state.epoch += 1
        if s.patience is not None:
            self.keep_best(minimised.tolist(), ensemble, state)
        return record

    def steps(
        self, model: Any, optimizer: Any, data: TrainingSet, order: Tensor, number: int
    ) -> Iterator[tuple[Losses, Weights, Tensor]]:
        """Yield detached losses, weights and the outliers' mean abnormal loss ``(M,)`` of each step, as ordered."""
        s = self.settings
        assign = self.assigner(model, data, order.shape[0], number)
        parts = batches(order, s.batch_size)
        sizes = [s.outlier_batch_size or part.shape[1] for part in parts]
        extras = outlier_batches(data.outliers, sizes, s.seeds, number)
        for step, (index, extra) in enumerate(zip(parts, extras, strict=True)):  # (M, B) and (M, O, D)
            if s.cosine:
                set_rate(optimizer, s.learning_rate * cosine(number + step / len(parts), s.epochs))
            losses, outlier_losses = self.forward(model, data, index, extra)
            detached = Losses(losses.normal.detach(), losses.abnormal.detach())
            weights = assign(detached, index)
            loss = weighted_mean(losses, weights)  # (M,)
            outlier_loss = torch.zeros_like(loss)
            if outlier_losses is not None:
                outlier_loss = weighted_mean(outlier_losses, self.outlier_weights(outlier_losses, number, step))
                loss = loss + s.outlier_weight * outlier_loss  # a mean of its own
            optimizer.zero_grad()
            self.fabric.backward(loss.sum())  # members share nothing, so the sum trains each on its own
            optimizer.step()
            yield detached, weights, outlier_loss.detach()

    def forward(
        self, model: Any, data: TrainingSet, index: Tensor, extra: Tensor | None
    ) -> tuple[Losses, Losses | None]:
        """Losses of the training rows ``(M, B)``, and of the outliers ``(M, O)`` if there are any."""
        rows, count = data.batch(index), index.shape[1]  # (M, B, D)
        targets = None if data.targets is None else data.targets[index]  # (M, B)
        if extra is None:
            return call(model, rows, targets), None
        extra = extra.to(rows)
        classless = None if targets is None else targets.new_full(extra.shape[:2], NO_CLASS)
        if not self.settings.joint_pass:
            return call(model, rows, targets), call(model, extra, classless)
        both = call(
            model,
            torch.cat([rows, extra], dim=1),  # one forward pass: what normalises over a batch sees both
            None if targets is None or classless is None else torch.cat([targets, classless], dim=1),
        )
        return Losses(*(loss[:, :count] for loss in both)), Losses(*(loss[:, count:] for loss in both))

    def outlier_weights(self, losses: Losses, number: int, step: int) -> Weights:
        """How much each outlier of a batch ``(M, O)`` counts: as an anomaly, if nothing else was asked for."""
        s = self.settings
        normal, abnormal = losses.normal.detach(), losses.abnormal.detach()
        if s.outlier_share == s.hardest == 1:
            return Weights(torch.zeros_like(abnormal), torch.ones_like(abnormal))
        generator = torch.Generator().manual_seed(mix(s.seeds[0], mix(number, step), stream=6))
        if s.outlier_share < 1:  # unlabelled wild rows: their labels are latent too
            return hard(normal, abnormal, None, BatchRanking(s.outlier_share, generator))
        counted = BatchRanking(s.hardest, generator).suspects(abnormal, None).float()
        return Weights(torch.zeros_like(counted), counted)

    def assigner(self, model: Any, data: TrainingSet, members: int, number: int) -> Any:
        """The first half-step as a function of a batch's losses and row numbers; blind while warming up."""
        s = self.settings
        warm = number < s.warmup
        rule: Exposure = blind if warm else self.exposure
        generator = torch.Generator().manual_seed(mix(s.seeds[0], number, stream=2))
        known = None if data.known is None else data.known.expand(members, -1)  # (M, N)
        ranking: Ranking = BatchRanking(self.contamination, generator)
        if s.ranking == "dataset" and not warm:
            surveyed = survey(model, data)
            whole = rule(surveyed.normal, surveyed.abnormal, known, ranking)
            return lambda losses, index: Weights(*(weight.gather(-1, index) for weight in whole))
        if s.ranking == "running":
            ranking = RunningRanking(float(self.contamination), generator)
        return lambda losses, index: rule(
            losses.normal, losses.abnormal, None if known is None else known.gather(-1, index), ranking
        )

    def record(
        self, losses: Losses, weights: Weights, order: Tensor, known: Tensor | None, state: State
    ) -> dict[str, Any]:
        """Summarise an epoch; losses and weights are ``(M, N)`` in the order of ``order``. Means are over members."""
        suspects = torch.zeros_like(order, dtype=torch.bool).scatter(-1, order, weights.keep_normal < 1)
        if known is not None:
            suspects &= known < 0
        before = state.suspects if state.suspects is not None else torch.zeros_like(suspects)
        record = {
            "normal": mean_where(losses.normal, weights.keep_normal),
            "abnormal": mean_where(losses.abnormal, weights.keep_abnormal),
            "contamination": mean_share(self.contamination) if state.epoch >= self.settings.warmup else 0.0,
            "flipped": flipped_share(suspects, before),
            "overlap": epoch_overlap(suspects, before),
            "member_overlap": member_overlap(suspects),
        }
        state.suspects = suspects
        return record

    def check_finite(self, minimised: Tensor, number: int) -> None:
        """Raise NonFiniteLossError if a member's epoch loss ``(M,)`` is NaN or infinite."""
        if not bool(torch.isfinite(minimised).all()):
            bad = torch.nonzero(~torch.isfinite(minimised)).flatten().tolist()
            raise NonFiniteLossError(
                f"The loss became NaN or infinite in epoch {number + 1} (members {bad}). Try a smaller learning "
                f"rate than {self.settings.learning_rate}, or precision='32'; with your own objective, check that "
                "`abnormal` stays finite."
            )

    def keep_best(self, losses: list[float], ensemble: Ensemble, state: State) -> None:
        """Note each member's lowest training loss since the warm-up, and its weights then; count stale epochs."""
        if state.epoch <= self.settings.warmup:
            return
        best = state.best or [float("inf")] * len(losses)
        better = [new < old for new, old in zip(losses, best, strict=True)]
        much_better = [new < old - 1e-3 * abs(old) for new, old in zip(losses, best, strict=True)]
        state.stale = 0 if any(much_better) or not state.best else state.stale + 1
        state.best = [min(new, old) for new, old in zip(losses, best, strict=True)]
        state.best_weights = ensemble.take_over(state.best_weights, better)

    def is_stale(self, state: State) -> bool:
        """Whether early stopping is on and its patience is spent."""
        return self.settings.patience is not None and state.stale >= self.settings.patience


@torch.no_grad()
def survey(model: Any, data: TrainingSet) -> Losses:
    """Losses of all training rows, ``(M, N)`` each, for the present weights."""
    n = data.rows.shape[-2]
    chunk = max(16, SURVEY_VALUES // data.rows.shape[-1])
    starts = range(0, n, chunk)
    targets = [None if data.targets is None else data.targets[None, start : start + chunk] for start in starts]
    rows = (data.rows[..., start : start + chunk, :] for start in starts)
    parts = [call(model, part, classes) for part, classes in zip(rows, targets, strict=True)]
    return Losses(torch.cat([p.normal for p in parts], -1), torch.cat([p.abnormal for p in parts], -1))


def weighted_mean(losses: Losses, weights: Weights) -> Tensor:
    """``sum (keep_normal * normal + keep_abnormal * abnormal) / sum of weights``: ``(M, B) -> (M,)``."""
    total = (weights.keep_normal * losses.normal + weights.keep_abnormal * losses.abnormal).sum(-1)
    return total / (weights.keep_normal + weights.keep_abnormal).sum(-1).clamp(min=1e-12)


def mean_where(losses: Tensor, weights: Tensor) -> float | None:
    """Weighted mean of a loss over all members and rows; None where no row counts."""
    total = weights.sum()
    return float((losses * weights).sum() / total) if total > 0 else None


def mean_share(contamination: float | Tensor) -> float:
    """One number for the history."""
    return float(torch.as_tensor(contamination, dtype=torch.float64).mean())


def call(model: Any, rows: Tensor, targets: Tensor | None) -> Losses:
    """Losses of rows, which an objective of classes is told."""
    losses: Losses = model(rows) if targets is None else model(rows, "losses", targets)
    return losses
