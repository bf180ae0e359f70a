"""An ONNX file scores as the model that it was made of, or is refused by name."""

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.encoders import TableEncoder
from expose.errors import DataWarning, InputError, MissingExtraError
from expose.exporting import base, difference, export, exports, onnx_model
from expose.files.conventions import Conventions, marked
from expose.objectives import NTL, OBJECTIVES, SVDD, Descend, Objective, make_objective
from expose.stores import Stored

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
EXPORTED = {"autoencoder", "bce", "deep_sad", "flow", "gaussian", "hsc", "icl", "neighbours", "ntl", "svdd"}
RNG = np.random.default_rng(0)
AUXILIARY = RNG.uniform(-6, 6, size=(40, 5))
TOLERANCE = 1e-5
SMALL = {"icl": {"orders": 2, "hidden": 16}}  # seven of 200 units take minutes in double precision
COARSEST = {"neighbours": 1e-4}  # its products in single precision are rough for rows very near to remembered ones


def rows_like(n: int, seed: int = 0) -> np.ndarray:
    """Columns of different sizes, one of few values, anomalies among the first rows."""
    rows = np.random.default_rng(seed).normal(size=(n, 5)) * [1, 10, 1e3, 1, 1]
    rows[:, 3] = rows[:, 3].round()
    rows[: n // 20] += 6
    return rows


def with_gaps(rows: np.ndarray, share: float = 0.1) -> np.ndarray:
    gone = rows.copy()
    gone[np.random.default_rng(1).random(rows.shape) < share] = np.nan
    return gone


PLAIN = rows_like(160)
TABLES = {
    "plain": PLAIN,
    "gaps": with_gaps(PLAIN),
    "one column": PLAIN[:, :1],
    "constant and empty": np.column_stack([PLAIN, np.full(160, 7.0), np.full(160, np.nan)]),
    "nothing varies": np.full((40, 2), 3.0),
    "ties": PLAIN.round(-1),
    "repeated": np.repeat(PLAIN[:20], 8, axis=0),
    "far off": np.where(RNG.random(PLAIN.shape) < 0.02, 1e30, PLAIN),
    "a number for nothing": np.where(RNG.random(PLAIN.shape) < 0.2, 1e30, PLAIN),
    "huge": PLAIN * 1e200,
    "tiny": PLAIN * 1e-200,
    "vectors": PLAIN @ RNG.normal(size=(5, 110)) + RNG.normal(size=(160, 110)),
    "times": PLAIN + np.array([1.7e9, 0, 0, 0, 0]),
}


class Both(NamedTuple):
    """A detector, and the session of its file."""

    detector: Any
    session: Any

    def check(self, X: np.ndarray, share: float = 0.99) -> dict[str, np.ndarray]:
        """Compare what both say of rows; what the file says."""
        names = [one.name for one in self.session.get_outputs()]
        said = dict(zip(names, self.session.run(None, {"X": X}), strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            ours = self.detector.anomaly_score(X)
            flags = self.detector.is_anomaly(X)
        apart = difference(self.detector.fitted_, ours, said["anomaly_score"])
        most = COARSEST.get(self.detector.fitted_.objective.name, TOLERANCE)
        assert apart.max(initial=0) <= most, (apart.max(), X[apart.argmax()], ours[apart.argmax()])
        assert len(X) < 100 or np.quantile(apart, share) <= TOLERANCE
        line = self.detector.threshold_score()
        near = difference(self.detector.fitted_, ours, np.full(len(ours), line)) <= most
        assert (said["is_anomaly"] == flags)[~near].all()
        return said


def session_of(detector: Any) -> Any:
    one_thread = onnxruntime.SessionOptions()
    one_thread.intra_op_num_threads = 1  # others wait by spinning
    return onnxruntime.InferenceSession(onnx_model(detector.scorer()).SerializeToString(), one_thread)


@cache
def both(name: str = "neighbours", table: str = "gaps", **given: Any) -> Both:
    objective = OBJECTIVES[name]
    epochs = 30 if objective.needs_anomalies else 3  # logits of no size have no digits to compare
    settings = ({"epochs": epochs} if isinstance(objective.recipe, Descend) else {}) | SMALL.get(name, {})
    X = TABLES[table]
    outliers = AUXILIARY if objective.needs_anomalies and X.shape[1] == 5 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = AnomalyDetector(make_objective(name, **settings), random_state=0, **given)
        detector.fit(X, outliers=outliers)
    return Both(detector, session_of(detector))


@pytest.fixture
def registered():
    """What a test registers is forgotten after it."""
    before = dict(base.SCORES)
    yield
    base.SCORES.clear()
    base.SCORES.update(before)


# ------------------------------------------------------------------------------------------------------- the same


VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False),
    st.sampled_from([0.0, -0.0, np.nan, 1e30, -1e30, 1e15, 1e308, -1e308, 5e-324, 7.0]),
    st.sampled_from(sorted(set(TABLES["gaps"][np.isfinite(TABLES["gaps"])]))),
)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_each_objective_is_exported_or_refused_by_name(name):
    if OBJECTIVES[name].forms[0] == "grid" and name not in EXPORTED:
        return  # tests/exporting/test_photos.py
    if "vector" not in OBJECTIVES[name].forms:
        with pytest.raises(InputError, match=f"{name}.* cannot be exported"):
            base.score_of(OBJECTIVES[name](), None)
        assert name not in EXPORTED
        return
    assert name in EXPORTED
    rows = np.vstack([TABLES["gaps"], rows_like(300, seed=5), np.full((3, 5), 1e30), np.full((1, 5), np.nan)])
    both(name).check(rows)


@pytest.mark.parametrize("name", sorted(EXPORTED))
@settings(max_examples=20, deadline=None)
@given(rows=arrays(np.float64, st.tuples(st.integers(1, 6), st.just(5)), elements=VALUES))
def test_any_rows_score_the_same(name, rows):
    both(name).check(rows)


@pytest.mark.parametrize("name", ["neighbours", "ntl"])
@settings(max_examples=20, deadline=None)
@given(
    places=st.lists(st.integers(0, 159), min_size=1, max_size=8), factor=st.sampled_from([1.0, 1 + 1e-9, 1.001, -1.0])
)
def test_training_rows_and_nearly_such_score_the_same(name, places, factor):
    both(name).check(TABLES["gaps"][places] * factor)


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("name", ["neighbours", "svdd"])
def test_any_table(name, table):
    X = TABLES[table]
    rng = np.random.default_rng(2)
    low, middle, high = np.nanquantile(X[:, 0], [0.1, 0.5, 0.9])
    others = middle + ((high - low) or 1.0) * rng.normal(size=(100, X.shape[1]))
    share = 0.98 if table == "ties" else 0.99  # many near neighbours at nearly no distance
    both(name, table).check(np.vstack([X, others, -X[:5]]), share)


@pytest.mark.parametrize("encoder", ["quantile", "robust", "standard", "unscaled", "bounded", "two-scalings"])
@pytest.mark.parametrize("name", ["neighbours", "autoencoder"])
def test_any_scaling(name, encoder):
    both(name, encoder=encoder).check(np.vstack([TABLES["gaps"], 100 * TABLES["gaps"]]))


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 10_000])
def test_batches_of_any_size(n):
    rows = with_gaps(rows_like(n, seed=3), 0.02)
    for name in ("neighbours", "ntl"):
        said = both(name, "gaps").check(rows)
        assert {key: len(value) for key, value in said.items()} == {"anomaly_score": n, "is_anomaly": n}


def test_a_row_scores_alike_in_any_company():
    rows = rows_like(600, seed=4)
    session = both().session
    together = session.run(["anomaly_score"], {"X": rows})[0]
    alone = np.concatenate([session.run(["anomaly_score"], {"X": rows[[row]]})[0] for row in (0, 300, 599)])
    np.testing.assert_allclose(alone, together[[0, 300, 599]], rtol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("name", ["neighbours", "svdd"])
def test_members_are_combined_by_their_median(name, size):
    both(name, ensemble_size=size).check(np.vstack([TABLES["gaps"], rows_like(100, seed=6)]))


@pytest.mark.parametrize("exposure", ["blind", "hard", "soft"])
def test_weights_of_the_exposure(exposure):
    both(exposure=exposure, contamination=0.1).check(np.vstack([TABLES["gaps"], rows_like(100, seed=6)]))


@pytest.mark.parametrize("contamination", [0.0, "auto"])
def test_labels_and_answers(contamination):
    labels = np.full(160, -1)
    labels[:4], labels[20:40], labels[100:103] = 1, 0, 1
    detector = AnomalyDetector(random_state=0, contamination=contamination).fit(TABLES["gaps"], labels=labels)
    Both(detector, session_of(detector)).check(np.vstack([TABLES["gaps"], rows_like(100, seed=6)]))


def test_p_values():
    detector = AnomalyDetector(random_state=0, calibration=3).fit(PLAIN)
    rows = rows_like(200, seed=7)
    said = Both(detector, session_of(detector)).check(rows)
    assert np.array_equal(said["p_value"], detector.p_value(rows))


@pytest.mark.parametrize("threshold", [None, 0.0, 0.2, "mixture", "tail:0.01"])
def test_training_rows_are_flagged_alike_by_any_rule(threshold):
    detector = both("neighbours", "plain").detector
    before = detector.threshold
    try:
        detector.set_params(threshold=threshold)
        flagged = session_of(detector).run(["is_anomaly"], {"X": PLAIN})[0]
        assert np.array_equal(flagged, detector.is_anomaly(PLAIN))
    finally:
        detector.set_params(threshold=before)


@pytest.mark.parametrize(
    ("terms", "score"),
    [(None, "auto"), (None, "msp"), (None, "energy"), ("confidence", "auto"), ("background", "auto")],
)
@pytest.mark.parametrize("classes", ["text", "number", "truth"])
def test_classifiers(terms, score, classes):
    X = rows_like(150)
    y = {"text": np.array(["an", "bo", "cy"])[np.arange(150) % 3], "number": np.arange(150) % 4}.get(
        classes, np.arange(150) % 2 == 0
    )
    more = {} if terms is None else {"terms": terms}
    classifier = OutlierExposureClassifier(recipe=Descend(epochs=3), score_function=score, random_state=0, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(X, y, outliers=AUXILIARY)
    new = np.vstack([rows_like(100, seed=8), np.full((1, 5), 1e30)])
    said = Both(classifier, session_of(classifier)).check(new)
    assert said["predicted_class"].tolist() == classifier.predict(new).tolist()
    np.testing.assert_allclose(said["probability"], classifier.predict_proba(new).max(axis=1), rtol=1e-5)


# ------------------------------------------------------------------------------------------------------ the table


def test_texts_that_nothing_is_made_of_are_left_out():
    frame = pd.DataFrame(PLAIN, columns=list("abcde"))
    frame.insert(1, "key", [f"row {n}" for n in range(160)])
    frame["yes"] = np.arange(160) % 3 == 0
    detector = AnomalyDetector(random_state=0).fit(frame)
    model = onnx_model(detector.scorer())
    assert properties(model)["columns"] == ["a", "b", "c", "d", "e", "yes"]
    X = frame.drop(columns="key").to_numpy(dtype=np.float64)
    scores = onnxruntime.InferenceSession(model.SerializeToString()).run(["anomaly_score"], {"X": X})[0]
    assert difference(detector.fitted_, detector.anomaly_score(frame), scores).max() <= TOLERANCE


def test_numbers_and_infinities_that_stand_for_nothing():
    import pyarrow as pa

    rows = np.where(RNG.random(PLAIN.shape) < 0.1, -9999.0, PLAIN)
    rows[3, 2] = np.inf
    table = marked(pa.table({f"x{n}": rows[:, n] for n in range(5)}), Conventions(null=("-9999",), infinity="missing"))
    detector = AnomalyDetector(random_state=0).fit(table)
    said = session_of(detector).run(["anomaly_score"], {"X": rows})[0]
    assert difference(detector.fitted_, detector.anomaly_score(table), said).max() <= TOLERANCE


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_infinite_numbers_score_as_very_large_ones(name):
    said = both(name).session.run(["anomaly_score"], {"X": np.full((1, 5), -np.inf)})[0]
    assert np.isfinite(said).all()


def properties(model: Any) -> dict[str, Any]:
    found = {one.key: one.value for one in model.metadata_props}
    return {key: json.loads(value) if key in ("columns", "classes") else value for key, value in found.items()}


def test_the_file_says_what_it_is():
    detector = both().detector
    model = onnx_model(detector.scorer())
    found = properties(model)
    assert found["columns"] == [f"x{n}" for n in range(5)]
    assert (found["kind"], found["objective"]) == ("table", "neighbours")
    assert found["threshold_rule"] == detector.threshold_rule_
    assert float(found["threshold_score"]) == detector.threshold_score()
    assert found["expose_version"] == model.producer_version
    [given] = model.graph.input
    assert [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim] == ["n", 5]


# -------------------------------------------------------------------------------------------------------- refusals


def test_columns_that_are_no_numbers_are_refused_by_name():
    frame = pd.DataFrame({"amount": PLAIN[:, 0], "city": np.array(["ulm", "bonn"])[np.arange(160) % 2]})
    frame["day"] = pd.date_range("2024-01-01", periods=160)
    with pytest.raises(InputError, match=r"'city' is a category; 'day' is a date.*--ignore"):
        onnx_model(AnomalyDetector(random_state=0).fit(frame).scorer())


def test_a_table_without_numbers_is_refused():
    frame = pd.DataFrame({"key": [f"row {n}" for n in range(160)]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = AnomalyDetector("svdd", random_state=0).fit(frame)
    with pytest.raises(InputError, match="takes columns of numbers, and this model was trained on none"):
        onnx_model(detector.scorer())


def test_other_kinds_are_refused():
    images = np.random.default_rng(0).integers(0, 255, (30, 8, 8, 3), dtype=np.uint8)
    detector = AnomalyDetector(make_objective("svdd", epochs=1), random_state=0).fit(list(images))
    with pytest.raises(InputError, match=r"encoder, Image\w+, cannot be exported"):
        onnx_model(detector.scorer())


class Halved(TableEncoder):
    """An encoder of a user's own that is made from one of ours."""

    def transform(self, samples):
        return super().transform(samples) / 2


def test_encoders_of_ones_own_are_refused_by_name():
    from sklearn.preprocessing import MinMaxScaler

    for own in (MinMaxScaler(), Halved()):
        detector = AnomalyDetector(make_objective("svdd", epochs=1), encoder=own, random_state=0).fit(PLAIN)
        with pytest.raises(InputError, match=type(own).__name__):
            onnx_model(detector.scorer())


class Squared(SVDD):
    """An objective of a user's own that is made from one of ours."""

    def score(self, batch):
        return super().score(batch) ** 2


def test_objectives_of_ones_own_are_refused_by_name_until_it_is_said_how(registered):
    detector = AnomalyDetector(Squared(epochs=1), random_state=0).fit(PLAIN)
    with pytest.raises(InputError, match="Squared"):
        onnx_model(detector.scorer())
    ours = base.SCORES[SVDD]

    @exports(Squared)
    def squared(member, rows):
        return ours(member, rows).square()

    Both(detector, session_of(detector)).check(PLAIN)


def test_networks_of_ones_own_are_refused_by_name():
    network = nn.Sequential(nn.Linear(5, 8), nn.SELU(), nn.Linear(8, 3))
    classifier = OutlierExposureClassifier(network, recipe=Descend(epochs=1), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(PLAIN, np.arange(160) % 3, outliers=AUXILIARY)
    with pytest.raises(InputError, match="Sequential cannot be exported"):
        onnx_model(classifier.scorer())


def test_what_scores_otherwise_is_not_written(registered, tmp_path):
    there = tmp_path / "model.onnx"
    there.write_text("as before")
    detector = both("ntl", "plain").detector
    ours = base.SCORES[NTL]
    base.SCORES[NTL] = lambda member, rows: ours(member, rows) * 1.01
    with pytest.raises(InputError, match=r"No file was written.*differ by up to 0\.01"):
        detector.export(there)
    assert there.read_text() == "as before"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_file_is_written_and_replaced(tmp_path):
    detector = both("ntl", "plain").detector
    made = export(detector.scorer(), tmp_path / "model.onnx")
    assert made == detector.export(tmp_path / "model.onnx")
    assert made.columns == [f"x{n}" for n in range(5)]
    assert made.outputs == ["anomaly_score", "is_anomaly"]
    assert made.difference <= TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    Both(detector, session).check(PLAIN)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'expose\[onnx\]'"):
        onnx_model(both("ntl", "plain").detector.scorer())


def test_every_objective_of_vectors_that_ships_is_exported():
    ours = {name for name, one in OBJECTIVES.items() if one.__module__.startswith("expose.")}
    assert {name for name in ours if "vector" in OBJECTIVES[name].forms} == EXPORTED
    assert all(isinstance(one, type) and issubclass(one, Objective) for one in base.SCORES)


def test_a_file_goes_to_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sent: list[tuple[str, int]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Stored, "upload", lambda self, file: sent.append((str(self), file.stat().st_size)))
    AnomalyDetector(random_state=0).fit(PLAIN).export("s3://models/model.onnx")
    [(place, size)] = sent
    assert place == "s3://models/model.onnx"
    assert size
    assert not list(tmp_path.iterdir())
