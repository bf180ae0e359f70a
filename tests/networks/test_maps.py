"""Products by convolution are the products, whoever asks and however many rows there are."""

import pytest
import torch
from torch.nn import functional

from expose.networks import linear, linears, maps
from expose.networks.maps import IMAGES, convolves

WIDTHS = (40, 24)


@pytest.fixture(params=[True, False], ids=["wide vectors", "narrow vectors"])
def _processor(request, monkeypatch):
    monkeypatch.setattr(maps, "WIDE_VECTORS", request.param)
    monkeypatch.setattr(maps, "PAYS", 1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def assert_same_gradients(ours, theirs, *tensors):
    found, expected = (torch.autograd.grad((result / 10).sin().sum(), tensors) for result in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_processor")
@pytest.mark.parametrize("n", [1, 3, 2 * IMAGES])
@pytest.mark.parametrize("scoring", [True, False])
def test_linear_is_torch_s(n, scoring):
    rows = torch.randn(n, 2, WIDTHS[0], requires_grad=True)
    weight = torch.randn(*WIDTHS[::-1], requires_grad=True)
    with torch.set_grad_enabled(not scoring):
        ours, theirs = linear(rows, weight), functional.linear(rows, weight)
    torch.testing.assert_close(ours, theirs)
    if not scoring:
        assert_same_gradients(ours, theirs, rows, weight)


@pytest.mark.usefixtures("_processor")
@pytest.mark.parametrize("n", [1, 3, 2 * IMAGES])
@pytest.mark.parametrize("own", [1, 3], ids=["the same row for all", "a row for each"])
@pytest.mark.parametrize("scoring", [True, False])
def test_linears_are_one_product_for_each_map(n, own, scoring):
    rows, weights = torch.randn(n, own, WIDTHS[0], requires_grad=True), torch.randn(3, *WIDTHS, requires_grad=True)
    with torch.set_grad_enabled(not scoring):
        ours, each = linears(rows, weights), [rows[:, k % own] @ weights[k] for k in range(3)]
    torch.testing.assert_close(ours, torch.stack(each, dim=1))
    if not scoring:
        assert_same_gradients(ours, torch.stack(each, dim=1), rows, weights)


def test_members_side_by_side_and_other_precisions_are_left_to_torch():
    rows, weight = torch.randn(5, 32, WIDTHS[0]), torch.randn(5, *WIDTHS[::-1])
    seen = []

    def member(rows, weight):
        seen.append(convolves(rows, weight))
        return linear(rows, weight)

    with torch.no_grad():
        torch.testing.assert_close(torch.vmap(member)(rows, weight), rows @ weight.transpose(1, 2))
        assert not any(seen)
        assert not convolves(rows[0].double(), weight[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert not convolves(rows[0], weight[0])
