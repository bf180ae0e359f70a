import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from expose.decide import reliability
from expose.errors import InputError, MissingExtraError
from expose_lab.figures import (
    Compared,
    Curve,
    against_published,
    curves,
    dots,
    heat_maps,
    rank_diagram,
    reliability_diagram,
    score_distributions,
    short,
)

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["ntl soft", "kNN", "LOF & co <5", "PCA"]


def diagram():
    return rank_diagram(NAMES, [1.25, 2.0, 3.5, 3.25], [(0, 1), (3, 2)], difference=1.5, title="ranks of all")


def lines():
    line = Curve([0, 0.01, 0.1], [0.9, 0.88, 0.8], [0.01, 0.0, 0.02])
    other = Curve([0, 0.01, 0.1], [0.9, 0.87, 0.79], [0.0, 0.0, 0.0])
    return curves({"ntl": {"blind": line, "soft": other}, "baselines": {"kNN": other}}, xlabel="share", ylabel="AUROC")


def heat():
    panels = {"hard": [[0.5, 0.75], [0.625, np.nan]], "soft": [[0.875, 0.7], [0.6, 0.55]]}
    names = ["0 %", "10 %"]
    words = {"row_label": "assumed", "column_label": "true", "colour_label": "difference"}
    return heat_maps(panels, names, names, base=[0.6, 0.6], **words)


def pairs():
    points = Compared(["wine", "musk"], [90.0, 50.0], [2.0, 0.0], [60.0, 51.0], [1.0, np.nan])
    return against_published({"ntl soft": points, "icl soft": points}, unit="F1, %")


def seconds():
    return dots({"wine": {"LOF": 0.02, "ntl soft": 31.0}, "musk": {"LOF": 0.5}}, label="seconds")


def trust():
    rng = np.random.default_rng(0)
    before, after = (reliability(rng.random(500) < 0.6, rng.random(500)) for _ in range(2))
    return reliability_diagram({"normal only": {"before": before, "after": after}, "mixed": {"before": before}})


def sources():
    rng = np.random.default_rng(0)
    scores = {"normal": rng.normal(size=300), "noise & co": rng.normal(size=50) + 3, "blobs": [2.0]}
    return score_distributions({"before": scores, "after": scores}, label="anomaly score")


DRAWN = {
    diagram: [*NAMES, "1.25", "3.50", "critical difference 1.50", "ranks of all"],
    lines: ["ntl", "baselines", "blind", "soft", "kNN", "share", "AUROC"],
    heat: [".500", ".750", ".625", ".875", "hard", "soft", "assumed", "true", "difference", "10 %"],
    pairs: ["wine", "musk", "ntl soft", "icl soft", "published", "here", "F1, %"],
    trust: ["normal only", "mixed", "before", "after", "confidence", "accuracy"],
    sources: ["normal", "noise & co", "blobs", "before", "after", "anomaly score"],
    seconds: ["LOF", "ntl soft", "wine", "musk", "seconds"],
}
DRAW = pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


@DRAW
def test_a_figure_is_svg_that_says_its_names_as_text(draw):
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    svg = draw()
    assert ET.fromstring(svg).tag == f"{SVG}svg"
    assert [name for name in DRAWN[draw] if not any(name in text for text in texts(svg))] == []
    assert len(svg) < 150_000


@DRAW
def test_the_same_data_give_the_same_bytes_whatever_was_set_before(draw):
    mpl = pytest.importorskip("matplotlib", reason="needs the extra bench")
    first = draw()
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.grid": False, "svg.hashsalt": None}):
        assert draw() == first
    assert dict(mpl.rcParams) == before
    assert "<dc:date>" not in first


def test_other_data_give_another_figure():
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    assert dots({"a": {"x": 1.0, "y": 3.0}}, label="s") != dots({"a": {"x": 2.0, "y": 3.0}}, label="s")


def test_figures_are_drawn_on_white():
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    first = next(node for node in ET.fromstring(diagram()).iter(f"{SVG}path"))
    assert "fill: #ffffff" in first.attrib["style"]


def test_an_empty_cell_of_a_heat_map_stays_empty():
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    assert "nan" not in "".join(texts(heat()))


def test_short_is_more_than_two_published_spreads_lower():
    assert short([90, 90, 90, 90], [80, 79, 100, 88], [5, 5, 5, 0]).tolist() == [False, True, False, False]
    assert short([90], [87.9], [0]).tolist() == [True]  # no spread seen: one point


@pytest.mark.parametrize(
    "call",
    [
        lambda: rank_diagram(["a"], [1.0], []),
        lambda: rank_diagram(["a", "b"], [1.0], []),
        lambda: curves({}, xlabel="", ylabel=""),
        lambda: curves({"a": {}}, xlabel="", ylabel=""),
        lambda: heat_maps({"a": [[1.0]]}, ["x", "y"], ["x"], row_label="", column_label="", colour_label=""),
        lambda: against_published({}, unit=""),
        lambda: dots({}, label=""),
        lambda: dots({"a": {}}, label=""),
        lambda: reliability_diagram({}),
        lambda: reliability_diagram({"a": {}}),
        lambda: score_distributions({}, label=""),
        lambda: score_distributions({"a": {}}, label=""),
        lambda: score_distributions({"a": {"x": [0.0]}, "b": {"y": [0.0]}}, label=""),
        lambda: score_distributions({"a": {"x": [np.nan]}}, label=""),
        lambda: score_distributions({"a": {"x": []}}, label=""),
    ],
)
def test_nothing_to_draw_is_refused(call):
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    with pytest.raises(InputError, match="Expected"):
        call()


def test_a_missing_extra_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'expose\[bench\]'"):
        diagram()


def test_matplotlib_is_not_imported_before_something_is_drawn():
    code = "import sys, expose_lab, expose_lab.figures; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
