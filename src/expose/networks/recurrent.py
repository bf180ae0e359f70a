"""A recurrent network for texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


class RecurrentNet(nn.Module):
    """Gated recurrent units over the tokens of a text; its last state, after the last real token, goes on.

    The sizes are those of Hendrycks et al., "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, section 4.3.

    Parameters
    ----------
    n_tokens : int
        Different tokens; 0 is padding, which changes nothing, wherever the text ends.
    n_out : int
        Outputs per text.
    embedding, hidden : int
        Widths of a token's vector and of the state.
    layers : int, default=2
        Recurrent layers on top of each other.
    bias : bool, default=True
        Of all layers. Without, a text of no tokens gives 0.

    Examples
    --------
    >>> import torch
    >>> network = RecurrentNet(100, 4)
    >>> texts = torch.tensor([[5, 7, 9, 0, 0], [0, 0, 0, 0, 0]])
    >>> network(texts).shape
    torch.Size([2, 4])
    >>> bool(torch.allclose(network(texts[:1, :3]), network(texts)[:1], atol=1e-6))
    True
    """

    def __init__(
        self, n_tokens: int, n_out: int, *, embedding: int = 50, hidden: int = 128, layers: int = 2, bias: bool = True
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, embedding, padding_idx=0)
        self.recurrent = nn.GRU(embedding, hidden, layers, bias=bias, batch_first=True)
        self.head = nn.Linear(hidden, n_out, bias=bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``(B, T)`` token numbers to ``(B, n_out)``."""
        lengths = count_tokens(tokens)
        last = lengths.clamp(min=1)  # of an empty text the first place, whose state is not used
        if self.training:
            packed = pack_padded_sequence(  # it computes nothing for padding
                self.embedding(tokens), last.cpu(), batch_first=True, enforce_sorted=False
            )
            state = self.recurrent(packed)[1][-1]  # (B, hidden), of the last layer
        else:  # packed, products have as many rows as texts that are so long: a score would depend on its company
            states = self.recurrent(self.embedding(tokens))[0]  # (B, T, hidden)
            state = states[torch.arange(len(tokens), device=tokens.device), last - 1]
        result: Tensor = self.head(torch.where(lengths[:, None] > 0, state, 0.0))
        return result


def count_tokens(tokens: Tensor) -> Tensor:
    """Place of the last token that is no padding, counted from 1; 0 for an empty text: ``(B, T) -> (B,)``."""
    places = torch.arange(1, tokens.shape[-1] + 1, device=tokens.device)
    return torch.where(tokens != 0, places, 0).amax(-1)
