"""How files are written, said on the command line: it reaches the reader, and a model folder keeps it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import Run, command

from expose.cli.app import command_of
from expose.cli.sources import row_numbers
from expose.errors import InputError
from expose.files import Dialect
from expose.folder import load_fitted
from expose.scoring.scorer import reading_as_trained

SAID = [
    "--delimiter",
    "|",
    "--no-header",
    "--skip-lines",
    "2",
    "--comment",
    "%",
    "--encoding",
    "latin-1",
    "--null",
    "-",
    "--decimal",
    ",",
    "--thousands",
    ".",
    "--day-first",
    "--infinity",
    "missing",
    "--strict",
    "--category",
    "x1",
]
KEPT = {"delimiter": "|", "header": False, "skip_lines": 2, "comment": "%", "encoding": "latin-1"}
VALUES = {
    "decimal": ",", "thousands": ".", "day_first": True, "null": ["-"], "infinity": "missing", "strict": True,
    "category": ["x1"],
}  # fmt: skip


def odd_file(path: Path, delimiter: str = "|") -> Path:
    rng = np.random.default_rng(0)
    rows = [
        [f"{color}é", shop] for color, shop in zip(rng.choice(list("abc"), 60), rng.choice(list("xy"), 60), strict=True)
    ]
    lines = ["A title", "1|2|3", *(delimiter.join(row) for row in rows), "% a comment"]
    path.write_bytes("\n".join(lines).encode("latin-1"))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from commands import run_in_process

    folder = tmp_path_factory.mktemp("reading")
    result = run_in_process("fit", odd_file(folder / "odd.txt"), *SAID, "--out", folder / "model")
    assert result.exit_code == 0, result.output
    return folder


def test_a_model_folder_keeps_what_was_said_and_score_goes_by_it(run: Run, trained: Path) -> None:
    metadata = load_fitted(trained / "model")[0].metadata
    assert metadata["dialect"] == KEPT
    assert metadata["conventions"] == VALUES
    result = run("score", trained / "model", trained / "odd.txt", "--out", trained / "scores.csv")
    assert result.exit_code == 0, result.output
    assert "60 rows" in result.stdout


@pytest.mark.parametrize("name", ["score", "report", "query"])
def test_what_is_said_later_goes_before(run: Run, trained: Path, name: str) -> None:
    other = odd_file(trained / "other.txt", ";")
    out = trained / f"{name}.html"
    out = out if name == "report" else out.with_suffix(".csv")
    result = run(name, trained / "model", other, "--delimiter", "semicolon", "--out", out)
    assert result.exit_code == 0, result.output
    result = run(name, trained / "model", other, "--out", out)
    assert result.exit_code == 2


def test_a_folder_of_an_older_version_still_says_its_encoding() -> None:
    def dialect(**metadata: object) -> Dialect:
        fitted = SimpleNamespace(metadata=metadata, columns=(), encoder=SimpleNamespace(commas=()))
        return reading_as_trained(fitted).dialect  # type: ignore[arg-type]

    assert dialect(encoding="latin-1") == Dialect(encoding="latin-1")
    assert dialect(encoding="utf-8") == dialect() == Dialect()
    assert dialect(dialect=KEPT) == Dialect(**KEPT)


@pytest.mark.parametrize("name", ["fit", "classify", "score", "query", "report"])
def test_help_names_what_it_does_not_list(run: Run, name: str) -> None:
    shown = " ".join(run(name, "--help").stdout.split())
    for option in ("--delimiter", "--no-header", "--comment", "--encoding", "--null", "--decimal", "--strict"):
        assert shown.count(option) == 1
    known = {flag for one in command_of(name).params for flag in (*one.opts, *one.secondary_opts)}
    assert {"--delimiter", "--header", "--no-header", "--skip-lines", "--comment", "--encoding", "--null"} <= known


def test_what_cannot_be_said_is_refused(run: Run, trained: Path) -> None:
    for wrong in (
        ["--delimiter", "||"],
        ["--encoding", "klingon"],
        ["--decimal", "x"],
        ["--encoding", "latin-1", "--category", "zip"],
    ):
        result = run("fit", trained / "odd.txt", *wrong, "--out", trained / "none")
        assert result.exit_code == 2
        assert wrong[-1] in result.stderr
    assert not (trained / "none").exists()


@pytest.mark.parametrize("source", ["https://host/rows.csv", "s3a://bank/rows/"])
def test_a_url_of_another_kind_is_no_missing_file(run: Run, trained: Path, tmp_path: Path, source: str) -> None:
    result = run("score", trained / "model", source, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert f"{source.split(':', maxsplit=1)[0]}:// is not read; of URLs s3://," in result.stderr
    assert "there is no file" not in result.stderr


@pytest.mark.parametrize("source", ["absent.csv", "absent/*.csv"])
def test_a_missing_input_is_named_and_not_the_output(run: Run, trained: Path, tmp_path: Path, source: str) -> None:
    result = run("score", trained / "model", source, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert f"there is no file {source!r}" in result.stderr
    assert "scores.csv" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_closed_stdin_is_named(trained: Path, tmp_path: Path) -> None:
    typed = shlex.join(command("score", trained / "model", "-", "--out", tmp_path / "scores.csv"))
    done = subprocess.run(["sh", "-c", f"{typed} <&-"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "standard input" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_link_in_a_circle_is_named(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    result = run("score", trained / "model", tmp_path / "loop.csv", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert "loop.csv is a link to" in result.stderr


def test_row_numbers_of_answers_are_text_or_numbers() -> None:
    assert row_numbers(["0", " 2", "1.0", 2], 3, "asked.csv").tolist() == [0, 2, 1, 2]
    for wrong in ("3", "-1", "1.5", "x", None, "nan", "inf"):
        with pytest.raises(InputError, match=r"asked.csv: column 'row' must hold row numbers from 0 to 2"):
            row_numbers(["1", wrong], 3, "asked.csv")
