"""``expose review``: what it refuses, what it says at its end, and that ``fit`` reads its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import QUICK, Run, facts

from expose import AnomalyDetector, load

pytest.importorskip("fastapi", reason="needs the extra web")
ANSWERS = [
    (0, "anomaly"),
    (1, "normal"),
    (1, "anomaly"),
    (100, "normal"),
    (101, "anomaly"),
    (101, "undo"),
    (5, "skipped"),
]


@pytest.fixture
def reviewed(run: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a review in which somebody answers so, and refits where asked to."""

    def reviewing(*options: Any, answers: Any = ANSWERS, learn: bool = False, files: Any = (data,)) -> Any:
        def serve(app: Any, address: Any) -> None:
            address.close()
            pages = next(route.endpoint.__self__ for route in app.routes if getattr(route, "path", "") == "/answer")
            for row, said in answers:
                if said == "undo":
                    pages.desk.undo("Ada")
                else:
                    pages.desk.answer(row, said, reviewer="Ada", note='=1+1, "so"; it\tseems')
            if learn:
                pages.desk.learn()
            raise KeyboardInterrupt

        monkeypatch.setattr("expose.review.page.serve", serve)
        place = ["--answers", tmp_path / "answers.csv", "--out", tmp_path / "learned"]
        return run("review", model, *files, *place, *options)

    return reviewing


def test_it_ends_with_what_was_answered_and_the_next_command(reviewed: Any, tmp_path: Path) -> None:
    result = reviewed()
    assert result.exit_code == 0, result.output
    assert "http://127.0.0.1:" in result.output
    assert "2 anomalies, 1 normal" in result.output
    assert "expose fit" in result.output
    assert not (tmp_path / "learned").exists()


def test_json_is_the_address_and_then_the_facts(reviewed: Any, tmp_path: Path) -> None:
    first, last = map(json.loads, reviewed("--json", learn=True).stdout.splitlines())
    assert first["url"].startswith("http://127.0.0.1:")
    assert (last["anomalies"], last["normal"], last["skipped"], last["refits"]) == (2, 1, 1, 1)
    assert last["model"] == str(tmp_path / "learned")


def test_fit_reads_the_answers_as_the_review_does(reviewed: Any, run: Run, data: Path, tmp_path: Path) -> None:
    assert reviewed(learn=True).exit_code == 0
    roles = ["--id", "account", "--ignore", "note,is_fraud", "--contamination", "0.05"]
    result = run("fit", data, *roles, *QUICK, "--answers", tmp_path / "answers.csv", "--out", tmp_path / "fitted")
    assert result.exit_code == 0, result.output
    by_fit, by_review = load(tmp_path / "fitted").fitted_.known, load(tmp_path / "learned").fitted_.known
    assert np.array_equal(by_fit, by_review)
    assert np.flatnonzero(by_fit == 1).tolist() == [0, 1]


def test_the_same_command_goes_on(reviewed: Any, tmp_path: Path) -> None:
    assert reviewed(learn=True).exit_code == 0
    result = reviewed("--json", answers=[(7, "anomaly")])
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["anomalies"] == 3
    learned = AnomalyDetector.load(tmp_path / "learned")
    assert learned.metadata_["command"].count("--answers") == 1


def test_a_model_of_somebody_else_is_not_replaced(reviewed: Any, run: Run, data: Path, tmp_path: Path) -> None:
    assert run("fit", data, "--out", tmp_path / "learned", "-q", *QUICK).exit_code == 0
    result = reviewed()
    assert result.exit_code == 2
    assert "not from a review of this one" in result.output


def test_answers_about_other_data_are_refused(reviewed: Any, run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("row,label\n1,1\n")
    result = reviewed()
    assert result.exit_code == 2
    assert "holds no answers about these data" in result.output


def test_other_data_than_those_of_training_are_refused(reviewed: Any, data: Path, tmp_path: Path) -> None:
    lines = data.read_text().splitlines()
    (tmp_path / "fewer.csv").write_text("\n".join(lines[:100]))
    result = reviewed(files=[tmp_path / "fewer.csv"])
    assert result.exit_code == 2
    assert "240 rows" in result.output


def test_a_classifier_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    fit = ["classify", data, "--label", "shop", "--ignore", "account,note,is_fraud", "--out", tmp_path / "classes"]
    assert run(*fit, "--set", "epochs=1").exit_code == 0
    result = run("review", tmp_path / "classes", data)
    assert result.exit_code == 2
    assert "is a classifier" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--answers", "s3://bucket/a.csv"], "cannot grow line by line"),
        (["--answers", "a.parquet"], "is not a .csv file"),
        (["--answers", "nowhere/a.csv"], "there is no folder"),
    ],
)
def test_places_that_cannot_be_are_refused(run: Run, model: Path, data: Path, options: Any, message: str) -> None:
    result = run("review", model, data, *options)
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")


def test_a_port_that_is_taken_is_said(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("review", model, data, "--answers", tmp_path / "a.csv", "--port", port)
    assert result.exit_code == 2
    assert f"--port {port} cannot be had" in result.output


def test_the_address_answers_as_soon_as_it_is_told() -> None:
    import socket

    from expose.cli.review import bound

    with bound(0) as address, socket.create_connection(address.getsockname(), timeout=5) as early:
        assert early.getpeername() == address.getsockname()


def test_without_the_extra_it_says_how_to_get_it(run: Run, model: Path, data: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    result = run("review", model, data)
    assert result.exit_code == 2
    assert "pip install 'expose[web]'" in result.output
    assert "error" in facts(run("review", model, data, "--json"))
