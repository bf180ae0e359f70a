"""The studies of LOE on images: who is trained on and tested, and what their pages say of results."""

import numpy as np
import pytest

from expose_lab.pages import Rows
from expose_lab.studies import loe_images, mvtec_embeddings
from expose_lab.studies.image_sources import Labelled
from expose_lab.studies.loe_images import NAMES, SETS, TRUTH, Vectors, contaminated, some_of_each

RNG = np.random.default_rng(0)


def vectors():
    """Ten classes; each row begins with its number, those of the test part are negative."""
    train_class, test_class = np.arange(10).repeat(40), np.arange(10).repeat(5)
    train, test = RNG.random((400, 4), dtype=np.float32), RNG.random((50, 4), dtype=np.float32)
    train[:, 0], test[:, 0] = np.arange(400), -1 - np.arange(50)
    return Vectors(train, train_class, test, test_class)


@pytest.mark.parametrize(("ratio", "anomalies"), [(0.0, 0), (0.1, 4), (0.2, 10)])
def test_other_classes_of_the_training_part_make_the_share(ratio, anomalies):
    given = vectors()
    task = contaminated(given, 3, ratio, seed=0)
    classes = given.train_class[task.train[:, 0].astype(int)]
    assert (classes == 3).sum() == 40
    assert task.truth.sum() == (classes != 3).sum() == anomalies
    assert ((classes != 3) == task.truth).all()
    assert (task.test[:, 0] < 0).all()  # nothing that was trained on
    assert (task.test_truth == (given.test_class != 3)).all()


def test_seeds_draw_other_contamination_and_the_same_again():
    given = vectors()
    first, again, other = (contaminated(given, 3, 0.2, seed).train for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_so_many_of_each_class_are_taken():
    images = Labelled(np.zeros((30, 2, 2), np.uint8), np.arange(3).repeat(10))
    assert np.bincount(some_of_each(images, 4).y).tolist() == [4, 4, 4]


def test_the_grid_is_that_of_the_paper_and_begins_with_its_main_share():
    cells = list(loe_images.STUDY.cells(**loe_images.STUDY.options))
    assert len(cells) == 2 * 10 * 3 * (1 + 4 * 5)
    assert cells[0]["true_ratio"] == 0.1
    assert {(cell["true_ratio"], cell["exposure"]) for cell in cells if cell["true_ratio"] == 0} == {(0.0, "blind")}


@pytest.mark.parametrize("exposure", ["blind", "soft", TRUTH])
def test_a_cell_is_trained_and_tested(exposure, monkeypatch, tmp_path):
    monkeypatch.setattr(loe_images, "features", lambda name, images: vectors())
    monkeypatch.setitem(loe_images.TRAINING, "epochs", 1)
    cell = {"set": "cifar-10", "normal": 3, "true_ratio": 0.2, "exposure": exposure, "seed": 0}
    row = loe_images.measure(cell, tmp_path)
    assert 0 <= row["auroc"] <= 1
    assert row["n_train"] == 50


def test_the_truth_is_told_as_labels_and_a_share_to_the_others():
    task = contaminated(vectors(), 3, 0.2, seed=0)
    brief = loe_images.TRAINING | {"epochs": 1}
    told = loe_images.fitted(task, TRUTH, 0.2, 0, brief)
    assert told.latent_labels_.tolist() == task.truth.tolist()
    assert loe_images.fitted(task, "hard", 0.2, 0, brief).latent_labels_.sum() == 10


def results():
    """Made rows of all cells: exposure helps, but on the first class."""
    gain = {"blind": 0.0, "refine": 0.01, "hard": 0.03, "soft": 0.02, TRUTH: 0.1}
    return Rows(
        cell | {"auroc": 0.8 - cell["true_ratio"] + gain[cell["exposure"]] * (1 if cell["normal"] else -1)}
        for cell in loe_images.STUDY.cells(**loe_images.STUDY.options)
    )


def test_gains_are_told_class_by_class():
    said = loe_images.gains(results().where(set="cifar-10"), "cifar-10")
    assert said["hard"] == "+2.4 points in the mean, more than `blind` on 9 of 10 classes; less on airplane -3.0"


def test_the_tables_have_every_share_exposure_and_class():
    rows = loe_images.with_clean(results().where(set="fashion-mnist"))
    published = {one: {"0": 94.7, "5": 90.0, "10": 85.0, "15": 84.0, "20": 80.0} for one in loe_images.EXPOSURES}
    means = loe_images.means_table(rows, published)
    assert means.splitlines()[0] == "| exposure | 0 % | 5 % | 10 % | 15 % | 20 % |"
    assert "(85.0)" in means
    classes = loe_images.classes_table(rows, "fashion-mnist")
    assert all(name in classes for name in NAMES["fashion-mnist"])
    assert set(SETS) == set(NAMES)


def test_copies_of_test_anomalies_are_told_apart_from_honest_contamination():
    X = np.concatenate([RNG.normal(size=(60, 3)), RNG.normal(9, 1, size=(6, 3))])
    y = np.repeat([0, 1], [60, 6])
    split = mvtec_embeddings.paper_images(X, y, seed=0, ratio=0.2)
    copies = split.train_X[split.train_y == 1]
    nearest = np.linalg.norm(copies[:, None] - split.test_X[split.test_y == 1], axis=-1).min(axis=1)
    assert len(copies) == 8  # of 6, so with replacement; 0.2 of 38
    assert (nearest < 1).all()
    assert (nearest > 0).all()
    assert split.test_y.sum() == 6


def test_the_section_of_mvtec_compares_both_protocols():
    cells = mvtec_embeddings.cells(["a", "b"], [0.1, 0.0], [0, 1])
    rows = Rows(cell | {"auroc": 0.9 - 0.1 * (cell["way"] == "hard" and cell["dataset"] == "b")} for cell in cells)
    table = mvtec_embeddings.means_table(rows, [0.1], {"10": {"hard": 95.9}})
    assert table.splitlines()[0].endswith("| disjoint, 10 % | paper, images, 10 % |")
    assert table.count("(95.9)") == 1  # published under the paper's contamination alone
    assert mvtec_embeddings.changes(rows, [0.1]).splitlines()[3].startswith("| `ntl` hard | -5.0 (0 of 2) |")
