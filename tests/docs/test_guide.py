import ast
import inspect
import re
import shlex
import subprocess
import sys
import warnings
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expose import AnomalyDetector
from expose.cli.app import app
from expose.exposure import EXPOSURES
from expose.objectives import OBJECTIVES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNNABLE = [
    "getting-started.md",
    "your-own-objective.md",
    "evaluation.md",
    "benchmarking.md",
    "decisions.md",
    "classifiers.md",
    "input-formats.md",
    "auxiliary-outliers.md",
]


def blocks(page: str) -> list[str]:
    """Python code of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", RUNNABLE)
def test_the_code_of_a_page_runs_as_it_stands(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = blocks(page)
    assert code
    names = {"__name__": "guide"}
    for block in code:
        exec(compile(block, page, "exec"), names)  # later blocks of a page go on from earlier ones
    assert capsys.readouterr().out


def test_the_commands_of_the_page_on_classifiers_run_as_they_stand(tmp_path, monkeypatch):
    pytest.importorskip("plotly", reason="needs the extra report")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "guide"}
    for block in blocks("classifiers.md"):
        exec(compile(block, "classifiers.md", "exec"), names)
    text = (DOCS / "classifiers.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ expose (.+)$", text, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["fit", "score", "report"]
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command))
        assert result.exit_code == 0, result.output
    assert "predicted_class" in (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()[0]


def test_the_objective_of_the_guide_finds_what_it_says(capsys):
    code = blocks("your-own-objective.md")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(code, {"__name__": "guide"})
    assert capsys.readouterr().out == "True\n"
    body = code[code.index("class Gaussian") : code.index("X = ")]
    assert len([line for line in body.splitlines() if line.strip()]) <= 25


@pytest.mark.parametrize(
    "page",
    [f"objectives/{name}.md" for name, cls in OBJECTIVES.items() if cls.__module__.startswith("expose.")]
    + [f"exposures/{name}.md" for name in EXPOSURES],
)
def test_each_method_has_a_page_with_equations_reasons_and_a_picture(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert "```text" in text
    assert "## When to use it" in text
    assert "## When not" in text
    picture = re.search(r"!\[.+\]\((.+\.svg)\)", text)
    assert picture is not None
    assert (DOCS / page).parent.joinpath(picture[1]).resolve().is_file()
    assert f"]({Path(page).name})" in (DOCS / page).with_name("index.md").read_text(encoding="utf-8")
    assert page in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_every_parameter_of_an_objective_is_on_its_page():
    for name, cls in OBJECTIVES.items():
        if cls.__module__.startswith("expose."):
            text = (DOCS / "objectives" / f"{name}.md").read_text(encoding="utf-8")
            missing = [key for key in cls().hyperparameters() if f"`{key}`" not in text]
            assert missing == []


def shown_default(html: str, name: str) -> str:
    """Return the last code cell of the row of a parameter in the first table that has one."""
    row = re.search(rf"<code>{name}</code>\s*</td>(.*?)</tr>", html, re.DOTALL)
    assert row is not None, f"{name} is not on the page"
    return unescape(re.findall(r"<code>(.*?)</code>", re.sub(r"</?span[^>]*>", "", row[1]))[-1])


def check_defaults(html: str) -> None:
    for name, parameter in inspect.signature(AnomalyDetector.__init__).parameters.items():
        if name != "self":
            assert ast.literal_eval(shown_default(html, name)) == parameter.default, name


def test_the_guide_builds_strictly_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    pytest.importorskip("material", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings", reason="needs the extra docs")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    check_defaults((site / "reference.html").read_text(encoding="utf-8"))
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(https?://[^\"'> ]+)", html) == []
