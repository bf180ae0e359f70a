"""The page in a real browser: keys, two tabs, kills, hostile data, other origins, phones, and what is read aloud."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pyarrow as pa
import pytest

from expose import AnomalyDetector

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if PROGRAM is None:
    pytest.skip("no chromium, chromium-browser or google-chrome on PATH", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="drives the browser")
pytest.importorskip("fastapi", reason="needs the extra web")
expect = playwright.expect

PATIENCE = 30_000  # milliseconds: a machine may be busy
expect.set_options(timeout=PATIENCE)
CLIENT = httpx.Client(timeout=PATIENCE / 1_000)
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}
CALLED = '#undo .state:text-is("{}")'  # what was said last, as the page shows it


class Review(NamedTuple):
    """A review under way in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    answers: Path

    @property
    def origin(self) -> str:
        return self.url.split("/?")[0]

    def lines(self) -> list[dict[str, str]]:
        """What is in the file, which the first answer makes."""
        if not self.answers.exists():
            return []
        with self.answers.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def end(self, how: int = signal.SIGINT) -> str:
        """Stop it, and give the rest of what it said."""
        self.process.send_signal(how)
        return self.process.communicate(timeout=120)[0]


def begin(model: Path, data: Path, *options: str) -> Review:
    """Start the command; its first line says where the page is."""
    command = [sys.executable, "-m", "expose", "review", str(model), str(data), "--json", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    return Review(process, first["url"], Path(first["answers"]))


def payments(rows: int = 160) -> pa.Table:
    """Amounts and shops; the first eight rows are far off."""
    random = np.random.default_rng(0)
    amount = random.normal(50, 5, rows).round(2)
    amount[:8] += 400
    return pa.table(
        {
            "account": [f"A{row:03}" for row in range(rows)],
            "amount": amount,
            "hour": random.normal(12, 2, rows).round(1),
            "shop": random.choice(["books", "bakery"], rows),
        }
    )


def fitted(folder: Path, table: pa.Table, name: str) -> tuple[Path, Path]:
    """A model folder and the file that it was trained on."""
    from typer.testing import CliRunner

    from expose.cli.app import app  # imported late: it is what is tested

    data = folder / name
    data.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")
    given = ["fit", str(data), "--id", table.column_names[0], "--out", str(folder / "model"), "--quiet"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert AnomalyDetector.load(folder / "model").metadata_["command"]
    return folder / "model", data


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=PROGRAM)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return fitted(tmp_path_factory.mktemp("review"), payments(), "payments.jsonl")


@pytest.fixture(scope="module")
def review(trained: tuple[Path, Path]) -> Iterator[Review]:
    started = begin(*trained, "--due", "20", "--reviewer", "Ada")
    yield started
    if started.process.poll() is None:
        started.end()


class Heard(NamedTuple):
    """What a page said and asked for."""

    console: list[str]
    dialogs: list[str]
    requests: list[str]


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., tuple[Any, Heard]]]:
    """Opens a page of a review, in a browser that knows nothing yet, and tells what it said and asked for."""
    contexts: list[Any] = []

    def open_page(review: Review, **options: Any) -> tuple[Any, Heard]:
        context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page, heard = context.new_page(), Heard([], [], [])
        page.on("console", lambda message: heard.console.append(message.text))
        page.on("pageerror", lambda error: heard.console.append(str(error)))
        page.on("dialog", lambda dialog: (heard.dialogs.append(dialog.message), dialog.dismiss()))
        context.on("request", lambda request: heard.requests.append(request.url))
        page.goto(review.url)
        return page, heard

    yield open_page
    for context in contexts:
        context.close()


def answer(page: Any, key: str) -> str:
    """Answer by a key, and give the name of the row that it was about, when the page has gone on."""
    row = page.locator(".subject").get_attribute("data-row")
    name = page.locator("#subject").inner_text()
    page.keyboard.press(key)
    page.wait_for_selector(f'.saved a[href="/?row={row}"]')
    return str(name)


def clean(heard: Heard, review: Review) -> None:
    """Nothing was complained of, nothing ran, nothing was asked of anybody else."""
    assert heard.console == []
    assert heard.dialogs == []
    assert [url for url in heard.requests if not url.startswith((review.origin + "/", "data:"))] == []


# ------------------------------------------------------------------------------------------------- a review by keyboard


def test_ten_rows_are_labelled_by_keyboard_and_the_model_learns(review: Review, opened: Any) -> None:
    page, heard = opened(review)
    expect(page.locator(".intro")).to_contain_text("say whether it is an anomaly")
    expect(page.locator("#question")).to_have_text("Is this row an anomaly?")
    expect(page.get_by_role("button", name="Learn now")).to_be_disabled()
    said = {}
    for _ in range(10):
        odd = int(page.locator("#subject").inner_text()[1:]) < 8
        said[answer(page, "a" if odd else "n")] = "1" if odd else "0"
    expect(page.locator("#goal")).to_have_attribute("value", "10")
    assert {line["account"]: line["label"] for line in review.lines()} == said
    assert {line["reviewer"] for line in review.lines()} == {"Ada"}
    page.keyboard.press("l")
    page.wait_for_url("**/changes")
    expect(page.get_by_role("heading", name="What changed", exact=True)).to_be_visible()
    page.wait_for_selector(".tiles")
    expect(page.locator("main .lead")).to_contain_text("learned from 10 rows")
    expect(page.locator("main .lead")).to_contain_text(f"{list(said.values()).count('1')} anom")
    expect(page.locator("#goal")).to_have_attribute("value", "0")
    page.keyboard.press("q")
    expect(page.locator(".learned")).to_contain_text("learned from 10 rows")
    assert page.locator("#subject").inner_text() not in said
    page.reload()
    expect(page.locator(".counts")).to_contain_text(f"{list(said.values()).count('0')} normal")
    clean(heard, review)


def test_an_answer_is_undone_by_a_key_and_the_row_comes_again(review: Review, opened: Any) -> None:
    page, heard = opened(review)
    before = page.locator(".counts").inner_text()
    name = answer(page, "s")
    expect(page.locator("#said")).to_contain_text(f"Saved: {name} skipped. Now ")
    page.keyboard.press("u")
    page.wait_for_url("**undone=true")
    expect(page.locator("#subject")).to_have_text(name)
    expect(page.locator(".notice")).to_contain_text("Taken back")
    assert page.locator(".counts").inner_text() == before
    assert review.lines()[-1]["answer"] == "undone"
    page.go_back()
    page.wait_for_url("**/")
    expect(page.locator(".notice")).to_have_count(0)
    clean(heard, review)


def test_a_note_goes_with_the_answer_and_keys_are_letters_in_it(review: Review, opened: Any) -> None:
    page, heard = opened(review)
    name, before = page.locator("#subject").inner_text(), len(review.lines())
    page.keyboard.press("e")
    page.keyboard.type("a nasty pun, sold")
    page.keyboard.press("Enter")
    expect(page.locator("#subject")).to_have_text(name)
    assert len(review.lines()) == before
    answer(page, "n")
    assert review.lines()[-1]["note"] == "a nasty pun, sold"
    page.locator(".saved a").click()
    expect(page.locator(".history li")).to_contain_text(["a nasty pun, sold"])
    expect(page.locator(".verdict")).to_contain_text("normal says Ada")
    clean(heard, review)


def test_rows_are_searched_filtered_and_sorted_by_keyboard(review: Review, opened: Any) -> None:
    page, heard = opened(review)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("a003")
    page.keyboard.press("Enter")
    expect(page.locator("main [role=status]")).to_have_text("1 of 160 rows")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    for keys in ("", "amount", "is at least", "300"):  # column, test and value, each after a tab
        if keys:
            page.keyboard.press("Tab")
            page.keyboard.type(keys)
    for keys in ("", "hour"):  # past what was answered, to the order
        page.keyboard.press("Tab")
        page.keyboard.type(keys)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main [role=status]")).to_have_text("8 of 160 rows")
    shown = page.locator(".list .values").all_inner_texts()
    hours = [float(re.search(r"hour\s+([\d.]+)", one)[1]) for one in shown]  # type: ignore[index]
    assert hours == sorted(hours, reverse=True)
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".list a").nth(1)
    expect(second).to_be_focused()
    name = second.inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#subject")).to_have_text(name)
    assert int(name[1:]) < 8
    page.locator("nav").get_by_role("link", name="All rows").click()
    page.locator('[name="value"]').fill("x")
    page.locator('[name="column"]').select_option("amount")
    page.locator('[name="test"]').select_option("least")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".notice")).to_contain_text("'x' is none to compare")
    assert [one for one in heard.console if "422" not in one] == []


def test_answers_are_exported_as_csv(review: Review, opened: Any) -> None:
    page, _ = opened(review)
    name = answer(page, "a")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    with open(download.value.path(), newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    (mine,) = [row for row in rows if row["account"] == name]
    assert (mine["label"], mine["answer"], mine["reviewer"]) == ("1", "anomaly", "Ada")
    assert mine["amount"]


# ----------------------------------------------------------------------------------------------------- two at one time


def test_two_tabs_lose_no_answer_and_the_second_is_told(review: Review, opened: Any) -> None:
    first, _ = opened(review)
    second, _ = opened(review)
    second.locator("#name").fill("Grace")
    second.get_by_role("button", name="Change").click()
    second.wait_for_url("**/")
    name = first.locator("#subject").inner_text()
    expect(second.locator("#subject")).to_have_text(name)
    before = len(review.lines())
    answer(first, "a")
    second.locator("#note").fill("I see it otherwise")
    second.locator("#subject").click()  # out of the note
    second.keyboard.press("n")
    expect(second.locator(".notice")).to_contain_text("Ada has called it anomaly since it was shown")
    expect(second.locator("#said")).to_contain_text("Ada has called it anomaly")
    expect(second.locator("#note")).to_have_value("I see it otherwise")
    assert len(review.lines()) == before + 1
    answer(second, "n")  # and now she knows
    told = [(line["account"], line["answer"], line["reviewer"], line["note"]) for line in review.lines()[before:]]
    assert told == [(name, "anomaly", "Ada", ""), (name, "normal", "Grace", "I see it otherwise")]
    expect(first.locator(".saved")).to_have_text(f"Saved: {name} anomaly")
    first.keyboard.press("u")  # what Ada has said, and not what Grace has
    expect(first.locator(".notice")).to_have_text(
        f"Taken back. Somebody else has spoken of {name} since, and that stands."
    )
    expect(first.locator(".verdict")).to_have_text("normal says Grace")
    assert [line["reviewer"] for line in review.lines()[before:]] == ["Ada", "Grace", "Ada"]


def test_a_kill_loses_no_answer_and_five_are_learned_from(
    trained: tuple[Path, Path], opened: Any, tmp_path: Path
) -> None:
    options = ["--answers", str(tmp_path / "answers.csv"), "--out", str(tmp_path / "learned"), "--due", "5"]
    options += ["--reviewer", "Ada"]
    review = begin(*trained, *options)
    page, _ = opened(review)
    names = [answer(page, "n") for _ in range(3)]
    review.end(signal.SIGKILL)
    page.keyboard.press("a")
    expect(page.locator(".notice")).to_contain_text("Not saved: the review has been closed")
    with review.answers.open("a") as file:  # a kill in the middle of a line
        file.write("5,A005,1,ano")
    again = begin(*trained, *options)
    try:
        page, heard = opened(again)
        expect(page.locator(".counts")).to_contain_text("3 normal")
        expect(page.locator(".saved")).to_contain_text(names[-1])
        expect(page.locator("#subject")).not_to_have_text(names[0])
        names.append(answer(page, "a"))
        assert [line["account"] for line in again.lines()] == names
        names.append(answer(page, "n"))  # the fifth, so a fit begins by itself
        subject = page.locator("#subject").inner_text()
        expect(page.locator(".learned")).to_contain_text("learned from 5 rows")
        expect(page.locator("#said")).to_contain_text("The model has learned")
        expect(page.locator("#subject")).to_have_text(subject)  # what is looked at stays
        clean(heard, again)
    finally:
        said = json.loads(again.end())
    assert (said["anomalies"], said["normal"], said["interrupted"]) == (1, 4, False)


def test_without_javascript_forms_and_links_do_the_same(review: Review, opened: Any) -> None:
    page, heard = opened(review, java_script_enabled=False)
    name = page.locator("#subject").inner_text()
    page.locator("#note").fill("without a script")
    page.locator("#note").press("Enter")  # which must not answer
    expect(page.locator("#subject")).to_have_text(name)
    page.get_by_role("button", name="Normal").click()
    expect(page.locator(".saved")).to_have_text(f"Saved: {name} normal")
    assert (review.lines()[-1]["account"], review.lines()[-1]["note"]) == (name, "without a script")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#subject")).to_have_text(name)
    page.get_by_role("link", name="All rows").click()
    page.locator("#search").fill("A007")
    page.get_by_role("button", name="Show").click()
    page.locator(".list a").click()
    expect(page.locator("#subject")).to_have_text("A007")
    clean(heard, review)


# --------------------------------------------------------------------------------------------------------- hostile data

RUN = "window.ran=1;alert(1)"
EVIL = (
    f"<script>{RUN}</script>",
    f'"><img src=x onerror="{RUN}">',
    f"'--></title></style><svg/onload={RUN}>",
    f"javascript:{RUN}",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egpj.exe\u202c \u2067mirrored",
    "nul\0 bell\a escape\x1b[31m",
    "=cmd|' /C calc'!A0",
    "x" * 3_000,
)


def hostile() -> pa.Table:
    """Names and values that would run, break out or mislead; the first row is far off in a column of such a name."""
    rows, random = 120, np.random.default_rng(0)
    amount = random.normal(50, 5, rows).round(2)
    amount[0] = 900
    shops = [f"{EVIL[row % 4]}" for row in range(rows)]
    return pa.table(
        {
            f"id {EVIL[1]}": [f"{row} {EVIL[row % len(EVIL)]}" for row in range(rows)],
            EVIL[0]: amount,
            EVIL[3]: random.normal(0, 1, rows).round(3),
            EVIL[2]: shops,
        }
    )


INJECTED = """() => [...document.querySelectorAll("*")].flatMap((one) => [
  ...(["SCRIPT"].includes(one.tagName) && one.getAttribute("src") !== "/static/review.js" ? [one.outerHTML] : []),
  ...(one.tagName === "IMG" && !/^(\\/picture\\/|data:image)/.test(one.getAttribute("src")) ? [one.outerHTML] : []),
  ...(one.tagName === "SVG" ? [one.outerHTML] : []),
  ...[...one.attributes].filter((a) => /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value) &&
      ["href", "src", "action", "formaction"].includes(a.name)).map((a) => a.name + "=" + a.value),
])"""


def test_nothing_in_the_data_runs_and_all_of_it_can_be_read(opened: Any, tmp_path: Path) -> None:
    name = f"<img src=x onerror={RUN}>.jsonl"
    model, data = fitted(tmp_path, hostile(), name)
    review = begin(model, data, "--reviewer", f"Eve {EVIL[0]}")
    try:
        page, heard = opened(review, viewport=PHONE)
        expect(page.locator(".what")).to_have_text(name)
        for place in range(9):
            row = int(page.locator(".subject").get_attribute("data-row") or -1)
            page.locator("#note").fill(EVIL[place][:900])
            page.locator("h1").click()
            answer(page, "a" if row == 0 else "n")
            assert page.evaluate(INJECTED) == []
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        for path in ("/?row=0", "/rows", f"/rows?sort={EVIL[0].replace(';', '%3B')}", "/changes", "/?row=1"):
            page.goto(review.origin + path)
            assert page.evaluate(INJECTED) == []
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        page.goto(review.origin + "/?row=0")
        expect(page.locator("h1")).to_contain_text("0 <script>window.ran=1")
        expect(page.locator("tbody th").first).to_contain_text("<script>window.ran=1")
        page.goto(review.origin + "/?row=5")
        assert "gpj.exe" in page.locator("h1").inner_text()
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", page.locator("body").inner_text())
        page.goto(review.origin + "/?row=4")
        expect(page.locator("h1")).to_contain_text("{{ 7 * 7 }}{% raw %}")
        page.locator("#name").fill(f'"><script>{RUN}</script>')
        page.get_by_role("button", name="Change").click()
        page.wait_for_url(review.origin + "/")
        answer(page, "s")
        expect(page.locator("#name")).to_have_value(f'"><script>{RUN}</script>'[:40])
        assert page.evaluate("window.ran") is None
        assert page.evaluate(INJECTED) == []
        page.goto(review.origin + "/rows?state=nobody" + EVIL[1].replace(" ", "%20"))
        expect(page.locator(".notice")).to_contain_text("onerror")
        assert page.evaluate(INJECTED) == []
        assert [one for one in heard.console if "422" not in one] == []
        clean(heard._replace(console=[]), review)
        exported = CLIENT.get(review.origin + "/answers.csv", headers=bearer(review)).text
        assert "'=cmd" in exported
        assert not re.search(r"(^|,)=cmd", exported, re.MULTILINE)
    finally:
        review.end()


# ------------------------------------------------------------------------------------------------------- who may speak


def bearer(review: Review) -> dict[str, str]:
    return {"Authorization": "Bearer " + review.url.partition("token=")[2]}


def test_only_the_page_itself_is_answered(review: Review, opened: Any) -> None:
    before = review.lines()
    form = {"row": "9", "said": "anomaly", "seen": "0"}
    assert CLIENT.get(review.origin + "/").status_code == 403
    assert CLIENT.get(review.origin + "/?token=guessed").status_code == 403
    rebound = {**bearer(review), "Host": "evil.example:80"}
    assert CLIENT.get(review.origin + "/", headers=rebound).status_code == 403
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        foreign = {**bearer(review), "Origin": origin}
        assert CLIENT.post(review.origin + "/answer", data=form, headers=foreign).status_code == 403
    assert CLIENT.post(review.origin + "/answer", data=form, headers=bearer(review)).status_code == 403
    page, heard = opened(review)
    (cookie,) = [one for one in page.context.cookies() if one["name"].startswith("expose-review")]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] in ("Lax", "Strict")
    assert page.evaluate("document.cookie") == ""
    assert "token" not in page.url
    clean(heard, review)
    evil = f"""<form method="post" action="{review.origin}/answer"><input name="row" value="9">
        <input name="said" value="anomaly"><input name="seen" value="0"><button>Win</button></form>"""
    page.route("http://evil.example/*", lambda route: route.fulfill(body=evil, content_type="text/html"))
    page.goto("http://evil.example/")
    page.get_by_role("button").click()
    expect(page.locator("body")).to_contain_text("was refused")
    assert review.lines() == before


# ----------------------------------------------------------------------------------------------------- small and aloud

CONTRAST = """() => {
  const part = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const behind = (one) => {
    const found = numbers(getComputedStyle(one).backgroundColor);
    return found.length === 3 || found[3] === 1 ? found.slice(0, 3) : behind(one.parentElement);
  };
  const pale = (one) => {
    const style = getComputedStyle(one), size = parseFloat(style.fontSize);
    const [low, high] = [light(numbers(style.color)), light(behind(one))].sort((a, b) => a - b);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    return (high + .05) / (low + .05) < (large ? 3 : 4.5);
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(":disabled, .unseen, option"))
    .filter(pale).map((one) => one.outerHTML);
}"""

NAMELESS = """() => {
  const all = "a[href], button, input:not([type=hidden]), select, summary, svg[role=img], img";
  const labels = (one) => [...(one.labels || [])].map((label) => label.textContent.trim()).join("");
  const text = (one) => /^(INPUT|SELECT)$/.test(one.tagName) ? "" : one.textContent.trim();
  const named = (one) => labels(one) || one.getAttribute("aria-label") || text(one) || one.hasAttribute("alt");
  return [...document.querySelectorAll(all)].filter((one) => one.checkVisibility() && !named(one))
    .map((one) => one.outerHTML);
}"""

FOCUSED = "(document.activeElement.id || document.activeElement.value || document.activeElement.textContent).trim()"


def box(locator: Any) -> tuple[float, float]:
    """Top and bottom of what is seen, in pixels of the window."""
    found = locator.bounding_box()
    return found["y"], found["y"] + found["height"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_all_of_it_in_both_themes(review: Review, opened: Any, theme: str) -> None:
    page, heard = opened(review, viewport=PHONE, color_scheme=theme)
    answer(page, "n")
    for path in ("/", "/rows", "/changes", "/?row=3", "/?row=999"):
        page.goto(review.origin + path)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path
        assert page.evaluate(CONTRAST) == [], path
        assert page.evaluate(NAMELESS) == [], path
        assert page.locator("h1").count() == 1
    page.goto(review.origin + "/?row=3")
    bar = page.locator(".answer")
    top, bottom = box(bar)
    assert bottom <= PHONE["height"]  # in sight without scrolling,
    assert bottom - top < 0.2 * PHONE["height"]  # and small
    for last in (page.locator("tbody td").last, page.locator("#note"), page.locator(".list li").last):
        last.evaluate("one => one.scrollIntoView({ block: 'end' })")  # as for whoever comes to it by Tab
        assert box(last)[1] <= box(bar)[0]
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert box(page.locator("#foot"))[0] >= box(bar)[1] - 1
    page.get_by_role("button", name="Anomaly").click()
    page.wait_for_selector(CALLED.format("anomaly"))
    assert [one for one in heard.console if "422" not in one] == []


def test_all_is_reached_by_tab_and_read_aloud(review: Review, opened: Any) -> None:
    page, _ = opened(review)
    assert page.locator("html").get_attribute("lang") == "en"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the row")).to_be_focused()
    order = []
    for _ in range(60):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.value || document.activeElement.textContent.trim()"
            )
        )
        if order[-1] == "name":
            break
    places = [order.index(one) for one in ("Look", "note", "anomaly", "normal", "skipped", "name")]
    assert places == sorted(places)
    outline = page.locator("#name").evaluate("one => getComputedStyle(one).outlineStyle")
    assert outline == "solid"
    page.locator("#desk").focus()
    region = page.locator("#said")
    assert region.get_attribute("aria-live") == "polite"
    name = answer(page, "n")
    expect(region).to_have_text(re.compile(f"Saved: {name} normal. Now A\\d+"))
    expect(page.locator("#desk")).to_be_focused()  # so that Tab begins at what is to be looked at
