"""`ICL`: how well windows of columns fit to what is outside of them."""

import numpy as np
import torch

from expose.exporting.base import exports
from expose.exporting.graph import Value, op
from expose.exporting.ntl import contrast
from expose.exporting.perceptron import perceptron
from expose.objectives import ICL


@exports(ICL)
def icl(member: ICL, rows: Value) -> Value:
    """Mean of ``-log h_j``, each a softplus."""
    width = member.layout.n_values if member.layout else 0
    inside, outside = (each[0].numpy() for each in member.split(torch.arange(width)[None]))  # (J, w), (J, D - w)
    f = perceptron(member.inside, rows.take(inside, axis=1)).unit()  # (n, J, latent)
    g = perceptron(member.outside, rows.take(outside, axis=1)).unit()
    same = (f * g).sum() / member.temperature  # (n, J)
    among = op("Einsum", g, f, equation="njd,nld->njl") / member.temperature  # (n, J, J)
    return contrast(among, same, len(np.asarray(inside)))
