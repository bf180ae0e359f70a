import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(from_benchmarks):
    return from_benchmarks("few_labels_page")


def facts(gain, lost=0.0):
    def run(dataset, seed, way, labels, auroc):
        numbers = {"auroc": auroc, "average_precision": auroc / 2, "assumed_ratio": 0.07, "reached_ratio": 0.1}
        return {"dataset": dataset, "seed": seed, "way": way, "labels": labels, "anomalies": labels // 5} | numbers

    runs = []
    for dataset, start, clean in (("glass", 0.8, 0.85), ("wine", 0.9, 0.95)):
        for seed in (0, 1):
            runs.append(run(dataset, seed, "clean", 0, clean))
            for way, factor in (("query", 1.0), ("random", 0.5)):
                step = gain if dataset == "glass" else -lost
                runs += [run(dataset, seed, way, k, start + factor * step * k / 20) for k in (0, 5, 20)]
    sizes = {"ratio": 0.1, "train_rows": 1000, "test_rows": 1000}
    return {"finished": "2026-11-24", "seconds": 600, "runs": runs} | sizes


def test_the_page_says_what_is_reached_and_what_is_not(page):
    text = page.make(facts(0.2)).text
    assert "| `query` | 85.0 | **87.5** | **95.0** |" in text
    assert "| random | 85.0 | 86.2 | 90.0 |" in text
    assert "| *trained on the normal rows alone* | 90.0 |" in text
    assert "With 20 labels the mean AUROC reaches" in text
    assert "gain +10.0 points" in text
    assert "one point on 0 data sets." in text
    assert "remain 1 data set (wine)" in text
    assert "| glass | 80.0 | 85.0 (1.0) | 100.0 (4.0) | 85.0 |" in text
    worse = page.make(facts(0.02, 0.02)).text
    assert "No budget reaches" in worse
    assert "one point on 1 data set (wine)" in worse


def test_the_committed_page_is_what_the_committed_results_give(page):
    if not page.RESULTS.exists():
        pytest.skip("there are no results")
    made = page.make(json.loads(page.RESULTS.read_text(encoding="utf-8")))
    assert made.text == page.PAGE.read_text(encoding="utf-8"), "run few_labels_page.py"
    assert (ROOT / "docs" / "images" / page.PICTURE).exists()
