"""Which kind of rows an input holds, and the encoder for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expose.errors import InputError
from expose.inputs.columns import is_missing
from expose.inputs.encoder import TableEncoder
from expose.inputs.frames import as_table
from expose.inputs.image_files import holds_images
from expose.inputs.images import ImageEncoder, Images, as_images
from expose.inputs.layout import KINDS
from expose.inputs.scaling import DEFAULT_SCALING
from expose.inputs.table import Table
from expose.inputs.texts import TextEncoder, Texts, as_texts, list_of
from expose.inputs.views import ViewEncoder

Rows = Table | Images | Texts
Encoder = TableEncoder | ViewEncoder | ImageEncoder | TextEncoder


def kind_of(X: Any) -> str:
    """Tell whether an input is a table, images or texts, from its form alone.

    Parameters
    ----------
    X : anything a user may bring

    Returns
    -------
    {"table", "image", "text"}
        "text" for a list, 1-D array or column of strings; "image" for an array or tensor with 3 or 4 axes, a list of
        2-D or 3-D arrays, Pillow images or Paths, and for an image file or a folder of such; "table" for all else, also
        for what is none of them: `as_table` says what is wrong with it.

    Examples
    --------
    >>> import numpy as np
    >>> kind_of(["a text", "another"]), kind_of(np.zeros((5, 8, 8))), kind_of([[1.0, 2.0]])
    ('text', 'image', 'table')
    """
    for kind, own in zip(KINDS, (Table, Images, Texts), strict=True):
        if isinstance(X, own):
            return kind
    if isinstance(X, str | Path):
        return "image" if holds_images(Path(X)) else "table"
    if len(getattr(X, "shape", ())) in (3, 4):
        return "image"
    values = list_of(X)
    if not values:
        return "table"
    if isinstance(X, list | tuple) and all(map(_is_image, values)):
        return "image"
    words = all(isinstance(value, str) or is_missing(value) for value in values)
    return "text" if words and any(isinstance(value, str) for value in values) else "table"


def _is_image(value: object) -> bool:
    """Tell whether a value of a list is an image: an array with 2 or 3 axes, a Pillow image or a Path."""
    return isinstance(value, Path) or hasattr(value, "getexif") or len(getattr(value, "shape", ())) in (2, 3)


def as_rows(X: Any, kind: str) -> Rows:
    """Turn an input into rows of a kind, a `Table`, `Images` or `Texts`; each has ``n_rows`` and ``take(rows)``.

    Raises
    ------
    InputError
        When it cannot be one.
    """
    if check_kind(kind) == "table":
        return as_table(X)
    return as_images(X) if kind == "image" else as_texts(X)


def check_kind(kind: str) -> str:
    """Return a kind, or say which there are."""
    if kind not in KINDS:
        raise InputError(f"kind must be one of {list(KINDS)}; got {kind!r}.")
    return kind


def encoder_for(kind: str, scaling: str = DEFAULT_SCALING) -> TableEncoder | ImageEncoder | TextEncoder:
    """Return the unfitted encoder for a kind of rows; ``scaling`` is of tables.

    Examples
    --------
    >>> import numpy as np
    >>> encoder_for("image").fit(np.zeros((5, 8, 8))).n_features_out
    64
    """
    if check_kind(kind) == "table":
        return TableEncoder(scaling)
    return ImageEncoder() if kind == "image" else TextEncoder()


def encoder_from_json(stored: dict[str, Any]) -> Encoder:
    """Return whichever encoder was stored."""
    if "views" in stored:
        return ViewEncoder.from_json(stored)
    kinds: dict[str, Any] = {"table": TableEncoder, "image": ImageEncoder, "text": TextEncoder}
    encoder: Encoder = kinds[check_kind(stored.get("kind", "table"))].from_json(stored)
    return encoder
