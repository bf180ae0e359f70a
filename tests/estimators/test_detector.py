"""The detector end to end: finds what was planted, keeps its promises, and says kindly what it cannot use."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

import expose
from expose import AnomalyDetector, Losses, Objective
from expose.errors import (
    CheckpointWarning,
    CollapseWarning,
    ConstantScoresWarning,
    DataWarning,
    InputError,
    InterruptedWarning,
    ModelFolderError,
    NonFiniteLossError,
    TooFewRowsWarning,
)
from expose.objectives import HSC, SVDD, Neighbours, make_objective
from expose.outliers import OutlierStream

RNG = np.random.default_rng(0)
PLANTED = 20
X = RNG.normal(size=(400, 2)) @ RNG.normal(size=(2, 5)) + 0.1 * RNG.normal(size=(400, 5))  # on a plane
X[:PLANTED] = RNG.normal(size=(PLANTED, 5)) * 3  # off the plane


def detector(objective="autoencoder", epochs=30, **parameters) -> AnomalyDetector:
    if isinstance(objective, str):
        recipe = {"batch_size": 100}  # five suspects in each batch of the rows below: no lottery is played
        recipe |= {name: parameters.pop(name) for name in ("batch_size", "checkpoint_every") if name in parameters}
        objective = make_objective(objective, epochs=epochs, **recipe)
    return AnomalyDetector(objective, **({"contamination": 0.05, "random_state": 0} | parameters))


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    return detector().fit(X)


@pytest.fixture(scope="module")
def ensemble() -> AnomalyDetector:
    return detector(ensemble_size=3).fit(X)


def found(model: AnomalyDetector) -> float:
    """Share of the planted anomalies among the twenty highest scores."""
    return float(np.isin(np.argsort(-model.anomaly_score(X))[:PLANTED], range(PLANTED)).mean())


@pytest.mark.parametrize("objective", ["autoencoder", "ntl", "svdd"])
@pytest.mark.parametrize("exposure", ["soft", "hard", "refine"])
def test_planted_anomalies_are_found(objective, exposure):
    assert found(detector(objective=objective, exposure=exposure, epochs=60).fit(X)) >= 0.6


def test_scores_point_where_scikit_learn_says(fitted):
    score = fitted.anomaly_score(X)
    assert score.dtype == np.float64
    assert score.shape == (400,)
    assert np.array_equal(fitted.score_samples(X), -score)
    assert np.array_equal(fitted.decision_function(X), -score - fitted.offset_)
    assert np.array_equal(fitted.predict(X) == -1, fitted.is_anomaly(X))
    assert np.array_equal(score, fitted.training_scores_)


def test_a_row_scores_the_same_alone_in_any_order_and_among_many(fitted):
    score = fitted.anomaly_score(X)
    order = RNG.permutation(400)
    assert np.array_equal(fitted.anomaly_score(X[order]), score[order])
    assert np.array_equal(fitted.anomaly_score(np.tile(X, (9, 1)))[1600:2000], score)
    assert [fitted.anomaly_score(X[i : i + 1])[0] for i in range(20)] == score[:20].tolist()


def test_every_container_gives_the_same_scores(fitted):
    names = [f"c{i}" for i in range(5)]
    frame = pd.DataFrame(X, columns=names)
    model = detector().fit(frame)
    score = model.anomaly_score(frame)
    assert np.array_equal(score, fitted.anomaly_score(X))
    assert model.feature_names_in_.tolist() == names
    for other in (pl.from_pandas(frame), pl.from_pandas(frame).to_arrow(), frame[names[::-1]]):
        assert np.array_equal(model.anomaly_score(other), score)
    assert np.array_equal(fitted.anomaly_score(X.tolist()), score)


def test_same_seed_same_scores(fitted):
    assert np.array_equal(detector().fit(X).training_scores_, fitted.training_scores_)
    assert not np.array_equal(detector(random_state=1).fit(X).training_scores_, fitted.training_scores_)


def test_the_global_random_state_is_not_touched():
    state, torch_state = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    detector(epochs=1, contamination="auto").fit(X)
    assert np.array_equal(np.random.get_state()[1], state)
    assert torch.equal(torch.random.get_rng_state(), torch_state)


def test_the_threshold_flags_the_contamination_and_moves_without_a_refit(fitted):
    model = detector().fit(X)
    assert model.is_anomaly(X).sum() == 20
    model.set_params(threshold=0.1)
    assert model.is_anomaly(X).sum() == 40
    assert model.offset_ > fitted.offset_
    model.set_params(threshold=0)
    assert not model.is_anomaly(X).any()
    model.set_params(threshold=1.5)
    with pytest.raises(ValueError, match=r"share of training rows to flag, in \[0, 1\), .*; got 1.5"):
        model.predict(X)


def test_contamination_zero_flags_nothing_and_equals_blind():
    clean = detector(contamination=0, threshold=0.1).fit(X)
    assert clean.contamination_ == 0
    assert np.array_equal(clean.training_scores_, detector(exposure="blind", contamination=0).fit(X).training_scores_)
    assert len(clean.suspects_) == 0


def test_auto_estimates_low_and_says_how():
    model = detector(contamination="auto", epochs=2).fit(X)
    estimate = model.contamination_estimate_
    assert estimate.low <= estimate.value <= estimate.high
    assert 0 < model.contamination_ <= 0.08
    assert "biased low" in estimate.method


def test_suspects_are_ranked_by_latent_label_and_score(fitted):
    suspects = fitted.suspects_
    assert len(suspects) == 20
    assert suspects["rank"].tolist() == list(range(1, 21))
    assert set(fitted.latent_labels_) == {0.0, 0.5}
    assert suspects.latent_label.min() == 0.5
    assert (np.diff(suspects.anomaly_score) <= 0).all()
    assert np.isin(suspects.row, range(PLANTED)).mean() > 0.6
    assert np.array_equal(suspects.anomaly_score, fitted.training_scores_[suspects.row])


def test_known_labels_guide_training_and_are_never_suspects():
    labels = np.full(400, -1)
    labels[:10] = 1
    labels[100:150] = 0
    told = detector(contamination=0.05).fit(X, labels=labels)
    assert (told.latent_labels_[:10] == 1).all()
    assert (told.latent_labels_[100:150] == 0).all()
    assert not np.isin(told.suspects_.row, np.flatnonzero(labels >= 0)).any()
    assert len(told.suspects_) == 10  # 20 anomalies assumed, 10 of them known
    assert told.contamination_ == pytest.approx(0.05)
    blind = detector(exposure="blind").fit(X)
    contrast = [np.median(m.training_scores_[:10]) / np.median(m.training_scores_[PLANTED:]) for m in (told, blind)]
    assert contrast[0] > 1.05 * contrast[1]


def test_auxiliary_outliers_raise_the_score_of_their_like():
    outliers = RNG.normal(size=(50, 5)) * 0.5 + 4
    unseen = RNG.normal(size=(50, 5)) * 0.5 + 4
    share = [m.is_anomaly(unseen).mean() for m in (detector().fit(X, outliers=outliers), detector().fit(X))]
    assert share[0] > 0.95
    assert share[0] >= share[1]


def test_members_combine_robustly_and_tell_their_disagreement(ensemble):
    raw = ensemble.member_scores(X)
    assert raw.shape == (3, 400)
    assert ensemble.disagreement(X).shape == (400,)
    assert (ensemble.disagreement(X) > 0).any()
    assert found(ensemble) > 0.6
    ranks = np.argsort(np.argsort(ensemble.anomaly_score(X)))
    assert all(np.corrcoef(ranks, np.argsort(np.argsort(member)))[0, 1] > 0.8 for member in raw)


def test_one_member_alone_is_the_first_of_an_ensemble(fitted, ensemble):
    np.testing.assert_allclose(fitted.anomaly_score(X), ensemble.member_scores(X)[0], rtol=0.1)


def test_mixed_tables_with_missing_values():
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["shop"] = RNG.choice(["north", "south"], 400)
    frame["when"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(RNG.integers(0, 1000, 400), "h")
    frame.loc[5:30, "a"] = np.nan
    frame.loc[3, "shop"] = None
    model = detector().fit(frame)
    assert np.isfinite(model.anomaly_score(frame)).all()
    assert model.n_features_in_ == 7


# ------------------------------------------------------------------------------------------ persistence


def test_a_loaded_detector_scores_bit_for_bit_the_same(ensemble, tmp_path):
    ensemble.save(tmp_path / "m", metadata={"id": ["row"]})
    loaded = AnomalyDetector.load(tmp_path / "m")
    assert np.array_equal(loaded.anomaly_score(X), ensemble.anomaly_score(X))
    assert np.array_equal(loaded.disagreement(X), ensemble.disagreement(X))
    assert np.array_equal(loaded.suspects_, ensemble.suspects_)
    assert loaded.get_params() | {"objective": 0} == ensemble.get_params() | {"objective": 0}
    assert loaded.objective.settings() == ensemble.objective.settings()
    assert loaded.history_ == ensemble.history_
    assert loaded.offset_ == ensemble.offset_
    assert loaded.metadata_ == {"id": ["row"]}
    loaded.save(tmp_path / "again")
    kept = [sorted(file.read_bytes() for file in (tmp_path / name).glob("*.safetensors")) for name in ("m", "again")]
    assert kept[0] == kept[1] != []


class Mine(Objective):
    """An objective of a user: distance to a learned centre."""

    def __init__(self, epsilon: float = 0.5, **training):
        super().__init__(**({"epochs": 30} | training))
        self.epsilon = epsilon

    def build(self, layout):
        self.centre = nn.Parameter(torch.randn(layout.n_values))

    def losses(self, batch):
        distance = (batch - self.centre).square().mean(-1)
        return Losses(distance, 1 / (distance + self.epsilon))


def test_an_objective_of_ones_own_is_passed_as_an_instance(tmp_path):
    own = Mine(epsilon=0.2)
    model = detector(objective=own, ensemble_size=2).fit(X)
    assert not hasattr(own, "centre")  # the instance given is not touched
    model.save(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=r"objective=Mine\(\.\.\.\)"):
        AnomalyDetector.load(tmp_path / "m")
    loaded = AnomalyDetector.load(tmp_path / "m", objective=Mine(epsilon=0.2))
    assert np.array_equal(loaded.anomaly_score(X), model.anomaly_score(X))


def test_a_checkpoint_stays_until_the_model_is_saved(tmp_path):
    model = detector(checkpoint=tmp_path / "c", checkpoint_every=0).fit(X)
    assert (tmp_path / "c").exists()
    assert np.array_equal(model.training_scores_, detector().fit(X).training_scores_)
    model.save(tmp_path / "m")
    assert not (tmp_path / "c").exists()


def test_an_interrupted_training_keeps_its_checkpoint_also_when_the_model_is_saved(tmp_path):
    class Interrupts(Mine):
        calls = 0

        def losses(self, batch):
            if torch.is_grad_enabled():
                type(self).calls += 1
                if type(self).calls == 30:
                    raise KeyboardInterrupt
            return super().losses(batch)

    with pytest.warns(InterruptedWarning, match="usable"):
        model = detector(objective=Interrupts(checkpoint_every=0), checkpoint=tmp_path / "c").fit(X)
    assert 0 < len(model.history_) < 30
    model.save(tmp_path / "m")
    assert (tmp_path / "c").exists()
    resumed = detector(objective=Interrupts(checkpoint_every=0), checkpoint=tmp_path / "c").fit(X)
    assert np.array_equal(resumed.training_scores_, detector(objective=Mine()).fit(X).training_scores_)


def test_a_checkpoint_of_other_data_is_not_used_and_that_is_said(tmp_path):
    detector(checkpoint=tmp_path / "c", epochs=2).fit(X)
    with pytest.warns(CheckpointWarning, match="starts anew"):
        other = detector(checkpoint=tmp_path / "c", epochs=2).fit(X**3)
    assert len(other.history_) == 2


def test_metadata_survives_load_and_save(fitted, tmp_path):
    fitted.save(tmp_path / "a", metadata={"id": ["row"]})
    AnomalyDetector.load(tmp_path / "a").save(tmp_path / "b")
    assert AnomalyDetector.load(tmp_path / "b").metadata_ == {"id": ["row"]}


def test_a_folder_keeps_what_was_trained_not_what_was_set_since(tmp_path):
    model = detector(epochs=2).fit(X)
    model.set_params(ensemble_size=3, objective="ntl")
    model.save(tmp_path / "m")
    assert np.array_equal(AnomalyDetector.load(tmp_path / "m").anomaly_score(X), model.training_scores_)


def test_loading_with_another_objective_is_refused(tmp_path):
    detector(objective=Mine(epsilon=0.2, epochs=2)).fit(X).save(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=r"trained with Mine, settings .*0\.2.*; the objective given is .*0\.3"):
        AnomalyDetector.load(tmp_path / "m", objective=Mine(epsilon=0.3))


class Plain(Objective):
    """Without hyper-parameters, with a frozen weight and a buffer set from the data."""

    def build(self, layout):
        self.frozen = nn.Parameter(torch.ones(layout.n_values), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(layout.n_values))
        self.register_buffer("middle", torch.zeros(layout.n_values))

    def prepare(self, rows):
        self.middle.copy_(rows.mean(0))

    def losses(self, batch):
        distance = ((batch - self.middle) * self.frozen * self.scale).square().mean(-1)
        return Losses(distance, 1 / (distance + 0.5))


@pytest.mark.parametrize("members", [1, 2])
def test_an_own_objective_without_init_with_frozen_weights_and_buffers(members, tmp_path):
    model = detector(objective=Plain(), ensemble_size=members, checkpoint=tmp_path / "c").fit(X)
    assert (model.objective_.frozen == 1).all()
    model.save(tmp_path / "m")
    loaded = AnomalyDetector.load(tmp_path / "m", objective=Plain())
    assert np.array_equal(loaded.anomaly_score(X), model.training_scores_)


def test_losses_of_the_wrong_shape_are_named():
    class Wide(Plain):
        def losses(self, batch):
            return Losses(*(loss[:, None] for loss in super().losses(batch)))

    with pytest.raises(TypeError, match=r"Wide.losses must return .* one value per row, shape \(3,\).*\(3, 1\)"):
        detector(objective=Wide()).fit(X)


def test_a_refit_that_fails_leaves_the_detector_as_it_was():
    model = detector(epochs=2).fit(X)
    before = model.anomaly_score(X)
    with pytest.raises(InputError, match="outliers must be tables like X"):
        model.fit(X * 5 + 3, outliers=X[:, :3])
    assert np.array_equal(model.anomaly_score(X), before)


def test_a_refit_whose_training_fails_leaves_the_detector_as_it_was():
    class Explodes(Mine):
        def losses(self, batch):
            return Losses(*(loss * float("inf") for loss in super().losses(batch)))

    model = detector(epochs=2).fit(X)
    flagged = model.is_anomaly(X)
    with pytest.raises(NonFiniteLossError):
        model.set_params(objective=Explodes(), contamination=0.3).fit(X)
    assert np.array_equal(model.is_anomaly(X), flagged)


def test_sorted_rows_do_not_mislead_svdd():
    rows = np.r_[np.zeros((4500, 3)), RNG.normal(size=(500, 3))]
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        model = detector(objective="svdd", epochs=2, batch_size=512).fit(rows)
    assert model.history_[0]["loss"] < 100


# -------------------------------------------------------------------------------------------- bad input


def test_outliers_that_cannot_be_used():
    with pytest.raises(InputError, match=r"outliers must be tables like X: .*3 features"):
        detector().fit(X, outliers=X[:, :3])
    with pytest.raises(InputError, match="outliers"):
        detector().fit(X, outliers=X[:0])
    with pytest.raises(InputError, match="outliers holds no row"):
        detector().fit(pd.DataFrame(X), outliers=pd.DataFrame(X[:0]))


def test_a_series_is_a_table_of_one_column():
    column = pd.Series(X[:, 0], name="x")
    scores = detector().fit(column).anomaly_score(column)
    np.testing.assert_array_equal(scores, detector().fit(column.to_frame()).anomaly_score(column.to_frame()))


def test_a_threshold_near_one_flags_all_rows_but_one(fitted):
    model = detector(epochs=2, threshold=0.9999).fit(X)
    assert model.is_anomaly(X).sum() == 399


@pytest.mark.parametrize("value", [-0.1, 0.5, 0.7, float("nan"), "half", None, True])
def test_contamination_out_of_range(value):
    with pytest.raises(ValueError, match=r"contamination must be a share of anomalies in \[0, 0.5\) or 'auto'; got"):
        detector(contamination=value).fit(X)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("exposure", "loud", r"exposure must be one of \['auto', 'blind', 'refine', 'hard', 'soft'\]; got 'loud'"),
        ("objective", "magic", r"objective must be one of .*'ntl'.*; got 'magic'"),
        ("objective", 3, "objective must be a name or an Objective instance; got int"),
        ("objective", Neighbours, r"Objective instance; got a class. Write Neighbours\(\) or 'neighbours'"),
        ("ensemble_size", 0, "ensemble_size must be a whole number of at least 1; got 0"),
        ("device", "tpu", "device must be"),
        ("encoder", "max", r"encoder must be one of .*'quantile'.* or an object with fit and transform; got 'max'"),
        ("encoder", 3, "encoder must be a name or an object with fit and transform; got a int"),
        ("threshold", "high", "threshold must be None or"),
    ],
)
def test_parameters_out_of_range(parameter, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        AnomalyDetector(**{parameter: value}).fit(X)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("epochs", 2.5, "epochs must be a whole number of at least 1 or None; got 2.5"),
        ("learning_rate", -1, "learning_rate must be a finite number of at least 0 or None; got -1"),
        ("ranking", "all", "ranking must be one of"),
        ("precision", "64", "precision must be one of"),
        ("outlier_share", 0, r"outlier_share must be a share of the outliers in \(0, 1\]"),
        ("optimizer", "lbfgs", "optimizer must be one of"),
    ],
)
def test_settings_out_of_range(setting, value, message):
    with pytest.raises(InputError, match=message):
        make_objective("ntl", **{setting: value})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(399), r"labels must have one value per training row, shape \(400,\); got shape \(399,\)"),
        (
            np.full(400, 2),
            r"labels must be 1 \(anomaly\), 0 \(normal\) or -1 \(unlabelled\); got .*2.* in row 0",
        ),
        (np.array(["yes"] * 400), "labels must be 1"),
        (np.full(400, np.nan), "labels must be 1"),
        ([0] * 20 + [None] * 380, r"labels must be 1 .*; got None in row 20"),
        (np.ones(400), "labels mark all 400 rows as anomalies"),
    ],
)
def test_labels_that_cannot_be_used(labels, message):
    with pytest.raises(ValueError, match=message):
        detector().fit(X, labels=labels)


def test_one_row_is_too_few_and_a_few_are_warned_of():
    with pytest.raises(ValueError, match="1 sample"):
        detector().fit(X[:1])
    with pytest.raises(InputError, match="at least 2 rows"):
        detector().fit(pd.DataFrame({"a": [1.0]}))
    with pytest.warns(TooFewRowsWarning, match="9 training rows"):
        detector(batch_size=128).fit(X[:9])  # fewer rows than a batch


def test_one_column_and_constant_columns():
    column = np.r_[RNG.normal(size=99), 30.0][:, None]
    assert detector().fit(column).anomaly_score(column).argmax() == 99
    with pytest.raises(ValueError, match="n_features=1"):
        detector(objective="icl").fit(column)
    with pytest.warns(ConstantScoresWarning):
        detector().fit(np.ones((60, 3)))


def test_predict_before_fit_and_after_one_that_failed():
    failed = detector()
    with pytest.raises(ValueError, match="infinity"):
        failed.fit(np.where(X > 2, np.inf, X))
    with pytest.raises(NotFittedError):
        failed.predict(X)
    assert not hasattr(failed, "n_features_in_")
    for method in ("predict", "anomaly_score", "disagreement", "is_anomaly", "threshold_score"):
        with pytest.raises(NotFittedError):
            getattr(detector(), method)(*([X] if method != "threshold_score" else []))
    with pytest.raises(NotFittedError):
        detector().save("nowhere")


def test_predict_with_other_columns_or_types():
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = detector(epochs=2).fit(frame)
    with pytest.raises(InputError, match="'c'"):
        model.predict(frame.drop(columns="c"))
    with pytest.warns(DataWarning, match="extra"):
        extra = model.anomaly_score(frame.assign(extra=1))
    assert np.array_equal(extra, model.training_scores_)
    with pytest.raises(InputError, match="'b'"):
        model.predict(frame.assign(b="text"))
    with pytest.raises(ValueError, match="X has 4 features, but AnomalyDetector is expecting 5"):
        detector(epochs=2).fit(X).predict(X[:, :4])
    assert np.array_equal(model.anomaly_score(frame.astype({"a": "float32"}))[:0], [])


def test_infinity_names_column_and_row():
    bad = X.copy()
    bad[7, 2] = np.inf
    with pytest.raises(InputError, match=r"x2.*row 7|row 7.*x2"):
        detector().fit(bad)


def test_huge_and_tiny_numbers_are_survived():
    wild = X.copy()
    wild[0, 0], wild[1, 1], wild[2, 2] = 1e308, -1e308, 5e-324
    model = detector().fit(wild)
    assert np.isfinite(model.training_scores_).all()
    assert 0 in np.argsort(-model.training_scores_)[:20]


def test_more_columns_than_rows():
    wide = RNG.normal(size=(20, 50_000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewRowsWarning)
        model = detector(objective="ntl", epochs=2).fit(wide)
    assert np.isfinite(model.anomaly_score(wide)).all()


@pytest.mark.parametrize(
    ("fitted", "warns"),
    [
        ({"contamination": 0.0}, True),
        ({"contamination": 0.1, "exposure": "blind"}, True),
        ({"contamination": 0.1, "exposure": "refine"}, True),
        ({"contamination": 0.1, "exposure": "hard"}, False),
        ({"contamination": 0.0, "outliers": True}, False),
        ({"contamination": 0.0, "labels": 1}, False),
        ({"contamination": 0.0, "labels": 0}, True),
    ],
)
def test_a_classifier_of_normal_and_not_says_when_nothing_abnormal_was_there(fitted, warns):
    X = np.random.default_rng(0).normal(size=(120, 3))
    labels = None if "labels" not in fitted else np.r_[fitted["labels"], np.full(119, -1)]
    outliers = X[:9] + 5 if "outliers" in fitted else None
    settings = {key: value for key, value in fitted.items() if key in ("contamination", "exposure")}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollapseWarning)
        model = detector("bce", epochs=2, **settings).fit(X, labels=labels, outliers=outliers)
    said = [str(w.message) for w in caught if issubclass(w.category, CollapseWarning)]
    assert any("nothing abnormal" in message for message in said) is warns
    assert any("nothing abnormal" in note for note in model.notes_) is warns


def test_svdd_warns_when_it_collapses():
    class Doomed(SVDD):
        def score(self, batch):
            return super().score(batch)

        def diagnose(self, rows):
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.mul_(1e-3)
            return super().diagnose(rows)

    with pytest.warns(CollapseWarning, match="collapsed"):
        model = detector(objective=Doomed(epochs=2)).fit(X)
    assert any("collapsed" in note for note in model.notes_)


def test_the_public_surface_is_pinned():
    assert expose.__all__ == [
        "AnomalyDetector",
        "Losses",
        "Objective",
        "OutlierExposureClassifier",
        "Scorer",
        "__version__",
        "fit_together",
        "load",
        "register",
        "select",
    ]
    assert all(getattr(expose, name) for name in expose.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = expose.nothing


@pytest.mark.parametrize("objective", [HSC(epochs=60, learning_rate=0.01), Neighbours(reference_points=300)])
def test_outliers_from_a_stream_are_the_same_in_every_fit(objective):
    rng = np.random.default_rng(0)
    rows, outliers = rng.normal(size=(200, 3)), rng.uniform(-8, 8, size=(3000, 3))

    def opened():
        yield from outliers

    def scores(stream):
        model = AnomalyDetector(objective, contamination=0, random_state=0).fit(rows, outliers=stream)
        return model.anomaly_score([[0, 0, 0], [5, -5, 5]])

    stream = OutlierStream(opened, random_state=0)
    first = scores(stream)
    assert first[1] > first[0]
    assert np.array_equal(scores(stream), first)  # as often as one likes
    assert np.array_equal(scores(OutlierStream(opened, random_state=0)), first)


ODD = np.arange(400) < 8


@pytest.mark.parametrize(
    ("labels", "way"),
    [
        (np.where(ODD, -1, 1), "labels == -1).astype(int)"),  # scikit-learn's
        (np.where(ODD, -1.0, 1.0), "labels == -1).astype(int)"),
        (pd.Series(np.where(ODD, -1, 1)), "labels == -1).astype(int)"),
        (np.where(ODD, 0, 1), "exchange 0 and 1: 1 - labels"),
        (~ODD, "exchange 0 and 1: 1 - labels"),
        (np.where(ODD, 0, np.where(np.arange(400) < 150, -1, 1)), "np.where(labels == -1, -1, 1 - labels)"),
    ],
)
def test_labels_of_another_convention_are_refused_with_the_way_to_write_them(labels, way):
    with pytest.raises(InputError, match=r"of 400 rows \(.*%\) anomalies") as error:
        detector().fit(X, labels=labels)
    assert way in str(error.value)
    code = str(error.value).split(": ")[-1].rstrip(".")
    ours = eval(code, {"np": np, "labels": np.asarray(labels).astype(int)})
    assert (ours[ODD] == 1).all()
    assert not (ours[~ODD] == 1).any()
    model = detector().fit(X, labels=ours)
    with pytest.raises(InputError, match="anomalies"):
        model.calibrate(X, labels)


@pytest.mark.parametrize(("anomalies", "normal"), [(15, 5), (200, 0), (150, 150), (0, 400)])
def test_labels_in_which_anomalies_are_no_majority_of_all_rows_are_taken(anomalies, normal):
    labels = np.full(400, -1)
    labels[:anomalies], labels[400 - normal :] = 1, 0
    detector(calibration=2).fit(X, labels=labels)
