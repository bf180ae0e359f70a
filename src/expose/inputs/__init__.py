"""Tables in: any frame, array or file becomes a float32 matrix with a schema that is enforced."""

from expose.inputs.encoder import TableEncoder
from expose.inputs.files import Roles, read, scan, split, writer
from expose.inputs.frames import Table, as_table
from expose.inputs.layout import KINDS, Layout
from expose.inputs.scaling import DEFAULT_SCALING, SCALINGS
from expose.inputs.views import ViewEncoder, encoder_from_json

__all__ = [
    "DEFAULT_SCALING",
    "KINDS",
    "SCALINGS",
    "Layout",
    "Roles",
    "Table",
    "TableEncoder",
    "ViewEncoder",
    "as_table",
    "encoder_from_json",
    "read",
    "scan",
    "split",
    "writer",
]
