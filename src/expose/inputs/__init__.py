"""Tables, images and texts in: each becomes a float32 matrix under a schema that is learned once and enforced."""

from expose.inputs.encoder import TableEncoder
from expose.inputs.files import Roles, read, scan, split, writer
from expose.inputs.frames import Table, as_table
from expose.inputs.images import ImageEncoder, Images, as_images
from expose.inputs.kinds import Encoder, Rows, as_rows, encoder_for, encoder_from_json, kind_of
from expose.inputs.layout import KINDS, Layout
from expose.inputs.scaling import DEFAULT_SCALING, SCALINGS
from expose.inputs.texts import TextEncoder, Texts, as_texts
from expose.inputs.views import ViewEncoder

__all__ = [
    "DEFAULT_SCALING",
    "KINDS",
    "SCALINGS",
    "Encoder",
    "ImageEncoder",
    "Images",
    "Layout",
    "Roles",
    "Rows",
    "Table",
    "TableEncoder",
    "TextEncoder",
    "Texts",
    "ViewEncoder",
    "as_images",
    "as_rows",
    "as_table",
    "as_texts",
    "encoder_for",
    "encoder_from_json",
    "kind_of",
    "read",
    "scan",
    "split",
    "writer",
]
