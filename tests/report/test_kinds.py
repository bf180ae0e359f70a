"""Any kind of samples gets a report: images, texts, and one that this file brings along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_page import figure, sections, words

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.encoders import Layout, register_encoder
from expose.encoders.base import CLASSES, ENCODERS, Encoder
from expose.kinds import KINDS, Kind, Reading, kind_named, register_kind
from expose.kinds.text import Texts
from expose.objectives import Autoencoder, Descend, Language
from expose.report import build_report
from expose.report.findings import examine

# ------------------------------------------------------------------------------------------------- a toy kind


class Melodies:
    """Lists of notes."""

    def __init__(self, notes: list[list[int]]) -> None:
        self.notes = notes

    def __len__(self) -> int:
        return len(self.notes)

    def take(self, rows: Any) -> Melodies:
        return Melodies([self.notes[row] for row in np.arange(len(self))[rows]])


class MelodyKind(Kind):
    name, plural, encoder = "melody", "melodies", "bars"

    def recognises(self, X: Any) -> bool:
        return isinstance(X, Melodies)

    def samples(self, X: Any) -> Melodies:
        return X

    def show(self, samples: Melodies, row: int) -> dict[str, Any]:
        return {"notes": " ".join(map(str, samples.notes[row])), "length": len(samples.notes[row])}


class Bars(Encoder):
    """Of four notes each: a melody of eight notes has two parts."""

    encodes, notes = "melody", []
    layout = Layout("vector", (4,))

    def fit(self, samples: Melodies) -> Bars:
        return self

    def transform(self, samples: Melodies) -> np.ndarray:
        return np.array(samples.notes, dtype=np.float32).reshape(len(samples), 2, 4)

    @property
    def groups(self) -> list[tuple[str, slice]]:
        return [(f"beat {beat}", slice(beat - 1, beat)) for beat in range(1, 5)]


@pytest.fixture
def melodies() -> Iterator[Melodies]:
    """Register the kind for one test; melody 9 has a wrong note on the second beat of its second bar."""
    notes = np.random.default_rng(0).integers(60, 72, size=(80, 8))
    notes[9, 5] = 500
    before = dict(KINDS), dict(ENCODERS), dict(CLASSES)
    register_kind(MelodyKind)
    register_encoder("bars")(Bars)
    yield Melodies(notes.tolist())
    for registry, old in zip((KINDS, ENCODERS, CLASSES), before, strict=True):
        registry.clear()
        registry.update(old)


def test_a_kind_of_ones_own_gets_a_whole_page(melodies):
    detector = AnomalyDetector(random_state=0).fit(melodies)
    found = examine(detector, melodies)
    suspect = found.suspects[0]
    assert (suspect.row, suspect.reasons[0].name) == (9, "beat 2")
    assert suspect.reasons[0].value is None
    assert suspect.reasons[0].share > 0.7
    assert dict(suspect.facts)["length"] == "8"
    page = build_report(detector, melodies, ids=[f"tune {i}" for i in range(80)])
    assert sections(page) == ["summary", "scores", "lines", "suspects", "map", "reproduce"]
    said = words(page)
    for expected in ("tune 9", "500", "beat 2", "Values4", "due to one value", "Samples80"):
        assert expected in said
    assert "typical" not in said.split("Ranking")[-1].split("part of the excess score")[1]
    assert len(figure(page, "map")["data"]) == 2


class Silent(MelodyKind):
    """Shows nothing of its own making: the plain default."""

    show = Kind.show


def test_a_kind_that_shows_nothing_gets_a_page_too(melodies):
    register_kind(Silent)
    page = words(build_report(AnomalyDetector(random_state=0).fit(melodies), melodies))
    assert "Melodies object" in page


# ------------------------------------------------------------------------------------------- images and texts


def photos(n: int) -> np.ndarray:
    images = np.random.default_rng(0).random((n, 6, 6)) / 4
    images[3] = 1
    return images


def test_images_get_a_page_with_training_curves():
    images = photos(60)
    detector = AnomalyDetector(Autoencoder(epochs=4), contamination=0.05, random_state=0).fit(images)
    page = build_report(detector, images)
    assert sections(page) == [
        "summary", "gallery", "sheet", "atlas", "scores", "lines", "training", "churn", "reproduce",
    ]  # fmt: skip
    assert examine(detector, images).suspects[0].facts == (("size", "6 x 6"),)
    said = words(page)
    assert re.search(r"size\s*6 x 6", said)
    assert "image 3" in said
    assert not re.search(r"\brows?\b", said)
    for absent in ("typical ones", "The bar is", "column", "found by"):
        assert absent not in said


def test_texts_are_shown_whole_or_to_their_six_hundredth_sign():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["ship", "sail", "wave", "storm"], 6)) for _ in range(60)] + ["bread " * 200]
    detector = AnomalyDetector(Language(epochs=4), contamination=0.05, random_state=0).fit(texts)
    found = examine(detector, Texts(tuple(texts)))
    assert {len(dict(suspect.facts)["text"]) for suspect in found.suspects} <= {*range(60), 600}
    assert all(len(suspect.brief[0][1]) <= 80 for suspect in found.suspects)
    page = words(build_report(detector, texts, top=61))
    assert "bread bread" in page
    assert "text 60" in page
    assert not re.search(r"\brows?\b", page)
    assert texts[0] in page


def test_a_classifier_of_images_gets_a_page_with_names_classes_and_p_values():
    images, y = photos(80), np.array(["dark", "light"])[np.arange(80) % 2]
    images[y == "light"] += 0.5
    classifier = OutlierExposureClassifier("mlp", recipe=Descend(epochs=4), random_state=0)
    classifier.fit(images[:40].clip(0, 1), y[:40]).calibrate(images[40:].clip(0, 1), y[40:])
    new = images[10:40].clip(0, 1)
    page = build_report(classifier, new, classes=y[10:40], ids={"photo": [f"{i}.png" for i in range(30)]})
    assert sections(page) == [
        "summary", "classes", "gallery", "sheet", "atlas", "scores", "lines", "reliability", "training", "reproduce",
    ]  # fmt: skip
    said = words(page)
    assert "taken for light" in said
    assert ".png" in said
    suspect = examine(classifier, new).suspects[0]
    assert suspect.p_value is not None
    assert suspect.reasons == ()


# --------------------------------------------------------------------------------------------- tables by others


class Halves:
    """An encoder of somebody else's: the columns of a table, halved."""

    def fit(self, X: np.ndarray) -> Halves:
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X / 2


def test_an_encoder_of_ones_own_is_explained_by_its_values_beside_the_row():
    rows = np.random.default_rng(0).normal(size=(100, 3))
    rows[4, 1] = 20
    found = examine(AnomalyDetector(encoder=Halves(), random_state=0).fit(rows), rows).suspects[0]
    assert (found.row, found.reasons[0].name, found.reasons[0].value) == (4, "value 1", None)
    assert dict(found.facts)["x1"] == "20"


def test_what_a_kind_reads_from_files_is_reported_with_its_ids(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"k{i},s{i},{rng.normal():.3f},{rng.normal():.3f}" for i in range(60)] + ["k60,s60,40,0"]
    (tmp_path / "rows.csv").write_text("\n".join(["rank,anomaly_score,a,b", *lines]))
    reading = Reading(id=("rank", "anomaly_score"))
    batch = kind_named("table").read([str(tmp_path / "rows.csv")], reading)
    detector = AnomalyDetector(random_state=0).fit(batch.samples)
    suspect = examine(detector, batch.samples, ids=batch.ids).suspects[0]
    assert suspect.ids == (("rank", "k60"), ("anomaly_score", "s60"))
    assert (suspect.name, suspect.reasons[0].name, suspect.reasons[0].value) == ("k60, s60", "a", "40")
