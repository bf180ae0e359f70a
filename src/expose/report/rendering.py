"""Facts poured into the template, and the page written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from expose.atomic import all_or_nothing
from expose.report.typical import show_number, show_share


def write_page(path: str | os.PathLike[str], build: Callable[[], str]) -> Path:
    """Write what ``build`` gives to a file, whole or not at all; that it cannot be written is found out before."""
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.is_file() and not target.is_dir():
        target.write_text(build(), encoding="utf-8")  # a device or a pipe cannot be replaced
        return Path(path)
    with all_or_nothing(target) as draft:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with draft.open("x", encoding="utf-8") as file:
            file.write(build())
        draft.replace(target)
    return Path(path)


def render(**facts: Any) -> str:
    """Fill in the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("expose.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=show_number, share=show_share)
    return environment.get_template("page.html.jinja").render(**facts, plotly=get_plotlyjs())
