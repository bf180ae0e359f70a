"""Fitted models as ONNX files: one file per encoder and objective says how it is worked out in a graph."""

from expose.exporting import autoencoder, bce, classification, flow, hsc, icl, neighbours, ntl, svdd, table
from expose.exporting.base import Columns, exports, exports_encoder
from expose.exporting.checking import difference
from expose.exporting.model import Exported, export, onnx_model

# each registers what it exports
OF_PACKAGE = (autoencoder, bce, classification, flow, hsc, icl, neighbours, ntl, svdd, table)

__all__ = ["Columns", "Exported", "difference", "export", "exports", "exports_encoder", "onnx_model"]
