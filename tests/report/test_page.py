"""The page: what it says, that nothing in the data can break it, and that it stays small."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import signal
import sys
import threading
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expose.errors import InputError, MissingExtraError
from expose.exposure import given_contamination
from expose.report import build_report, write_report
from expose.report.findings import examine
from expose.report.typical import show_number

MEGABYTE = 1_000_000
HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"


def body(page: str) -> str:
    """Return the page without the plotting library."""
    return page[: page.index("<noscript>")]


def words(page: str) -> str:
    """Return the visible text of the page, on one line."""
    visible = re.sub(r"<(style|script)\b.*?</\1>", " ", body(page), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", visible)))


def figure(page: str, key: str) -> dict[str, Any]:
    return json.loads(re.search(rf'id="figure-{key}">(.*?)</script>', page, re.DOTALL)[1])


def numbers(packed: dict[str, str]) -> np.ndarray:
    """Return an array that plotly packed as base64."""
    return np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"])


def test_summary_suspects_and_reasons_are_on_the_page(make_detector, payments):
    page = words(build_report(make_detector(payments), payments, title="Payments", command="expose report m p"))
    for said in (
        "Payments",
        "8 of 400 rows stand out (2 %)",
        "1 % to 4 %",
        "neighbours",
        "soft",
        "expose report m p",
    ):
        assert said in page
    assert "amount 98,765" in page
    assert "42 rows occur twice" in page


def strip(page: str) -> dict[str, list[float]]:
    """Return where the marks of the estimate's strip begin and how wide they are, in percent of it."""
    marks = re.findall(r'<i class="(span|line|dot)" style="([^"]*)"', body(page))
    return {name: [float(number) for number in re.findall(r"([\d.]+)%", style)] for name, style in marks}


def test_the_estimate_is_drawn_with_its_interval_and_the_share_above_the_threshold(make_detector, payments):
    detector = make_detector(payments)
    page = build_report(detector, payments.iloc[:50])
    assert strip(page) == {"span": [20.0, 60.0], "line": [40.0], "dot": [40.0]}  # 1 % to 4 %, 2 %, of at most 5 %
    said = "An estimated 2 % of the training rows are anomalies, but anything from 1 % to 4 % is plausible. "
    said += "Of all 400, 8 (2 %) score above the threshold."
    assert said in words(page)
    assert f'role="img" aria-label="{said}"' in page
    detector.set_params(threshold=0.5)
    assert strip(build_report(detector, payments)) == {"span": [2.0, 6.0], "line": [100.0], "dot": [4.0]}


def test_with_labels_the_estimate_is_that_of_the_other_rows(make_detector, payments):
    detector = make_detector(payments)
    detector.fitted_.known[:4] = 1
    said = "An estimated 2 % of the training rows without a label are anomalies, but anything from 1 % to 4 %"
    assert said in words(build_report(detector, payments))


def test_a_given_contamination_has_no_interval_to_draw(make_detector, payments):
    detector = make_detector(payments)
    detector.fitted_.estimate = given_contamination(0.02)
    assert strip(build_report(detector, payments)) == {}


def test_what_is_assumed_and_what_is_flagged_are_not_called_alike(make_detector, payments):
    detector = make_detector(payments)
    said = words(build_report(detector, payments.iloc[:50]))
    plausible = "1 % to 4 % share of anomalies among the training rows that is plausible; 2 % was assumed"
    assert f"Contamination, estimated{plausible}" in said
    assert "Flagged2 4 % of these rows score above the threshold" in said
    assert "How this was estimated" in said
    detector.fitted_.estimate = given_contamination(0.02)
    said = words(build_report(detector, payments))
    assert "Contamination, given2 %" in said
    assert "the share of anomalies in the training data; given by the user. It decides" in said
    assert "How this was estimated" not in said


def table(page: str, name: str) -> list[list[str]]:
    """Return the cells of a table's body, in words."""
    rows = re.search(rf'<table class="{name}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1].split("</tr>")[:-1]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    return [[html.unescape(re.sub("<.*?>", "", cell)) for cell in row] for row in cells]


def test_a_table_says_which_rows_are_anomalous_if_so_many_are(make_detector, payments):
    detector = make_detector(payments)
    page = build_report(detector, payments)
    scores = sorted(detector.training_scores_, reverse=True)
    expected = {
        "1 %": 4, "1 %, the low end of the estimate": 4, "above the threshold": 8, "2 %, the estimate": 8,
        "4 %, the high end of the estimate": 16, "5 %": 20, "10 %": 40,
    }  # fmt: skip
    del expected["1 %"]  # it is the low end
    rows = table(page, "lines")
    assert [row[:2] for row in rows] == [[name, f"the first {count} rows"] for name, count in expected.items()]
    assert [row[2] for row in rows] == [show_number(scores[count - 1]) for count in expected.values()]
    marks = re.findall(r'<li class="mark"><span>(.*?)</span>', page)
    assert marks == [
        "line at 1 %, the low end of the estimate", "line at the threshold · 2 %, the estimate",
        "line at 4 %, the high end of the estimate", "line at 5 %",
    ]  # fmt: skip
    new = [row[0] for row in table(build_report(detector, payments.iloc[:100]), "lines")]
    assert new == ["1 %", "above the threshold", "5 %", "10 %"]  # the estimate is of other rows


@pytest.mark.parametrize("top", [3, 20])
def test_the_ranking_is_shown_where_nothing_is_flagged(make_detector, payments, top):
    detector = make_detector(payments).set_params(threshold="tail:0.0000001")
    found = examine(detector, payments, top=top)
    assert not found.flagged.any()
    assert [suspect.rank for suspect in found.suspects] == list(range(1, top + 1))
    page = build_report(detector, payments, top=top)
    assert "None of the 400 rows lies above the threshold. The first of the ranking are shown all the same." in words(
        page
    )
    assert f"The first {top} of 400 rows" in words(page)
    assert table(page, "lines")[0] == ["above the threshold", "0 rows", "none"]


def test_each_suspect_says_which_component_found_it(make_detector, payments):
    detector = make_detector(payments)
    found = examine(detector, payments).suspects
    for suspect in found:
        assert dict(suspect.components).keys() == {"near", "linked", "wide"}
        assert dict(suspect.components)[suspect.found_by] == pytest.approx(suspect.score, rel=1e-6)
    page = build_report(detector, payments)
    said = words(page)
    for suspect in found:
        assert f"found by {suspect.found_by}" in said
        for name, score in suspect.components:
            assert f"{name}{show_number(score)}" in said
    times = sum(suspect.found_by == "wide" for suspect in found)
    assert f"far from the bulk of the data; {times or 'none'} of these 20" in said


def test_how_each_column_was_read_is_said_of_so_many(make_detector, payments):
    detector = make_detector(payments)
    read = detector.fitted_.encoder.columns_read
    page = build_report(detector, payments)
    assert table(page, "columns") == [list(column) if column.how else list(column[:2]) for column in read]
    assert '<details class="read" open>' in page
    wide = np.random.default_rng(0).normal(size=(60, 230))
    page = build_report(make_detector(wide), wide)
    assert len(table(page, "columns")) == 200
    assert "... and 30 more columns" in words(page)
    assert '<details class="read">' in page


def test_columns_of_texts_are_shown_as_what_they_say_and_a_found_identifier_names_the_rows(make_detector):
    rng = np.random.default_rng(0)
    amounts = rng.lognormal(3, 0.5, 200).round(2)
    amounts[7] = 9876.5
    table = pa.table(
        {
            "account": [f"DE{row:06d}" for row in range(200)],
            "amount": [f"{amount:.2f}".replace(".", ",") for amount in amounts],
            "hour": [str(hour) for hour in rng.integers(6, 20, 200)],
        }
    )
    first = examine(make_detector(table), table).suspects[0]
    assert (first.name, first.ids) == ("DE000007", (("account", "DE000007"),))
    assert (first.reasons[0].name, first.reasons[0].value) == ("amount", "9876")
    assert re.fullmatch(r"\S+ \(\S+ to \S+\)", first.reasons[0].typical)
    assert examine(make_detector(table), table, ids=range(200)).suspects[0].name == "7"


def test_planted_values_lead_the_list_with_what_is_typical(make_detector, payments):
    suspects = examine(make_detector(payments), payments).suspects
    by_row = {suspect.row: suspect for suspect in suspects}
    assert suspects[0].row == 7
    assert (by_row[7].reasons[0].name, by_row[11].reasons[0].name) == ("amount", "hour")
    assert re.fullmatch(r"1[789]\S* \(\S+ to \S+\)", by_row[7].reasons[0].typical)
    assert [reason.share for reason in by_row[7].reasons] == sorted(
        (reason.share for reason in by_row[7].reasons), reverse=True
    )


def test_columns_in_another_order_or_with_extra_ones_are_explained_by_name(make_detector, payments):
    detector = make_detector(payments)
    straight = examine(detector, payments).suspects
    turned = examine(detector, payments.assign(extra=1)[["extra", *reversed(payments.columns)]]).suspects
    assert [s.reasons for s in straight] == [s.reasons for s in turned]


def test_a_bare_array_is_explained_by_position(make_detector):
    rows = np.random.default_rng(0).normal(size=(200, 4))
    rows[5, 2] = 30
    first = examine(make_detector(rows), rows).suspects[0]
    assert (first.row, first.reasons[0].name, first.reasons[0].value) == (5, "x2", "30")


def test_columns_matched_by_position_are_shown_under_the_names_of_the_training(make_detector):
    rows = np.random.default_rng(0).normal(size=(200, 4))
    rows[5, 2] = 30
    frame = pd.DataFrame(rows, columns=list("abcd"))
    for trained, given, name in ((frame, rows, "c"), (rows, frame, "x2")):
        found = examine(make_detector(trained), given)
        reason = found.suspects[0].reasons[0]
        assert (reason.name, reason.value) == (name, "30")
        assert reason.typical is not None
        assert found.has_columns
        assert found.suspects[0].facts == ()


def test_hostile_names_values_ids_notes_and_titles_are_only_text(make_detector):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({HOSTILE: rng.normal(size=60), "kind": ["a"] * 59 + [HOSTILE]})
    frame.iloc[59, 0] = 50.0
    detector = make_detector(frame)
    detector.fitted_.notes = [HOSTILE]
    page = build_report(detector, frame, ids={HOSTILE: [HOSTILE] * 60}, title=HOSTILE, command=HOSTILE)
    assert "<img" not in body(page)
    assert "<script>alert" not in page
    assert page.count("<script") - page.split("<noscript>")[1].count("<script") == body(page).count("<script")
    assert body(page).count("<script") == 4
    assert HOSTILE[:20] in words(page)
    assert "&lt;img" in json.dumps(figure(page, "map")["data"][1]["text"])


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "a\u202eb", "x" * 100_000])
def test_odd_text_is_cleaned_and_cut(make_detector, tmp_path, odd):
    rows = np.random.default_rng(0).normal(size=(50, 2))
    page = write_report(tmp_path / "r.html", make_detector(rows), rows, ids=[odd] * 50, title=odd, command="run " + odd)
    text = page.read_text(encoding="utf-8")
    assert "\u202e" not in text
    assert "\x00" not in text
    assert len(body(text)) < MEGABYTE / 2


def test_ids_of_any_name_are_shown(make_detector, payments):
    ids = {name: [f"{name}-{i}" for i in range(400)] for name in ("anomaly_score", "row", "rank", "p_value")}
    page = words(build_report(make_detector(payments), payments, ids=ids))
    for name in ids:
        assert f"{name} {name}-7" in page
    assert "row number 7" in page


def test_ids_name_the_suspects(make_detector, payments):
    named = [f"customer-{i}" for i in range(400)]
    detector = make_detector(payments)
    frames = (named, {"id": named}, pd.DataFrame({"id": named}), pa.table({"id": named}))
    for ids in frames:
        assert examine(detector, payments, ids=ids).suspects[0].name == "customer-7"
    assert examine(detector, payments).suspects[0].name == "row 7"
    both = examine(detector, payments, ids={"id": named, "n": range(400)}).suspects[0]
    assert both.name == "customer-7, 7"


def test_labels_are_compared_but_never_used(make_detector, payments):
    detector, labels = make_detector(payments), np.full(400, -1)
    labels[[7, 11]], labels[100:200] = 1, 0
    page = words(build_report(detector, payments, labels=labels))
    assert "AUROC against labels" in page
    assert "2 of 20" in page
    assert "The labels of 102 rows (2 anomalies)" in page
    without = examine(detector, payments)
    assert [s.row for s in examine(detector, payments, labels=labels).suspects] == [s.row for s in without.suspects]
    assert "AUROC" not in words(build_report(detector, payments, labels=np.full(400, -1)))


def test_members_show_how_far_they_differ(make_detector, payments):
    differing = make_detector(payments, members=3)
    differing.fitted_.head.scale[0] *= 2
    spread = differing.disagreement(payments.iloc[[7]])[0]
    assert spread > 0
    assert f"members differ by {show_number(spread)}" in words(build_report(differing, payments))
    assert "members differ" not in words(build_report(make_detector(payments), payments))


def test_sections_without_anything_to_show_are_absent(make_detector, payments):
    whole = make_detector(payments)
    everything = ["summary", "scores", "lines", "suspects", "map", "training", "churn", "quality", "reproduce"]
    assert sections(build_report(whole, payments)) == everything
    for epochs in (0, 1):
        page = sections(build_report(make_detector(payments, epochs=epochs), payments))
        assert page == [key for key in everything if key not in ("training", "churn")]
    whole.fitted_.notes = []
    quiet = build_report(whole, payments)
    assert "How each column was read" in words(quiet)
    assert "Noticed" not in words(quiet)
    blind = sections(build_report(make_detector(payments, exposure="blind"), payments))
    assert blind == [key for key in everything if key != "churn"]


def sections(page: str) -> list[str]:
    """Return the sections of a page, which are those that it links to."""
    found = re.findall(r'<section id="(.*?)"', body(page))
    assert found == re.findall(r'<li><a href="#(.*?)"', body(page))
    return found


def test_new_rows_are_not_called_training_rows(make_detector, payments):
    detector = make_detector(payments)
    new = payments.iloc[:50].reset_index(drop=True)
    page = words(build_report(detector, new))
    assert "trained on 400 rows" in page  # some of these may be among them: a classifier holds some out
    assert "counted as" not in page
    assert "counted as anomaly in training" in words(build_report(detector, payments))


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_a_handful_of_rows_gives_a_page(make_detector, payments, n_rows):
    new = payments.iloc[7 : 7 + n_rows].reset_index(drop=True)
    assert "so “typical” is rough" in words(build_report(make_detector(payments), new))


def test_constant_scores_give_a_page(make_detector):
    rows = np.ones((30, 3))
    page = build_report(make_detector(rows), rows)
    assert "None of the 30 rows lies above the threshold" in words(page)


def test_every_row_is_counted_once_in_the_histogram_and_the_flagged_ones_apart(make_detector, payments):
    bars = figure(build_report(make_detector(payments), payments), "scores")["data"]
    assert [int(numbers(bar["y"]).sum()) for bar in bars] == [392, 8]


@pytest.mark.parametrize("shape", [(50_000, 5), (300, 1_000)])
def test_the_file_stays_below_six_megabytes(make_detector, tmp_path, shape):
    rows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    detector = make_detector(rows[:1000], epochs=5_000, members=2)
    detector.fitted_.notes = ["n" * 5_000] * 5_000
    page = write_report(tmp_path / "big.html", detector, rows, ids=["i" * 1000] * len(rows), top=200)
    assert page.stat().st_size < 6 * MEGABYTE


def test_nothing_is_loaded_from_anywhere(make_detector, payments):
    page = body(build_report(make_detector(payments), payments))
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'>\s]+""", page)
    assert "@import" not in page
    assert "url(" not in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"top": 0}, "from 1 to 200; got 0"),
        ({"top": 201}, "from 1 to 200; got 201"),
        ({"labels": [1, 0]}, "400 values"),
        ({"labels": [7] * 400}, "1 \\(anomaly\\)"),
        ({"ids": ["a"]}, "each of the 400 rows"),
        ({"ids": {"key": ["a"]}}, "key has 1 values"),
        ({"classes": ["a"] * 400}, "this model is a detector. Give labels"),
    ],
)
def test_what_does_not_fit_the_rows_is_refused(make_detector, payments, wrong, message):
    with pytest.raises(InputError, match=message):
        build_report(make_detector(payments), payments, **wrong)


def test_without_plotly_the_message_says_how_to_get_it(make_detector, payments, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[report\]'"):
        build_report(make_detector(payments), payments)


def test_a_failure_leaves_the_old_file_and_nothing_else(make_detector, payments, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(InputError):
        write_report(target, make_detector(payments), payments, top=0)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "old")]


@pytest.mark.parametrize("place", ["missing/report.html", "."])
def test_a_target_that_cannot_be_written_is_refused_before_the_work(tmp_path, place):
    with pytest.raises(OSError, match=r"could not be written to .* Choose a file in a folder that exists"):
        write_report(tmp_path / place, None, None)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_behind(make_detector, payments, tmp_path):
    resource = pytest.importorskip("resource", reason="needs POSIX file size limits")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"could not be written .* some 6 MB to spare"):
            write_report(tmp_path / "report.html", make_detector(payments), payments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_stays_a_pipe(make_detector, payments, tmp_path):
    pipe, pages = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pages.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert write_report(pipe, make_detector(payments), payments) == pipe
    assert pipe.is_fifo()
    reader.join(60)
    assert pages[0].rstrip().endswith("</html>")
    assert [place.name for place in tmp_path.iterdir()] == ["pipe"]


def test_a_link_stays_a_link(make_detector, payments, tmp_path):
    target, link = tmp_path / "page.html", tmp_path / "link.html"
    link.symlink_to(target)
    write_report(link, make_detector(payments), payments)
    assert link.is_symlink()
    assert target.stat().st_size > 1000
