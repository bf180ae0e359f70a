"""Losses against plain NumPy, written from the papers' formulas, and finite where the naive form is not."""

import numpy as np
import pytest
import torch

from expose.encoders import Layout
from expose.errors import InputError
from expose.objectives import BCE, HSC, ICL, NTL, SVDD, Autoencoder, DeepSAD, MHRot
from expose.objectives.icl import VALUES_AT_ONCE, column_orders


def vector(width: int) -> Layout:
    return Layout("vector", (width,))


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def naive_contrast(own: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """-log h and -log (1 - h) for one exponent ``own`` against several."""
    h = np.exp(own) / (np.exp(own) + np.exp(others).sum())
    return -np.log(h), -np.log(1 - h)


def test_ntl_equals_the_formula():
    torch.manual_seed(0)
    ntl = NTL(transformations=4)
    ntl.build(vector(5))
    x = torch.randn(1, 5)
    z = unit(ntl.encoder(ntl.views(x))[0].detach().numpy().astype(float))
    pairs = []
    for k in range(1, 5):
        others = [z[k] @ z[m] / 0.1 for m in range(1, 5) if m != k]
        pairs.append(naive_contrast(z[k] @ z[0] / 0.1, np.array(others)))
    expected = np.mean(pairs, axis=0) / np.log(4)
    losses = ntl.losses(x)
    np.testing.assert_allclose([losses.normal.item(), losses.abnormal.item()], expected, rtol=1e-4)


def test_ntl_views_are_the_row_and_its_residual_transformations():
    ntl = NTL(transformations=3, constant=0.0)
    ntl.build(vector(4))
    x = torch.randn(2, 4)
    views = ntl.views(x)
    assert views.shape == (2, 4, 4)
    torch.testing.assert_close(views[:, 0], x)
    torch.testing.assert_close(views[:, 2], x + (x @ ntl.inner[1]).relu() @ ntl.outer[1])


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e30])
def test_ntl_is_finite_for_rows_whose_squares_are_not_numbers(length):
    ntl = NTL(constant=0.0)
    ntl.build(vector(4))
    losses = ntl.losses(length * torch.randn(3, 4))
    sum(losses).sum().backward()
    assert torch.isfinite(torch.stack(losses)).all()
    assert all(torch.isfinite(p.grad).all() for p in ntl.parameters())


def test_ntl_without_its_constant_is_blind_to_length_and_with_it_is_not():
    x = torch.randn(5, 4)
    for constant, same in ((0.0, True), (1.0, False)):
        ntl = NTL(constant=constant)
        ntl.build(vector(4))
        assert torch.allclose(ntl.score(x), ntl.score(10 * x), rtol=1e-3) is same


def numbers(module: torch.nn.Module) -> list[np.ndarray]:
    return [p.detach().numpy().astype(float) for p in module.parameters()]


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def embedded_inside(values: np.ndarray, network: torch.nn.Module) -> np.ndarray:
    """``(J, w) -> (J, hidden)``, as the supplement has it, with a gain and a bias for each position."""
    w1, b1, gain, bias, w2, b2, w3, b3 = numbers(network)
    assert [len(b1), len(b2), len(b3)] == [2, 4, 8]
    return leaky(leaky((np.tanh(values @ w1.T + b1) * gain + bias) @ w2.T + b2) @ w3.T + b3)


def embedded_outside(values: np.ndarray, network: torch.nn.Module) -> np.ndarray:
    w1, b1, gain, bias, w2, b2, gain_2, bias_2, w3, b3 = numbers(network)
    assert [len(b1), len(b2), len(b3)] == [8, 16, 8]
    first = np.tanh(values @ w1.T + b1) * gain + bias
    return leaky((leaky(first @ w2.T + b2) * gain_2 + bias_2) @ w3.T + b3)


def naive_icl(row: np.ndarray, ordering: torch.nn.Module, across: bool, temperature: float) -> np.ndarray:
    """Both losses of a row of 5 columns for one order of them, windows of 2."""
    x = row[ordering.order.numpy()]
    f = embedded_inside(np.array([x[j : j + 2] for j in range(4)]), ordering.inside)
    g = embedded_outside(np.array([np.delete(x, [j, j + 1]) for j in range(4)]), ordering.outside)
    if across:
        f, g = (z / np.linalg.norm(z, axis=0) for z in (f, g))
    same = unit(g) @ unit(f).T / temperature
    pairs = [naive_contrast(same[j, j], np.delete(same[j], j)) for j in range(4)]
    return np.mean(pairs, axis=0) / np.log(4)


def shaken(icl: ICL, columns: int) -> ICL:
    """Built, with gains and biases that are not 1 and 0."""
    icl.build(vector(columns))
    for name, parameter in icl.named_parameters():
        if name.endswith(("gain", "bias")):
            torch.nn.init.normal_(parameter, 0.5)
    return icl


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("orders", [1, 3])
def test_icl_equals_the_formula(orders, across):
    torch.manual_seed(0)
    icl = shaken(ICL(orders=orders, hidden=8, temperature=0.5, across=across), 5)
    x = torch.randn(3, 5)
    losses = torch.stack(icl.losses(x), dim=1).detach()
    for row, said in zip(x.numpy().astype(float), losses, strict=True):
        expected = np.mean([naive_icl(row, one, across, 0.5) for one in icl.orderings], axis=0)
        np.testing.assert_allclose(said, expected, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_what_icl_says_of_a_row_depends_on_that_row_alone(training):
    torch.manual_seed(0)
    icl = shaken(ICL(orders=2, hidden=8), 6).train(training)
    rows = torch.randn(40, 6)
    together = torch.stack(icl.losses(rows))
    alone = torch.cat([torch.stack(icl.losses(row[None])) for row in rows], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_icl_works_through_many_rows_a_few_at_a_time():
    torch.manual_seed(0)
    icl = shaken(ICL(orders=2, hidden=8), 6)
    rows = torch.randn(70, 6)
    at_once, seen = icl.losses(rows), []
    icl.rows_at_once = 16
    icl.orderings[0].register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    torch.testing.assert_close(icl.losses(rows), at_once, rtol=1e-4, atol=1e-5)
    assert seen == [16, 16, 16, 16, 6]


@pytest.mark.parametrize("columns", [2, 40, 160, 1_000])
def test_icl_holds_no_more_of_a_layer_at_once_than_it_says(columns):
    icl = ICL(orders=1)
    icl.build(vector(columns))
    block = 2 * icl.hidden * icl.positions
    assert icl.rows_at_once % 16 == 0
    assert icl.rows_at_once * block <= VALUES_AT_ONCE or icl.rows_at_once == 16


@pytest.mark.parametrize(
    ("rows", "columns", "orders"),
    [(80, 18, 5), (66, 13, 6), (247, 9, 7), (920, 21, 4), (11_111, 4, 8), (1_647, 166, 1)],
)
def test_column_orders_are_as_many_as_published(rows, columns, orders):
    assert column_orders(rows, columns) == orders


def test_icl_takes_the_columns_as_they_come_first_and_then_in_orders_of_its_seed():
    def orders(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        icl = ICL(hidden=4)
        icl.build(vector(9))
        return [one.order.tolist() for one in icl.orderings]

    drawn = orders(0)
    assert len(drawn) == column_orders(1_000, 9) == 7
    assert drawn[0] == list(range(9)) != drawn[1]
    assert all(sorted(one) == list(range(9)) for one in drawn)
    assert orders(0) == drawn != orders(1)


def test_icl_refuses_countless_orders():
    with pytest.raises(InputError, match="orders must be from 1 to 1,000; got 1001"):
        ICL(orders=1_001).build(vector(3))


@pytest.mark.parametrize(("columns", "width"), [(2, 1), (6, 2), (41, 10), (160, 10), (274, 124)])
def test_icl_uses_the_published_windows(columns, width):
    icl = ICL(orders=1)
    icl.build(vector(columns))
    inside, outside = icl.orderings[0].split(torch.arange(columns, dtype=torch.float32)[None])
    assert inside.shape[-1] == width
    assert inside.shape[1] == columns - width + 1
    whole = torch.cat([inside, outside], dim=-1).sort(-1).values
    assert (whole == torch.arange(columns)).all()


def test_icl_needs_two_columns():
    with pytest.raises(ValueError, match="n_features=1"):
        ICL().build(vector(1))


def test_svdd_equals_the_formula():
    torch.manual_seed(0)
    svdd = SVDD()
    svdd.build(vector(3))
    rows = torch.randn(50, 3)
    svdd.prepare(rows)
    distance2 = ((svdd.network(rows) - svdd.centre) ** 2).sum(1).detach().numpy()
    losses = svdd.losses(rows)
    np.testing.assert_allclose(losses.normal.detach(), distance2 / distance2.mean(), rtol=1e-5)
    np.testing.assert_allclose(losses.abnormal.detach(), 1 / (distance2 / distance2.mean() + 0.01), rtol=1e-4)
    assert (svdd.centre.abs() > 0).all()


def test_svdd_notices_its_collapse():
    svdd = SVDD()
    svdd.build(vector(3))
    rows = torch.randn(50, 3)
    svdd.prepare(rows)
    assert svdd.diagnose(rows) is None
    with torch.no_grad():
        for parameter in svdd.parameters():
            parameter.mul_(1e-3)
    assert "collapsed" in svdd.diagnose(rows)


def test_hsc_equals_the_formula():
    torch.manual_seed(0)
    hsc = HSC()
    hsc.build(vector(3))
    rows = torch.randn(50, 3)
    hsc.prepare(rows)
    square = (hsc.network(rows) ** 2).sum(1).detach().numpy().astype(float)
    h = np.sqrt(square / square.mean() + 1) - 1
    losses = hsc.losses(rows)
    np.testing.assert_allclose(losses.normal.detach(), h, rtol=1e-4)
    np.testing.assert_allclose(losses.abnormal.detach(), -np.log(1 - np.exp(-(h + 1e-4))), rtol=1e-3)


def test_hsc_stays_finite_at_the_origin_and_far_from_it():
    hsc = HSC()
    hsc.build(vector(2))
    hsc.network = torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.eye_(hsc.network.weight)
    losses = hsc.losses(torch.tensor([[0.0, 0.0], [1e-4, 0.0], [3.0, 4.0], [3e10, 4e10]]))
    (losses.normal.sum() + losses.abnormal.sum()).backward()
    assert losses.normal[:2].tolist() == pytest.approx([0, 0.5e-8], abs=1e-12)  # sqrt(1 + 1e-8) - 1 is 0 in float32
    assert losses.normal[2:].tolist() == pytest.approx([26**0.5 - 1, 5e10], rel=1e-6)
    assert losses.abnormal[0].item() == pytest.approx(-np.log(1 - np.exp(-1e-4)), rel=1e-3)
    assert losses.abnormal[3].item() == 0
    assert torch.isfinite(hsc.network.weight.grad).all()


def test_hsc_notices_its_collapse():
    hsc = HSC()
    hsc.build(vector(3))
    rows = torch.randn(50, 3)
    hsc.prepare(rows)
    assert hsc.diagnose(rows) is None
    with torch.no_grad():
        hsc.network[-1].weight.mul_(1e-3)
    assert "collapsed" in hsc.diagnose(rows)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_bce_equals_the_formula(gamma):
    torch.manual_seed(0)
    bce = BCE(focal_gamma=gamma)
    bce.build(vector(3))
    rows = 5 * torch.randn(50, 3)
    p = 1 / (1 + np.exp(-bce.network(rows)[:, 0].detach().numpy().astype(float)))
    losses = bce.losses(rows)
    np.testing.assert_allclose(losses.normal.detach(), -(p**gamma) * np.log(1 - p), rtol=1e-4)
    np.testing.assert_allclose(losses.abnormal.detach(), -((1 - p) ** gamma) * np.log(p), rtol=1e-4)
    np.testing.assert_allclose(bce.score(rows).detach(), np.log(p / (1 - p)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_bce_is_sure_of_far_rows_without_overflow_and_still_ranks_them(gamma):
    bce = BCE(focal_gamma=gamma)
    bce.build(vector(1))
    bce.network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(bce.network.weight)
    rows = torch.tensor([[-2e4], [-1e4], [0.0], [1e4]])
    losses = bce.losses(rows)
    (losses.normal.sum() + losses.abnormal.sum()).backward()
    half = np.log(2) / 2**gamma
    assert losses.normal.tolist() == pytest.approx([0, 0, half, 1e4])
    assert losses.abnormal.tolist() == pytest.approx([2e4, 1e4, half, 0])
    assert bce.score(rows).diff().min() > 0
    assert torch.isfinite(bce.network.weight.grad).all()


def test_bce_notices_that_all_rows_have_one_verdict():
    torch.manual_seed(0)
    bce = BCE()
    bce.build(vector(3))
    rows = torch.randn(50, 3)
    assert bce.diagnose(rows) is None
    with torch.no_grad():
        bce.network[-1].weight.zero_()
    assert "same verdict" in bce.diagnose(rows)


def test_deep_sad_is_deep_svdd_with_a_weight_for_what_is_abnormal():
    sad, svdd = DeepSAD(eta=3.0), SVDD()
    rows = torch.randn(50, 3)
    for objective in (sad, svdd):
        torch.manual_seed(0)
        objective.build(vector(3))
        objective.prepare(rows)
    torch.testing.assert_close(sad.losses(rows).normal, svdd.losses(rows).normal)
    torch.testing.assert_close(sad.losses(rows).abnormal, 3 * svdd.losses(rows).abnormal)


def test_autoencoder_equals_the_formula():
    torch.manual_seed(0)
    autoencoder = Autoencoder()
    autoencoder.build(vector(4))
    rows = torch.randn(20, 4)
    autoencoder.prepare(rows)
    error = ((autoencoder.decoder(autoencoder.encoder(rows)) - rows) ** 2).mean(1).detach().numpy()
    losses = autoencoder.losses(rows)
    np.testing.assert_allclose(losses.normal.detach(), error / error.mean(), rtol=1e-4)
    np.testing.assert_allclose(losses.abnormal.detach(), 1 / (error / error.mean() + 0.1), rtol=1e-4)


@pytest.mark.parametrize("temperature", [0.1, 0.01])
def test_abnormal_loss_stays_finite_where_the_naive_form_overflows(temperature):
    """A row whose views agree with it and with nothing else: naive -log(1 - h) overflows."""
    ntl = NTL(transformations=2, temperature=temperature, constant=0.0)
    ntl.build(vector(2))
    positive = torch.tensor(1.0 / temperature)
    negatives = torch.tensor([-1.0 / temperature])
    h = positive.exp() / (positive.exp() + negatives.exp().sum())
    assert not torch.isfinite(-(1 - h).log())

    def views(batch):
        return torch.stack([batch, batch, -batch], dim=1)

    ntl.views = views
    ntl.encoder = torch.nn.Linear(2, 2, bias=False)
    losses = ntl.losses(torch.tensor([[1.0, 2.0]]))
    losses.abnormal.sum().backward()
    assert torch.isfinite(losses.abnormal).all()
    assert losses.abnormal.item() > 0.5 / temperature  # the first view's term is about 2 / temperature, before the mean
    assert torch.isfinite(ntl.encoder.weight.grad).all()


def test_a_tie_of_distance_zero_keeps_the_gradient_finite():
    svdd = SVDD()
    svdd.build(vector(2))
    rows = torch.zeros(4, 2)  # a bias-free network maps zero to zero
    svdd.centre.zero_()
    losses = svdd.losses(rows)
    losses.abnormal.sum().backward()
    assert losses.abnormal.max() <= 1 / svdd.epsilon
    assert all(torch.isfinite(p.grad).all() for p in svdd.parameters())


def test_mhrot_equals_the_formula():
    torch.manual_seed(0)
    mhrot = MHRot(depth=10, widen=1)
    mhrot.build(Layout("image", (1, 8, 8)))
    image = torch.rand(1, 64)
    pixels = image.numpy().reshape(8, 8)
    normal, abnormal = [], []
    for turns in range(4):
        for down in (-2, 0, 2):
            for right in (-2, 0, 2):
                wide = np.pad(np.rot90(pixels, turns), 2, mode="reflect")
                seen = np.ascontiguousarray(wide[2 - down : 10 - down, 2 - right : 10 - right])
                heads = mhrot.network(torch.from_numpy(seen)[None, None])[0].detach().numpy().astype(float)
                told = [head - np.log(np.exp(head).sum()) for head in np.split(heads, [4, 7])]
                answers = (turns, down // 2 + 1, right // 2 + 1)
                normal.append(sum(-log_p[answer] for log_p, answer in zip(told, answers, strict=True)))
                abnormal.append(sum(-log_p.mean() for log_p in told))
    guess = np.log(4) + 2 * np.log(3)
    losses = mhrot.eval().losses(image)
    expected = [np.mean(normal) / guess, np.mean(abnormal) / guess]
    np.testing.assert_allclose([losses.normal.item(), losses.abnormal.item()], expected, rtol=1e-4)


def test_mhrot_shows_some_ways_in_training_and_all_for_scores():
    torch.manual_seed(0)
    mhrot = MHRot(depth=10, widen=1, views=3)
    mhrot.build(Layout("image", (1, 8, 8)))
    images = torch.rand(2, 64)
    assert not torch.equal(mhrot.losses(images).normal, mhrot.losses(images).normal)
    assert torch.equal(mhrot.eval().losses(images).normal, mhrot.losses(images).normal)


def test_mhrot_takes_square_images_only():
    with pytest.raises(InputError, match="square ones of at least 4 pixels; got 8 x 12"):
        MHRot().build(Layout("image", (1, 8, 12)))
