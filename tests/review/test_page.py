"""What the page answers: to whom, and what."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from expose.review.desk import Desk

pytest.importorskip("fastapi", reason="needs the extra web")
HOST = "127.0.0.1:8000"


def post(client: Any, path: str, **data: Any) -> Any:
    return client.post(path, data=data, follow_redirects=False)


# ------------------------------------------------------------------------------------------------------------- who


@pytest.mark.parametrize("path", ["/", "/rows", "/changes", "/status", "/answers.csv", "/static/review.js", "/x"])
def test_without_the_token_nothing_is_answered(client: Any, path: str) -> None:
    del client.headers["Authorization"]
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "expose-review-8000=wrong"}):
        answer = client.get(path, headers=given)
        assert answer.status_code == 403
        assert "token" in answer.text
    assert client.get(path + "?token=wrong").status_code == 403


def test_the_token_in_the_address_becomes_a_cookie(client: Any) -> None:
    del client.headers["Authorization"]
    answer = client.get("/?token=the-token", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9", "localhost", "127.0.0.1:8000.evil.example"])
def test_another_name_for_this_machine_is_refused(client: Any, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_origin_changes_nothing(client: Any, desk: Desk, headers: dict[str, str]) -> None:
    for path in ("/answer", "/undo", "/learn", "/reviewer"):
        answer = client.post(path, data={"row": 0, "said": "normal"}, headers=headers)
        assert answer.status_code == 403
    assert desk.answers.entries() == []


def test_nothing_from_elsewhere_may_run(client: Any) -> None:
    for path in ("/", "/nowhere", "/?row=abc"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
    text = client.get("/").text
    assert "http://" not in text.replace(f"http://{HOST}", "")
    assert "https://" not in text


# ------------------------------------------------------------------------------------------------------------ what


def test_an_answer_is_kept_and_the_next_row_comes(client: Any, desk: Desk) -> None:
    row, following = desk.queue()[:2]
    answer = post(client, "/answer", row=row, said="anomaly", seen=0, note=" twice the price ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert f'data-row="{following}"' in client.get("/").text
    (kept,) = desk.answers.entries()
    assert (kept.row, kept.said, kept.note, kept.reviewer) == (row, "anomaly", "twice the price", "Ada")
    assert "twice the price" in client.get(f"/?row={row}").text


def test_an_answer_to_what_was_answered_meanwhile_is_asked_again(client: Any, desk: Desk) -> None:
    desk.answer(7, "normal", reviewer="Bob")
    answer = post(client, "/answer", row=7, said="anomaly", seen=0)
    assert answer.status_code == 409
    assert "Bob has called it normal" in answer.text
    assert len(desk.answers.entries()) == 1
    assert post(client, "/answer", row=7, said="anomaly", seen=1).status_code == 303


def test_an_answer_to_an_event_that_is_another_by_now_is_asked_again(
    client: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def event(*rows: int) -> None:
        monkeypatch.setattr(type(desk.standing), "meant", lambda standing, row: list(rows))

    event(3, 4, 5)
    (shown,) = re.findall('name="extent" value="(.*?)"', client.get("/?row=4").text)
    event(4, 5, 6, 7)  # as after a refit that has ended meanwhile
    answer = post(client, "/answer", row=4, said="anomaly", extent=shown)
    assert answer.status_code == 409
    assert "Answer again" in answer.text
    assert desk.answers.current() == {}
    (shown,) = re.findall('name="extent" value="(.*?)"', answer.text)
    assert post(client, "/answer", row=4, said="anomaly", extent=shown).status_code == 303
    assert list(desk.answers.current()) == [4, 5, 6, 7]


def test_undo_shows_the_row_again(client: Any, desk: Desk) -> None:
    post(client, "/answer", row=7, said="anomaly", seen=0)
    assert post(client, "/undo").headers["location"] == "/?row=7&undone=true"
    assert "Taken back" in client.get("/?row=7&undone=true").text
    assert post(client, "/undo").status_code == 409


def test_enough_answers_begin_a_refit(client: Any, desk: Desk) -> None:
    for row in range(4):
        post(client, "/answer", row=row, said="anomaly", seen=0)
    assert not desk.progress().learning
    assert desk.standing.generation == 0
    post(client, "/answer", row=100, said="normal", seen=0)
    with desk._learning:  # until it has ended
        pass
    assert desk.standing.generation == 1
    text = client.get("/changes").text
    assert "learned from 5 rows" in text
    assert client.get("/status").json()["generation"] == 1


def test_learning_from_nothing_is_refused(client: Any) -> None:
    assert post(client, "/learn").status_code == 409


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/answer", {"row": 120, "said": "normal"}),
        ("/answer", {"row": -1, "said": "normal"}),
        ("/answer", {"row": "x", "said": "normal"}),
        ("/answer", {"row": 1, "said": "perhaps"}),
        ("/answer", {"row": 1}),
        ("/answer", {"row": 1, "said": "normal", "note": "x" * 1001}),
        ("/answer", {"row": 10**30, "said": "normal"}),
    ],
)
def test_a_wrong_form_is_refused_in_words(client: Any, desk: Desk, path: str, data: dict[str, Any]) -> None:
    answer = post(client, path, **data)
    assert answer.status_code == 422
    assert "did not work" in answer.text
    assert desk.answers.entries() == []


@pytest.mark.parametrize("path", ["/?row=120", "/?row=-1", "/?row=x", "/picture/0", "/picture/x", "/picture/120"])
def test_a_row_that_is_not_there_is_refused_in_words(client: Any, path: str) -> None:
    assert client.get(path).status_code == 422


def test_a_wish_that_cannot_be_is_said_above_the_list(client: Any) -> None:
    answer = client.get("/rows?column=amount&test=least&value=many")
    assert answer.status_code == 422
    assert "holds numbers" in answer.text
    assert 'value="many"' in answer.text  # what was typed is still there


def test_a_reviewer_says_who_answers(client: Any, desk: Desk) -> None:
    post(client, "/reviewer", name="Zoë ☃ <b>")
    post(client, "/answer", row=7, said="anomaly", seen=0)
    assert desk.answers.entries()[0].reviewer == "Zoë ☃ <b>"
    assert "Zoë ☃ &lt;b&gt;" in client.get("/?row=7").text
    post(client, "/reviewer", name="")
    post(client, "/answer", row=8, said="anomaly", seen=0)
    assert desk.answers.entries()[1].reviewer == "Ada"


def test_a_reviewer_of_another_port_is_another(client: Any, desk: Desk) -> None:
    client.cookies.set("expose-reviewer-9000", "Bob", domain="127.0.0.1")
    post(client, "/answer", row=7, said="anomaly", seen=0)
    assert desk.answers.entries()[0].reviewer == "Ada"


def test_the_export_has_all_that_is_known_and_runs_in_no_spreadsheet(client: Any, desk: Desk) -> None:
    desk.answer(7, "anomaly", reviewer="=cmd|' /C calc'!A0", note="+1")
    desk.answer(8, "normal", reviewer="Ada")
    desk.undo("Ada")
    answer = client.get("/answers.csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["row"], row["label"], row["account"], row["note"]) == ("7", "1", "A007", "'+1")
    assert row["reviewer"].startswith("'=")
    assert "attachment" in answer.headers["content-disposition"]


def test_a_full_disk_is_said_and_the_review_goes_on(client: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        answer = post(client, "/answer", row=7, said="anomaly", seen=0)
    assert answer.status_code == 500
    assert "No space left" in answer.text
    assert client.get("/").status_code == 200


def test_a_file_of_answers_that_a_spreadsheet_has_changed_is_said(client: Any, desk: Desk) -> None:
    post(client, "/answer", row=3, said="anomaly")
    desk.answers.path.write_text(desk.answers.path.read_text().replace(",", ";") + "longer than it was\n")
    desk.answers.path.rename(desk.answers.path.with_suffix(".old"))
    desk.answers.path.write_bytes(desk.answers.path.with_suffix(".old").read_bytes())
    for answer in (client.get("/"), post(client, "/answer", row=4, said="normal")):
        assert answer.status_code == 422
        assert "holds no answers about these data" in answer.text


def test_answers_that_are_gone_are_said(client: Any, desk: Desk) -> None:
    post(client, "/answer", row=3, said="anomaly")
    desk.answers.path.unlink()
    answer = post(client, "/answer", row=3, said="normal", seen=1)
    assert answer.status_code == 409
    assert "not in the file of answers any more" in answer.text


def test_what_the_model_does_not_look_at_is_shown_beside(client: Any) -> None:
    text = client.get("/?row=7").text
    assert "A007" in text
    assert "secret" in text
