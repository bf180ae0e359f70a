"""Outlier exposure for classifiers: an objective that is told the class of each normal row.

Hendrycks, Mazeika, Dietterich: "Deep Anomaly Detection with Outlier Exposure", ICLR 2019 (section 3):

    E_in[ -log p_y(x) ] + lambda E_out[ L_OE(x) ]

As normal and abnormal losses, with z the network's K outputs for a row and p = softmax(z),

    normal(x, y) = -log p_y(x) + sum_t lambda_t normal_t(x)
    abnormal(x)  =               sum_t lambda_t abnormal_t(x)

over the terms t below, of which several may be used at once. The loop takes the mean over normal rows and the mean over
outliers each on its own, so a lambda means the same whatever the batch sizes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid, relu

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks import Unfolded, flip_and_crop, make_network
from expose.objectives.base import Losses, Objective

TERMS = {  # lambda of each term where none is given, as published
    "uniform": 0.5,
    "prior": 0.5,
    "energy": 0.1,
    "confidence": 0.5,
    "background": 1.0,
}
SCORES = ("msp", "entropy", "energy", "confidence", "background")
BELONGS = {  # the score that each term trains; of several terms the first of these decides
    "background": "background",
    "confidence": "confidence",
    "uniform": "entropy",
    "prior": "entropy",
    "energy": "energy",
}
BUDGET, HINTED = 0.3, 0.5  # of the confidence branch: what doubting may cost, and the share of rows with hints
LEAST_CONFIDENCE = 1e-3  # below, an outlier's confidence is low enough: log b has no lower bound of its own


class Classification(Objective):
    """Cross-entropy of K classes, and terms that expose the network to outliers.

    Parameters
    ----------
    network : str or nn.Module
        A name that `expose.networks.make_network` knows, or a module of the user's own, of which a copy is trained:
        from unfolded parts ``(B, *shape)`` to K outputs, one more for the background class, one for the confidence.
    prior : sequence of K float
        Shares of the classes.
    terms : dict of str to float
        Lambda of each term:

        - *uniform*: cross-entropy from the uniform distribution to p (Hendrycks et al., section 4.3);
        - *prior*: the same from the shares of the classes, for classes of unequal size;
        - *energy*: hinges on the free energy E = -logsumexp(z), normal rows below one margin and outliers above the
          other, squared (Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020, eq. 7 to 9);
        - *confidence*: one more output, b = sigmoid of it, the learned confidence of DeVries and Taylor, "Learning
          Confidence for Out-of-Distribution Detection", 2018; outliers pay log b, down to b = 0.001;
        - *background*: one more class, that of outliers.
    augment : bool
        Flip and crop images at random while training.
    """

    forms = ("vector", "image", "tokens")
    prior_shares: Tensor
    margins: Tensor
    doubt: Tensor

    def __init__(
        self,
        network: str | nn.Module,
        prior: Sequence[float],
        terms: Mapping[str, float],
        *,
        augment: bool = False,
        energy_margins: Sequence[float] | None = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.choice = (network,)  # in a tuple: not a submodule, it is a copy that is trained
        self.prior = tuple(map(float, prior))
        self.terms = dict(terms)
        self.augment = augment
        self.energy_margins = energy_margins

    def hyperparameters(self) -> dict[str, Any]:
        """The constructor's arguments but the network, which may be a module of the user's own."""
        names = ("prior", "terms", "augment", "energy_margins")
        return {name: getattr(self, name) for name in names}

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.prior)

    @property
    def n_outputs(self) -> int:
        """Outputs that the network must have: one for each class, and one each for confidence and background."""
        return self.n_classes + ("background" in self.terms) + ("confidence" in self.terms)

    def build(self, layout: Layout) -> None:
        """Make the network, or a copy of the user's."""
        (network,) = self.choice
        if self.augment and layout.form != "image":
            raise InputError(f"augment=True flips and crops images; what is encoded here has the form {layout.form}.")
        if isinstance(network, str):
            self.network = make_network(network, layout, self.n_outputs)
        else:
            self.network = Unfolded(layout, copy.deepcopy(network).cpu())
        self.register_buffer("prior_shares", torch.tensor(self.prior))
        self.register_buffer("margins", torch.tensor(self.energy_margins or (0.0, 0.0), dtype=torch.float32))
        self.register_buffer("doubt", torch.tensor(0.1))  # weight of -log b beside the cross-entropy

    @torch.no_grad()
    def prepare(self, rows: Tensor) -> None:
        """Raise InputError unless the network gives the outputs it must for parts ``(n, D)``."""
        few = rows[:2]
        shape = tuple(self.eval().network(few).shape)
        self.train()
        if shape != (len(few), self.n_outputs):
            more = self.n_outputs > self.n_classes
            raise InputError(
                f"The network must give {self.n_outputs} outputs per row, one for each of {self.n_classes} classes"
                f"{' and one for each of the terms confidence and background' if more else ''}; "
                f"for {len(few)} rows it gave the shape {shape}."
            )

    @property
    def n_logits(self) -> int:
        """K, or K + 1 with a background class."""
        return self.n_classes + ("background" in self.terms)

    def outputs(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, K)``, with a background class ``(B, K + 1)``, and the logit of the confidence ``(B,)``."""
        if self.training and self.augment and self.layout is not None:
            batch = flip_and_crop(self.layout.unfold(batch)).flatten(1)
        z = self.network(batch).to(batch.dtype)  # bf16 would round the likelihoods that everything here is made of
        return (z[:, :-1], z[:, -1]) if "confidence" in self.terms else (z, z.new_zeros(len(z)))

    def outputs_of(self, batch: Tensor) -> Tensor:
        """Both outputs side by side, ``(B, n_logits + 1)``."""
        z, c = self.outputs(batch)
        return torch.cat([z, c[:, None]], dim=-1)

    def losses(self, batch: Tensor, targets: Tensor | None = None) -> Losses:
        """Losses of rows ``(B, D)`` of the classes ``targets`` ``(B,)``.

        A row of no known class (-1) counts, as a normal one, as what the network takes it for: that serves wild rows,
        of which some are normal.
        """
        z, c = self.outputs(batch)
        inner = z[:, : self.n_classes]
        given = torch.zeros(len(z), dtype=torch.bool, device=z.device) if targets is None else targets >= 0
        classes = inner.argmax(-1) if targets is None else torch.where(given, targets, inner.argmax(-1))
        normal = cross_entropy(z, classes, reduction="none")
        if "confidence" in self.terms:
            normal = self.doubted(normal, c, given)
        if "energy" in self.terms:
            normal = normal + self.terms["energy"] * relu(free_energy(inner) - self.margins[0]).square()
        abnormal = torch.zeros_like(normal)
        for name, weight in self.terms.items():
            abnormal = abnormal + weight * self.exposed(name, z, c)
        return Losses(normal, abnormal)

    def exposed(self, term: str, z: Tensor, c: Tensor) -> Tensor:
        """What an outlier pays for one term, ``(B,)``."""
        inner = z[:, : self.n_classes]
        match term:
            case "uniform":
                return uniform_cross_entropy(inner)
            case "prior":
                return inner.logsumexp(-1) - inner @ self.prior_shares
            case "energy":
                return relu(self.margins[1] - free_energy(inner)).square()
            case "confidence":
                return logsigmoid(c).clamp(min=torch.tensor(LEAST_CONFIDENCE).log().item())
            case _:
                return z.logsumexp(-1) - z[:, -1]  # cross-entropy to the background class

    def doubted(self, cross_entropies: Tensor, c: Tensor, given: Tensor) -> Tensor:
        """Cross-entropies ``(B,)`` with hints, ``-log(b p_y + 1 - b)``, for a random half, and the price of hints.

        Hints and their price, ``doubt * -log b``, are for training, and for rows whose class is ``given``.
        """
        log_b, log_not_b = logsigmoid(c), logsigmoid(-c)
        if not self.training or not bool(given.any()):
            return cross_entropies - self.doubt * log_b
        spent = -log_b.detach()[given].mean()
        self.doubt.copy_(self.doubt * torch.where(spent < BUDGET, 1 / 1.01, 1 / 0.99))  # keeps to the budget
        hinted = given & (torch.rand(len(c), device=c.device) < HINTED)
        with_hint = -torch.logaddexp(log_b - cross_entropies, log_not_b)
        return torch.where(hinted, with_hint, cross_entropies) - self.doubt.clone() * log_b


def usual_score(terms: Mapping[str, float], exposed: bool = True) -> str:
    """The score function that belongs to terms; entropy where nothing was exposed, so that no term was trained.

    Examples
    --------
    >>> usual_score({"energy": 0.1}), usual_score({"energy": 0.1, "uniform": 0.5}), usual_score({"energy": 0.1}, False)
    ('energy', 'entropy', 'entropy')
    """
    trained = [name for name in BELONGS if exposed and terms.get(name, 0) > 0]
    return BELONGS[trained[0]] if trained else "entropy"


def uniform_cross_entropy(z: Tensor) -> Tensor:
    """``H(U; p) = -1/K sum_c log p_c`` from logits: ``(B, K) -> (B,)``."""
    return z.logsumexp(-1) - z.mean(-1)


def free_energy(z: Tensor) -> Tensor:
    """``-logsumexp(z)``: ``(B, K) -> (B,)``."""
    return -z.logsumexp(-1)


def anomaly_score(name: str, z: Tensor, c: Tensor, n_classes: int) -> Tensor:
    """Anomaly score ``(B,)`` from logits ``(B, K)`` or ``(B, K + 1)`` and the logit of the confidence ``(B,)``."""
    inner = z[:, :n_classes]
    match name:
        case "msp":
            return -inner.log_softmax(-1).amax(-1).exp()
        case "entropy":
            return -uniform_cross_entropy(inner)
        case "energy":
            return free_energy(inner)
        case "confidence":
            return -c.sigmoid()
        case _:
            return z.log_softmax(-1)[:, -1].exp()
