"""`NTL`: how far learned views of a row are from it, and alike."""

import math

import numpy as np

from expose.exporting.base import exports
from expose.exporting.graph import Value, op
from expose.exporting.perceptron import perceptron
from expose.objectives import NTL
from expose.objectives.ntl import FURTHEST


@exports(NTL)
def ntl(member: NTL, rows: Value) -> Value:
    """Mean of ``-log h_k``, each a softplus."""
    rows = rows.clip(-FURTHEST, FURTHEST)
    if member.pad:
        rows = op("Pad", rows, np.array([0, 0, 0, 1]), float(member.pad))  # (n, D), one more with the constant
    inner, outer = member.inner, member.outer
    views = rows + op("Relu", rows @ inner) @ outer  # (K, n, D)
    row = perceptron(member.encoder, rows).unit()  # (n, latent)
    z = perceptron(member.encoder, views).unit()  # (K, n, latent)
    same = (z * row).sum() / member.temperature  # (K, n)
    among = op("Einsum", z, z, equation="knd,lnd->nkl") / member.temperature  # (n, K, K)
    return contrast(among, same.transpose(1, 0), member.transformations)


def contrast(among: Value, same: Value, number: int) -> Value:
    """``softplus(log sum exp of all others - same)``, mean over K in units of log K: ``(n, K, K), (n, K) -> (n,)``."""
    itself = np.where(np.eye(number, dtype=bool), -np.inf, 0.0)
    margin = (among + itself).logsumexp() - same  # (n, K)
    return margin.softplus().mean() / math.log(number)
