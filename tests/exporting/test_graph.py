"""Sums in a graph are those of NumPy."""

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from expose.exporting.graph import DOUBLE, IR_VERSION, OPSET, TILE, Graph, tiled  # noqa: E402
from expose.exporting.heads import p_values  # noqa: E402


def computed(work, X):
    """What a graph gives that a function of a value made."""
    graph = Graph()
    value, given = graph.input("X", DOUBLE, [None] * X.ndim)
    result = work(value)
    helper = graph.onnx.helper
    graph.nodes.append(helper.make_node("Identity", [result.name], ["Y"]))
    made = helper.make_graph(
        graph.nodes, "g", [given], [helper.make_tensor_value_info("Y", DOUBLE, None)], graph.constants
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})[0]


X = np.random.default_rng(0).normal(size=(7, 5))


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda x: 1.0 - x / 2.0, 1 - X / 2),
        (lambda x: np.arange(5.0) - x, np.arange(5.0) - X),
        (lambda x: x @ X.T, X @ X.T),
        (lambda x: x.square().sum(), (X**2).sum(-1)),
        (lambda x: x.mean(0, keep=True), X.mean(0, keepdims=True)),
        (lambda x: (1000.0 * x).logsumexp(), 1000 * X.max(-1)),
        (lambda x: x.softplus(), np.log1p(np.exp(X))),
        (lambda x: (800.0 * x).softplus(), np.maximum(800 * X, 0) + np.log1p(np.exp(-np.abs(800 * X)))),
        (lambda x: x.unit(), X / np.linalg.norm(X, axis=1, keepdims=True)),
        (lambda x: (x * 0.0).unit(), 0 * X),
        (lambda x: x.smallest(3)[0], np.sort(X)[:, :3]),
        (lambda x: (x * np.float64(1.1)).rounded(), (X * 1.1).astype(np.float32).astype(np.float64)),
    ],
)
def test_operators(work, expected):
    np.testing.assert_allclose(computed(work, X), expected, rtol=1e-13, atol=1e-12)


def test_constants_are_stored_in_half_the_size_where_nothing_is_lost():
    single = np.random.default_rng(0).normal(size=100).astype(np.float32).astype(np.float64)
    fine = single.copy()
    fine[3] += 1e-12
    graph = Graph()
    sizes = [len(graph.constants[-1].raw_data) for given in (single, fine) if graph.constant(given)]
    assert sizes == [400, 800]
    rows = np.zeros((2, 100))
    for given in (single, fine):
        assert (computed(lambda x, given=given: x + given, rows) == given).all()


@pytest.mark.parametrize("n", [0, 1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_tiles_of_any_number_of_rows(n):
    rows = np.random.default_rng(n).normal(size=(n, 3))
    found = computed(lambda x: tiled(x, None, lambda part: (part * 2.0).sum()), rows)
    np.testing.assert_allclose(found, 2 * rows.sum(1), rtol=1e-12)
    assert computed(lambda x: tiled(x, 3, lambda part: part + 1.0), rows).shape == (n, 3)


@pytest.mark.parametrize("m", [1, 2, 3, 7, 8, 100])
def test_p_values_are_found_by_halving(m):
    from expose.decide import conformal_p_values

    calibration = np.random.default_rng(m).normal(size=m).round(1)
    scores = np.concatenate([calibration, [-np.inf, -9.0, 0.0, 0.05, 9.0]])
    expected = conformal_p_values(scores[1:], calibration)
    found = computed(lambda x: p_values(x, calibration), scores[1:])
    assert np.array_equal(found[np.isfinite(scores[1:])], expected[np.isfinite(scores[1:])])
