"""Where the code of an estimator that a caller brought comes from, so that changed code gives new keys.

Classes of installed packages count by the version of their package; classes of one's own by their source.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from expose.estimators import AnomalyDetector
from expose.evaluation.contenders import Contender, Copies, Maker
from expose.evaluation.trial import digest_of, without_docstrings
from expose.objectives import OBJECTIVES

HELD = ("builtins", "expose", "numpy", "sklearn", "torch")  # by the digest of our code, and among the versions
PLACES = {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}


def traced(contender: Contender) -> Contender:
    """The contender with the origin of the classes in it in its identity; one all of whose code is ours as it is."""
    make = contender.make
    found = classes(make.estimator) if isinstance(make, Copies) else objective(make) if isinstance(make, Maker) else ()
    origins = sorted({origin(cls) for cls in found} - {""})
    if isinstance(make, Copies):  # whatever its name, it may hold any objective
        origins.append(digest_of("", "own"))
    return replace(contender, identity=f"{contender.identity} from {', '.join(origins)}") if origins else contender


def classes(value: Any) -> Iterator[type]:
    """The classes of an estimator and of the estimators and objectives in it, parents too."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from classes(one)
    elif isinstance(value, dict):
        yield from classes(list(value.values()))
    else:
        yield from type(value).__mro__
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield from classes(list(value.get_params(deep=False).values()))
        if isinstance(value, AnomalyDetector):
            yield from objective(value)


def objective(holder: AnomalyDetector | Maker) -> tuple[type, ...]:
    """The class of an objective that is given by name, and its parents."""
    cls = OBJECTIVES.get(holder.objective) if isinstance(holder.objective, str) else None
    return () if cls is None else cls.__mro__


def origin(cls: type) -> str:
    """Name and version of the package of a class, or a digest of its source; empty for what a key holds anyway."""
    package = cls.__module__.partition(".")[0]
    if package in HELD:
        return ""
    file = Path(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")
    if PLACES & set(file.parents):
        return ", ".join(f"{name}=={version(name)}" for name in dict.fromkeys(distributions().get(package, ())))
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # typed at a prompt
        return f"{cls.__qualname__} of unknown source"
    code = without_docstrings(textwrap.dedent(source))
    return f"{cls.__qualname__} {hashlib.sha256(code.encode()).hexdigest()[:16]}"


@lru_cache
def distributions() -> Any:
    """The distributions of each top-level package; slow to make."""
    return packages_distributions()
