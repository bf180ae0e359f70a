"""The studies, one small file each. ``python -m expose_lab.study`` runs them and writes their pages."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from expose_lab.studies.base import Drawing, Study


@cache
def studies() -> dict[str, Study | Drawing]:
    """All studies by name: what modules of this room call STUDY or STUDIES."""
    found: dict[str, Study | Drawing] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        names = vars(import_module(module.name))
        for study in names.get("STUDIES", [names["STUDY"]] if "STUDY" in names else []):
            found[study.name] = study
    return found
