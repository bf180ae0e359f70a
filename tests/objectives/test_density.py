"""Densities: they sum to one, they look only back, and their margins are counted from the rows that count as normal."""

import math

import numpy as np
import pytest
import torch

from expose import AnomalyDetector
from expose.encoders import Layout
from expose.errors import InputError
from expose.objectives import Flow, Language, MarginRanking, PixelCNN, language
from expose.objectives.pixelcnn import log_bin
from expose.training import Plan, TrainingSet, build_members, train

ROWS = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.3]) + 0.5


def built(objective, layout, rows=None):
    torch.manual_seed(0)
    objective.layout = layout
    objective.build(layout)
    for parameter in objective.parameters():  # away from where it begins, so that every part counts
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    if rows is not None:
        objective.prepare(rows)
    return objective


# ------------------------------------------------------------------------------------------------------- flow


def test_the_density_of_a_flow_integrates_to_one():
    flow = built(Flow(couplings=3), Layout("vector", (2,)), ROWS)
    side = torch.linspace(-8, 8, 801)
    grid = torch.cartesian_prod(side, side)
    density = torch.exp2(-2 * flow.bits(grid)).sum() * (side[1] - side[0]) ** 2
    assert float(density.detach()) == pytest.approx(1, abs=2e-3)


def test_bits_of_a_flow_are_those_of_its_jacobian():
    flow = built(Flow(), Layout("vector", (5,)), torch.randn(50, 5))
    row = torch.randn(5)

    def noise(values):
        z = (values - flow.centre) / flow.spread
        for network, mask in zip(flow.networks, flow.masks, strict=True):
            scale, shift = network(z * mask).chunk(2)
            z = torch.where(mask > 0, z, z * torch.exp(torch.tanh(scale)) + shift)
        return z

    volume = torch.linalg.slogdet(torch.autograd.functional.jacobian(noise, row))[1]
    nats = -torch.distributions.Normal(0, 1).log_prob(noise(row)).sum() - volume
    assert float(flow.bits(row[None]).detach()) == pytest.approx(float(nats.detach()) / 5 / math.log(2), rel=1e-4)


def test_each_pair_of_masks_changes_every_column_once():
    flow = built(Flow(couplings=4), Layout("vector", (7,)))
    assert torch.equal(flow.masks[0] + flow.masks[1], torch.ones(7))
    assert torch.equal(flow.masks[2] + flow.masks[3], torch.ones(7))


@pytest.mark.parametrize("wrong", [{"couplings": 1}, {"bound": 0.0}, {"margin": -1.0}])
def test_a_flow_names_what_is_wrong(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build_members(Flow(**wrong), Layout("vector", (3,)), torch.zeros(4, 3), [0])


# ----------------------------------------------------------------------------------------------------- margin


def test_the_margin_is_counted_from_the_level():
    ranking = MarginRanking(margin=2.0)
    ranking.start(torch.tensor([1.0, 5.0]))
    losses = ranking(torch.tensor([-1.0, 4.0, 6.0]))
    assert losses.normal.tolist() == [-1.0, 4.0, 6.0]
    assert losses.abnormal.tolist() == [6.0, 1.0, 0.0]


def test_the_level_follows_the_rows_that_count_as_normal():
    """A third of the rows are known anomalies: the level is the median of the others, while their bits are learned."""
    rows = torch.cat([ROWS, ROWS[:150] + 3])
    known = torch.cat([torch.zeros(300, dtype=torch.long), torch.ones(150, dtype=torch.long)])
    layout, cpu = Layout("vector", (2,)), torch.device("cpu")
    plan = Plan(Flow(epochs=60, batch_size=64), layout, "blind", 0.0, (0,), cpu)
    flow = train(plan, TrainingSet(rows, known)).ensemble.member(0)
    with torch.no_grad():
        bits = flow.bits(rows)
    assert float(flow.ranking.level) == pytest.approx(float(bits[:300].median()), abs=0.15)
    assert float(bits[300:].median()) > float(bits[:300].median()) + 0.9


# ----------------------------------------------------------------------------------------------------- images


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def naive_pixels(model, image):
    """Eq. 2 and 3 of Salimans et al., pixel by pixel, for one image ``(C, H, W)`` in [-1, 1]."""
    out = model.network(image[None])[0].detach().numpy().astype(float)
    values, k = image.numpy().astype(float), model.mixtures
    channels, height, width = values.shape
    rest = out[k:].reshape(k, -1, height, width)
    found = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        weights = np.exp(out[:k, i, j]) / np.exp(out[:k, i, j]).sum()
        for m in range(k):
            product, pair = weights[m], 0
            for c in range(channels):
                mean, scale = rest[m, c, i, j], np.exp(rest[m, channels + c, i, j])
                for before in range(c):
                    mean += np.tanh(rest[m, 2 * channels + pair, i, j]) * values[before, i, j]
                    pair += 1
                x = values[c, i, j]
                upper = 1.0 if x > 0.999 else sigmoid((x + 1 / 255 - mean) / scale)
                lower = 0.0 if x < -0.999 else sigmoid((x - 1 / 255 - mean) / scale)
                product *= upper - lower
            found[i, j] += product
    return np.log(found)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixelcnn_equals_the_formula(channels):
    model = built(PixelCNN(width=8, blocks=1, mixtures=3), Layout("image", (channels, 4, 5)))
    row = torch.rand(1, channels * 20)
    row[0, :3], row[0, 3:5] = 0, 1  # also the ends of the range
    image = 2 * (255 * row).round() / 255 - 1
    expected = naive_pixels(model, image.view(channels, 4, 5))
    found = model.log_probability(image.view(1, channels, 4, 5))[0].detach()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert float(model.bits(row)) == pytest.approx(-expected.sum() / math.log(2) / (channels * 20), rel=1e-3)


def test_the_probabilities_of_a_pixel_sum_to_one():
    model = built(PixelCNN(width=8, blocks=1), Layout("image", (1, 4, 4)))
    images = torch.rand(1, 1, 4, 4).repeat(256, 1, 1, 1)
    images[:, 0, 2, 1] = torch.linspace(0, 1, 256)
    assert float(model.log_probability(2 * images - 1)[:, 2, 1].exp().sum()) == pytest.approx(1, abs=1e-4)


def test_a_pixel_is_guessed_from_all_that_are_before_it_and_no_other():
    model = built(PixelCNN(width=8, blocks=2), Layout("image", (2, 5, 5)))
    image = torch.rand(1, 2, 5, 5, requires_grad=True)
    model.network(image)[0, :, 3, 2].sum().backward()
    seen = (image.grad.abs().sum((0, 1)) > 0).int()
    before = torch.zeros(5, 5, dtype=torch.int32)
    before[:3], before[3, :2] = 1, 1
    assert torch.equal(seen, before)


def test_a_very_unlikely_value_keeps_its_probability():
    away, scale = torch.tensor([1.9]), torch.tensor([-7.0], requires_grad=True)
    found = log_bin(away, scale, torch.tensor([0.5]))
    found.sum().backward()
    assert float(found) == pytest.approx(-(1.9 - 1 / 255) * math.exp(7), rel=1e-2)  # naively log 0
    assert torch.isfinite(scale.grad).all()


# ------------------------------------------------------------------------------------------------------ texts


def texts(model):
    model = built(model, Layout("tokens", (6,), 12))
    return model, torch.tensor([[5.0, 3, 9, 0, 0, 0], [2, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0]])


def test_language_equals_the_formula():
    model, rows = texts(Language())
    bits, uniform = [], []
    for row, length in zip(rows.long(), (4, 6, 1), strict=True):  # with the end of the text, where there is room
        read = torch.cat([torch.zeros(1, dtype=torch.long), row[: length - 1]])
        logs = model.head(model.recurrent(model.vectors(read)[None])[0][0]).log_softmax(-1).detach() / math.log(2)
        bits.append(-logs[range(length), row[:length]].mean())
        uniform.append(-logs.mean())
    losses = model.losses(rows)
    np.testing.assert_allclose(losses.normal.detach(), bits, rtol=1e-4)
    np.testing.assert_allclose(losses.abnormal.detach(), uniform, rtol=1e-4)


def test_logits_piece_by_piece_change_nothing(monkeypatch):
    model, rows = texts(Language())
    grads = []
    for budget in (2**24, 3 * 12):
        monkeypatch.setattr(language, "LOGITS_BUDGET", budget)
        model.zero_grad()
        losses = model.losses(rows)
        (losses.normal + losses.abnormal).sum().backward()
        grads.append([*losses, *(p.grad.clone() for p in model.parameters())])
    for whole, pieces in zip(*grads, strict=True):
        torch.testing.assert_close(whole, pieces)


def test_a_model_that_expects_nothing_has_the_least_abnormal_loss():
    model, rows = texts(Language(score_by="uniform"))
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.constant_(model.head.bias, 0.7)
    torch.testing.assert_close(model.losses(rows).abnormal, torch.full((3,), math.log2(12)))
    torch.testing.assert_close(model.score(rows), torch.full((3,), -math.log2(12)))


def test_densities_of_images_and_texts_want_their_rows():
    for objective in (PixelCNN(), Language()):
        with pytest.raises(InputError, match="reads"):
            objective.build(Layout("vector", (5,)))
    with pytest.raises(InputError, match="score_by"):
        Language(score_by="loss").build(Layout("tokens", (4,), 9))


# --------------------------------------------------------------------------------------------------- detectors


def small_images(count, seed):
    rng = np.random.default_rng(seed)
    slope = rng.uniform(0.2, 1, (count, 1, 1)) * np.linspace(0, 1, 6)
    return (255 * slope * np.ones((1, 6, 1))).astype(np.uint8)  # (count, 6, 6)


def small_texts(count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join("abcdefgh"[start : start + 4]) for start in rng.integers(0, 5, count)]


CASES = {
    "images": (PixelCNN, {"width": 8, "blocks": 1}, small_images, small_images(60, 2) // 40),
    "texts": (Language, {"score_by": "uniform"}, small_texts, [text[::-1] for text in small_texts(60, 2)]),
}


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("kind", list(CASES))
def test_a_detector_of_images_or_texts_learns_from_outliers_and_is_saved(kind, precision, tmp_path):
    cls, settings, normal, outliers = CASES[kind]
    objective = cls(**settings, epochs=8, batch_size=16, learning_rate=5e-3, precision=precision)
    apart = []
    for exposed in (None, outliers):
        detector = AnomalyDetector(objective, contamination=0.0, random_state=0)
        detector.fit(normal(80, 0), outliers=exposed)
        apart.append(np.median(detector.anomaly_score(outliers)) - np.median(detector.anomaly_score(normal(40, 1))))
    assert apart[1] > apart[0] + 0.1
    scores = detector.anomaly_score(outliers)
    detector.save(tmp_path / "model")
    loaded = AnomalyDetector.load(tmp_path / "model")
    assert np.array_equal(loaded.anomaly_score(outliers), scores)
    assert np.array_equal(loaded.anomaly_score(outliers[3:4]), scores[3:4])
