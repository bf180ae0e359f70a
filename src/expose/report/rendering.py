"""Facts poured into the template, and the page written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from expose.atomic import whole_file
from expose.report.typical import show_number, show_share
from expose.stores import Place, Stored, place_of


def write_page(path: str | os.PathLike[str] | Stored, build: Callable[[], str]) -> Place:
    """Write what ``build`` gives to a file, whole or not at all; that it cannot be written is found out before."""
    place = place_of(path)
    if isinstance(place, Stored):
        place.check_bucket()
        with whole_file(place) as file:
            file.write(build().encode("utf-8"))
        return place
    target = Path(os.path.realpath(place))  # a link stays a link
    special = target.exists() and not target.is_file() and not target.is_dir()
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not target.parent.is_dir():  # it is not made, for it may be a slip of the pen
            raise FileNotFoundError(errno.ENOENT, "its folder does not exist")
        with target.open("wb") if special else whole_file(target) as file:  # a device or pipe cannot be replaced
            file.write(build().encode("utf-8"))
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise OSError(
            error.errno,
            f"The report could not be written to {path}: {cause.strerror or cause}. "
            "Choose a file in a folder that exists, that you may write to, and that has some 6 MB to spare",
        ) from error
    return place


def environment(*folders: str) -> Any:
    """Templates of the report, before them those of other folders, ``package:folder``; what is put in is text."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    places = [folder.split(":") for folder in (*folders, "expose.report:.")]
    found = Environment(
        loader=ChoiceLoader([PackageLoader(*place) for place in places]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters.update(number=show_number, share=show_share)
    return found


def render(**facts: Any) -> str:
    """Fill in the page."""
    from plotly.offline import get_plotlyjs

    return str(environment().get_template("page.html.jinja").render(**facts, plotly=get_plotlyjs()))
