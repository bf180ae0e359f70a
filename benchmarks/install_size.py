"""What a core install of expose weighs: size on disk of each package it needs, extras left out.

python benchmarks/install_size.py
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement


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
    files = distribution(name).files or []
    paths = (file.locate() for file in files)
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6  # type: ignore[attr-defined]


def main() -> None:
    """Print a table, largest first."""
    sizes = {name: megabytes(name) for name in needed("expose", set())}
    print("| package | version | MB |\n|---|---|---|")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size >= 1:
            print(f"| {name} | {distribution(name).version} | {size:.0f} |")
    print(f"| all {len(sizes)} | | {sum(sizes.values()):.0f} |")


if __name__ == "__main__":
    main()
