import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(from_benchmarks):
    return from_benchmarks("density_page")


def facts(before: float, after: float):
    rng = np.random.default_rng(0)

    def run(study, seed, names, states, kinds=("bits",)):
        def drawn(middle):
            return {name: (middle * (name != names[0]) + rng.normal(size=200)).tolist() for name in names}

        middles = dict.fromkeys(states, after) | {"before": before}
        scores = {state: {kind: drawn(middle) for kind in kinds} for state, middle in middles.items()}
        return {"study": study, "seed": seed, "overlap": dict.fromkeys(states, 7), "seconds": 60, "scores": scores}

    runs = [run("images", seed, ["own", "MNIST", "CIFAR-10"], ["natural", "silhouettes"]) for seed in (0, 1)]
    runs += [run("texts", seed, ["PTB", "IMDB"], ["WikiText-2"], ("bits", "uniform")) for seed in (0, 1)]
    runs += [run("wine", 0, ["normal", "anomalies"], ["shuffled"])]
    sizes = {"train": 10, "outliers": 10, "normal": 200, "other": 200}
    models = {"images": {"width": 8, "margin": 1.0}, "texts": {"hidden": 16}}
    epochs = {"images": {"epochs": 1}, "texts": {"epochs": 1}}
    settings = epochs | {"exposed": epochs, "models": models, "rows": sizes}
    return {"finished": "2026-11-25", "runs": runs, "settings": settings}


def test_the_page_says_what_got_better_and_what_worse(page):
    text = page.make(facts(-3.0, 3.0)).text
    assert "less for 2 sources of others: MNIST" in text
    assert ". It falls by no more than a point on any. The normal rows" in text
    assert "more than a point on MNIST" not in text
    assert "7 of silhouettes" in text
    assert "better on 1 of 1 table" in text
    worse = page.make(facts(3.0, 0.5)).text
    assert "where the margin asks for 1" in worse
    assert "No other source costs fewer bits" in worse
    assert "*Silhouettes*: the mean AUROC changes by -" in worse
    assert "It falls by more than a point on MNIST, CIFAR-10." in worse
    assert "better on 0 of 1 table" in worse


def test_the_committed_page_is_what_the_committed_results_give(page):
    made = page.make(json.loads(page.RESULTS.read_text(encoding="utf-8")))
    assert made.text == page.PAGE.read_text(encoding="utf-8"), "run density_page.py"
    for name in made.svgs:
        assert (ROOT / "docs" / "images" / name).is_file()
