"""`SVDD`, and `DeepSAD`, which differs from it in training alone: the distance to a centre."""

from expose.exporting.base import exports
from expose.exporting.graph import Value
from expose.exporting.perceptron import perceptron
from expose.objectives import SVDD, DeepSAD


@exports(SVDD, DeepSAD)
def svdd(member: SVDD, rows: Value) -> Value:
    """Squared distance, in units of the untrained radius."""
    return (perceptron(member.network, rows) - member.centre).square().sum() / member.radius2
