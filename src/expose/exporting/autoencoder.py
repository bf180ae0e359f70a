"""`Autoencoder`: the reconstruction error."""

from expose.exporting.base import exports
from expose.exporting.graph import Value
from expose.exporting.perceptron import perceptron
from expose.objectives import Autoencoder


@exports(Autoencoder)
def autoencoder(member: Autoencoder, rows: Value) -> Value:
    """Mean squared error, in units of the untrained one."""
    restored = perceptron(member.decoder, perceptron(member.encoder, rows))
    return (restored - rows).square().mean() / member.unit
