"""`Flow`: bits per dimension under affine couplings."""

import math

from expose.exporting.base import exports
from expose.exporting.graph import Value, op, ops
from expose.exporting.perceptron import perceptron
from expose.objectives import Flow


@exports(Flow)
def flow(member: Flow, rows: Value) -> Value:
    """Half the squared length of the noise that a row becomes, less the logarithm of how far it was stretched."""
    dimensions = len(member.centre)
    z = (rows - member.centre) / member.spread  # (n, D)
    nats = 0.5 * dimensions * math.log(2 * math.pi) + float(member.spread.double().log().sum())
    stretched = []
    for network, mask in zip(member.networks, member.masks, strict=True):
        scale, shift = ops("Split", 2, perceptron(network, z * mask), axis=-1)  # (n, D) each
        scale = (1 - mask) * member.bound * op("Tanh", scale / member.bound)
        z = z * scale.exp() + (1 - mask) * shift
        stretched.append(scale.sum())
    total = 0.5 * z.square().sum() + nats
    for one in stretched:
        total = total - one
    return total / (dimensions * math.log(2))
