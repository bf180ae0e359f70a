"""`HSC`: the pseudo-Huber distance to the origin."""

from expose.exporting.base import exports
from expose.exporting.graph import Value
from expose.exporting.perceptron import perceptron
from expose.objectives import HSC


@exports(HSC)
def hsc(member: HSC, rows: Value) -> Value:
    """``sqrt(square + 1) - 1``, exact also for small squares."""
    square = perceptron(member.network, rows).square().sum() / member.radius2  # (n,)
    return square / ((square + 1.0).sqrt() + 1.0)
