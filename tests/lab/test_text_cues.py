"""Text cues: conditions change texts in one cue, all else stays, and padding and capitals are words a network reads."""

import json
import lzma

import numpy as np
import pytest

from expose.encoders import TextEncoder
from expose_lab.pages import Rows
from expose_lab.studies.text_cues import (
    ALIKE,
    CONDITIONS,
    PAD,
    PADDED,
    THEIRS,
    WHOLE,
    Cues,
    RawTexts,
    as_word,
    measure,
    no_short,
    padded,
    padded_as,
    pads,
    unknown,
    unquoted,
)
from expose_lab.studies.text_outliers import reading_and_cue, signs_table

CAPITALS = "outliers padded as normal texts are, normal texts in lower case"


def write(folder, name, rows):
    with lzma.open(folder / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    good, bad, other = ["fine", "great", "Lovely"], ["poor", "Dull", "bad"], ["tax", "vote", "law", "a", "of"]

    def some(words, least=2, most=9):
        return " ".join(rng.choice(words, rng.integers(least, most)))

    rows = [
        {"split": split, "label5": 4 * (row % 2), "text": f"The film is {some(good if row % 2 else bad)} ."}
        for split, n in (("train", 90), ("test", 70))
        for row in range(n)
    ]
    texts = tmp_path / "text"
    texts.mkdir()
    write(texts, "sst_cased", [*rows, {"split": "test", "label5": 2, "text": "Neutral"}])
    write(texts, "multi30k_en", [{"text": f'"A {some(other)} , {some(other)} ."'} for _ in range(80)])
    write(texts, "wmt16_en", [{"text": f"The {some(other)} , and {some(other)} ."} for _ in range(80)])
    write(texts, "imdb_10k", [{"text": f"Such {some(other, 5, 150)} ."} for _ in range(1000)])
    write(
        texts, "wikitext2_valid_test", [{"text": "= Head of all ="}, {"text": "The law of tax . A vote of law . No ."}]
    )
    return texts


def test_words_that_differ_still_do_after_they_were_cut_lowered_and_numbered():
    words = ["the", "The", "THE", "isn't", "isn", "0", PAD, "00", "a.b", "é", "É", "0270", "'"]
    kept = [as_word(word) for word in words]
    assert len(set(kept)) == len(set(words))
    assert kept.count(PAD) == 0
    text = " ".join(kept)
    assert TextEncoder(length=99).fit([text]).transform([text])[0, : len(kept)].min() > 1
    assert (TextEncoder(length=99).fit([text]).transform([text])[0] > 0).sum() == len(kept)  # none became two


def test_padding_is_in_front_and_batch_by_batch():
    texts = [["so"]] * 64 + [["so"], ["so", "it"]]
    assert padded(texts) == ["so"] * 64 + [f"{PAD} so", "so it"]
    assert padded_as("sst", [["so", "it"], *texts[:64]]) == ["so it", *["so"] * 64]
    assert all(len(text.split()) == 100 for text in padded_as("20ng", [["so"], ["so"] * 200]))


def test_words_are_cut_as_the_files_of_each_source_want_it():
    assert no_short("Re: 2 cats, it's a-maze-ing") == ["cats", "maze", "ing"]
    assert [unquoted(line) for line in ('"a , b"', 'a "b"', '"')] == ["a , b", 'a "b"', '"']


@pytest.mark.parametrize("what", [what for what in CONDITIONS["sst"] if what not in (THEIRS, CAPITALS)])
def test_a_condition_takes_away_the_cues_it_names_and_no_other(folder, what):
    files = RawTexts(folder)
    cues = CONDITIONS["sst"][what]
    before, after = (files.outliers("sst", "wmt16", 70, some) for some in (Cues(), cues))
    padded_theirs = files.outliers("sst", "wmt16", 70, cues._replace(padding=True))
    assert (pads(after) < pads(padded_theirs)) == (not cues.padding)
    capital = as_word("T")
    assert not any(capital in text for text in before)
    assert any(capital in text for text in after) == (not cues.case)
    comma = as_word(",")
    assert not any(comma in text.split() for text in before)
    assert all(comma in text.split() for text in after) == (not cues.cut)
    shortest, any_ = (
        [len(text.replace(f"{PAD} ", "").split()) for text in files.outliers("sst", "imdb", 70, Cues(cut=cut))]
        for cut in (True, False)
    )
    assert max(shortest) < np.mean(any_)
    assert len(shortest) == 3  # of the 25,000 there are, the authors look at 64: whole batches up to one for five


def test_normal_texts_keep_capitals_until_they_are_to_lose_them_and_neutral_ones_are_left_out(folder):
    files = RawTexts(folder)
    with_capitals, without = files.normal("sst", "test"), files.normal("sst", "test", capitals=False)
    assert len(with_capitals.texts) == 70
    assert all(as_word("The") in text.split() for text in with_capitals.texts)
    assert all("the" in text.split() for text in without.texts)


def test_padding_and_unknown_words_are_counted_apart():
    encoder = TextEncoder(length=5).fit([f"a b {PAD}"])
    assert pads([f"{PAD} {PAD} a", "a b c"]) == 1
    assert unknown(encoder, [f"{PAD} a c", "a b"]) == 1 / 4


def test_all_conditions_are_measured_before_and_after(folder):
    rows = Rows(measure({"dataset": "sst", "seed": 0}, folder.parent))
    assert rows.each("what") == list(CONDITIONS["sst"])
    assert (rows.each("what")[0], rows.each("what")[-1]) == (THEIRS, ALIKE)
    assert len(rows) == len(CONDITIONS["sst"]) * 2 * 2 * 3
    same = rows.where(source="multi30k", when="after", score="msp")  # WHOLE changes nothing about this source
    assert same.where(what=WHOLE).values("auroc") == same.where(what=THEIRS).values("auroc")
    assert rows.where(what=PADDED).mean("pads") < rows.where(what=THEIRS).mean("pads")


def test_what_stays_when_texts_are_alike_is_reading_and_the_rest_is_cue():
    common = {"dataset": "sst", "score": "msp"}
    values = {(THEIRS, "before"): 0.8, (THEIRS, "after"): 0.3, (ALIKE, "before"): 0.7, (ALIKE, "after"): 0.5}
    rows = Rows({**common, "what": w, "when": when, "fpr_at_tpr": value} for (w, when), value in values.items())
    main = Rows(
        {"dataset": "sst", "kind": "detection", "score": "msp", "source": "imdb", "when": when, "fpr_at_tpr": value}
        for when, value in (("before", 0.75), ("after", 0.55))
    )
    theirs = {"rows": {"sst": {one: {"fpr_at_tpr": [80, 20]} for one in ("imdb", "multi30k", "wmt16")}}}
    found = reading_and_cue(rows, main, theirs)
    assert found == ["80.0 → 20.0", "80.0 → 30.0", "20.0", "30.0", "70.0 → 50.0", "75.0 → 55.0"]


def test_signs_are_those_of_the_authors_conditions():
    row = {"what": THEIRS, "when": "after", "score": "msp", "normal_pads": 1.0, "unknown_auxiliary": 0.5}
    rows = Rows({**row, "source": one, "pads": 12.0, "unknown": 0.2} for one in ("imdb", "multi30k", "wmt16"))
    assert "| SST | 1.0 | 12.0 | 12.0 | 12.0 | 20 % | 20 % | 20 % | 50 % |" in signs_table({"sst": rows})
