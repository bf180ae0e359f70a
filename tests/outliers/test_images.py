import numpy as np
import pytest

from expose.errors import InputError
from expose.outliers import (
    IMAGE_MAKERS,
    bernoulli_noise,
    blobs,
    channel_ghosts,
    gaussian_noise,
    invert,
    jigsaw,
    mean_of_two,
    pixelate,
    speckle,
)

FROM_IMAGES = ["jigsaw", "speckle", "pixelate", "invert", "channel_ghosts", "arithmetic_mean", "geometric_mean"]


def pictures(n=12, shape=(17, 14, 3), dtype=np.uint8):
    rng = np.random.default_rng(0)
    bytes_ = rng.integers(256, size=(n, *shape)).astype(np.uint8)
    return bytes_ if dtype == np.uint8 else (bytes_ / 255).astype(dtype)


@pytest.mark.parametrize("name", IMAGE_MAKERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(17, 14), (16, 16, 1), (16, 12, 3)])
def test_type_shape_range_and_seed(name, dtype, shape):
    if name == "channel_ghosts" and shape[2:] != (3,):
        pytest.skip("colour only")
    images = pictures(shape=shape, dtype=dtype)
    before = images.copy()
    made = IMAGE_MAKERS[name](images, 30, random_state=5)
    assert made.dtype == dtype
    assert made.shape == (30, *shape)
    if dtype != np.uint8:
        assert made.min() >= 0
        assert made.max() <= 1
    np.testing.assert_array_equal(made, IMAGE_MAKERS[name](images, 30, random_state=5))
    np.testing.assert_array_equal(images, before)
    assert not np.array_equal(made, IMAGE_MAKERS[name](images, 30, random_state=6))


@pytest.mark.parametrize("name", IMAGE_MAKERS)
def test_bytes_and_numbers_say_the_same(name):
    as_bytes = IMAGE_MAKERS[name](pictures(), 20, random_state=1)
    as_numbers = IMAGE_MAKERS[name](pictures(dtype=np.float32), 20, random_state=1)
    np.testing.assert_allclose(as_bytes / 255, as_numbers, atol=0.51 / 255)


@pytest.mark.parametrize("name", FROM_IMAGES)
def test_no_image_comes_back_as_it_was(name):
    images = pictures(5)
    made = IMAGE_MAKERS[name](images, 50, random_state=0)
    known = {image.tobytes() for image in images}
    assert not any(image.tobytes() in known for image in made)


@pytest.mark.parametrize("name", IMAGE_MAKERS)
def test_more_images_than_a_chunk(name, monkeypatch):
    monkeypatch.setattr("expose.outliers.pixels.CHUNK", 7)
    made = IMAGE_MAKERS[name](pictures(), 20, random_state=0)
    assert len(made) == 20
    assert made.reshape(20, -1).std(1).min() > 0  # none left empty


def test_every_image_is_used_before_one_is_used_again():
    images = pictures(9)
    made = invert(images, random_state=0)
    assert {image.tobytes() for image in 255 - made} == {image.tobytes() for image in images}


def test_noises_have_the_moments_asked_for():
    like = np.zeros((200, 16, 16))
    assert abs(gaussian_noise(like, mean=0.4, deviation=0.1, random_state=0).mean() - 0.4) < 0.01
    assert abs(gaussian_noise(like, mean=0.4, deviation=0.1, random_state=0).std() - 0.1) < 0.01
    noise = bernoulli_noise(like, p=0.2, random_state=0)
    assert set(np.unique(noise)) == {0.0, 1.0}
    assert abs(noise.mean() - 0.2) < 0.01
    cut = gaussian_noise(like, random_state=0)
    assert 0.1 < (cut == 0).mean() < 0.2  # 15.9 % of a normal distribution lie below mean - deviation


def test_blobs_are_smooth_spots_not_noise():
    made = blobs(np.zeros((20, 32, 32, 3)), random_state=0)
    neighbours = (made[:, 1:] > 0) == (made[:, :-1] > 0)
    assert neighbours.mean() > 0.8
    assert abs((made > 0).mean() - 0.4) < 0.01


def test_jigsaw_moves_every_piece_and_keeps_their_pixels():
    image = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(1, 4, 4), 5, axis=1), 3, axis=2)
    for seed in range(20):
        made = jigsaw(image, random_state=seed)
        corners = made[0, ::5, ::3]
        assert (corners != image[0, ::5, ::3]).all()
        np.testing.assert_array_equal(np.sort(corners.ravel()), np.arange(16))
        np.testing.assert_array_equal(np.repeat(np.repeat(corners, 5, axis=0), 3, axis=1), made[0])


def test_jigsaw_leaves_the_rest_that_does_not_divide():
    images = pictures(3, (10, 11))
    made = jigsaw(images, grid=4, random_state=0)
    rest = {image[8:].tobytes() for image in images}
    assert {image[8:].tobytes() for image in made} == rest
    assert sorted(made.sum((1, 2)).tolist()) == sorted(images.sum((1, 2)).tolist())


def test_pixelate_keeps_means_and_has_few_values():
    images = pictures(4, (16, 16), np.float64)
    made = pixelate(images, block=8, random_state=0)
    assert all(len(np.unique(image)) == 4 for image in made)
    np.testing.assert_allclose(np.sort(made.mean((1, 2))), np.sort(images.mean((1, 2))))


def test_speckle_leaves_black_black():
    images = pictures(4)
    images[:, :5] = 0
    assert not speckle(images, random_state=0)[:, :5].any()


def test_ghosts_move_channels_against_each_other():
    dots = np.zeros((1, 20, 20, 3), np.uint8)
    dots[0, 10, 10] = 255
    for seed in range(30):
        made = channel_ghosts(dots, random_state=seed)[0]
        places = {tuple(np.argwhere(made[..., channel])[0]) for channel in range(3)}
        assert len(places) > 1
        assert max(abs(place[axis] - 10) for place in places for axis in (0, 1)) <= 5


def test_ghosts_never_move_all_channels_alike():
    dots = np.zeros((1, 8, 8, 3), np.uint8)
    dots[0, 4, 4] = 255
    for made in channel_ghosts(dots, 500, shift=0.125, random_state=0):  # by one pixel: alike once in 81 times
        assert (made.any(-1)).sum() > 1


def test_the_two_of_a_mean_are_different():
    images = np.stack([np.full((4, 4), value) for value in (0.0, 0.5, 1.0)])
    made = {round(float(image[0, 0]), 3) for image in mean_of_two(images, 60, random_state=0)}
    assert made == {0.25, 0.5, 0.75}
    geometric = {round(float(i[0, 0]), 3) for i in mean_of_two(images, 60, kind="geometric", random_state=0)}
    assert geometric == {0.0, round(0.5**0.5, 3)}


@pytest.mark.parametrize("name", IMAGE_MAKERS)
def test_what_are_no_images_is_said(name):
    maker = IMAGE_MAKERS[name]
    with pytest.raises(InputError, match=r"an array \(n, H, W\)"):
        maker(np.zeros((5, 5)))
    with pytest.raises(InputError, match="got list"):
        maker([np.zeros((5, 5))])
    with pytest.raises(InputError, match=r"\[0, 1\]; got 0 to 200"):
        maker(np.array([[[0.0, 200.0]]]))
    with pytest.raises(InputError, match=r"\[0, 1\]; got nan"):
        maker(np.array([[[0.0, np.nan]]]))
    with pytest.raises(InputError, match="got int64"):
        maker(np.zeros((2, 5, 5), dtype=np.int64))
    with pytest.raises(InputError, match=r"images.transpose\(0, 2, 3, 1\)"):
        maker(np.zeros((2, 3, 8, 8)))


def test_options_out_of_range_are_said():
    images = pictures(3)
    with pytest.raises(InputError, match="grid must be at least 2"):
        jigsaw(images, grid=1)
    with pytest.raises(InputError, match="block must be at least 2"):
        pixelate(images, block=1)
    with pytest.raises(InputError, match="several channels"):
        channel_ghosts(images[..., 0])
    with pytest.raises(InputError, match="at least a pixel"):
        channel_ghosts(images, shift=0.01)
    with pytest.raises(InputError, match="two images"):
        mean_of_two(images[:1])
    with pytest.raises(InputError, match="'harmonic'"):
        mean_of_two(images, kind="harmonic")
