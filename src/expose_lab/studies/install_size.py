"""What a core install of expose weighs: size on disk of each package it needs, extras left out."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from expose_lab.store import Row
from expose_lab.studies.base import Study


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each package, largest first."""
    sizes = {name: megabytes(name) for name in needed("expose", set())}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        yield {"package": name, "version": distribution(name).version, "megabytes": round(size, 1)}


def needed(name: str, seen: set[str]) -> set[str]:
    """Names of all installed packages that ``name`` needs, itself included."""
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        return seen
    seen.add(name.lower().replace("_", "-"))
    for line in requires:
        requirement = Requirement(line)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name.lower().replace("_", "-") not in seen:
            needed(requirement.name, seen)
    return seen


def megabytes(name: str) -> float:
    """Size of a package's installed files."""
    paths = (Path(str(file.locate())) for file in distribution(name).files or [])
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


STUDY = Study("install_size", "megabytes of a core install", cells=lambda: [{"extras": "none"}], measure=measure)
