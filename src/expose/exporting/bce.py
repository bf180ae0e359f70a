"""`BCE`: the logit of being abnormal."""

from expose.exporting.base import exports
from expose.exporting.graph import Value
from expose.exporting.perceptron import perceptron
from expose.objectives import BCE


@exports(BCE)
def bce(member: BCE, rows: Value) -> Value:
    """The one output of the network."""
    return perceptron(member.network, rows).reshape(-1)
