import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALL = 10**6


@pytest.fixture(scope="module")
def page(from_benchmarks):
    return from_benchmarks("one_class_page")


def facts():
    """Each known outlier, in powers of ten, is worth a point to hsc; bce is two points behind."""
    worth = {0: 0, 1: 1, 16: 2, 128: 3, ALL: 4, 100: 2}
    cells = [("hsc", "none", 0, 0), ("neighbours", "none", 0, 0)]
    runs = []
    for part, names, sources in (("images", ["cat", "dog"], ["cifar100"]), ("tables", ["wine"], ["known", "shuffled"])):
        wide = [
            (who, s, 100 if part == "images" else 0, n) for who in ("hsc", "bce") for s in sources for n in worth if n
        ]
        extra = [("hsc", "cifar100", 1, 100), ("hsc", "imagenet", 0, 128)] if part == "images" else []
        extra += [("hsc", "one kind", 0, 16)] if part == "tables" else []
        for who, source, classes, number in cells + wide + extra:
            for seed in (0, 1):
                for name in names:
                    value = 0.8 + 0.01 * worth[number] - 0.02 * (who == "bce") - 0.005 * (classes == 1)
                    run = {"part": part, "set": name, "seed": seed, "objective": who, "source": source}
                    run |= {"classes": classes, "count": number, "used": min(number, 500)}
                    runs.append(run | {"auroc": value, "fit_seconds": 30.0})
    settings = {"images": {"epochs": 5}, "tables": {"epochs": 6}}
    sizes = {"train_rows": 1000, "test_rows": 1000, "test_images": 1000, "size": 16}
    return {"finished": "2026-11-25", "settings": settings, "runs": runs} | sizes


def test_the_page_says_where_the_gain_comes_from(page):
    text = page.make(facts()).text
    assert "| `hsc`, CIFAR-100 | 80.0 | 81.0 | 82.0 | 83.0 | 84.0 |" in text
    assert "| `bce`, CIFAR-100 |  | 79.0 | 80.0 | 81.0 | 82.0 |" in text
    assert "+1.0 with 1, +2.0 with 16, +3.0 with 128, +4.0 with all. Runs in which it gains, of 4: 4, 4, 4, 4." in text
    assert "| CIFAR-100, 1 class | 100 | 81.5 | 81.5 | 81.5 |" in text
    assert "| `hsc` | 80.0 | 82.0 | 82.0 | +0.0 |" in text
    assert "4 steps of 4 towards more outliers" in text
    assert "differs from that of `bce` by +2.0 points" in text


def test_the_committed_page_is_what_the_committed_results_give(page):
    if not page.RESULTS.exists():
        pytest.skip("there are no results")
    made = page.make(json.loads(page.RESULTS.read_text(encoding="utf-8")))
    assert made.text == page.PAGE.read_text(encoding="utf-8"), "run one_class_page.py"
    assert "nan" not in made.text
    assert (ROOT / "docs" / "images" / "benchmark" / page.PICTURE).exists()


def test_no_run_is_missing(from_benchmarks, page):
    """Every cell, set and seed, once."""
    pytest.importorskip("PIL", reason="the benchmark reads images")
    bench = from_benchmarks("one_class_outliers")
    if not page.RESULTS.exists():
        pytest.skip("there are no results")
    runs = json.loads(page.RESULTS.read_text(encoding="utf-8"))["runs"]
    seeds = {run["seed"] for run in runs}
    assert len({bench.key(run) for run in runs}) == len(runs)
    each = len(bench.CLASSES) * len(bench.IMAGE_CELLS) + len(bench.TABLES) * len(bench.TABLE_CELLS)
    assert len(runs) == len(seeds) * each
