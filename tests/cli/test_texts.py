"""Texts on the command line: which are odd, and by which words."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import Run, facts

from expose.encoders import ENCODERS, Encoder, Layout, State, register_encoder
from expose.encoders import minilm as minilm_file
from expose.encoders.base import CLASSES
from expose.errors import MissingExtraError
from expose.kinds import as_texts

TEXTS = [
    f"{who} {does} the {what} in the {where}"
    for who in ("Ann", "Tom", "Eve", "Max")
    for does in ("sees", "has")
    for what in ("tree", "stone", "seat")
    for where in ("sun", "rain")
]
ODD = "zigzag quiz pizza"


@pytest.fixture(scope="module", autouse=True)
def _letters():
    """An encoder that needs no model: how often each letter occurs."""

    @register_encoder("letters")
    class Letters(Encoder):
        encodes, layout = "text", Layout("vector", (26,))

        def fit(self, samples):
            return self

        def transform(self, samples):
            values = [text.lower() for text in as_texts(samples).values]
            return np.array([[text.count(chr(97 + n)) for n in range(26)] for text in values], dtype=np.float32)

        def state(self):
            return State({})

        @classmethod
        def restore(cls, state):
            return cls()

    yield
    del ENCODERS["letters"], CLASSES["letters"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "messages.csv"
    rows = [*TEXTS[:20], ODD, *TEXTS[20:]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["nr", "message", "day"], *([f"N{n}", text, 5] for n, text in enumerate(rows))])
    return path


def fit(run: Run, *given: object):
    return run("fit", *given, "--encoder", "letters", "--contamination", "0.05")


def test_the_odd_text_of_a_column_is_first_with_its_words(run: Run, table: Path, tmp_path: Path) -> None:
    suspects = tmp_path / "suspects.csv"
    result = fit(run, table, "--text", "message", "--id", "nr", "--out", tmp_path / "m", "--out-suspects", suspects)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "Not looked at: 'day', beside the texts in 'message'." in said
    first = next(line for line in result.output.splitlines() if line.split()[:1] == ["1"])
    assert first.split()[1:3] == ["20", "N20"]
    assert ODD in first
    assert '"zigzag"' in first or '"pizza"' in first
    with suspects.open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["text"], rows[0]["nr"], len(rows)) == (ODD, "N20", len(TEXTS) + 1)
    assert rows[0]["reason_1"] in ('"zigzag"', '"pizza"', '"quiz"')

    scored = run("score", tmp_path / "m", table, "--out", tmp_path / "scores.csv", "--explain", "2")
    assert scored.exit_code == 0, scored.output
    with (tmp_path / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert list(scores[0])[:3] == ["nr", "anomaly_score", "is_anomaly"]
    assert max(scores, key=lambda row: float(row["anomaly_score"]))["nr"] == "N20"
    assert scores[20]["reason_1"] == rows[0]["reason_1"]

    asked = run("query", tmp_path / "m", table, "--out", tmp_path / "ask.csv", "-k", "3")
    assert asked.exit_code == 0, asked.output
    assert (tmp_path / "ask.csv").read_text().startswith('"row","anomaly_score","label","nr","text"')

    page = tmp_path / "page.html"
    assert run("report", tmp_path / "m", table, "--out", page).exit_code == 0
    html = page.read_text()
    assert ODD in html
    assert rows[0]["reason_1"].strip('"') in html


def test_lines_of_a_file_and_of_stdin_are_texts(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "messages.txt"
    path.write_text("\n".join([*TEXTS, "", ODD]) + "\n")
    found = facts(fit(run, path, "--out", tmp_path / "m", "--json"))
    assert (found["noun"], found["rows"], found["measure"]) == ("text", len(TEXTS) + 2, "7 words at the median")
    ranked = {one["text"]: one for one in found["ranking"]}
    assert ODD in ranked
    if "" in ranked:
        assert [one["column"] for one in ranked[""]["reasons"]] == ["nothing in it"]
    result = run("score", tmp_path / "m", "-", "--out", "-", stdin=f"{TEXTS[0]}\n\n{ODD}\n")
    assert len(result.stdout.strip().splitlines()) == 4
    told = run("score", tmp_path / "m", path.with_suffix(".csv"), "--out", tmp_path / "s.csv")
    assert told.exit_code != 0
    wrong = tmp_path / "other.csv"
    wrong.write_text("a,b\n1,2\n")
    told = run("score", tmp_path / "m", wrong, "--out", tmp_path / "s.csv")
    assert "--text COLUMN" in told.output


def test_labels_and_known_outliers_come_along(run: Run, tmp_path: Path) -> None:
    path, spam = tmp_path / "m.csv", tmp_path / "spam.txt"
    path.write_text("t,known\n" + "".join(f"{text},\n" for text in TEXTS) + f"{ODD},1\n")
    spam.write_text("fuzzy jazz with pizzazz and fizz\nwhiz kids buzz about the quiz\n")
    found = facts(
        fit(run, path, "--text", "t", "--label", "known", "--outliers", spam, "--out", tmp_path / "m", "--json")
    )
    assert (found["known_anomalies"], found["rows"]) == (1, len(TEXTS) + 1)


def test_a_table_with_texts_is_told_of_the_option(run: Run, table: Path, tmp_path: Path) -> None:
    result = run("fit", table, "--out", tmp_path / "m", "--ignore", "nr")
    assert "with --text message they alone are" in " ".join(result.output.split()), result.output


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--text", "mesage"], "Did you mean 'message'?"),
        (["--text", "day"], "values that read as a number"),
        (["--text", "message", "--label", "message"], "only one role"),
        (["--text", "message", "--sample-rows", "10"], "got texts, which are fitted all together"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, table: Path, tmp_path: Path, given: list[str], says: str) -> None:
    result = fit(run, table, "--out", tmp_path / "m", *given)
    assert result.exit_code != 0
    assert says in " ".join(result.output.split())


def test_words_alone_go_with_the_objective_that_reads_them(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    path.write_text("\n".join(TEXTS[:12]))
    result = run("fit", path, "--out", tmp_path / "m", "--encoder", "words")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "m" / "model.json").read_text())["model"]["objective"]["name"] == "language"


def test_without_the_model_it_is_said_what_to_install(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise minilm_file.missing()

    monkeypatch.setattr(minilm_file, "minilm", gone)
    result = run("fit", table, "--text", "message", "--out", tmp_path / "m")
    said = " ".join(result.output.split())
    assert result.exit_code != 0
    assert "pip install 'expose[text]'" in said
    assert "--encoder words" in said


def test_the_model_finds_another_subject(run: Run, tmp_path: Path) -> None:
    try:
        minilm_file.minilm()
    except MissingExtraError as error:
        pytest.skip(str(error))
    path = tmp_path / "talk.txt"
    path.write_text("\n".join([*TEXTS, "The bank raised its interest rates again."]) + "\n")
    found = facts(run("fit", path, "--out", tmp_path / "m", "--json"))
    assert found["ranking"][0]["row"] == len(TEXTS)
    assert found["ranking"][0]["reasons"]
