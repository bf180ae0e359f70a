"""Photos by a frozen network: what is given, tiles, the cache, and that company and threads change nothing."""

from __future__ import annotations

import copy
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from PIL import Image

from expose import AnomalyDetector, OutlierExposureClassifier, load
from expose.encoders import PhotoEncoder, State
from expose.encoders import photo as photo_file
from expose.encoders.feature_cache import FeatureCache, cache_folder, cache_in, key_of
from expose.encoders.photo import cut, halved, joined, principal
from expose.encoders.pretrained import WEIGHTS, Frozen, pretrained
from expose.encoders.progress import Watch
from expose.errors import InputError, MissingExtraError, ModelFolderError
from expose.threads import torch_threads

RNG = np.random.default_rng(0)
PHOTOS = [RNG.integers(0, 256, (32 + row % 3, 40, 3), dtype=np.uint8) for row in range(7)]
LITE = "efficientnet-lite0"


class Colours:
    """A network: patches of four pixels by their mean colours."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.calls = 0

    def __call__(self, photos: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.factor * torch.nn.functional.avg_pool2d(photos, 4).permute(0, 2, 3, 1)


def averages(photos: torch.Tensor) -> torch.Tensor:
    return photos.mean(dim=(2, 3))


@pytest.fixture
def lite():
    """A network with weights, where they are installed."""
    try:
        pretrained(LITE)
    except MissingExtraError as error:
        pytest.skip(str(error))
    return LITE


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder of features, and its cache."""
    monkeypatch.setenv("EXPOSE_CACHE", str(tmp_path / "features"))
    return cache_in(tmp_path / "features")


def files_in(cache: FeatureCache) -> list:
    return sorted(path for path in cache.folder.glob("*/*") if path.is_file())


# ---------------------------------------------------------------------------------------------- what is given


@pytest.mark.parametrize(
    ("give", "form", "shape"),
    [(None, "grid", (7, 4 * 4 * 3 + 3)), ("grid", "grid", (7, 51)), ("vector", "vector", (7, 3)),
     ("patches", "vector", (7, 16, 3))],
)  # fmt: skip
def test_parts_are_of_the_form_that_was_chosen(give, form, shape):
    encoder = PhotoEncoder(Colours(), give, side=16).fit(PHOTOS)
    parts = encoder.transform(PHOTOS)
    assert (encoder.layout.form, parts.shape) == (form, shape)
    assert encoder.layout.places == (() if give == "vector" else (4, 4))


def test_patches_lie_where_they_come_from():
    photo = np.zeros((16, 16, 3), dtype=np.uint8)
    photo[4:8, 12:] = 255
    encoder = PhotoEncoder(Colours(), components=1, side=16).fit([photo, photo[::-1]])
    [grid] = encoder.layout.unfold(torch.from_numpy(encoder.transform([photo])))
    assert (grid[..., 0] - grid[0, 0, 0]).abs().argmax() == 1 * 4 + 3


def test_forms_follow_the_objective_where_nothing_is_chosen():
    encoder = PhotoEncoder(Colours(), side=16)
    assert encoder.suited(("vector",)).fit(PHOTOS).layout.form == "vector"
    assert encoder.suited(("grid",)).fit(PHOTOS).layout.form == "grid"
    assert PhotoEncoder(averages, side=16).suited(("grid",)).fit(PHOTOS).layout.form == "vector"


def test_components_are_the_axes_of_most_variance():
    patches = (RNG.normal(size=(500, 3)) * [1.0, 9.0, 3.0] + 5).astype(np.float32)
    mean, axes = principal(patches, 2)
    np.testing.assert_allclose(mean, patches.mean(axis=0), atol=1e-4)
    assert np.abs(axes).argmax(axis=0).tolist() == [1, 2]
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-6)


def test_many_patches_are_drawn(monkeypatch):
    monkeypatch.setattr(photo_file, "FIT_PATCHES", 20)
    drawn = []
    monkeypatch.setattr(
        photo_file, "principal", lambda patches, count: drawn.append(patches) or principal(patches, count)
    )
    PhotoEncoder(Colours(), side=16).fit(PHOTOS)
    assert drawn[0].shape == (3 * 7, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"give": "maps"}, "give must be one of"),
        ({"precision": "16"}, r"precision must be one of \['32', 'bf16'\]; got '16'"),
        ({"tiles": 0}, "tiles must be a whole number, at least 1; got 0"),
        ({"tiles": 2, "give": "vector"}, "takes one vector of each photo.*leave tiles out; got tiles = 2"),
        ({"side": 2.5}, "side must be a whole number"),
        ({"side": True}, "side must be a whole number, at least 1; got True"),
        ({"network": None}, "network must be the name of one, or one to be called; got None"),
        ({"network": averages, "give": "grid"}, "give='grid' needs a network that describes patches"),
        ({"network": lambda photos: photos}, None),  # (B, 3, 16, 16): a map of 16 channels, strange but possible
        ({"network": lambda photos: photos[0]}, r"must give vectors \(1, V\).*got \[\(3, 16, 16\)\]"),
        ({"network": lambda photos: averages(photos)[:0]}, r"got \[\(0, 3\)\]"),
        ({"network": lambda photos: averages(photos) / 0}, "gave NaN or infinity"),
        ({"network": lambda photos: {"maps": photos}}, r"must give tensors; got \['dict'\]"),
        ({"network": "resnet50"}, "no pretrained network 'resnet50'; there are efficientnet-lite0, .*by their full"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(given, message):
    encoder = PhotoEncoder(**{"network": Colours(), "side": 16, **given})
    if message is None:
        encoder.fit(PHOTOS)
        return
    with pytest.raises(InputError, match=message):
        encoder.fit(PHOTOS)


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    encoder = PhotoEncoder(Colours(), side=np.int64(16), components=np.int32(2))
    detector = AnomalyDetector(encoder=encoder, contamination=0.0, random_state=0).fit(PHOTOS * 3)
    detector.save(tmp_path / "model")
    again = load(tmp_path / "model", encoder=encoder)  # that one, as well as its network
    np.testing.assert_array_equal(again.anomaly_score(PHOTOS), detector.anomaly_score(PHOTOS))


def test_a_photo_without_pixels_is_refused():
    with pytest.raises(InputError, match="image 1 has no pixels"):
        PhotoEncoder(Colours(), side=16).fit([PHOTOS[0], PHOTOS[1][:0]])


@pytest.mark.parametrize("exponent", [-100, -40, -12, 20, 45])
@pytest.mark.parametrize("give", ["grid", "patches"])
def test_numbers_of_any_size_are_described_alike(exponent, give):
    """Half precision, in which patches are kept, has none beyond 65,504 and few digits below 0.001."""
    usual = PhotoEncoder(Colours(), give, side=16).fit(PHOTOS).transform(PHOTOS)
    other = PhotoEncoder(Colours(2.0**exponent), give, side=16).fit(PHOTOS).transform(PHOTOS)
    n_patches = 48 if give == "grid" else None  # the vector behind them is as large as the network made it
    np.testing.assert_allclose(other[..., :n_patches], usual[..., :n_patches], atol=2e-3)


def test_patches_of_very_different_size_are_scaled_each_for_itself():
    maps = np.array([[[3.0, 1.0], [0.0, 0.0]], [[3e9, 1e9], [3e-9, 1e-9]]], dtype=np.float32)
    kept = photo_file.patches_of(photo_file.Photo(halved(maps), np.zeros(2, np.float32)))
    np.testing.assert_allclose(kept, np.array([[3, 1], [0, 0], [3, 1], [3, 1]]) / np.sqrt(10), atol=1e-3)
    fitting = RNG.normal(0, 100, (4, 4, 8)).astype(np.float32)
    assert halved(fitting).tobytes() == fitting.astype(np.float16).tobytes()


def test_numbers_whose_squares_are_too_large_are_refused():
    with pytest.raises(InputError, match=r"the network gave 1e\+20 for a photo in \[0, 1\].*Divide what it gives"):
        PhotoEncoder(lambda photos: torch.full((len(photos), 3), -1e20), side=16).fit(PHOTOS)


def test_no_photos_are_refused():
    with pytest.raises(InputError, match="at least one image"):
        PhotoEncoder(Colours(), side=16).fit([])


# ------------------------------------------------------------------------------------------------------- tiles


def test_tiles_are_cut_and_joined():
    photo = RNG.random((12, 12, 3)).astype(np.float32)
    tiles = cut(photo, 3)
    assert tiles.shape == (9, 4, 4, 3)
    np.testing.assert_array_equal(tiles[5], photo[4:8, 8:])
    np.testing.assert_array_equal(joined(tiles, 3), photo)


def test_tiles_see_what_is_too_small_for_the_whole():
    """The patches of four tiles are those of a photo with twice the side, and the vector is that of the photo."""
    tiled = PhotoEncoder(Colours(), tiles=2, side=16).fit(PHOTOS)
    larger = PhotoEncoder(Colours(), side=32).fit(PHOTOS)
    whole = PhotoEncoder(Colours(), "vector", side=16).fit(PHOTOS)
    assert tiled.layout.places == larger.layout.places == (8, 8)
    parts = tiled.transform(PHOTOS)
    np.testing.assert_allclose(parts[:, :192], larger.transform(PHOTOS)[:, :192], atol=1e-5)
    np.testing.assert_array_equal(parts[:, 192:], whole.transform(PHOTOS))


def test_heat_maps_have_the_places_of_the_tiles():
    detector = AnomalyDetector(encoder=PhotoEncoder(Colours(), tiles=2, side=16), contamination=0.0, random_state=0)
    scorer = detector.fit(PHOTOS * 4).scorer()
    assert scorer.part_scores(PHOTOS).shape == (7, 64)
    assert [one.shape for one in scorer.maps(PHOTOS[:2])] == [(32, 40), (33, 40)]


# ---------------------------------------------------------------------------------------------- equal to the bit


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_company_and_threads_change_no_bit(lite, precision):
    photos = PHOTOS * 3
    encoder = PhotoEncoder(lite, precision=precision).fit(photos)
    with torch_threads(2):
        together = encoder.transform(photos)
    for rows in ([0], [3, 1], list(range(5)), list(range(20, 3, -1))):
        with torch_threads(1):
            some = encoder.transform([photos[row] for row in rows])
        assert some.tobytes() == together[rows].tobytes()
    assert encoder.state().meta["precision"] == precision


@pytest.mark.parametrize(
    ("name", "of_maps", "of_vectors"),
    [("efficientnet-lite0", (232, -0.0971, 5.5557), (0.0776, 0.3573, 897)),
     ("efficientnet-lite2", (256, -0.6477, 6.3456), (0.1039, 0.3572, 966))],
)  # fmt: skip
def test_the_network_says_what_it_said(lite, name, of_maps, of_vectors):
    """Of a made photo, when features ranked defects as they should: models that were saved depend on it."""
    ramp = np.linspace(0, 1, 224, dtype=np.float32)
    photo = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.float32(0.5)))[None]
    maps, vectors = pretrained(name)(np.ascontiguousarray(photo))
    assert maps.shape == (1, 14, 14, of_maps[0])
    np.testing.assert_allclose((maps.mean(), maps.std()), of_maps[1:], atol=1e-3)
    np.testing.assert_allclose((vectors.mean(), vectors.std()), of_vectors[:2], atol=1e-3)
    assert vectors.argmax() == of_vectors[2]


def test_folding_changes_rounding_alone(lite):
    from expose.encoders.efficientnet_lite import EfficientNetLite
    from expose.encoders.pretrained import weights_file

    plain = EfficientNetLite(lite)
    stored = torch.load(weights_file(WEIGHTS[lite]), map_location="cpu", weights_only=True)
    plain.load_state_dict({key: value for key, value in stored.items() if not key.startswith("_fc.")})
    photos = torch.from_numpy(RNG.random((2, 3, 224, 224), dtype=np.float32))
    with torch.inference_mode():
        maps, vectors = plain.eval()(photos)
    folded = pretrained(lite)(photos.numpy())
    np.testing.assert_allclose(folded.maps, maps, atol=1e-4)
    np.testing.assert_allclose(folded.vectors, vectors, atol=1e-4)


def test_a_failure_in_a_thread_comes_out(lite, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    encoder = PhotoEncoder(lite).fit(PHOTOS)
    with pytest.raises(InputError, match=r"broken.png: cannot be read"):
        encoder.transform([tmp_path / "broken.png", *(PHOTOS * 2)])
    assert encoder.transform(PHOTOS).shape[0] == 7  # and nothing stays locked


# ---------------------------------------------------------------------------------------------------- the cache


def test_a_second_fit_computes_nothing_and_gives_the_same_bits(lite, cache, monkeypatch):
    uncached = PhotoEncoder(lite).fit(PHOTOS)
    expected = uncached.transform(PHOTOS)
    assert len(files_in(cache)) == len(PHOTOS)
    monkeypatch.setattr(Frozen, "__call__", None)  # whoever calls it fails
    again = PhotoEncoder(lite).fit(PHOTOS)
    assert again.transform(PHOTOS).tobytes() == expected.tobytes()
    monkeypatch.undo()
    monkeypatch.setenv("EXPOSE_CACHE", "off")
    assert PhotoEncoder(lite).fit(PHOTOS).transform(PHOTOS).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("room", "described"), [(photo_file.KEPT, 7), (3 * 8 * 8 * 3 * 2 + 100, 7 + 4), (0, 7 + 7)])
def test_a_fit_describes_photos_once_if_there_is_room_to_keep_them(monkeypatch, room, described):
    expected = PhotoEncoder(Colours(), side=32).fit(PHOTOS).transform(PHOTOS)
    monkeypatch.setattr(photo_file, "KEPT", room)
    seen = []
    call = Frozen.__call__
    monkeypatch.setattr(
        Frozen, "__call__", lambda self, photos, *more: (seen.append(len(photos)), call(self, photos, *more))[1]
    )
    encoder = PhotoEncoder(Colours(), side=32)
    assert encoder.fit_transform(PHOTOS).tobytes() == expected.tobytes()
    assert sum(seen[1:]) == described  # after the one that shows what it gives
    assert encoder.transform(PHOTOS[::-1]).tobytes() == expected[::-1].tobytes()  # and nothing is kept for others


def test_photos_are_kept_by_their_number_of_all_not_of_the_chosen(monkeypatch):
    expected = PhotoEncoder(Colours(), side=32)
    monkeypatch.setattr(photo_file, "FIT_PHOTOS", 3)
    expected = expected.fit(PHOTOS).transform(PHOTOS)
    assert PhotoEncoder(Colours(), side=32).fit_transform(PHOTOS).tobytes() == expected.tobytes()


def test_what_makes_features_different_is_in_the_key(lite, cache):
    for given in ({}, {"tiles": 2}, {"side": 192}, {"precision": "bf16"}, {"give": "vector"}):
        before = len(files_in(cache))
        PhotoEncoder(lite, **given).fit(PHOTOS[:1]).transform(PHOTOS[:1])
        assert len(files_in(cache)) == before + 1, given


def test_photos_are_known_by_their_content_not_by_their_names(lite, cache, tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(PHOTOS[0]).save(tmp_path / name)
    encoder = PhotoEncoder(lite, "vector").fit(PHOTOS[:1])
    first = encoder.transform([tmp_path / "a.png"])
    count = len(files_in(cache))
    np.testing.assert_array_equal(encoder.transform([tmp_path / "b.png"]), first)
    assert len(files_in(cache)) == count
    Image.fromarray(PHOTOS[1]).save(tmp_path / "a.png")
    assert not np.array_equal(encoder.transform([tmp_path / "a.png"]), first)


def test_numbers_of_another_type_are_other_photos():
    assert key_of(np.zeros((2, 2, 1), np.uint8), []) != key_of(np.zeros((2, 2, 1), np.int8), [])
    assert key_of(np.zeros((2, 2, 1), np.uint8), []) != key_of(np.zeros((4, 1, 1), np.uint8), [])


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_damaged_files_count_as_missing(lite, cache, damage):
    encoder = PhotoEncoder(lite, "vector").fit(PHOTOS[:1])
    expected = encoder.transform(PHOTOS[:1])
    [kept] = files_in(cache)
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    assert encoder.transform(PHOTOS[:1]).tobytes() == expected.tobytes()
    assert kept.read_bytes() == whole


def test_the_oldest_are_dropped(tmp_path):
    import os

    cache = FeatureCache(tmp_path, most=10_000)
    for number in range(5):
        cache.put(f"{number:02}", {"vector": np.zeros(500, dtype=np.float32)})
        os.utime(cache.place(f"{number:02}"), (number, number))
    cache.get("00")  # used now
    cache.unseen = 10**9
    cache.put("99", {"vector": np.zeros(500, dtype=np.float32)})
    assert {key for key in ("00", "01", "02", "03", "04", "99") if cache.get(key) is not None} == {
        "00",
        "03",
        "04",
        "99",
    }
    assert sum(path.stat().st_size for path in files_in(cache)) <= 10_000


def test_files_of_others_are_never_dropped(tmp_path):
    """Whoever names a folder that holds something else keeps that, however much it is."""
    for folder in ("ab", "documents"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "thesis.txt").write_bytes(bytes(20_000))
    cache = FeatureCache(tmp_path, most=3000)
    for number in range(6):
        cache.put(f"{number:064}", {"vector": np.ones(200, dtype=np.float32)})
    assert len([*tmp_path.rglob("thesis.txt")]) == 2
    assert len(files_in(cache)) - 2 in (1, 2, 3)


def test_photos_that_are_no_numbers_are_refused_as_such(lite, cache):
    with pytest.raises(InputError, match="pixels must be numbers; got an array of type datetime64"):
        PhotoEncoder(lite).fit(np.zeros((2, 8, 8, 3), dtype="M8[s]"))


@pytest.mark.parametrize("name", ["file", "a" * 300, "~nobody-has-this-name/x"])
def test_a_folder_that_cannot_be_written_to_is_no_failure(lite, tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPOSE_CACHE", name)
    assert PhotoEncoder(lite, "vector").fit(PHOTOS[:2]).transform(PHOTOS[:2]).shape == (2, 1280)


def put_many(folder: str) -> int:
    cache = FeatureCache(cache_folder() if folder is None else __import__("pathlib").Path(folder), most=50_000)
    for number in range(40):
        cache.put(f"{number % 20:02}", {"vector": np.full(500, number % 20, dtype=np.float32)})
        kept = cache.get(f"{number // 2:02}")
        assert kept is None or kept["vector"][0] == number // 2
    return 1


def test_several_processes_may_write_at_once(tmp_path):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(put_many, [str(tmp_path)] * 3)) == 3
    assert not [path for path in tmp_path.glob("*/*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/expose/photos"),
        ("linux", {"EXPOSE_CACHE": "/mine"}, "/mine"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Caches/expose/photos"),
        ("win32", {"LOCALAPPDATA": "/Local"}, "/Local/expose/photos"),
        ("linux", {"EXPOSE_CACHE": "OFF"}, None),
        ("linux", {"EXPOSE_CACHE": " off "}, None),
        ("linux", {"EXPOSE_CACHE": "on", "XDG_CACHE_HOME": "/caches"}, "/caches/expose/photos"),
    ],
)
def test_the_folder_is_that_of_the_system(monkeypatch, platform, variables, folder):
    for name in ("EXPOSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert (None if folder is None else folder) == (None if cache_folder() is None else cache_folder().as_posix())


def test_a_network_of_ones_own_is_not_kept(cache):
    """Nobody knows whether its weights are the same the next time."""
    network = Colours()
    PhotoEncoder(network, side=16).fit(PHOTOS).transform(PHOTOS)
    assert files_in(cache) == []


# --------------------------------------------------------------------------------------------------- model folders


def test_a_network_of_ones_own_is_brought_along(tmp_path):
    network = Colours()
    detector = AnomalyDetector(encoder=PhotoEncoder(network, side=16), contamination=0.0, random_state=0).fit(
        PHOTOS * 4
    )
    assert detector.encoder_.network is network  # not a copy, which may be large
    detector.save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match=r"a network of its own, class 'Colours'.*load\(folder, encoder=...\)"):
        load(tmp_path / "model")
    again = load(tmp_path / "model", encoder=Colours())
    np.testing.assert_array_equal(again.anomaly_score(PHOTOS), detector.anomaly_score(PHOTOS))
    again.save(tmp_path / "twice")
    assert load(tmp_path / "twice", encoder=Colours()).encoder_.state().meta == detector.encoder_.state().meta


def test_a_network_by_name_needs_nothing_brought_along(lite, tmp_path):
    AnomalyDetector(encoder=lite, contamination=0.0, random_state=0).fit(PHOTOS * 3).save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="holds its encoder, 'photo'"):
        load(tmp_path / "model", encoder=Colours())


def test_other_weights_than_in_training_are_refused(lite):
    meta, arrays = PhotoEncoder(lite).fit(PHOTOS).state()
    with pytest.raises(InputError, match="are not those that the model was made with"):
        PhotoEncoder.restore(State({**meta, "sha256": "0" * 64}, arrays))


def test_a_copy_finds_its_network_again(lite):
    encoder = PhotoEncoder(lite).fit(PHOTOS)
    twin = copy.deepcopy(encoder)
    assert twin.frozen is encoder.frozen
    assert twin.transform(PHOTOS).tobytes() == encoder.transform(PHOTOS).tobytes()


def test_weights_that_were_changed_are_refused(lite, monkeypatch):
    from expose.encoders.pretrained import weights_file

    with pytest.raises(InputError, match="does not hold the weights that were published"):
        weights_file(WEIGHTS[lite]._replace(sha256="0" * 64))
    monkeypatch.setitem(sys.modules, WEIGHTS[lite].package, None)
    with pytest.raises(MissingExtraError, match=r"expose\[images\]"):
        weights_file(WEIGHTS[lite])


def test_classifiers_take_the_vectors(lite):
    rng = np.random.default_rng(1)
    red, blue = np.array([200, 30, 30]), np.array([30, 30, 200])
    photos = [np.clip(colour + rng.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8) for colour in [red, blue] * 20]
    labels = ["red", "blue"] * 20
    outliers = [rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(20)]
    classifier = OutlierExposureClassifier(encoder=lite, random_state=0).fit(photos, labels, outliers=outliers)
    assert classifier.encoder_.layout.form == "vector"
    assert (classifier.predict(photos) == labels).mean() > 0.9


# ------------------------------------------------------------------------------------------------------- progress


def test_progress_says_how_many_a_second(capsys, monkeypatch):
    monkeypatch.setattr("expose.encoders.progress.SILENCE", -1.0)
    for verbose in (0, 1):
        watch = Watch(40, verbose, "photos")
        for _ in range(10):
            watch(4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("photos encoded  40/40  ")
    assert lines[-1].endswith(" a second")


def test_what_is_quick_says_nothing(capsys):
    Watch(1, 1, "photos")(1)
    assert capsys.readouterr().err == ""


def test_estimators_pass_on_how_much_to_say(capsys, monkeypatch):
    monkeypatch.setattr("expose.encoders.progress.SILENCE", -1.0)
    encoder = PhotoEncoder(Colours(), side=16)
    AnomalyDetector(encoder=encoder, contamination=0.0, verbose=1, random_state=0).fit(PHOTOS * 4)
    assert "photos encoded  28/28" in capsys.readouterr().err
    AnomalyDetector(encoder=encoder, contamination=0.0, random_state=0).fit(PHOTOS * 4)
    assert "photos" not in capsys.readouterr().err
