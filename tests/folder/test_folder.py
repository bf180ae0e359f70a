"""Model folders of estimators: nothing in them can do harm, whatever somebody wrote there and signed."""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

import expose
from expose import AnomalyDetector, OutlierExposureClassifier, Scorer
from expose.errors import ModelFolderError
from expose.objectives import OBJECTIVES, Descend, MemoryObjective, make_objective

JUNK = (None, -1, 0.5, 10**9, 1e300, "", "nonsense", [], {}, [[]], True)
ROWS = np.random.default_rng(0).normal(size=(60, 3))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values of a JSON document, nested ones included; of long lists the first."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in inside:
        yield from leaves(item, (*path, key))


def edited(document: Any, path: tuple[Any, ...], junk: Any) -> Any:
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    return document


def sign(folder: Path, document: dict[str, Any]) -> None:
    document.pop("sha256_of_the_rest", None)
    body = json.dumps(document, indent=1)[2:].encode()
    first = b'{"sha256_of_the_rest": "' + hashlib.sha256(body).hexdigest().encode() + b'",\n'
    (folder / "model.json").write_bytes(first + body)


def quick(name: str) -> AnomalyDetector:
    settings = {} if issubclass(OBJECTIVES[name], MemoryObjective) else {"epochs": 1}
    return AnomalyDetector(make_objective(name, **settings), random_state=0)


OF_VECTORS = sorted(name for name, objective in OBJECTIVES.items() if "vector" in objective.forms)


@pytest.fixture(scope="module", params=["neighbours", "ntl", "class"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if request.param == "class":
            classifier = OutlierExposureClassifier(recipe=Descend(epochs=1), random_state=0)
            classifier.fit(ROWS, ROWS[:, 0] > 0).save(folder)
        else:
            quick(request.param).fit(ROWS).save(folder)
    return folder


def test_every_signed_edit_is_loaded_or_refused_as_a_model_folder(saved: Path) -> None:
    original = (saved / "model.json").read_bytes()
    document = json.loads(original)
    refused = tried = 0
    try:
        for path in leaves(document["model"], ("model",)):
            for junk in JUNK:
                sign(saved, edited(document, path, junk))
                tried += 1
                refused += is_refused(saved, path)
    finally:
        (saved / "model.json").write_bytes(original)
    assert refused > tried / 3


def is_refused(folder: Path, path: tuple[Any, ...]) -> bool:
    """Whether a folder is refused as such; any other error is a failure of the test, but for one: a wrong width."""
    try:
        expose.load(folder).anomaly_score(ROWS[:2])
    except (ModelFolderError, ValueError) as error:
        refused, message = isinstance(error, ModelFolderError), str(error)
    else:
        return False
    assert str(folder) in message if refused else (path[-1], message[:20]) == ("n_features", "X has 3 features, bu"), (
        path
    )
    return refused


@pytest.mark.parametrize("name", OF_VECTORS)
def test_a_loaded_detector_scores_to_the_bit(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = quick(name).fit(ROWS)
    detector.save(tmp_path / "m")
    again = expose.load(tmp_path / "m")
    assert np.array_equal(again.anomaly_score(ROWS), detector.anomaly_score(ROWS))
    assert np.array_equal(Scorer(tmp_path / "m").scores(ROWS), detector.anomaly_score(ROWS))
    assert again.get_params()["random_state"] == 0
    assert np.array_equal(again.suspects_, detector.suspects_)


@pytest.mark.parametrize("share", [-1, 1e9])
def test_an_estimate_that_is_no_share_is_refused_and_not_obeyed(share: float, tmp_path: Path) -> None:
    quick("neighbours").fit(ROWS).save(tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    document["model"]["contamination_estimate"]["value"] = share  # so many suspects were made room for
    sign(tmp_path / "m", document)
    with pytest.raises(ModelFolderError, match="should be of type float from 0 to 1"):
        expose.load(tmp_path / "m")


def test_what_was_given_instead_of_the_users_own_object_is_named(tmp_path: Path) -> None:
    quick("neighbours").set_params(encoder=PCA(2)).fit(ROWS).save(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="takes the fitted PCA of the training; got <class"):
        expose.load(tmp_path / "m", encoder=PCA)
    with pytest.raises(ModelFolderError, match="takes an instance of it, not 'neighbours'"):
        expose.load(tmp_path / "m", encoder=PCA(2).fit(ROWS), objective="neighbours")


def test_a_model_of_a_kind_that_is_not_registered_says_what_to_import(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expose.kinds.base.KINDS", {})
    with pytest.raises(ModelFolderError, match=r"there is no kind 'table' .* Import the file that registers it\.$"):
        expose.load(saved)


def test_a_model_by_an_objective_of_another_version_says_so(tmp_path: Path) -> None:
    quick("svdd").fit(ROWS).save(tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    document["model"]["objective"] |= {"name": "icl", "class": "ICL"}
    document["model"]["objective"]["settings"] = {"window": None, "hidden": 50, "latent": 32, "temperature": 0.01}
    sign(tmp_path / "m", document)
    with pytest.raises(ModelFolderError, match=r"'icl' of another version .* setting 'latent'; .* Train again"):
        expose.load(tmp_path / "m")


def test_a_folder_that_asks_for_countless_networks_is_refused_at_once(tmp_path: Path) -> None:
    AnomalyDetector(make_objective("icl", epochs=1, hidden=4, orders=1), random_state=0).fit(ROWS).save(tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    document["model"]["objective"]["settings"]["orders"] = 10**9
    sign(tmp_path / "m", document)
    with pytest.raises(ModelFolderError, match="orders must be from 1 to 1,000"):
        expose.load(tmp_path / "m")
