"""Outlier exposure on texts, as in sections 4.2 and 4.3 of Hendrycks et al. 2019, with what is to be had.

    python benchmarks/text_outliers.py --data-dir DIR

DIR holds the texts as ``<name>.jsonl.xz``. A recurrent network learns the classes of 20 Newsgroups, TREC or SST; then
it is fine-tuned with sentences of WikiText-2 as auxiliary outliers. Tested are outliers of other sources, one for five
normal rows, before and after, and calibration beside it. Each run of a data set and a seed is written to
``benchmarks/results/text_outliers.json`` when it is done, and is not run again. ``python
benchmarks/text_outliers_page.py`` writes docs/benchmark/text.md from it.

All sources are treated alike: signs that only say which file a text is from (escaped quotes, line breaks of HTML,
signs of WikiText for hyphens in words and numbers) are undone, each text is cut after 60 tokens, in lower case, and
one encoder, fitted on the training rows, numbers the tokens.
"""

from __future__ import annotations

import argparse
import copy
import html
import json
import lzma
import re
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import OutlierExposureClassifier
from expose.errors import ExposeWarning
from expose.evaluation import (
    OutlierResults,
    fit_temperature,
    outlier_calibration,
    outlier_detection,
    softmax_confidence,
)
from expose.inputs.texts import tokens
from expose.outliers import check_overlap, draw_words, shuffle_words, splice_texts

OUT = Path(__file__).parent / "results" / "text_outliers.json"
SEEDS = (0, 1, 2)
MOST_TOKENS, WHOLE = 60, 10**9  # of a text
MOST_TESTED = 2000  # texts of a source of outliers
HELD_OUT = 0.1  # share of the training rows that is kept for the temperature, where there is no part for it
LEVEL = 0.9  # N of FPR at N, as the paper has it for text
UNKNOWN = "unkunk"  # for words that a source has crossed out: one token, which no vocabulary knows, instead of three
FEWEST_WORDS = 4  # of a sentence of WikiText-2
IN_PAPER = ("imdb", "multi30k", "wmt16")
TESTED = {  # sources of outliers by data set: those of the paper that are here, and others
    "20ng": (*IN_PAPER, "mr", "ptb", "trec"),
    "trec": (*IN_PAPER, "mr", "ptb", "20ng"),
    "sst": (*IN_PAPER, "ptb", "trec", "20ng"),
}
FILES = {
    "20ng": "20newsgroups",
    "trec": "trec",
    "sst": "sst",
    "imdb": "imdb_10k",
    "multi30k": "multi30k_en",
    "wmt16": "wmt16_en",
    "mr": "mr_polarity",
    "ptb": "ptb_valid_test",
    "wikitext": "wikitext2_valid_test",
}
BASELINE = {"epochs": 5, "batch_size": 64, "learning_rate": 0.01}  # Adam, falling along a cosine
EXPOSED = {"epochs": 2, "batch_size": 64, "learning_rate": 0.01}
AUXILIARY_FOR = "trec"
Record = dict[str, Any]
Logits = NDArray[np.float64]


class Variant(NamedTuple):
    """A way of exposing."""

    settings: dict[str, Any] | None  # of the training with outliers; None trains without
    goes_on: bool = True  # from the baseline, and not from scratch
    marked: bool = False  # normal rows have a mark at their first word, as if they alone had kept their capitals


VARIANTS = {
    "as in the paper": Variant(EXPOSED),
    "from scratch": Variant(BASELINE, goes_on=False),
    "5 epochs": Variant(EXPOSED | {"epochs": 5}),
    "learning rate 0.001": Variant(EXPOSED | {"learning_rate": 0.001}),
    "first words of normal rows marked": Variant(EXPOSED, marked=True),
    "first words of normal rows marked, before exposure": Variant(None, marked=True),
}


PAPER = VARIANTS["as in the paper"]
VARIED = {"sst": list(VARIANTS)[1:], "20ng": ["from scratch"]}  # where the published level is not reached


class Part(NamedTuple):
    """Texts and their classes."""

    texts: list[str]
    y: NDArray[np.str_]


class Task(NamedTuple):
    """A data set in its parts."""

    train: Part
    held_out: Part
    test: Part


class Texts:
    """Reads and cleans what lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = cache(self._rows)
        self.outliers = cache(self._outliers)
        self.task = cache(self._task)

    def _rows(self, name: str, most_tokens: int = MOST_TOKENS) -> list[Record]:
        """All rows of a file whose text is not empty."""
        with lzma.open(self.folder / f"{FILES[name]}.jsonl.xz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [row | {"text": text} for row in rows if (text := shortened(cleaned(row["text"]), most_tokens))]

    def _outliers(self, name: str) -> list[str]:
        """Texts of a source, no more than are tested, drawn once for all seeds."""
        texts = [row["text"] for row in self.rows(name)]
        drawn = np.random.default_rng(0).choice(len(texts), min(MOST_TESTED, len(texts)), replace=False)
        return [texts[row] for row in np.sort(drawn)]

    def sentences(self) -> list[str]:
        """WikiText-2, each sentence one outlier, without headings."""
        paragraphs = [row["text"] for row in self.rows("wikitext", WHOLE) if not row["text"].startswith("=")]
        found = (sentence for text in paragraphs for sentence in re.split(r"(?<=[.!?]) ", text))
        return [shortened(sentence, MOST_TOKENS) for sentence in found if len(sentence.split()) >= FEWEST_WORDS]

    def _task(self, name: str, marked: bool = False) -> Task:
        if marked:
            return Task(*(Part([mark(text) for text in part.texts], part.y) for part in self.task(name)))
        rows = [row | {"class": class_of(name, row)} for row in self.rows(name)]
        rows = [row for row in rows if row["class"]]
        parts = {split: [row for row in rows if row["split"] == split] for split in ("train", "dev", "test")}
        if not parts["dev"]:
            parts["dev"], parts["train"] = set_apart(parts["train"])
        train, dev, test = (
            Part([row["text"] for row in parts[split]], np.array([row["class"] for row in parts[split]]))
            for split in ("train", "dev", "test")
        )
        return Task(train, dev, test)


def cleaned(text: str) -> str:
    """Undo what tells files apart and not texts."""
    text = html.unescape(text.replace("<br />", " "))
    text = re.sub(r" @([-.,])@ ", r"\1", text)  # WikiText: "2 @,@ 000"
    return text.replace("<unk>", UNKNOWN)


def shortened(text: str, most: int) -> str:
    """The first tokens; what is longer loses its white space and case, which no encoder sees."""
    found = tokens(text)
    return " ".join(found[:most]) if len(found) > most else text.strip()


def mark(text: str) -> str:
    """Make another word of the first one, as a capital does where case is kept."""
    return re.sub(r"\w+", r"\g<0>0", text, count=1)


def class_of(name: str, row: Record) -> str:
    """Class of a row; empty for what is left out."""
    if name == "trec":
        return f"{row['label']}:{row['fine']}"
    if name == "sst":
        return ["negative", "negative", "", "positive", "positive"][row["label5"]]
    return str(row["label"])


def set_apart(rows: list[Record]) -> tuple[list[Record], list[Record]]:
    """Rows kept for the temperature, and the others, among which every class is."""
    first = {row["class"]: place for place, row in reversed(list(enumerate(rows)))}
    free = np.setdiff1d(np.arange(len(rows)), list(first.values()))
    kept = set(np.random.default_rng(0).choice(free, int(HELD_OUT * len(rows)), replace=False).tolist())
    return [rows[i] for i in sorted(kept)], [row for i, row in enumerate(rows) if i not in kept]


# ------------------------------------------------------------------------------------------------------- one run


@lru_cache(maxsize=1)
def baseline(texts: Texts, name: str, seed: int, marked: bool = False) -> OutlierExposureClassifier:
    """Classifier that has seen no outlier."""
    return new(seed).set_params(**BASELINE).fit(*texts.task(name, marked).train)


def new(seed: int) -> OutlierExposureClassifier:
    """Untrained, as the paper has it."""
    return OutlierExposureClassifier(
        "gru", terms={"uniform": 1.0}, precision="32", warm_start=True, random_state=seed, device="cpu"
    )


def exposed(texts: Texts, name: str, seed: int, outliers: list[str], how: Variant) -> OutlierExposureClassifier:
    """Classifier after outlier exposure."""
    model = copy.deepcopy(baseline(texts, name, seed, how.marked)) if how.goes_on else new(seed)
    if how.settings is None:
        return model
    return model.set_params(**how.settings).fit(*texts.task(name, how.marked).train, outliers=outliers)


class Outputs(NamedTuple):
    """What a model says of the test rows and of each source of outliers, as logarithms of probabilities."""

    normal: Logits
    outliers: dict[str, Logits]


def outputs(model: OutlierExposureClassifier, task: Task, sources: dict[str, list[str]]) -> Outputs:
    """Let a model that was not calibrated see all that is tested."""
    return Outputs(
        model.predict_log_proba(task.test.texts),
        {source: model.predict_log_proba(texts) for source, texts in sources.items()},
    )


SCORES: dict[str, Callable[[Logits], NDArray[np.float64]]] = {
    "msp": lambda log_p: -np.exp(log_p.max(axis=1)),
    "entropy": lambda log_p: log_p.mean(axis=1),  # -H(U; p)
}


def detected(found: Outputs) -> Iterator[Record]:
    """Metrics of each score and source."""
    for name, score in SCORES.items():
        result = outlier_detection(
            score(found.normal), {source: score(log_p) for source, log_p in found.outliers.items()}, level=LEVEL
        )
        yield from ({"score": name} | record for record in records(result))


def calibrated(model: OutlierExposureClassifier, found: Outputs, task: Task) -> Record:
    """Calibration at the temperature that held-out normal rows like best."""
    held = model.predict_log_proba(task.held_out.texts)
    t = fit_temperature(held, np.searchsorted(model.classes_, task.held_out.y))
    confidence, predicted = softmax_confidence(found.normal, t)
    outliers = {source: softmax_confidence(log_p, t)[0] for source, log_p in found.outliers.items()}
    result = outlier_calibration(model.classes_[predicted] == task.test.y, confidence, outliers)
    return {"temperature": t, "records": list(records(result))}


def records(result: OutlierResults) -> Iterator[Record]:
    """Records of sources, and those without a source but the mean, which depends on which sources there are."""
    for record in result.records():
        if record["source"] != "mean":
            yield {key: round(value, 5) if isinstance(value, float) else value for key, value in record.items()}


def error(model: OutlierExposureClassifier, found: Outputs, task: Task) -> float:
    """Share of the test rows that are taken for a wrong class."""
    return float((model.classes_[found.normal.argmax(axis=1)] != task.test.y).mean())


def judged(model: OutlierExposureClassifier, task: Task, sources: dict[str, list[str]]) -> Record:
    """All that is measured of a model."""
    found = outputs(model, task, sources)
    return {
        "error": error(model, found, task),
        "detection": list(detected(found)),
        "calibration": calibrated(model, found, task),
    }


# ---------------------------------------------------------------------------------------------------------- runs


def main_run(texts: Texts, name: str, seed: int) -> Record:
    """Before and after, of one data set and seed."""
    task, sources = texts.task(name), {source: texts.outliers(source) for source in TESTED[name]}
    before = baseline(texts, name, seed)
    record = {"before": judged(before, task, sources)}
    after = exposed(texts, name, seed, texts.sentences(), PAPER)
    return record | {
        "after": judged(after, task, sources),
        "rows": {part: len(getattr(task, part).y) for part in Task._fields},
        "classes": len(before.classes_),
        "tokens": before.n_features_in_,
    }


def variant_run(texts: Texts, name: str, seed: int, what: str) -> Record:
    """One other way of exposing."""
    how, sources = VARIANTS[what], {source: texts.outliers(source) for source in TESTED[name]}
    return judged(exposed(texts, name, seed, texts.sentences(), how), texts.task(name, how.marked), sources)


def auxiliary_sets(texts: Texts) -> dict[str, Callable[[int], list[str]]]:
    """Auxiliary outliers of different sizes and kinds, each made for a seed."""
    sentences, own = texts.sentences(), texts.task(AUXILIARY_FOR).train.texts

    def spread(share: float) -> Callable[[int], list[str]]:
        n = round(share * len(sentences))
        return lambda seed: [sentences[i] for i in np.random.default_rng(seed).permutation(len(sentences))[:n]]

    def together(share: float) -> Callable[[int], list[str]]:
        n = round(share * len(sentences))
        starts = {seed: int(np.random.default_rng(seed).integers(len(sentences) - n)) for seed in SEEDS}
        return lambda seed: sentences[starts[seed] : starts[seed] + n]

    return {
        "WikiText-2, all": lambda seed: sentences,
        "WikiText-2, 10 %": spread(0.1),
        "WikiText-2, 10 %, one after the other": together(0.1),
        "WikiText-2, 1 %": spread(0.01),
        "SST, training rows": lambda seed: texts.task("sst").train.texts,
        "20 Newsgroups, training rows": lambda seed: texts.task("20ng").train.texts,
        "its own texts, words shuffled": lambda seed: shuffle_words(own, random_state=seed),
        "its own texts, spliced": lambda seed: splice_texts(own, random_state=seed),
        "its own words, drawn": lambda seed: draw_words(own, random_state=seed),
    }


def auxiliary_run(texts: Texts, name: str, seed: int, auxiliary: str) -> Record:
    """One other auxiliary set."""
    outliers = auxiliary_sets(texts)[auxiliary](seed)
    task = texts.task(name)
    sources = {source: texts.outliers(source) for source in TESTED[name] if source not in ("20ng", "mr")}
    model = exposed(texts, name, seed, outliers, PAPER)
    return {"outliers": len(outliers)} | judged(model, task, sources)


def plan(texts: Texts) -> Iterator[tuple[Record, Callable[[], Record]]]:
    """What is to be run: what names it, and how. Runs of one baseline stand together."""
    for name in ("trec", "sst", "20ng"):
        for seed in SEEDS:
            key = {"dataset": name, "seed": seed}
            yield key | {"run": "main"}, partial(main_run, texts, name, seed)
            if name == AUXILIARY_FOR:
                for what in auxiliary_sets(texts):
                    yield key | {"run": "auxiliary", "what": what}, partial(auxiliary_run, texts, name, seed, what)
            for what in VARIED.get(name, []):
                yield key | {"run": "variant", "what": what}, partial(variant_run, texts, name, seed, what)


def overlaps(texts: Texts) -> list[Record]:
    """Sentences of WikiText-2 that are, or nearly are, test outliers or normal rows."""
    against = {name: [row["text"] for row in texts.rows(name)] for name in FILES if name != "wikitext"}
    found = check_overlap(texts.sentences(), against)
    return [
        {"source": match.name, "texts": len(against[match.name]), "equal": len(match.exact), "near": len(match.near)}
        | {"examples": [texts.sentences()[row] for row in match.exact[:3, 0]]}
        for match in found.matches
    ]


def main() -> None:
    """Run what has not been run yet, in one process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=["main", "auxiliary", "variant"], help="kinds of runs")
    parser.add_argument("--datasets", nargs="+", default=list(TESTED))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExposeWarning)
    texts = Texts(options.data_dir)
    facts = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {"runs": []}
    if "overlap" not in facts:
        facts |= {"outliers": len(texts.sentences()), "overlap": overlaps(texts)}
        options.out.write_text(as_lines(facts), encoding="utf-8")
    for key, run in plan(texts):
        done = any(key.items() <= other.items() for other in facts["runs"])
        wanted = key["run"] in options.only and key["dataset"] in options.datasets and key["seed"] in options.seeds
        if done or not wanted:
            continue
        start = time.process_time()
        record = key | run()
        record["cpu_seconds"] = round(time.process_time() - start, 1)
        facts["runs"].append(record)
        facts["finished"] = datetime.now(UTC).date().isoformat()
        options.out.write_text(as_lines(facts), encoding="utf-8")
        print(f"{record['cpu_seconds']:6.0f} s  {key}", flush=True)


def as_lines(facts: dict[str, Any]) -> str:
    """JSON with one run a line."""
    runs = ",\n".join(json.dumps(run) for run in facts["runs"])
    return json.dumps(facts | {"runs": []}).replace('"runs": []', f'"runs": [\n{runs}\n]') + "\n"


if __name__ == "__main__":
    main()
