"""Losses against plain NumPy, written from the papers' formulas, and finite where the naive form is not."""

import numpy as np
import pytest
import torch

from expose.objectives import ICL, NTL, SVDD, Autoencoder


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def naive_contrast(own: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """-log h and -log (1 - h) for one exponent ``own`` against several."""
    h = np.exp(own) / (np.exp(own) + np.exp(others).sum())
    return -np.log(h), -np.log(1 - h)


def test_ntl_equals_the_formula():
    torch.manual_seed(0)
    ntl = NTL(transformations=4)
    ntl.build(5)
    x = torch.randn(1, 5)
    z = unit(ntl.encoder(ntl.views(x))[:, 0].detach().numpy().astype(float))
    pairs = []
    for k in range(1, 5):
        others = [z[k] @ z[m] / 0.1 for m in range(1, 5) if m != k]
        pairs.append(naive_contrast(z[k] @ z[0] / 0.1, np.array(others)))
    expected = np.mean(pairs, axis=0) / np.log(4)
    losses = ntl.losses(x)
    np.testing.assert_allclose([losses.normal.item(), losses.abnormal.item()], expected, rtol=1e-4)


def test_ntl_views_are_the_row_and_its_residual_transformations():
    ntl = NTL(transformations=3, constant=0.0)
    ntl.build(4)
    x = torch.randn(2, 4)
    views = ntl.views(x)
    assert views.shape == (4, 2, 4)
    torch.testing.assert_close(views[0], x)
    torch.testing.assert_close(views[2], x + (x @ ntl.inner[1]).relu() @ ntl.outer[1])


def test_ntl_without_its_constant_is_blind_to_length_and_with_it_is_not():
    x = torch.randn(5, 4)
    for constant, same in ((0.0, True), (1.0, False)):
        ntl = NTL(constant=constant)
        ntl.build(4)
        assert torch.allclose(ntl.score(x), ntl.score(10 * x), rtol=1e-3) is same


def test_icl_equals_the_formula():
    torch.manual_seed(0)
    icl = ICL(temperature=0.5)
    icl.build(5)
    x = torch.randn(1, 5)
    windows = [(x[:, j : j + 2], torch.cat([x[:, :j], x[:, j + 2 :]], 1)) for j in range(4)]
    f = unit(np.concatenate([icl.inside(w).detach().numpy() for w, _ in windows]).astype(float))
    g = unit(np.concatenate([icl.outside(c).detach().numpy() for _, c in windows]).astype(float))
    pairs = [
        naive_contrast(f[j] @ g[j] / 0.5, np.array([f[m] @ g[j] / 0.5 for m in range(4) if m != j])) for j in range(4)
    ]
    losses = icl.losses(x)
    expected = np.mean(pairs, axis=0) / np.log(4)
    np.testing.assert_allclose([losses.normal.item(), losses.abnormal.item()], expected, rtol=1e-4)


@pytest.mark.parametrize(("columns", "width"), [(2, 1), (6, 2), (41, 10), (160, 10), (274, 124)])
def test_icl_uses_the_published_windows(columns, width):
    icl = ICL()
    icl.build(columns)
    inside, outside = icl.split(torch.arange(columns, dtype=torch.float32)[None])
    assert inside.shape[-1] == width
    assert inside.shape[1] == columns - width + 1
    whole = torch.cat([inside, outside], dim=-1).sort(-1).values
    assert (whole == torch.arange(columns)).all()


def test_icl_needs_two_columns():
    with pytest.raises(ValueError, match="n_features=1"):
        ICL().build(1)


def test_svdd_equals_the_formula():
    torch.manual_seed(0)
    svdd = SVDD()
    svdd.build(3)
    rows = torch.randn(50, 3)
    svdd.prepare(rows)
    distance2 = ((svdd.network(rows) - svdd.centre) ** 2).sum(1).detach().numpy()
    losses = svdd.losses(rows)
    np.testing.assert_allclose(losses.normal.detach(), distance2 / distance2.mean(), rtol=1e-5)
    np.testing.assert_allclose(losses.abnormal.detach(), 1 / (distance2 / distance2.mean() + 0.01), rtol=1e-4)
    assert (svdd.centre.abs() > 0).all()


def test_svdd_notices_its_collapse():
    svdd = SVDD()
    svdd.build(3)
    rows = torch.randn(50, 3)
    svdd.prepare(rows)
    assert svdd.diagnose(rows) is None
    with torch.no_grad():
        for parameter in svdd.parameters():
            parameter.mul_(1e-3)
    assert "collapsed" in svdd.diagnose(rows)


def test_autoencoder_equals_the_formula():
    torch.manual_seed(0)
    autoencoder = Autoencoder()
    autoencoder.build(4)
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
    ntl.build(2)
    positive = torch.tensor(1.0 / temperature)
    negatives = torch.tensor([-1.0 / temperature])
    h = positive.exp() / (positive.exp() + negatives.exp().sum())
    assert not torch.isfinite(-(1 - h).log())

    def views(batch):
        return torch.stack([batch, batch, -batch])

    ntl.views = views
    ntl.encoder = torch.nn.Linear(2, 2, bias=False)
    losses = ntl.losses(torch.tensor([[1.0, 2.0]]))
    losses.abnormal.sum().backward()
    assert torch.isfinite(losses.abnormal).all()
    assert losses.abnormal.item() > 0.5 / temperature  # the first view's term is about 2 / temperature, before the mean
    assert torch.isfinite(ntl.encoder.weight.grad).all()


def test_a_tie_of_distance_zero_keeps_the_gradient_finite():
    svdd = SVDD()
    svdd.build(2)
    rows = torch.zeros(4, 2)  # a bias-free network maps zero to zero
    svdd.centre.zero_()
    losses = svdd.losses(rows)
    losses.abnormal.sum().backward()
    assert losses.abnormal.max() <= 1 / svdd.epsilon
    assert all(torch.isfinite(p.grad).all() for p in svdd.parameters())
