import json
import re
from pathlib import Path

import numpy as np
import pytest
from torch import nn

ROOT = Path(__file__).parents[2]
SOURCES = ("MNIST", "CIFAR-10", "ImageNet", "textures", "magnetic tiles", "Gaussian noise", "Bernoulli noise", "blobs")


@pytest.fixture(scope="module")
def page(from_benchmarks):
    return from_benchmarks("images_page")


@pytest.fixture(scope="module")
def script(from_benchmarks):
    return from_benchmarks("image_outliers")


def run(setting, seed, auroc, accuracy=0.8, extra=()):
    found = {name: {"fpr": 1 - auroc, "auroc": auroc, "ap": auroc / 2} for name in SOURCES}
    calibration = {"rms": 0.05, "mad": 0.04, "soft_f1": 0.3}
    return {
        "problem": "fashion-mnist",
        "setting": setting,
        "seed": seed,
        "cpu_seconds": 30.0,
        "accuracy": accuracy,
        "temperature": 1.5,
        "scores": dict.fromkeys(("msp", "entropy", "energy", *extra), found),
        "calibration": {"normal": calibration, "mixed": {name: 2 * value for name, value in calibration.items()}},
    }


@pytest.fixture
def facts():
    settings = {"network": "conv", "train_rows": 3000, "epochs": 6, "tune_epochs": 2, "batch_rows": 64}
    settings |= {"held_rows": 500, "test_rows": 1000}
    runs = [run("baseline", 0, 0.6), run("baseline", 1, 0.7), run("tuned", 0, 0.9), run("tuned", 1, 0.9, 0.7)]
    runs += [run("confidence", 0, 0.8, extra=["confidence"]), run("size 10", 0, 0.65), run("size 1000", 0, 0.88)]
    overlap = {"fashion-mnist": {"auxiliary": 10000, "found": 2, "sets": list(SOURCES)}}
    return {"settings": settings, "overlap": overlap, "finished": "2026-11-25", "runs": runs}


def test_the_page_shows_means_and_spreads_over_seeds(page, facts):
    text = page.make(facts, None, "Words.").text
    assert "Words." in text
    assert "| baseline | 80.0 ± 0.0 | 35.0 ± 7.1 | 65.0 ± 7.1 |" in text
    assert "| tuned | 75.0 ± 7.1 | 10.0 ± 0.0 | 90.0 ± 0.0 |" in text
    assert "| confidence | 80.0 | 80.0 | 80.0 | 80.0 | **80.0** |  | 20.0 | 80.0 |" in text
    assert "| baseline | 1.50 | 5.0 ± 0.0 | 4.0 ± 0.0 | 30.0 ± 0.0 | 10.0 ± 0.0 |" in text
    assert "| none | 80.0 | 60.0 | 60.0 | 60.0 | 60.0 | 60.0 |" in text  # of the seed that all have
    assert "| 10 images | 80.0 | 65.0 | 65.0 | 65.0 | 65.0 | 65.0 |" in text
    assert "finds 2 of 10,000 auxiliary images for Fashion-MNIST among" in text
    assert "3,000 training images, 6 epochs" in text


def test_what_was_not_measured_is_left_out(page, facts):
    text = page.make(facts, None, "").text
    assert "unequal size" not in text
    assert "jigsaw" not in text
    assert "What it takes" not in text
    facts["runs"] += [run("unequal: prior", 0, 0.7)]
    speed = {"batch": 128, "repeats": 3, "date": "2026-11-25", "rows": []}
    speed["rows"] += [{"network": "conv", "what": "scoring", "unit": "rows", "ratio": 1.234, "ours": 10, "plain": 12}]
    text = page.make(facts, speed, "").text
    assert "| prior | 80.0 |" in text
    assert "| `conv`, scoring | 10 | 12 | rows | 1.23 |" in text


def test_the_committed_page_is_what_the_committed_results_give(page):
    if not page.RESULTS.exists():
        pytest.skip("there are no results")
    speed = json.loads(page.SPEED.read_text(encoding="utf-8"))
    made = page.make(
        json.loads(page.RESULTS.read_text(encoding="utf-8")), speed, page.FINDINGS.read_text(encoding="utf-8")
    )
    assert made.text == page.PAGE.read_text(encoding="utf-8"), "run images_page.py"
    assert made.figures
    assert all((ROOT / "docs" / "images" / "benchmark" / file).exists() for file in made.figures)


def test_no_number_in_the_findings_is_typed(page):
    assert not re.search(r"\d+\.\d", page.FINDINGS.read_text(encoding="utf-8"))


def test_classes_are_thinned_to_a_tenth(script):
    y = np.repeat(np.arange(4), 100)
    kept = script.unequal(script.Rows(np.arange(400), y))
    assert np.bincount(kept.y).tolist() == [100, 46, 21, 10]
    assert (y[kept.X] == kept.y).all()


def test_a_widened_network_gives_what_it_gave_and_zeros(script):
    import torch

    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 2)))
    rows = torch.randn(4, 3)
    before = network(rows)
    after = script.widened(network, 1)(rows)
    assert torch.equal(after[:, :2], before)
    assert not after[:, 2].any()


def test_auxiliary_sets_have_the_size_and_the_classes_they_are_named_for(script):
    rng = np.random.default_rng(0)
    normal = script.Rows(rng.integers(0, 255, (30, 8, 8)).astype(np.uint8), np.zeros(30, int))
    pool = script.Rows(
        np.arange(10000, dtype=np.uint16)[:, None, None] * np.ones((8, 8), np.uint16), np.arange(10000) % 100
    )
    given = script.Problem("fashion-mnist", normal, normal, normal, pool, {})
    for classes in script.VARIETY:
        made = script.auxiliary(f"classes {classes}", given, 0, Path())
        assert len(np.unique(made[:, 0, 0])) == script.VARIETY_ROWS
        assert len(np.unique(made[:, 0, 0] % 100)) == classes
    assert len(script.auxiliary("size 10", given, 0, Path())) == 10
    assert len(script.auxiliary("kind jigsaw", given, 0, Path())) == script.SAME_SIZE
    first, second = (script.auxiliary("size 10", given, seed, Path()) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_no_auxiliary_image_of_cifar_100_is_of_a_class_it_is_tested_on_nor_imagenet_like_cifar_10(from_benchmarks):
    import os

    folder = Path(os.environ.get("EXPOSE_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "images" / "cifar100_train_part0.npz").exists():
        pytest.skip("the images are not at hand; set EXPOSE_DATA to a folder that has them")
    sources = from_benchmarks("image_sources")
    with np.load(folder / "images" / "imagenet_sample_128.npz") as file:
        names = np.char.lower(file["name"])
    left = " ".join(np.delete(names, sources.IN_CIFAR_10))
    for word in (
        "tabby",
        "terrier",
        "retriever",
        "hummingbird",
        "bullfrog",
        "sorrel",
        "airliner",
        "pickup",
        "schooner",
    ):
        assert any(word in name for name in names)
        assert word not in left
