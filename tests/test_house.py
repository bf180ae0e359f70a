"""The house plan, held: imports point down, in no circle, and nothing reaches behind a door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

import expose

SOURCE = Path(expose.__file__).parent
LABORATORY = SOURCE.parent / "expose_lab"

# The rooms from the top floor to the ground. A room may import those below it.
FLOORS = (
    "cli",
    "review",
    "serve",
    "report",
    "estimators",
    "explain",
    "exporting",
    "scoring",
    "folder",
    "model",
    "training",
    "decide",
    "exposure",
    "objectives",
    "outliers",
    "networks",
    "encoders",
    "kinds",
    "files",
    "persistence",
    "threads",
    "atomic",
    "stores",
    "errors",
)
# ... but not these: HOW and WHO never meet, what decides sees no data, and networks know no data sets.
STRANGERS = {("exposure", "objectives"), ("decide", "outliers"), ("networks", "kinds")}
HEAVY = (
    "torch",
    "sklearn",
    "pyarrow",
    "scipy",
    "pandas",
    "polars",
    "plotly",
    "jinja2",
    "PIL",
    "rich",
    "fastapi",
    "uvicorn",
)
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in FLOORS)
BETWEEN_ROOMS = [path for path in FILES if path.name != "__main__.py"]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """A file's dotted name."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in [*SOURCE.rglob("*.py"), *LABORATORY.rglob("*.py")]}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, str, int]]:
    """Module, name and line of all that a file imports of ours, anywhere in it, ``TYPE_CHECKING`` included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively; say expose.<room>"
            yield from ((node.module or "", alias.name, node.lineno) for alias in node.names)


def targets(path: Path) -> set[str]:
    """Modules of ours that a file imports: ``from expose.kinds import base`` is one of ``expose.kinds.base``."""
    found = {f"{module}.{name}" if f"{module}.{name}" in MODULES else module for module, name, _ in imports(path)}
    return {module for module in found if module in MODULES}


@pytest.mark.parametrize("path", BETWEEN_ROOMS, ids=name_of)
def test_imports_point_down_only(path: Path) -> None:
    own = room(path)
    assert own in FLOORS, f"{own} is a new room: say in FLOORS where it is"
    for module in targets(path):
        other = module.split(".")[1] if module.count(".") else ""
        if other in FLOORS and other != own:
            assert FLOORS.index(other) > FLOORS.index(own), f"{path} must not import {module}: it is above"
            assert (own, other) not in STRANGERS, f"{path} must not import {module}"


def test_no_circle_of_any_length() -> None:
    """Of files; what a package's ``__init__`` gathers counts as importing it."""
    graph = {name: targets(path) - {name} for name, path in MODULES.items()}
    left = dict(graph)
    while left:
        free = [name for name, below in left.items() if not below & left.keys()]
        assert free, f"these files import each other in a circle: {circle(left)}"
        for name in free:
            del left[name]


def circle(left: dict[str, set[str]]) -> list[str]:
    """One circle of those that are left."""
    way = [next(iter(left))]
    while True:
        following = next(name for name in sorted(left[way[-1]]) if name in left)
        if following in way:
            return [*way[way.index(following) :], following]
        way.append(following)


def own_names(path: Path) -> set[str]:
    """Private names that a file defines, as functions, classes, variables or attributes."""
    found = {node.name for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return {name for name in found if is_private(name)}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


# what Python, torch, NumPy and typer call so is theirs, not ours
FOREIGN = {
    "_exit",
    "_replace",
    "_asdict",
    "_fields",
    "_make",
    "_is_mkldnn_bf16_supported",
    "_C",
    "_functorch",
    "_load_from_state_dict",
    "_jinja",
}


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_private_names_stay_in_their_file(path: Path) -> None:
    for module, name, line in imports(path):
        assert not (module in MODULES and is_private(name)), f"{path}:{line} imports {name} of {module}"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own_names(path) | FOREIGN:
            of_mixin = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            of_super = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super"
            assert of_mixin or of_super, f"{path}:{node.lineno} uses {node.attr}, which another file keeps to itself"


SCORES_RAW_BATCHES = {"expose.scoring.scorer"}  # the one place
ENCODES = {"expose.scoring.scorer", "expose.estimators.samples"}  # and training, which needs encoded samples, too


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_one_place_turns_raw_batches_into_scores(path: Path) -> None:
    called = [
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    name = name_of(path)
    if room(path) in ("encoders", "kinds", "outliers"):
        return  # they make vectors, and know of no model
    if "transform" in called:
        assert name in ENCODES, f"{name} encodes samples by itself: use Scorer"
    if {"transform", "encode"} & set(called) and {"outputs", "member_outputs", "scores"} & set(called):
        assert name in SCORES_RAW_BATCHES, f"{name} is a second place that scores raw samples: use Scorer"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_branch_on_a_kind(path: Path) -> None:
    """A kind is asked, never compared with a name, outside of its own room and the objectives' preferences."""
    names = {"table", "image", "text"}
    if room(path) in ("kinds", "outliers"):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops
        ):
            asked = [side for side in (node.left, *node.comparators) if isinstance(side, ast.Attribute)]
            about_kind = any(
                side.attr == "kind" or (side.attr == "name" and "kind" in ast.unparse(side.value)) for side in asked
            )
            constants = {
                leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant) and leaf.value in names
            }
            assert not (about_kind and constants), f"{path}:{node.lineno} branches on a kind: {ast.unparse(node)}"


@pytest.mark.skipif(not LABORATORY.exists(), reason="the laboratory is not installed")
def test_the_laboratory_uses_the_public_face_and_the_product_no_laboratory() -> None:
    for name, path in MODULES.items():
        if not name.startswith("expose_lab"):
            assert not any(module.startswith("expose_lab") for module, _, _ in imports(path)), name


def last_line_of(code: str) -> str:
    """What a fresh interpreter prints last when it runs this."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()[-1]


HELP = "import sys; sys.argv = {}\ntry:\n    import expose.cli; expose.cli.main()\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    "code",
    [
        "import expose",
        "import expose.cli.app",
        HELP.format(["expose", "--help"]),
        HELP.format(["expose", "fit", "--help"]),
        HELP.format(["expose", "classify", "--help"]),
    ],
    ids=["import", "commands", "help", "help of fit", "help of classify"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    show = f"\nimport sys; print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert last_line_of(code + show) == "HEAVY []"


def test_import_expose_does_not_look_up_its_version() -> None:
    code = "import sys, expose; assert 'importlib.metadata' not in sys.modules; print(expose.__version__)"
    assert last_line_of(code) == expose.__version__


def test_loading_and_scoring_need_no_compiler(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    expose.AnomalyDetector(random_state=0).fit(rows).save(tmp_path / "model")
    code = "import sys, expose; detector = expose.load(sys.argv[1]); "
    code += "assert len(detector.anomaly_score([[0.0, 0.0, 0.0]])) == 1; "
    code += "print('COMPILER', sorted({'torch._dynamo', 'torch._inductor'} & set(sys.modules)))"
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "COMPILER []"


# ------------------------------------------------------------------------------------------------ the walk of X


CORRIDOR, N_SAMPLES = "estimators", 67
ON_THE_WAY = ("kinds", "encoders", "training")  # rooms that see samples or what became of them
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "walk.svg"


def holds_samples(frame: FrameType) -> bool:
    """Whether a function was given the samples, or what became of them: anything with one entry per sample."""
    given = [frame.f_locals[name] for name in frame.f_code.co_varnames[: frame.f_code.co_argcount]]
    given += [each for value in given if hasattr(value, "__dict__") for each in vars(value).values()]
    return any(hasattr(value, "__len__") and not isinstance(value, str) and len(value) == N_SAMPLES for value in given)


def walked() -> list[str]:
    """Rooms that samples enter from the estimators while the default is fitted, in turn."""
    rooms: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        here, caller = frame.f_code, frame.f_back.f_code if frame.f_back else None
        if event != "call" or caller is None or here.co_name.startswith("__"):
            return
        if str(SOURCE / CORRIDOR) in caller.co_filename and str(SOURCE) in here.co_filename:
            entered = room(Path(here.co_filename))
            if entered in ON_THE_WAY and rooms[-1:] != [entered] and holds_samples(frame):
                rooms.append(entered)

    rows = np.random.default_rng(0).normal(size=(N_SAMPLES, 3))
    expose.AnomalyDetector(random_state=0).fit(rows)  # so that all imports are over
    sys.setprofile(note)
    try:
        expose.AnomalyDetector(random_state=0).fit(rows)
    finally:
        sys.setprofile(None)
    return rooms


def test_samples_walk_through_and_return_to_no_room() -> None:
    assert walked() == list(ON_THE_WAY)


def test_the_picture_of_the_walk_is_true() -> None:
    stops = re.findall(r'class="stop"[^>]*>([a-z]+)/', PICTURE.read_text(encoding="utf-8"))
    assert [stop for stop in stops if stop in ON_THE_WAY] == walked()
    assert set(stops) <= set(FLOORS) | {"estimators"}
