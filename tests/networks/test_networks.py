import pytest
import torch

from expose.encoders import Layout
from expose.errors import InputError
from expose.networks import (
    NETWORKS,
    ConvNet,
    Perceptron,
    RecurrentNet,
    Unfolded,
    WideResNet,
    backbone,
    default_sizes,
    make_network,
)

TABLE, GREY, COLOUR = Layout("vector", (7,)), Layout("image", (1, 28, 28)), Layout("image", (3, 32, 32))
TEXT = Layout("tokens", (12,), n_tokens=30)
LAYOUTS = [TABLE, GREY, COLOUR, TEXT]


def rows_of(layout: Layout, n: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if layout.form != "tokens":
        return torch.rand(n, layout.n_values, generator=generator)
    rows = torch.randint(1, layout.n_tokens, (n, layout.n_values), generator=generator).float()
    rows[0] = 0  # an empty text
    rows[1, 4:] = 0
    return rows


def sizes(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_by_name_reads_encoded_rows_and_trains_all_its_weights(name):
    layout = next(layout for layout in LAYOUTS if layout.form in NETWORKS[name][0])
    network = make_network(name, layout, 4)
    out = network(rows_of(layout))
    assert out.shape == (5, 4)
    out.square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize(
    ("layout", "kind"), list(zip(LAYOUTS, [Perceptron, ConvNet, ConvNet, RecurrentNet], strict=True))
)
def test_auto_takes_what_fits_the_rows(layout, kind):
    made = make_network("auto", layout, 3)
    assert isinstance(made.network if isinstance(made, Unfolded) else made, kind)


@pytest.mark.parametrize(
    ("name", "layout", "match"),
    [("resnet", GREY, "one of"), ("conv", TABLE, "have the form vector"), ("mlp", TEXT, r"\['auto', 'gru'\]")],
)
def test_a_network_for_other_rows_is_refused(name, layout, match):
    with pytest.raises(InputError, match=match):
        make_network(name, layout, 3)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_no_row_changes_the_output_of_another_in_a_backbone(layout, bias):
    torch.manual_seed(0)
    network = backbone(layout, 6, bias=bias)
    rows = rows_of(layout)
    together = network(rows)
    alone = torch.cat([network(row[None]) for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together[2:].std(0).min() > 0


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_without_bias_there_is_none(layout):
    assert any("bias" in name for name, _ in backbone(layout, 6).named_parameters())
    assert not any("bias" in name for name, _ in backbone(layout, 6, bias=False).named_parameters())


def test_the_widths_of_a_table_are_the_usual_or_those_asked_for():
    width = default_sizes(7)[0]
    assert [m.out_features for m in backbone(TABLE, 5) if isinstance(m, torch.nn.Linear)] == [width, width, 5]
    assert [m.out_features for m in backbone(TABLE, 5, hidden=[9]) if isinstance(m, torch.nn.Linear)] == [9, 5]


@pytest.mark.parametrize(("depth", "widen", "millions"), [(40, 2, 2.2), (16, 4, 2.7), (28, 10, 36.5), (16, 8, 11.0)])
def test_wide_networks_have_the_sizes_of_the_paper(depth, widen, millions):
    """Zagoruyko & Komodakis, 2016, tables 4 and 5; 16-4 as in Hendrycks' and many others' use."""
    assert round(sizes(WideResNet((3, 32, 32), 10, depth=depth, widen=widen)) / 1e6, 1) == millions
    convolutions = [m for m in WideResNet((3, 32, 32), 10, depth=16).modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in convolutions) == 16 - 3  # the rest of 16: two 1x1 and one linear


def test_a_wide_network_halves_twice_and_wants_a_depth_that_exists():
    network = WideResNet((3, 32, 32), 10, depth=10, widen=1)
    assert network.blocks(network.stem(torch.rand(2, 3, 32, 32))).shape == (2, 64, 8, 8)
    with pytest.raises(ValueError, match="6 n \\+ 4"):
        WideResNet((3, 32, 32), 10, depth=18)


def test_dropout_drops_in_training_only():
    network = WideResNet((1, 8, 8), 2, depth=10, widen=1, dropout=0.5)
    images = torch.rand(4, 1, 8, 8)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_convolutions_run_with_channels_last_in_memory_and_give_the_same(shape):
    network, seen = ConvNet(shape, 10).eval(), []
    images = torch.rand(4, *shape)
    expected = network.head(network.features(2 * images - 1).mean((-2, -1)))
    network.features[4].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    torch.testing.assert_close(network(images), expected)
    assert all(x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous() for x in seen)
    assert len(seen) == 1


def test_the_small_conv_net_is_small_and_takes_odd_sizes():
    assert 1e5 < sizes(ConvNet((3, 32, 32), 10)) < 3e5
    assert ConvNet((3, 5, 7), 2)(torch.rand(2, 3, 5, 7)).shape == (2, 2)


def test_padding_changes_nothing_and_an_empty_text_has_an_answer():
    torch.manual_seed(0)
    network = RecurrentNet(20, 3)
    text = torch.tensor([[4, 9, 2, 1, 7]])
    padded = torch.zeros(3, 9, dtype=torch.long)
    padded[0, :5] = text
    padded[2, :2] = text[:, :2]
    out = network(padded)
    torch.testing.assert_close(out[:1], network(text))
    torch.testing.assert_close(out[1], network.head.bias)
    assert not torch.allclose(out[0], out[2])


def test_a_text_has_the_same_answer_to_the_bit_whatever_is_read_beside_it():
    torch.manual_seed(0)
    network = RecurrentNet(20, 3).eval()
    texts = torch.randint(1, 20, (8, 9))
    texts[torch.arange(9) >= torch.tensor([9, 1, 0, 4, 7, 2, 9, 5])[:, None]] = 0
    with torch.no_grad():
        together = network(texts)
        for place in range(8):
            beside_nothing = torch.where(torch.arange(8)[:, None] == place, texts, 0)
            assert torch.equal(network(beside_nothing)[place], together[place])
        torch.testing.assert_close(network.train()(texts), together)


def test_the_recurrent_net_is_the_equations_of_a_gated_unit():
    """Cho et al., 2014, eq. 5-8, in the form with the reset gate after the product; one layer, by hand."""
    torch.manual_seed(0)
    network = RecurrentNet(10, 2, embedding=3, hidden=4, layers=1)
    gru, state = network.recurrent, torch.zeros(4)
    for token in (3, 8, 5):
        inputs = gru.weight_ih_l0 @ network.embedding.weight[token] + gru.bias_ih_l0
        states = gru.weight_hh_l0 @ state + gru.bias_hh_l0
        reset, update = torch.sigmoid(inputs[:4] + states[:4]), torch.sigmoid(inputs[4:8] + states[4:8])
        state = (1 - update) * torch.tanh(inputs[8:] + reset * states[8:]) + update * state
    torch.testing.assert_close(network(torch.tensor([[3, 8, 5, 0]]))[0], network.head(state))
