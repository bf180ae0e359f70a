"""What a sample is: a row of a table, a step of a series, an image, a frame, a text. A file per kind reads it."""

from expose.kinds.base import (
    KINDS,
    Batch,
    Kind,
    Reading,
    Samples,
    kind_named,
    kind_of,
    kind_of_files,
    register_kind,
    samples_of,
)
from expose.kinds.table import TableKind  # first: kinds registered later are asked before it

# isort: split
from expose.kinds.frames import as_table
from expose.kinds.image import ImageKind
from expose.kinds.images import Images, as_images
from expose.kinds.log import LogKind
from expose.kinds.logs import Logs, as_logs
from expose.kinds.rows import Table
from expose.kinds.series import Series, SeriesKind, as_series
from expose.kinds.text import TextKind, Texts, as_texts, tokens
from expose.kinds.video import Video, VideoKind, as_video
from expose.kinds.views import Views, ViewsKind, as_views

__all__ = [
    "KINDS",
    "Batch",
    "ImageKind",
    "Images",
    "Kind",
    "LogKind",
    "Logs",
    "Reading",
    "Samples",
    "Series",
    "SeriesKind",
    "Table",
    "TableKind",
    "TextKind",
    "Texts",
    "Video",
    "VideoKind",
    "Views",
    "ViewsKind",
    "as_images",
    "as_logs",
    "as_series",
    "as_table",
    "as_texts",
    "as_video",
    "as_views",
    "kind_named",
    "kind_of",
    "kind_of_files",
    "register_kind",
    "samples_of",
    "tokens",
]
