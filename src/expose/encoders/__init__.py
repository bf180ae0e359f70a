"""Samples in, vectors out: the encoders of tables, images and texts, and what anything with fit and transform needs."""

from expose.encoders.base import (
    ENCODERS,
    Around,
    ColumnRead,
    Encoder,
    OwnEncoder,
    State,
    make_encoder,
    register_encoder,
    restore_encoder,
)
from expose.encoders.image import ImageEncoder
from expose.encoders.layout import FORMS, Layout
from expose.encoders.log_windows import LogEncoder
from expose.encoders.minilm import MiniLMEncoder
from expose.encoders.photo import PhotoEncoder
from expose.encoders.scaling import SCALINGS
from expose.encoders.table import TableEncoder
from expose.encoders.text import TextEncoder
from expose.encoders.video import VideoEncoder
from expose.encoders.views import ViewsEncoder
from expose.encoders.windows import WindowEncoder

__all__ = [
    "ENCODERS",
    "FORMS",
    "SCALINGS",
    "Around",
    "ColumnRead",
    "Encoder",
    "ImageEncoder",
    "Layout",
    "LogEncoder",
    "MiniLMEncoder",
    "OwnEncoder",
    "PhotoEncoder",
    "State",
    "TableEncoder",
    "TextEncoder",
    "VideoEncoder",
    "ViewsEncoder",
    "WindowEncoder",
    "make_encoder",
    "register_encoder",
    "restore_encoder",
]
