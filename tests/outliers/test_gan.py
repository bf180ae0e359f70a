import numpy as np
import pytest
import torch
from torch import nn

from expose.errors import InputError
from expose.outliers import OutlierGAN
from expose.outliers.gan import uniformity


def ring(n, rng):
    corner = rng.integers(8, size=n)
    middle = 5 * np.column_stack([np.cos(corner * np.pi / 4), np.sin(corner * np.pi / 4)])
    return (middle + 0.3 * rng.normal(size=(n, 2))).astype(np.float32), corner


def to_corners(rows):
    corners = np.arange(8) * np.pi / 4
    middles = 5 * np.column_stack([np.cos(corners), np.sin(corners)])
    distances = np.linalg.norm(rows[:, None] - middles, axis=-1)
    return distances.argmin(1), distances.min(1)


@pytest.mark.slow
def test_it_learns_a_ring_of_eight_clusters():
    rows, _ = ring(2000, np.random.default_rng(0))
    gan = OutlierGAN(steps=1500, random_state=0).fit(rows)
    corner, distance = to_corners(gan.sample(2000, random_state=1))
    assert (distance < 1).mean() > 0.6
    assert np.bincount(corner[distance < 1], minlength=8).min() > 50  # none of the eight is forgotten
    _, before = to_corners(OutlierGAN(steps=1, random_state=0).fit(rows).sample(2000, random_state=1))
    assert (before < 1).mean() < 0.2


class Linear(nn.Module):
    """Two classes, told apart by the sign of the first column."""

    def forward(self, rows):
        return torch.stack([-3 * rows[:, 0], 3 * rows[:, 0]], dim=1)

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))


def test_a_sure_classifier_pushes_generated_rows_to_its_boundary():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2)) + np.where(rng.random((600, 1)) < 0.5, 4, -4) * [[1.0, 0.0]]
    beside = {}
    for weight in (0.0, 5.0):
        gan = OutlierGAN(steps=250, width=32, boundary_weight=weight, random_state=0)
        beside[weight] = np.abs(gan.fit(rows, classifier=Linear()).sample(500, random_state=0)[:, 0]).mean()
    assert beside[5.0] < 0.5 * beside[0.0]


def test_a_classifier_with_classes_is_trained_and_without_them_left_alone():
    rng = np.random.default_rng(0)
    rows, corner = ring(600, rng)
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 8))
    before = [weight.clone() for weight in classifier.parameters()]
    OutlierGAN(steps=5, width=16, random_state=0).fit(rows, classifier=classifier)
    assert all(torch.equal(a, b) for a, b in zip(before, classifier.parameters(), strict=True))
    assert not classifier.training
    assert all(weight.grad is None for weight in classifier.parameters())
    classifier.train()
    OutlierGAN(steps=400, width=16, boundary_weight=0.1, random_state=0).fit(rows, corner, classifier=classifier)
    found = classifier.eval()(torch.from_numpy(rows)).argmax(1).numpy()
    assert (found == corner).mean() > 0.9


@pytest.mark.parametrize("shape", [(9, 8), (8, 8, 1), (8, 11, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_images_come_back_in_their_shape_type_and_range(shape, dtype):
    images = np.random.default_rng(0).integers(256, size=(40, *shape)).astype(np.uint8)
    images = images if dtype == np.uint8 else (images / 255).astype(dtype)
    seen = []

    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(1, 3)

        def forward(self, rows):
            seen.append((tuple(rows.shape[1:]), rows.min().item(), rows.max().item()))
            return self.head(rows.mean((1, 2, 3))[:, None])

    made = OutlierGAN(steps=2, width=8, random_state=0).fit(images, classifier=Looking()).sample(random_state=0)
    assert made.dtype == dtype
    assert made.shape == images.shape
    assert made.min() >= 0
    assert made.max() <= (255 if dtype == np.uint8 else 1)
    channels = shape[2] if len(shape) == 3 else 1
    assert all(size == (channels, *shape[:2]) and low >= 0 and high <= 1 for size, low, high in seen)


def test_images_bright_on_the_left_are_made_bright_on_the_left():
    images = np.zeros((200, 8, 8), np.uint8)
    images[:, :, :4] = np.random.default_rng(0).integers(150, 256, size=(200, 8, 4))
    made = OutlierGAN(steps=200, width=16, random_state=0).fit(images).sample(50, random_state=0)
    assert made[:, :, :3].mean() > 100
    assert made[:, :, 5:].mean() < 60


def test_same_seed_same_rows_and_the_global_state_is_left_alone():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, second, third = (
        OutlierGAN(steps=3, width=8, random_state=seed).fit(rows).sample(5, random_state=0) for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_columns_of_any_scale_and_constant_ones_are_kept():
    rows = np.column_stack([np.full(100, 7.0), np.random.default_rng(0).normal(1e4, 1e3, size=100)])
    made = OutlierGAN(steps=20, width=8, random_state=0).fit(rows).sample(30, random_state=0)
    assert abs(made[:, 1].mean() - 1e4) < 5e3


def test_uniformity_is_the_divergence_from_the_uniform_distribution():
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(-1)
    by_hand = (0.25 * (0.25 / p).log()).sum(-1)
    torch.testing.assert_close(uniformity(logits), by_hand)
    assert torch.isfinite(uniformity(torch.tensor([[0.0, 1e4]]))).all()


def test_what_cannot_be_learned_is_said():
    with pytest.raises(InputError, match="finite numbers"):
        OutlierGAN().fit(np.array([[1.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(InputError, match="finite numbers"):
        OutlierGAN().fit(np.array([["a", "b"]] * 3))
    with pytest.raises(InputError, match="give classifier="):
        OutlierGAN().fit(np.eye(3), [0, 1, 2])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        OutlierGAN().fit(np.full((4, 5, 5), 3.0))
