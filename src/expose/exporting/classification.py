"""`Classification`: the logits of the classes, and last that of the confidence."""

import numpy as np

from expose.exporting.base import exports
from expose.exporting.graph import Value, op
from expose.exporting.perceptron import perceptron
from expose.objectives.classification import Classification


@exports(Classification)
def classification(member: Classification, rows: Value) -> Value:
    """Outputs ``(n, n_logits + 1)``; the last is 0 where the network has no confidence."""
    outputs = perceptron(member.network, rows)
    return outputs if "confidence" in member.terms else op("Pad", outputs, np.array([0, 0, 0, 1]), 0.0)
