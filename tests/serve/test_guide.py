"""The page on serving: what it tells to type answers, and its limits are those that hold."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from commands import command, run_in_process

from expose.cli.serve import serve
from expose.serve import Limits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_what_the_page_tells_to_type_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0], {})
    typed = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
    [fit] = [shlex.split(line) for line in typed if line.startswith("expose fit")]
    assert run_in_process(*fit[1:]).exit_code == 0
    line = command("serve", "model", "--port", 0, "--json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            url = json.loads(process.stdout.readline())["url"]  # type: ignore[union-attr]
            answers = []
            for one in (line for line in typed if "curl " in line):
                asked = one.replace("http://127.0.0.1:8000", url).replace("curl ", "curl -sS --fail-with-body ")
                done = subprocess.run(["bash", "-c", asked], check=False, capture_output=True, text=True, timeout=30)
                assert done.returncode == 0, (asked, done.stdout, done.stderr)
                answers.append(done.stdout)
        finally:
            process.terminate()
    first = json.loads(answers[0])
    assert [row["is_anomaly"] for row in first["rows"]] == [False, True]
    assert [row["reason_1"] for row in first["rows"]] == [None, "amount"]
    assert first["notes"] == []
    assert {*first["rows"][0]} == {
        *re.findall(r'"(\w+)": ', re.findall(r"^```json\n.*?(\{\"payment.*?\})", PAGE, re.S | re.M)[0])
    }
    assert answers[1] == answers[2] == answers[4]
    assert len(answers[3].splitlines()) == 6


def test_the_limits_of_the_page_are_those_that_hold() -> None:
    table = re.findall(r"^\| (?:`(--[\w-]+)`)? ?\| `(\w+)` \| ([\d,.]+)", PAGE, re.MULTILINE)
    shown = {name: float(value.replace(",", "")) for _, name, value in table}
    assert {one.name: float(getattr(Limits(), one.name)) for one in fields(Limits)} == shown | {
        "body": shown["body"] * 2**20
    }
    used = inspect.signature(serve).parameters
    options = {option.removeprefix("--").replace("-", "_"): name for option, name, _ in table if option}
    assert {*options} <= {*used}
    usual = {option: used[option].default for option in options}
    assert usual == {option: shown[name] * (1000 if option == "batch_wait" else 1) for option, name in options.items()}


def test_what_is_counted_stands_on_the_page(table: tuple[Path, Path], client) -> None:
    text = client(table[0]).get("/metrics").text
    counted = {*re.findall(r"^# TYPE (\w+?)(?:_created)? ", text, re.MULTILINE)}
    assert {name for name in counted if f"`{name}`" not in PAGE and f"`{name}_total`" not in PAGE} == set()


def test_files_of_its_deployment_start_it_with_options_that_there_are() -> None:
    known = {f"--{name.replace('_', '-')}" for name in inspect.signature(serve).parameters}
    unit = (ROOT / "deploy" / "expose.service").read_text()
    container = (ROOT / "deploy" / "Containerfile").read_text()
    for text in (re.findall(r"^ExecStart=(.*)$", unit, re.M)[0], re.findall(r"^ENTRYPOINT (.*)$", container, re.M)[0]):
        assert "serve" in text
        assert {*re.findall(r"--[\w-]+", text)} <= known
    copied = re.findall(r"^COPY (.*) \S+$", container, re.M)  # a token that lies beside it would stay in the image
    assert {name for names in copied for name in names.split()} == {"pyproject.toml", "README.md", "LICENSE", "src"}
