"""Photos: sets and folders of them, the split, the published detectors, and the study that compares them."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from expose.errors import InputError
from expose_lab import photo_contenders as contenders
from expose_lab.datasets.photos import TILES, is_photo_folder, magnetic_tiles, photo_folder, textures
from expose_lab.photo_contenders import Features, ImageNeighbours, PaDiM, PatchCore, SoftPatch, greedy
from expose_lab.protocols import chosen

# ------------------------------------------------------------------------------------------------------------- sets


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def category(tmp_path):
    """A folder as MVTec AD has it: 3 photos for training, 2 normal and 3 defective ones for the test, 2 with masks."""
    grey = np.full((6, 8, 3), 90, np.uint8)
    folder = tmp_path / "bottle"
    for number in range(3):
        save(folder / "train" / "good" / f"{number:03}.png", grey)
    for number in range(2):
        save(folder / "test" / "good" / f"{number:03}.png", grey)
        save(folder / "test" / "crack" / f"{number:03}.png", grey)
        mask = np.zeros((6, 8), np.uint8)
        mask[number : number + 2, 1:4] = 255
        save(folder / "ground_truth" / "crack" / f"{number:03}_mask.png", mask)
    save(folder / "test" / "bent" / "000.jpg", grey)
    (folder / "readme.txt").write_text("not a photo")
    return folder


def test_a_folder_like_mvtecs_is_read(category):
    found = photo_folder(category)
    assert is_photo_folder(category)
    assert (found.name, len(found)) == ("bottle", 8)
    assert found.y.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]  # bent, crack, crack, good, good
    assert found.training.tolist() == [True] * 3 + [False] * 5
    assert [found.mask(row) is None for row in range(8)] == [True] * 4 + [False] * 2 + [True] * 2
    assert found.mask(5).shape == (6, 8)
    assert (found.mask(4).sum(), found.mask(5)[1:3, 1:4].all()) == (6, True)


def test_photos_are_taken_with_all_that_is_known_of_them(category):
    some = photo_folder(category).take(np.array([5, 0]))
    assert [photo.name for photo in some.photos] == ["001.png", "000.png"]
    assert (some.y.tolist(), some.training.tolist()) == ([1, 0], [False, True])
    assert some.mask(0).sum() == 6
    assert some.mask(1) is None


def test_a_folder_without_masks_has_none(category):
    for mask in (category / "ground_truth").rglob("*.png"):
        mask.unlink()
    assert photo_folder(category, "mine/bottle").masks == ()


@pytest.mark.parametrize("missing", ["train", "test"])
def test_another_layout_is_refused_and_told(category, missing):
    (category / missing).rename(category / "elsewhere")
    assert not is_photo_folder(category)
    with pytest.raises(InputError, match=r"train/good and test/<defect>; found .*ground_truth"):
        photo_folder(category)


def encoded(path, photos, **arrays):
    """A file of encoded photos."""
    import io

    parts = []
    for photo in photos:
        with io.BytesIO() as file:
            Image.fromarray(photo).save(file, "PNG")
            parts.append(np.frombuffer(file.getvalue(), np.uint8))
    ends = np.cumsum([0, *map(len, parts)])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, blob=np.concatenate(parts), offset=ends, **arrays)


@pytest.fixture
def data(tmp_path):
    """Tiles and textures in small: grey photos, of which some have a bright spot; smooth and coarse ones."""
    rng = np.random.default_rng(0)
    photos = rng.integers(90, 110, (40, 16, 16)).astype(np.uint8)
    label = np.repeat([2, 0], [14, 26]).astype(np.uint8)
    mask = np.zeros((40, 16, 16), np.uint8)
    for row in range(14):
        mask[row, row % 8 : row % 8 + 4, 3:9] = 1
    photos[mask == 1] = 255
    classes = np.array(["Free", "Blowhole", "Break"])
    tiles = {"label": label, "classes": classes, "mask_bits": np.packbits(mask, axis=-1)}
    encoded(tmp_path / "images" / "magnetic_tile_128.npz", photos, **tiles)
    kinds = {"label": np.repeat([0, 1], 20).astype(np.uint8), "classes": np.array(["banded", "bumpy"])}
    encoded(tmp_path / "images" / "dtd_10classes_128.npz", photos, **kinds)
    return tmp_path


def test_tiles_have_masks_of_their_defects(data):
    tiles = magnetic_tiles(data)
    assert (len(tiles), int(tiles.y.sum()), tiles.photos[0].shape) == (40, 14, (16, 16, 3))
    for row in range(40):
        mask = tiles.mask(row)
        assert (mask is None) == (tiles.y[row] == 0)
        if mask is not None:
            assert np.array_equal(mask, tiles.photos[row][..., 0] == 255)


def test_one_texture_is_normal(data):
    found = textures(data, "bumpy")
    assert (found.name, found.y.tolist()) == ("dtd/bumpy", [1] * 20 + [0] * 20)
    assert found.mask(0) is None
    with pytest.raises(InputError, match=r"'bumby'.*banded, bumpy"):
        textures(data, "bumby")


def test_photos_that_are_not_there_are_told(tmp_path):
    with pytest.raises(InputError, match=r"magnetic_tile_128\.npz"):
        magnetic_tiles(tmp_path)


# ------------------------------------------------------------------------------------------------------------ split

Y = np.random.default_rng(1).permutation(np.repeat([0, 1], [50, 30]))
COUNTS = {"train": 30, "test": 20, "anomalies": 10}


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("overlap", [False, True])
def test_samples_are_chosen_as_they_are_asked_for(ratio, overlap):
    split = chosen(Y, seed=0, ratio=ratio, overlap=overlap, **COUNTS)
    contaminating = min(round(ratio / (1 - ratio) * 30), 10 if overlap else 20)
    assert Y[split.train].tolist() == [0] * 30 + [1] * contaminating
    assert Y[split.test].tolist() == [0] * 20 + [1] * 10
    assert len(set(split.train)) == len(split.train)
    shared = set(split.train) & set(split.test)
    assert len(shared) == (contaminating if overlap else 0)
    assert np.array_equal(split.test, chosen(Y, seed=0, ratio=0.0, **COUNTS).test)
    assert not np.array_equal(split.test, chosen(Y, seed=1, ratio=0.0, **COUNTS).test)


@pytest.mark.parametrize("wrong", [{"train": 40}, {"anomalies": 31}, {"ratio": 0.5}])
def test_more_than_there_is_is_refused(wrong):
    with pytest.raises(InputError, match=r"Expected at least|ratio"):
        chosen(Y, **({"seed": 0, "ratio": 0.1, **COUNTS} | wrong))


# ------------------------------------------------------------------------------------------------- published detectors

DETECTORS = {
    "PatchCore": lambda: PatchCore(share=0.2, width=8),
    "SoftPatch": lambda: SoftPatch(share=0.2, width=8),
    "PaDiM": lambda: PaDiM(width=6),
    "kNN": ImageNeighbours,
    "kNN, cosine": lambda: ImageNeighbours(cosine=True),
}


def made(n, seed=0, odd=0):
    """Photos whose patches differ by place; the first `odd` have one patch and a vector that are otherwise."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(n, 3, 4, 10)) + 5 * np.random.default_rng(9).normal(size=(3, 4, 10))
    vectors = rng.normal(size=(n, 7)) + 6
    maps[:odd, 1, 2] += 4 * rng.choice([-1, 1], (odd, 10))  # odd in ways of their own
    vectors[:odd] *= np.linspace(-0.5, 2, 7)
    return Features(maps.astype(np.float32), vectors.astype(np.float32))


@pytest.mark.parametrize("name", DETECTORS)
def test_published_detectors_find_what_is_odd_in_others_and_in_the_training(name):
    detector = DETECTORS[name]()
    ranked = detector.fit(made(60, odd=4), seed=0)
    y, judged = np.arange(40) < 10, detector.judge(made(40, seed=1, odd=10))
    assert ranked.photos.shape == (60,)
    assert roc_auc_score(np.arange(60) < 4, ranked.photos) > 0.8
    assert roc_auc_score(y, judged.photos) > 0.9
    if judged.patches is not None:
        assert judged.patches.shape == (40, 12)
        assert (judged.patches[:10].argmax(axis=1) == 6).mean() > 0.8
    again = DETECTORS[name]()
    again.fit(made(60, odd=4), seed=0)
    assert np.array_equal(again.judge(made(40, seed=1, odd=10)).photos, judged.photos)


def test_a_photo_is_not_its_own_neighbour():
    features = made(30)
    twice = Features(np.concatenate([features.maps] * 2), np.concatenate([features.vectors] * 2))
    for detector in (PatchCore(share=1.0, width=10), ImageNeighbours(near=1)):
        assert detector.fit(features, seed=0).photos.min() > 0.1
        assert detector.judge(features).photos.max() < 0.05  # where all are remembered
        assert detector.fit(twice, seed=0).photos.max() < 0.05  # its copy is


def test_patchcore_with_all_patches_is_the_distance_to_the_nearest():
    features, others = made(20), made(5, seed=3)
    detector = PatchCore(share=1.0, width=10)
    detector.fit(features, seed=0)
    far, _ = NearestNeighbors(n_neighbors=1).fit(features.maps.reshape(-1, 10)).kneighbors(others.maps.reshape(-1, 10))
    assert detector.judge(others).patches.ravel() == pytest.approx(far.ravel(), rel=1e-3)


def test_softpatch_forgets_an_odd_patch_and_patchcore_keeps_it():
    features = made(40, odd=1)
    features.maps[0, 1, 2] += 20
    kept, forgot = PatchCore(share=0.2, width=8), SoftPatch(share=0.2, width=8)
    kept.fit(features, seed=0), forgot.fit(features, seed=0)
    odd = features.take(np.array([0]))
    assert kept.judge(odd).patches[0, 6] < 1e-2
    assert forgot.judge(odd).patches[0, 6] > 10


def test_padim_is_the_distance_of_mahalanobis():
    features = made(50)
    detector = PaDiM(width=10, ridge=0.01)
    found = detector.fit(features, seed=0).patches
    place = features.maps[:, 1, 2].astype(np.float64)
    inverse = np.linalg.inv(np.cov(place.T) + 0.01 * np.eye(10))
    centred = place - place.mean(axis=0)
    assert found[:, 6] == pytest.approx(np.sqrt(np.einsum("nk,kl,nl->n", centred, inverse, centred)), rel=1e-4)


def test_the_greedy_choice_covers():
    points = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    few, many = (greedy(points, count, np.random.default_rng(0)) for count in (5, 40))
    assert few.tolist() == many[:5].tolist()
    assert len(set(many.tolist())) == 40
    radius = [np.sqrt(contenders.squared(points, points[some]).min(axis=1)).max() for some in (few, many)]
    assert radius[1] < radius[0]
    at_random = np.sqrt(contenders.squared(points, points[:40]).min(axis=1)).max()
    assert radius[1] < at_random
    assert sorted(greedy(points, 999, np.random.default_rng(0)).tolist()) == list(range(200))


# ------------------------------------------------------------------------------------------------------------ study


@pytest.fixture
def study(monkeypatch):
    """The study with few photos, and features that need no network."""
    photos = pytest.importorskip("expose_lab.studies.photos")

    def described(some):
        blocks = np.stack(some).astype(np.float32).reshape(len(some), 4, 4, 4, 4, 3) / 255
        maps = blocks.mean(axis=(2, 4)) + np.random.default_rng(0).normal(size=(len(some), 4, 4, 3)) / 50
        return Features(maps.astype(np.float32), maps.reshape(len(some), -1).astype(np.float32))

    sizes = photos.Sizes(12, 8, 6)
    monkeypatch.setattr(photos, "SIZES", {"magnetic_tile": sizes, "dtd": photos.Sizes(10, 8, 6)})
    monkeypatch.setattr(photos, "described", described)
    monkeypatch.setattr(photos, "ALL_TEXTURES", ("banded", "bumpy"))
    forget = (photos.problem.cache_clear, photos.features_of.cache_clear)
    [one() for one in forget]
    yield photos
    [one() for one in forget]


@pytest.mark.parametrize("who", ["PatchCore", "PaDiM", "kNN of photos"])
def test_a_cell_is_measured_by_photo_and_by_pixel(study, data, who):
    cell = {"set": TILES, "setting": "disjoint", "ratio": 0.2, "seed": 0, "detector": who}
    row = study.measure(cell, data)
    json.dumps(row)
    assert (row["n_train"], row["n_test"], row["reached_ratio"]) == (15, 14, 0.2)
    assert row["auroc"] > (0.5 if who == "PatchCore" else 0.8)  # which remembers six patches
    assert (row["aupro"] is None) == (who == "kNN of photos")
    if row["aupro"] is not None:
        assert row["pixel_auroc"] > 0.7
    clean = study.measure(cell | {"ratio": 0.0, "set": "dtd/bumpy"}, data)
    assert clean["train_auroc"] is None
    assert clean["pixel_auroc"] is None


def test_cells_are_each_once_and_leave_out_what_is_the_same(study):
    found = [tuple(cell.values()) for cell in study.cells(**study.STUDY.options)]
    assert len(set(found)) == len(found)
    assert not [one for one in found if one[2] == 0 and one[4] in ("gaussian, refine", "gaussian, soft")]
    assert {(one[0], one[3]) for one in found if one[4] == "ntl"} == {(TILES, 0)}
    assert {one[3] for one in found if one[4] == "neighbours"} == {0}
    assert {one[4] for one in found if one[0].startswith("mvtec")} == {
        "default", "kNN of photos", "kNN of photos, cosine",
    }  # fmt: skip


def test_the_page_shows_whoever_is_best_and_what_was_aimed_at(study, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    from expose_lab.pages import Page
    from expose_lab.store import as_table, write_table

    numbers = ("auroc", "average_precision", "train_auroc", "pixel_auroc", "aupro", "fit_seconds")
    rows = []
    for cell in study.cells(**study.STUDY.options):
        good = 0.9 if cell["detector"] == "PaDiM" else 0.85
        row = dict.fromkeys(numbers, good - cell["ratio"] / 4)
        if cell["set"] != TILES:
            row |= {"pixel_auroc": None, "aupro": None}
        text = json.dumps(cell, sort_keys=True)
        rows.append(cell | row | {"cell": text, "key": text, "cpu_seconds": 1.0, "finished": "2026-11-29T00:00:00"})
    write_table(as_table(rows), tmp_path / "photos.parquet")
    page = Page("benchmark/photos.md", tmp_path, tmp_path / "docs")
    page.write("photos.md", study.context(page))
    text = (tmp_path / "docs" / "benchmark" / "photos.md").read_text()
    assert "| magnetic tiles, 0 %, test | 86.0 | 85.0 | no |" in text
    assert "| PaDiM | **90.0** ± 0.0 | **87.5**" in text
    assert "nan" not in text
    assert len(page.pictures) == 2
