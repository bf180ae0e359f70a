"""Fitted models as ONNX files: one file per encoder and objective says how it is worked out in a graph."""

from expose.exporting import (  # noqa: F401 - each registers what it exports
    autoencoder,
    bce,
    classification,
    flow,
    gaussian,
    hsc,
    icl,
    local_global,
    neighbours,
    ntl,
    photo,
    svdd,
    table,
)
from expose.exporting.base import PLACES, Input, exports, exports_encoder, exports_places
from expose.exporting.checking import difference
from expose.exporting.model import Exported, export, onnx_model

__all__ = [
    "PLACES",
    "Exported",
    "Input",
    "difference",
    "export",
    "exports",
    "exports_encoder",
    "exports_places",
    "onnx_model",
]
