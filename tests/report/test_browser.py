"""The page in a real browser: quiet console, plots drawn, both themes, phone width, paper, no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import PROGRAM, Browser

from expose import AnomalyDetector
from expose.report import write_report

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on PATH")

LONG = "a_column_name_that_goes_on_and_on_without_any_place_to_break_it_in_two_" * 2


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(make_detector, payments, tmp_path) -> Path:
    frame = payments.rename(columns={"amount": LONG})
    labels = np.zeros(400, dtype=int)
    labels[[7, 11]] = 1
    return write_report(
        tmp_path / "report.html", make_detector(frame, members=2), frame, labels=labels,
        ids=["id" * 60] * 400, title=LONG, command="expose report " + LONG,
    )  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_plots_are_drawn_without_a_complaint_a_request_or_sideways_scrolling(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    assert browser.complaints() == []
    assert browser.requests() == [page.resolve().as_uri()]
    assert browser.run("document.querySelectorAll('.js-plotly-plot .main-svg .subplot').length") >= 4
    assert browser.run("document.querySelectorAll('#map .point').length") == 400
    assert browser.run("document.documentElement.scrollWidth") == width
    browser.run("document.querySelectorAll('details').forEach(detail => { detail.open = true; })")
    browser.settle()
    assert browser.run("document.documentElement.scrollWidth") == width
    plots = browser.run("[...document.querySelectorAll('.plot .main-svg')].map(svg => svg.clientWidth)")
    assert 200 < max(plots) <= width


INK = "getComputedStyle(document.querySelector('#scores .xtitle')).fill"
GROUND = "getComputedStyle(document.body).backgroundColor"


def test_page_and_plots_follow_a_change_of_theme(browser, page):
    browser.open(page)
    light = browser.run(INK), browser.run(GROUND)
    browser.theme(dark=True)
    browser.settle()
    dark = browser.run(INK), browser.run(GROUND)
    assert light == ("rgb(86, 96, 113)", "rgb(247, 246, 243)")
    assert dark == ("rgb(163, 172, 187)", "rgb(17, 20, 26)")
    assert browser.complaints() == []


def test_paper_gets_the_light_theme_and_everything_unfolded_then_the_screen_is_as_before(browser, page):
    browser.open(page, dark=True)
    folded = browser.run("document.querySelectorAll('details:not([open])').length")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.settle()
    assert folded > 0
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0
    assert browser.run(INK) == "rgb(86, 96, 113)"
    browser.run("dispatchEvent(new Event('afterprint'))")
    browser.settle()
    assert browser.run("document.querySelectorAll('details:not([open])').length") == folded
    assert browser.run(INK) == "rgb(163, 172, 187)"


def test_landmarks_headings_and_names_are_there_for_those_who_listen(browser, page):
    browser.open(page)
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("['header','nav','main','footer','h1'].map(t => document.querySelectorAll(t).length)") == [1] * 5
    named = "section => document.getElementById(section.getAttribute('aria-labelledby'))"
    assert browser.run(f"[...document.querySelectorAll('section')].every({named})")
    assert browser.run("[...document.querySelectorAll('.plot')].every(p => p.ariaLabel.length > 20)")
    targets = "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.getAttribute('href')))"
    assert browser.run(targets)


def test_hostile_text_runs_nothing_and_the_policy_forbids_the_network(browser, make_detector, tmp_path):
    import pandas as pd

    bad = "<img src=https://example.org/x onerror=document.title=1></script><script>document.title=1</script>"
    frame = pd.DataFrame({bad: np.r_[np.random.default_rng(0).normal(size=59), 40.0], "b": np.arange(60.0)})
    target = write_report(tmp_path / "bad.html", make_detector(frame), frame, ids=[bad] * 60, title="calm", command=bad)
    browser.open(target)
    assert browser.run("document.title") == "calm"
    assert browser.complaints() == []
    assert len(browser.requests()) == 1
    blocked = "fetch('data:,x').then(() => 'reached', () => 'blocked')"
    assert browser.run(blocked) == "blocked"


LINE = """(() => {
  const plot = document.querySelector('#scores .plot'), layout = plot._fullLayout;
  const middle = box => (box.left + box.right) / 2, left = plot.getBoundingClientRect().left;
  const line = plot.querySelector('.shapelayer path').getBoundingClientRect();
  const label = [...plot.querySelectorAll('.main-svg text')].find(text => text.textContent === 'threshold');
  const words = label.getBoundingClientRect();
  return {
    type: layout.xaxis.type, line: middle(line) - left,
    expected: layout.xaxis._offset + layout.xaxis.d2p(layout.shapes[0].x0), threshold: layout.shapes[0].x0,
    gap: words.left > middle(line) ? words.left - middle(line) : middle(line) - words.right,
    high: Math.min(...[...plot.querySelectorAll('.bars .point path')].map(bar => bar.getBoundingClientRect().top))
      - words.bottom,
    start: words.left - left, end: words.right - left, width: plot.clientWidth,
  };
})()"""


def calm_and_wild(wild: bool) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(300, 3))
    rows[:3] *= 1e9 if wild else 3
    return rows


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("at", ["default", "high"])
@pytest.mark.parametrize("wild", [False, True], ids=["linear", "logarithmic"])
def test_the_threshold_and_its_label_stand_where_the_threshold_is(browser, tmp_path, wild, at, width):
    rows = calm_and_wild(wild)
    detector = AnomalyDetector(random_state=0).fit(rows)
    detector.set_params(threshold=None if at == "default" else at_score(detector, 1.05))
    browser.open(write_report(tmp_path / "page.html", detector, rows), width=width)
    drawn = browser.run(LINE)
    assert drawn["type"] == ("log" if wild else "linear")
    assert drawn["threshold"] == pytest.approx(detector.threshold_score())
    assert drawn["line"] == pytest.approx(drawn["expected"], abs=1)
    assert 0 < drawn["gap"] < 12
    assert drawn["high"] > 0, "the label stands above the bars"
    assert 0 < drawn["start"] < drawn["end"] < drawn["width"]


class AtScore:
    """A threshold at a given score."""

    def __init__(self, threshold: float) -> None:
        self.threshold_ = threshold

    def fit(self, scores: np.ndarray) -> AtScore:
        return self

    def predict(self, scores: np.ndarray) -> np.ndarray:
        return scores > self.threshold_


def at_score(detector: AnomalyDetector, factor: float) -> AtScore:
    """A threshold above the highest score."""
    return AtScore(factor * detector.training_scores_.max())


def test_a_phone_gets_smaller_dots_and_names_that_leave_the_map_free(browser, make_detector, payments, tmp_path):
    page = write_report(tmp_path / "page.html", make_detector(payments), payments, ids=["name " * 30] * 400)
    sizes = []
    for width in (390, 1280):
        browser.open(page, width=width)
        sizes.append(browser.run("document.querySelector('#map .plot').data.map(trace => trace.marker.size)"))
    assert sizes == [[4, 6.4], [5, 8]]
    assert browser.run("Math.max(...document.querySelector('#map .plot').data[1].text.map(t => t.length))") <= 40


def test_the_names_of_the_sources_leave_the_titles_free_on_a_phone(browser, tmp_path):
    from expose.report import figures

    rng = np.random.default_rng(0)
    sources = {name: rng.normal(size=50).tolist() for name in ("classes", "outliers", "these rows")}
    drawing = figures.source_scores({"before exposure": sources, "after exposure": sources}, 0.5)
    overlap = "((a, b) => a.bottom > b.top)(...['.legend', '.annotation'].map(c => "
    overlap += "document.querySelector('#sources ' + c).getBoundingClientRect()))"
    page = tmp_path / "page.html"
    page.write_text(page_with(drawing), encoding="utf-8")
    browser.open(page, width=390)
    assert browser.run(overlap) is False


def page_with(drawing) -> str:
    """A page with one figure of the report."""
    from importlib.resources import files

    from plotly.offline import get_plotlyjs

    style, draw = (files("expose.report").joinpath(name).read_text("utf-8") for name in ("style.css", "draw.js"))
    return (
        f"<!doctype html><meta name=viewport content='width=device-width'><style>{style}</style><main id=sources>"
        f'<div class="plot tall" data-figure="f"></div><script type="application/json" id="f">{drawing.json()}</script>'
        f"</main><script>{get_plotlyjs()}</script><script>{draw}</script>"
    )
