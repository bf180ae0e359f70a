"""The one loop. Alternates two half-steps: weights from the losses, network from the weights (Qiu et al., 2022).

Every random number of an epoch follows from the member's seed and the epoch's number, so a run that was killed goes
on from its last checkpoint to the very same model.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from expose.errors import InterruptedWarning, NonFiniteLossError
from expose.exposure import EXPOSURES, BatchRanking, Exposure, Ranking, RunningRanking, Weights, blind, soft
from expose.objectives import Descend, Losses
from expose.training.checkpoint import State, restore, store
from expose.training.churn import epoch_overlap, flipped_share, member_overlap
from expose.training.compute import fitting_threads, mixed_precision, torch_seed
from expose.training.ensemble import Ensemble, build_members
from expose.training.optimizers import cosine, make_optimizer, set_rate
from expose.training.order import Stream, batches, generator_of, mix, outlier_batches, shuffle
from expose.training.plan import Plan, Settled, Trained, TrainingSet, settled
from expose.training.progress import progress

SURVEY_VALUES = 2**18  # values per forward pass without gradient
NO_CLASS = -1  # target of parts whose class is not known

Pair = TypeVar("Pair", Losses, Weights)


def descend(plan: Plan, data: TrainingSet, shares: Tensor | None = None, sample: Tensor | None = None) -> Trained:
    """Build the members of a plan and train them by gradient descent.

    Parameters
    ----------
    plan : Plan
    data : TrainingSet
    shares : Tensor of shape (M,), optional
        The contamination to assume of each member's own parts, in place of the plan's one for all.
    sample : Tensor of shape (M, n, D), optional
        Parts on which each member prepares itself, in place of the same for all, `TrainingSet.sample`.
    """
    ensemble = build_members(plan.objective, plan.layout, data.sample if sample is None else sample, plan.seeds)
    if plan.start is not None:
        ensemble.load_state_dict(plan.start)
    assert isinstance(plan.objective.recipe, Descend)
    recipe = settled(plan.objective.recipe, data.n_rows, warm=plan.start is not None).in_blocks(data.n_blocks)
    loop = Loop(plan, recipe, plan.contamination if shares is None else shares)
    history = loop.run(ensemble, data)
    return Trained(ensemble, history, loop.interrupted)


class Loop:
    """Trains an `Ensemble` on a `TrainingSet`.

    Parameters
    ----------
    plan : Plan
        Exposure, seeds, device and checkpoint.
    recipe : Settled
    contamination : float, or Tensor of shape (M,)
        Assumed share of anomalies among the unlabelled parts, in [0, 0.5); with the rankings "batch" and "dataset"
        perhaps each member's own.
    """

    def __init__(self, plan: Plan, recipe: Settled, contamination: float | Tensor) -> None:
        self.plan = plan
        self.recipe = recipe
        self.seeds = plan.seeds
        self.exposure = EXPOSURES[plan.exposure]
        self.contamination = contamination
        self.interrupted = False

    def run(self, ensemble: Ensemble, data: TrainingSet) -> list[dict[str, Any]]:
        """Train ``ensemble`` in place; return the history, one record per epoch."""
        plan, recipe = self.plan, self.recipe
        data = data.to(plan.device)
        ensemble.to(plan.device).train()
        n_weights = sum(p.numel() for p in ensemble.parameters())
        model = Model(ensemble, mixed_precision(recipe.precision, plan.device, n_weights // ensemble.n_members))
        optimizer = make_optimizer(ensemble, recipe.optimizer, recipe.learning_rate, recipe.weight_decay)
        state = restore(plan.checkpoint, plan.fingerprint, ensemble, optimizer, State())
        saved = time.monotonic()
        try:
            with progress(recipe.epochs, plan.verbose) as report:
                while state.epoch < recipe.epochs and not self.is_stale(state):
                    state.suspects = state.suspects if data.n_blocks == 1 else None  # those of other parts
                    with fitting_threads(n_weights * recipe.batch_size):  # others may compute between two epochs
                        record = self.epoch(model, optimizer, data.block(state.epoch).to(plan.device), state)
                    report(record)
                    if plan.checkpoint and time.monotonic() - saved >= recipe.checkpoint_every:
                        store(plan.checkpoint, plan.fingerprint, ensemble, optimizer, state)
                        saved = time.monotonic()
            if plan.checkpoint:  # a kill between here and the saving of the model loses nothing
                store(plan.checkpoint, plan.fingerprint, ensemble, optimizer, state)
        except KeyboardInterrupt:
            if state.epoch == 0:
                raise
            self.interrupted = True
            warnings.warn(
                f"Training was interrupted after {state.epoch} of {recipe.epochs} epochs. The model is usable as it "
                "is; the same call goes on from the last checkpoint, if one was written.",
                InterruptedWarning,
                stacklevel=4,
            )
        if state.best_weights:
            ensemble.load_state_dict(state.best_weights)
        return state.history

    def epoch(self, model: Model, optimizer: Any, data: TrainingSet, state: State) -> dict[str, Any]:
        """One pass over the data; append its record to the history and return it."""
        started = time.perf_counter()
        recipe, number = self.recipe, state.epoch
        set_rate(optimizer, recipe.learning_rate * 0.5 ** (number // recipe.halve_every if recipe.halve_every else 0))
        order = shuffle(self.seeds, number, data.rows.shape[-2]).to(data.rows.device)  # (M, N)
        with torch_seed(mix(self.seeds[0], number, Stream.STEPS), data.rows.device):
            steps = list(self.steps(model, optimizer, data, order, number))
        of_steps, weights_of_steps, outliers_of_steps = zip(*steps, strict=True)
        losses, weights = joined(of_steps), joined(weights_of_steps)
        outliers = torch.stack(outliers_of_steps).mean(0)  # (M,)
        minimised = weighted_mean(losses, weights) + recipe.outlier_weight * outliers  # (M,)
        self.check_finite(minimised, number)
        record: dict[str, Any] = {"epoch": number + 1, "loss": float(minimised.mean())}
        record |= self.record(losses, weights, order, data.known, state)
        record["outliers"] = None if data.outliers is None else float(outliers.mean())
        record["seconds"] = time.perf_counter() - started
        state.history.append(record)
        state.epoch += 1
        if recipe.patience is not None:
            self.keep_best(minimised.tolist(), model.ensemble, state)
        return record

    def steps(
        self, model: Model, optimizer: Any, data: TrainingSet, order: Tensor, number: int
    ) -> Iterator[tuple[Losses, Weights, Tensor]]:
        """Yield detached losses, weights and the outliers' mean abnormal loss ``(M,)`` of each step, as ordered."""
        recipe = self.recipe
        assign = self.assigner(model, data, order.shape[0], number)
        parts = batches(order, recipe.batch_size)
        sizes = [recipe.outlier_batch_size or part.shape[1] for part in parts]
        extras = outlier_batches(data.outliers, sizes, self.seeds, number)
        for step, (index, extra) in enumerate(zip(parts, extras, strict=True)):  # (M, B) and (M, O, D)
            if recipe.cosine:
                set_rate(optimizer, recipe.learning_rate * cosine(number + step / len(parts), recipe.epochs))
            losses, outlier_losses = self.forward(model, data, index, extra)
            detached = Losses(losses.normal.detach(), losses.abnormal.detach())
            weights = assign(detached, index)
            loss = weighted_mean(losses, weights)  # (M,)
            outlier_loss = torch.zeros_like(loss)
            if outlier_losses is not None:
                outlier_loss = weighted_mean(outlier_losses, self.outlier_weights(outlier_losses, number, step))
                loss = loss + recipe.outlier_weight * outlier_loss  # a mean of its own
            optimizer.zero_grad()
            torch.autograd.backward(loss.sum())  # members share nothing, so the sum trains each on its own
            optimizer.step()
            yield detached, weights, outlier_loss.detach()

    def forward(
        self, model: Model, data: TrainingSet, index: Tensor, extra: Tensor | None
    ) -> tuple[Losses, Losses | None]:
        """Losses of the training rows ``(M, B)``, and of the outliers ``(M, O)`` if there are any."""
        rows, count = data.batch(index), index.shape[1]  # (M, B, D)
        targets = None if data.targets is None else data.targets[index]  # (M, B)
        if extra is None:
            return model(rows, targets), None
        extra = extra.to(rows)
        classless = None if targets is None else targets.new_full(extra.shape[:2], NO_CLASS)
        if not self.recipe.joint_pass:
            return model(rows, targets), model(extra, classless)
        both = model(
            torch.cat([rows, extra], dim=1),  # one forward pass: what normalises over a batch sees both
            None if targets is None or classless is None else torch.cat([targets, classless], dim=1),
        )
        return Losses(*(loss[:, :count] for loss in both)), Losses(*(loss[:, count:] for loss in both))

    def outlier_weights(self, losses: Losses, number: int, step: int) -> Weights:
        """How much each outlier of a batch ``(M, O)`` counts: as an anomaly, if nothing else was asked for."""
        recipe = self.recipe
        normal, abnormal = losses.normal.detach(), losses.abnormal.detach()
        wild = recipe.outlier_share < 1 and number >= recipe.warmup  # a network that knows nothing cannot tell which
        if not wild and recipe.hardest == 1:
            return Weights(torch.zeros_like(abnormal), torch.ones_like(abnormal))
        generator = generator_of(self.seeds[0], mix(number, step), Stream.WILD)
        if wild:  # unlabelled rows, anomalous unless suspected: the rule of training rows with its two sides swapped
            kept = soft(abnormal, normal, None, BatchRanking(1 - recipe.outlier_share, generator))
            return Weights(kept.keep_abnormal, kept.keep_normal)
        counted = BatchRanking(recipe.hardest, generator).suspects(abnormal, None).float()
        return Weights(torch.zeros_like(counted), counted)

    def assigner(self, model: Model, data: TrainingSet, members: int, number: int) -> Any:
        """The first half-step as a function of a batch's losses and row numbers; blind while warming up."""
        warming_up = number < self.recipe.warmup
        rule: Exposure = blind if warming_up else self.exposure
        generator = generator_of(self.seeds[0], number, Stream.SUSPECTS)
        known = None if data.known is None else data.known.expand(members, -1)  # (M, N)
        ranking: Ranking = BatchRanking(self.contamination, generator)
        if self.recipe.ranking == "dataset" and not warming_up:
            whole = rule(*survey_model(model, data), known, BatchRanking(self.contamination))
            return lambda losses, index: Weights(*(weight.gather(-1, index) for weight in whole))
        if self.recipe.ranking == "running":
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
            "contamination": mean_share(self.contamination) if state.epoch >= self.recipe.warmup else 0.0,
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
                f"rate than {self.recipe.learning_rate}, or precision='32'; with your own objective, check that both "
                "losses stay finite."
            )

    def keep_best(self, losses: list[float], ensemble: Ensemble, state: State) -> None:
        """Note each member's lowest training loss since the warm-up, and its weights then; count stale epochs."""
        if state.epoch <= self.recipe.warmup:
            return
        best = state.best or [float("inf")] * len(losses)
        better = [new < old for new, old in zip(losses, best, strict=True)]
        much_better = [new < old - 1e-3 * abs(old) for new, old in zip(losses, best, strict=True)]
        state.stale = 0 if any(much_better) or not state.best else state.stale + 1
        state.best = [min(new, old) for new, old in zip(losses, best, strict=True)]
        state.best_weights = ensemble.take_over(state.best_weights, better)

    def is_stale(self, state: State) -> bool:
        """Whether early stopping is on and its patience is spent."""
        return self.recipe.patience is not None and state.stale >= self.recipe.patience


class Model:
    """The ensemble as the loop calls it: in the precision of the recipe, with losses in float32."""

    def __init__(self, ensemble: Ensemble, precision: torch.autocast) -> None:
        self.ensemble = ensemble
        self.precision = precision

    def __call__(self, rows: Tensor, targets: Tensor | None = None) -> Losses:
        """Losses ``(M, B)`` of parts; an objective of classes is given their numbers, ``(M, B)``."""
        with self.precision:
            losses = self.ensemble(rows) if targets is None else self.ensemble(rows, "losses", targets)
        return Losses(*(loss if loss.dtype == torch.float64 else loss.float() for loss in losses))


@torch.no_grad()
def survey_model(model: Model, data: TrainingSet) -> Losses:
    """Losses of all training parts, ``(M, N)`` each, for the present weights of a `Model`."""
    n = data.rows.shape[-2]
    chunk = max(16, SURVEY_VALUES // data.rows.shape[-1])
    starts = range(0, n, chunk)
    parts = [
        model(
            data.rows[..., start : start + chunk, :],
            None if data.targets is None else data.targets[None, start : start + chunk],
        )
        for start in starts
    ]
    return joined(parts)


def joined(parts: Sequence[Pair]) -> Pair:
    """Losses or weights of batches as those of all their rows, ``(M, N)`` each."""
    return type(parts[0])(*(torch.cat(several, -1) for several in zip(*parts, strict=True)))


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
