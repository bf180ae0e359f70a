"""Language model: how many bits a token of a text costs when it is guessed from the tokens before it.

Hendrycks, Mazeika, Dietterich: "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, section 4.4. Gated recurrent
units read a text from its first token on; z_t are the logits over all V tokens at position t, of T (the tokens of the
text and one position for its end, no padding):

    normal(x)   = 1/T sum_t [ log sum_v exp(z_tv) - z_t(x_t) ] / log 2            bits per token
    abnormal(x) = 1/T sum_t [ log sum_v exp(z_tv) - 1/V sum_v z_tv ] / log 2      cross-entropy from the uniform

The abnormal loss asks the model to expect nothing of an outlier: it is least, log2 V, where every token is as likely as
any other. Each text begins with the same empty state; nothing is carried over from the one before.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.networks.recurrent import count_tokens
from expose.objectives.base import Losses, Objective, full_precision, register

SCORES = ("bits", "uniform")
LOGITS_BUDGET = 2**24  # of a batch at a time; above, they are computed piece by piece, and again for the gradient


@register("language")
class Language(Objective):
    """A recurrent model of texts.

    Parameters
    ----------
    embedding : int, default=64
        Width of a token's vector.
    hidden : int, default=128
        Width of the recurrent state.
    layers : int, default=1
        Recurrent layers on top of each other.
    score_by : {"bits", "uniform"}, default="bits"
        The anomaly score: bits per token, or minus the abnormal loss, which is high where the model expects nothing in
        particular. The second is the one to take with auxiliary outliers, which then cost log2 V bits and no more.
    """

    forms = ("tokens",)
    lowest = {"embedding": 1, "hidden": 1, "layers": 1}  # noqa: RUF012 - never changed

    def __init__(
        self, embedding: int = 64, hidden: int = 128, layers: int = 1, score_by: str = "bits", **training: Any
    ) -> None:
        super().__init__(**training)
        self.embedding = embedding
        self.hidden = hidden
        self.layers = layers
        self.score_by = score_by

    def build(self, layout: Layout) -> None:
        """Make the vectors of the tokens, the recurrent layers and the logits."""
        if layout.form != "tokens":
            raise InputError("language reads texts; got a table or images. Use 'flow' or 'pixelcnn'.")
        if self.score_by not in SCORES:
            raise InputError(f"score_by must be one of {list(SCORES)}; got {self.score_by!r}.")
        self.vectors = nn.Embedding(layout.n_tokens, self.embedding)  # 0 is where a text begins and ends
        self.recurrent = nn.GRU(self.embedding, self.hidden, self.layers, batch_first=True)
        self.head = nn.Linear(self.hidden, layout.n_tokens)

    def costs(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Bits per token, and cross-entropy from the uniform distribution: ``(B, D) -> (B,), (B,)``."""
        assert self.layout is not None
        tokens = self.layout.unfold(batch)  # (B, D)
        state = self.recurrent(self.vectors(F.pad(tokens[:, :-1], (1, 0))))[0]  # (B, D, hidden)
        steps = max(1, LOGITS_BUDGET // (len(tokens) * self.layout.n_tokens))
        parts = zip(torch.split(state, steps, dim=1), torch.split(tokens, steps, dim=1), strict=True)
        if steps < tokens.shape[1] and torch.is_grad_enabled():
            found = [checkpoint(self.position_costs, *part, use_reentrant=False) for part in parts]
        else:
            found = [self.position_costs(*part) for part in parts]
        places = torch.arange(tokens.shape[1], device=tokens.device)
        counted = (places <= count_tokens(tokens)[:, None]).to(batch.dtype)  # (B, D), the end as well
        costs = torch.cat(found, dim=1).to(batch.dtype) * counted[..., None]  # (B, D, 2)
        bits, uniform = (costs.sum(1) / (counted.sum(1, keepdim=True) * math.log(2))).unbind(-1)
        return bits, uniform

    def position_costs(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Both costs in nats at each position: ``(B, P, hidden), (B, P) -> (B, P, 2)``."""
        weight, bias = self.head.weight, self.head.bias  # (V, hidden), (V,)
        with full_precision(state):
            state = state.to(weight.dtype)
            total = self.head(state).logsumexp(-1)  # (B, P): the only use of all logits (B, P, V)
            likely = (state * weight[tokens]).sum(-1) + bias[tokens]
            usual = state @ weight.mean(0) + bias.mean()
            costs: Tensor = total[..., None] - torch.stack([likely, usual], dim=-1)
        return costs

    def losses(self, batch: Tensor) -> Losses:
        """Bits per token, and cross-entropy from the uniform distribution."""
        return Losses(*self.costs(batch))

    def score(self, batch: Tensor) -> Tensor:
        """Bits per token, or minus the cross-entropy from the uniform distribution, ``(B,)``."""
        bits, uniform = self.costs(batch)
        return bits if self.score_by == "bits" else -uniform
