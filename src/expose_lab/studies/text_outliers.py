"""Outlier exposure on texts, as in sections 4.2 and 4.3 of Hendrycks et al. 2019, with what is to be had.

A recurrent network learns the classes of 20 Newsgroups, TREC or SST; then it is fine-tuned with sentences of WikiText-2
as auxiliary outliers. Tested are outliers of other sources, one for five normal rows, before and after, and calibration
beside it. The folder of data holds ``text`` with files ``<name>.jsonl.xz``.

All sources are treated alike: signs that only say which file a text is from (escaped quotes, line breaks of HTML,
signs of WikiText for hyphens in words and numbers) are undone, each text is cut after 60 tokens, in lower case, and
one encoder, fitted on the training rows, numbers the tokens.
"""

from __future__ import annotations

import copy
import html
import json
import lzma
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import OutlierExposureClassifier
from expose.decide import fit_temperature
from expose.kinds import tokens
from expose.objectives import Descend
from expose.outliers import check_overlap, draw_words, shuffle_words, splice_texts
from expose_lab.metrics import OutlierResults, outlier_calibration, outlier_detection, softmax_confidence
from expose_lab.pages import Column, Page, Rows, Where, count, grid, mean_std, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

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
BASELINE: dict[str, Any] = {"epochs": 5, "batch_size": 64, "learning_rate": 0.01}  # Adam, falling along a cosine
EXPOSED: dict[str, Any] = {**BASELINE, "epochs": 2}
AUXILIARY_FOR = "trec"
UNTESTED_THERE = (
    "20ng",
    "mr",
)  # since texts of 20 Newsgroups and of SST, which movie reviews are near to, are auxiliary
Logits = NDArray[np.float64]


class Variant(NamedTuple):
    """A way of exposing."""

    settings: dict[str, Any] | None  # of the training with outliers; None trains without
    goes_on: bool = True  # from the baseline, and not from scratch
    marked: bool = False  # normal rows have a mark at their first word, as if they alone had kept their capitals


VARIANTS = {
    "as in the paper": Variant(EXPOSED),
    "from scratch": Variant(BASELINE, goes_on=False),
    "5 epochs": Variant({**EXPOSED, "epochs": 5}),
    "learning rate 0.001": Variant({**EXPOSED, "learning_rate": 0.001}),
    "first words of normal rows marked": Variant(EXPOSED, marked=True),
    "first words of normal rows marked, before exposure": Variant(None, marked=True),
}
STANDARD = "as in the paper"
VARIED = {"sst": list(VARIANTS)[1:], "20ng": ["from scratch"]}  # where the published level is not reached
AUXILIARY = (
    "WikiText-2, all",
    "WikiText-2, 10 %",
    "WikiText-2, 10 %, one after the other",
    "WikiText-2, 1 %",
    "SST, training rows",
    "20 Newsgroups, training rows",
    "its own texts, words shuffled",
    "its own texts, spliced",
    "its own words, drawn",
)


def cells(datasets: list[str], seeds: list[int]) -> Iterator[Row]:
    """The check for overlap, and all runs; those of one baseline stand together."""
    yield {"run": "overlap", "dataset": "", "seed": 0, "what": ""}
    for name in datasets:
        for seed in seeds:
            key = {"dataset": name, "seed": seed}
            yield {"run": "main", **key, "what": STANDARD}
            if name == AUXILIARY_FOR:
                yield from ({"run": "auxiliary", **key, "what": what} for what in AUXILIARY)
            yield from ({"run": "variant", **key, "what": what} for what in VARIED.get(name, []))


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Rows of detection and of calibration, of the baseline too where it is a main run."""
    texts = read_texts(data / "text")
    if cell["run"] == "overlap":
        yield from overlaps(texts)
        return
    name, seed = cell["dataset"], cell["seed"]
    how = VARIANTS[cell["what"]] if cell["run"] == "variant" else VARIANTS[STANDARD]
    task = texts.task(name, how.marked)
    sources = {source: texts.outliers(source) for source in TESTED[name]}
    outliers = texts.sentences()
    if cell["run"] == "auxiliary":
        outliers = auxiliary(texts, cell["what"], seed)
        sources = {source: found for source, found in sources.items() if source not in UNTESTED_THERE}
    sizes = {part: len(getattr(task, part).y) for part in Task._fields} | {"outliers": len(outliers)}
    if cell["run"] == "main":
        model = baseline(texts, name, seed)
        sizes |= {"classes": len(model.classes_), "tokens": model.n_features_in_}
        yield from ({"when": "before", **row, **sizes} for row in judged(model, task, sources))
    model = exposed(texts, name, seed, outliers, how)
    yield from ({"when": "after", **row, **sizes} for row in judged(model, task, sources))


# ------------------------------------------------------------------------------------------------------------ texts


class Labelled(NamedTuple):
    """Texts and their classes."""

    texts: list[str]
    y: NDArray[np.str_]


class Task(NamedTuple):
    """A data set in its parts."""

    train: Labelled
    held_out: Labelled
    test: Labelled


@cache
def read_texts(folder: Path) -> Texts:
    """What lies in a folder, read once."""
    return Texts(folder)


class Texts:
    """Reads and cleans what lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = cache(self._rows)
        self.outliers = cache(self._outliers)
        self.task = cache(self._task)

    def _rows(self, name: str, most_tokens: int = MOST_TOKENS) -> list[Row]:
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
            return Task(*(Labelled([mark(text) for text in part.texts], part.y) for part in self.task(name)))
        rows = [row | {"class": class_of(name, row)} for row in self.rows(name)]
        rows = [row for row in rows if row["class"]]
        parts = {split: [row for row in rows if row["split"] == split] for split in ("train", "dev", "test")}
        if not parts["dev"]:
            parts["dev"], parts["train"] = set_apart(parts["train"])
        train, dev, test = (
            Labelled([row["text"] for row in parts[split]], np.array([row["class"] for row in parts[split]]))
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


def class_of(name: str, row: Row) -> str:
    """Class of a row; empty for what is left out."""
    if name == "trec":
        return f"{row['label']}:{row['fine']}"
    if name == "sst":
        return ["negative", "negative", "", "positive", "positive"][row["label5"]]
    return str(row["label"])


def set_apart(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Rows kept for the temperature, and the others, among which every class is."""
    first = {row["class"]: place for place, row in reversed(list(enumerate(rows)))}
    free = np.setdiff1d(np.arange(len(rows)), list(first.values()))
    kept = set(np.random.default_rng(0).choice(free, int(HELD_OUT * len(rows)), replace=False).tolist())
    return [rows[i] for i in sorted(kept)], [row for i, row in enumerate(rows) if i not in kept]


def auxiliary(texts: Texts, what: str, seed: int) -> list[str]:
    """Auxiliary outliers of different sizes and kinds."""
    sentences, own = texts.sentences(), texts.task(AUXILIARY_FOR).train.texts
    rng = np.random.default_rng(seed)

    def spread(share: float) -> list[str]:
        return [sentences[i] for i in rng.permutation(len(sentences))[: round(share * len(sentences))]]

    def together(share: float) -> list[str]:
        n = round(share * len(sentences))
        start = int(rng.integers(len(sentences) - n))
        return sentences[start : start + n]

    ways: dict[str, Callable[[], list[str]]] = {
        "WikiText-2, all": lambda: sentences,
        "WikiText-2, 10 %": lambda: spread(0.1),
        "WikiText-2, 10 %, one after the other": lambda: together(0.1),
        "WikiText-2, 1 %": lambda: spread(0.01),
        "SST, training rows": lambda: texts.task("sst").train.texts,
        "20 Newsgroups, training rows": lambda: texts.task("20ng").train.texts,
        "its own texts, words shuffled": lambda: shuffle_words(own, random_state=seed),
        "its own texts, spliced": lambda: splice_texts(own, random_state=seed),
        "its own words, drawn": lambda: draw_words(own, random_state=seed),
    }
    return ways[what]()


def overlaps(texts: Texts) -> Iterator[Row]:
    """Sentences of WikiText-2 that are, or nearly are, test outliers or normal rows."""
    against = {name: [row["text"] for row in texts.rows(name)] for name in FILES if name != "wikitext"}
    sentences = texts.sentences()
    for match in check_overlap(sentences, against).matches:
        found = {"source": match.name, "texts": len(against[match.name])}
        found |= {"equal": len(match.exact), "near": len(match.near)}
        yield found | {"examples": [sentences[row] for row in match.exact[:3, 0]], "outliers": len(sentences)}


# ------------------------------------------------------------------------------------------------------- one model


@lru_cache(maxsize=1)
def baseline(texts: Texts, name: str, seed: int, marked: bool = False) -> OutlierExposureClassifier:
    """Classifier that has seen no outlier."""
    return new(seed, BASELINE).fit(*texts.task(name, marked).train)


def new(seed: int, settings: dict[str, Any]) -> OutlierExposureClassifier:
    """Untrained, as the paper has it."""
    about: dict[str, Any] = {"warm_start": True, "random_state": seed, "device": "cpu"}
    return OutlierExposureClassifier("gru", terms={"uniform": 1.0}, recipe=recipe(settings), **about)


def recipe(settings: dict[str, Any]) -> Descend:
    """In float32."""
    return Descend(**settings, precision="32")


def exposed(texts: Texts, name: str, seed: int, outliers: list[str], how: Variant) -> OutlierExposureClassifier:
    """Classifier after outlier exposure."""
    settings = BASELINE if how.settings is None else how.settings
    model = copy.deepcopy(baseline(texts, name, seed, how.marked)) if how.goes_on else new(seed, settings)
    if how.settings is None:
        return model
    model.set_params(recipe=recipe(settings))
    return model.fit(*texts.task(name, how.marked).train, outliers=outliers)


SCORES: dict[str, Callable[[Logits], NDArray[np.float64]]] = {
    "msp": lambda log_p: -np.exp(log_p.max(axis=1)),
    "entropy": lambda log_p: log_p.mean(axis=1),  # -H(U; p)
}


def judged(model: OutlierExposureClassifier, task: Task, sources: dict[str, list[str]]) -> Iterator[Row]:
    """Detection by each score and source, and calibration at the temperature that held-out normal rows like best."""
    normal = model.predict_log_proba(task.test.texts)
    outliers = {source: model.predict_log_proba(texts) for source, texts in sources.items()}
    error = {"error": float((model.classes_[normal.argmax(axis=1)] != task.test.y).mean())}
    for name, score in SCORES.items():
        others = {source: score(log_p) for source, log_p in outliers.items()}
        result = outlier_detection(score(normal), others, level=LEVEL)
        yield from ({"kind": "detection", "score": name, **row, **error} for row in records(result))
    held = model.predict_log_proba(task.held_out.texts)
    t = fit_temperature(held, np.searchsorted(model.classes_, task.held_out.y))
    confidence, predicted = softmax_confidence(normal, t)
    doubts = {source: softmax_confidence(log_p, t)[0] for source, log_p in outliers.items()}
    result = outlier_calibration(model.classes_[predicted] == task.test.y, confidence, doubts)
    yield from ({"kind": "calibration", "temperature": t, **row, **error} for row in records(result))


def records(result: OutlierResults) -> Iterator[Row]:
    """Records of sources, and those without a source but the mean, which depends on which sources there are."""
    for record in result.records():
        if record["source"] != "mean":
            yield {key: round(value, 5) if isinstance(value, float) else value for key, value in record.items()}


# ------------------------------------------------------------------------------------------------------------ page

METRICS = {"fpr_at_tpr": "FPR90", "auroc": "AUROC", "average_precision": "AUPR"}
CALIBRATION = {"rms": "RMS", "mad": "MAD", "soft_f1": "soft F1"}
NAMES = {
    "20ng": "20 Newsgroups",
    "trec": "TREC",
    "sst": "SST",
    "imdb": "IMDB",
    "multi30k": "Multi30k",
    "wmt16": "WMT16",
    "mr": "movie reviews",
    "ptb": "Penn Treebank",
}
WAYS: dict[str, Where] = {
    "before, MSP": {"when": "before", "score": "msp"},
    "after, MSP": {"when": "after", "score": "msp"},
    "after, -H(U; p)": {"when": "after", "score": "entropy"},
}


def context(page: Page) -> dict[str, Any]:
    """Ours beside the published, source by source, and what else was tried."""
    rows = page.rows("text_outliers")
    found = Rows(row for row in rows if row["run"] != "overlap")
    main = found.where(run="main")
    theirs = json.loads((page.results.parent / "published_oe_text.json").read_text(encoding="utf-8"))
    sets = [name for name in TESTED if name in main.each("dataset")]
    seeds = {name: len(main.where(dataset=name).each("seed")) for name in sets}
    normal_and_mixed = {"normal": ("normal only",), "mixed": tuple(NAMES)}
    columns = {"temperature": Column("temperature", scale=1, digits=2, spread=False)}
    for part, sources in normal_and_mixed.items():
        columns |= {f"{part} {title}": Column(name, {"source": sources}) for name, title in CALIBRATION.items()}
    both = {f"{NAMES[name]} | {when}": {"dataset": name, "when": when} for name in sets for when in ("before", "after")}
    return {
        "names": {name: NAMES[name] for name in sets},
        "baseline": BASELINE,
        "exposed": EXPOSED,
        "outliers": rows.where(run="overlap")[0]["outliers"],
        "fewest_words": FEWEST_WORDS,
        "seeds": ", ".join(f"{NAMES[name]} {count(number, 'seed')}" for name, number in seeds.items()),
        "finished": rows.finished,
        "minutes": round(found.once("cpu_seconds") / 60),
        "means_table": means_table(main, sets, theirs),
        "goals": goals(main, sets, theirs),
        "sources_table": lambda name: sources_table(main.where(dataset=name), theirs["rows"][name]),
        "errors_table": errors_table(main, sets),
        "calibration_table": two_headed(grid(main.where(kind="calibration"), both, columns, "data set | ")),
        "auxiliary": auxiliary_section(found),
        "variants": variants_section(found),
        "data": data_text(main, sets),
        "held_out": f"{100 * HELD_OUT:.0f}",
        "most_tokens": MOST_TOKENS,
        "most_tested": MOST_TESTED,
        "overlap": overlap_table(rows.where(run="overlap")),
        "cues": cues_section(page.rows("text_cues"), main, theirs) if page.has("text_cues") else {},
    }


def two_headed(text: str) -> str:
    """A table whose labels are two columns."""
    return text.replace("|---|--:|", "|---|--:|--:|", 1)


def arrow(pair: Sequence[float]) -> str:
    """Published numbers before and after."""
    return f"{pair[0]:.1f} → {pair[1]:.1f}"


def printed(theirs: dict[str, Any], sources: Sequence[str], metric: str) -> list[float]:
    """Published means over some sources, before and after."""
    return [float(mean) for mean in np.mean([theirs[source][metric] for source in sources], axis=0)]


def means_table(main: Rows, sets: list[str], theirs: dict[str, Any]) -> str:
    """Ours and the published means, before and after."""
    lines = []
    detection = main.where(kind="detection")
    for name in sets:
        mine = detection.where(dataset=name)
        columns = [printed(theirs["rows"][name], IN_PAPER, metric) for metric in METRICS]
        for i, when in enumerate(("before", "after")):
            numbers = [f"{column[i]:.1f}" for column in columns]
            lines.append([f"{NAMES[name]}, same sources", f"published, {when}", *numbers])
        for label, sources in (("same sources", IN_PAPER), ("all sources here", TESTED[name])):
            for way, where in WAYS.items():
                found = mine.where(source=sources, **where)
                numbers = [mean_std(found.per(metric, "seed")) for metric in METRICS]
                lines.append([f"{NAMES[name]}, {label}", way, *numbers])
        total = [arrow(theirs["mean"][name][metric]) for metric in METRICS]
        lines.append([f"{NAMES[name]}, all ten of the paper", "published", *total])
    return table(["tested on", "", *METRICS.values()], lines)


def goals(main: Rows, sets: list[str], theirs: dict[str, Any]) -> list[dict[str, Any]]:
    """Whether the published FPR90 after exposure is reached on the same sources."""
    said = []
    for name in sets:
        published = printed(theirs["rows"][name], IN_PAPER, "fpr_at_tpr")
        found = main.where(dataset=name, kind="detection", score="msp", source=IN_PAPER)
        ours = [100 * found.where(when=when).mean("fpr_at_tpr") for when in ("before", "after")]
        cut, their_cut = (100 * (1 - after / before) for before, after in (ours, published))
        said.append({
            "name": NAMES[name], "published": arrow(published), "ours": arrow(ours),
            "reached": "reached" if ours[1] <= published[1] else "not reached",
            "cut": f"{cut:.0f}", "their_cut": f"{their_cut:.0f}",
        })  # fmt: skip
    return said


def sources_table(found: Rows, theirs: dict[str, Any]) -> str:
    """All sources of one data set, a table for each metric."""
    tables = []
    sources = TESTED[found[0]["dataset"]]
    for metric, title in METRICS.items():
        columns = {way: Column(metric, where) for way, where in WAYS.items()}
        ours = grid(found.where(kind="detection"), {NAMES[one]: {"source": one} for one in sources}, columns)
        lines = [line.strip("| ").split(" | ") for line in ours.split("\n")[2:]]
        known = [arrow(theirs[one][metric]) if one in theirs else "" for one in sources]
        rows = [[line[0], text, *line[1:]] for line, text in zip(lines, known, strict=True)]
        tables.append(table([title, "published", *WAYS], rows))
    return "\n\n".join(tables)


def errors_table(main: Rows, sets: list[str]) -> str:
    """Error of the classes before and after."""
    lines = []
    for name in sets:
        mine = main.where(dataset=name)
        numbers = [mean_std(mine.where(when=when).per("error", "seed")) for when in ("before", "after")]
        lines.append([NAMES[name], str(mine[0]["classes"]), *numbers])
    return table(["data set", "classes", "before", "after"], lines)


TRIED = {
    "FPR90 MSP": Column("fpr_at_tpr", {"score": "msp"}),
    "FPR90 -H(U; p)": Column("fpr_at_tpr", {"score": "entropy"}),
    "AUROC -H(U; p)": Column("auroc", {"score": "entropy"}),
    "error": Column("error"),
}


def tried_table(tried: dict[str, Rows], corner: str, sizes: dict[str, int] | None = None) -> str:
    """For each thing tried the mean over sources, both scores, and the error."""
    lines = []
    for what, rows in tried.items():
        found = rows.where(kind="detection")
        texts = [] if sizes is None else [f"{sizes.get(what, 0):,}"]
        cells_ = [column.text(column.values(found, "seed")) for column in TRIED.values()]
        lines.append([what, *texts, str(len(found.each("seed"))), *cells_])
    return table([corner, *(["texts"] if sizes is not None else []), "seeds", *TRIED], lines)


def auxiliary_section(rows: Rows) -> dict[str, str]:
    """Which auxiliary set helps."""
    runs = rows.where(run="auxiliary")
    found = {what: runs.where(what=what) for what in AUXILIARY if what in runs.each("what")}
    sources = tuple(one for one in TESTED[AUXILIARY_FOR] if one not in UNTESTED_THERE)
    before = rows.where(run="main", dataset=AUXILIARY_FOR, when="before", source=sources, seed=runs.each("seed"))
    sizes = {what: round(some.mean("outliers")) for what, some in found.items()}
    text = tried_table({"none: before exposure": before, **found}, "auxiliary outliers", sizes)
    return {"table": text, "name": NAMES[AUXILIARY_FOR], "sources": ", ".join(NAMES[source] for source in sources)}


def variants_section(rows: Rows) -> list[str]:
    """Other ways of exposing, a table for each data set; over the sources that the paper has too."""
    runs, tables = rows.where(run="variant", source=IN_PAPER), []
    for name in runs.each("dataset"):
        mine = runs.where(dataset=name)
        found = {STANDARD: rows.where(run="main", when="after", dataset=name, source=IN_PAPER)}
        found |= {what: mine.where(what=what) for what in VARIANTS if what in mine.each("what")}
        tables.append(tried_table(found, NAMES[name]))
    return tables


def data_text(main: Rows, sets: list[str]) -> str:
    """How many rows there are."""
    first = {name: main.where(dataset=name)[0] for name in sets}
    return "; ".join(
        f"{NAMES[name]} {row['train']:,} training, {row['held_out']:,} held-out and {row['test']:,} test rows of at "
        f"most {row['tokens']} tokens"
        for name, row in first.items()
    )


def overlap_table(rows: Rows) -> dict[str, str]:
    """What the auxiliary outliers share with others."""
    lines = [[NAMES[row["source"]], f"{row['texts']:,}", str(row["equal"]), str(row["near"])] for row in rows]
    examples = ", ".join(f'"{text}"' for row in rows for text in row["examples"])
    return {"table": table(["set", "texts", "equal", "nearly equal"], lines), "examples": examples}


def cues_section(rows: Rows, main: Rows, theirs: dict[str, Any]) -> dict[str, Any]:
    """What the published numbers read: under the authors' conditions, and with each cue taken away."""
    sets = {name: found for name in TESTED if (found := rows.where(dataset=name))}
    return {
        "parts": table(
            ["data set", *PARTS], [[NAMES[name], *reading_and_cue(found, main, theirs)] for name, found in sets.items()]
        ),
        "tables": {NAMES[name]: conditions_table(found, theirs) for name, found in sets.items()},
        "signs": signs_table(sets),
        "seeds": ", ".join(f"{NAMES[name]} {count(len(found.each('seed')), 'seed')}" for name, found in sets.items()),
        "minutes": round(rows.once("cpu_seconds") / 60),
        "finished": rows.finished,
    }


PARTS = ("published", "as the authors", "of that by reading", "by cues", "tested alike", "trained and tested alike")


def reading_and_cue(rows: Rows, main: Rows, theirs: dict[str, Any]) -> list[str]:
    """FPR90 before and after exposure with all cues and with none; what it takes away without any is reading."""
    msp, conditions = rows.where(score="msp"), rows.each("what")  # from the authors' to all texts alike
    name = rows[0]["dataset"]
    alike = main.where(dataset=name, kind="detection", score="msp", source=IN_PAPER)
    with_cues, tested, trained = (
        [100 * found.where(when=when).mean("fpr_at_tpr") for when in ("before", "after")]
        for found in (msp.where(what=conditions[0]), msp.where(what=conditions[-1]), alike)
    )
    taken, reading = with_cues[0] - with_cues[1], tested[0] - tested[1]
    published = printed(theirs["rows"][name], IN_PAPER, "fpr_at_tpr")
    return [
        arrow(published), arrow(with_cues), f"{reading:.1f}", f"{taken - reading:.1f}", arrow(tested), arrow(trained)
    ]  # fmt: skip


def conditions_table(rows: Rows, theirs: dict[str, Any]) -> str:
    """Each condition: the authors' stored model where it is known, and ours."""
    stored = theirs["stored_models"].get(rows[0]["dataset"], {})
    columns = {
        "before": Column("fpr_at_tpr", {"score": "msp", "when": "before"}),
        "after": Column("fpr_at_tpr", {"score": "msp", "when": "after"}),
        "after, -H(U; p)": Column("fpr_at_tpr", {"score": "entropy", "when": "after"}),
        "AUROC after": Column("auroc", {"score": "msp", "when": "after"}),
    }
    lines = []
    for what in rows.each("what"):
        found = rows.where(what=what)
        known = f"{np.mean(stored[what]):.1f}" if what in stored else ""
        lines.append([what, known, *(column.text(column.values(found, "seed")) for column in columns.values())])
    return table(["FPR90", "their stored model, after", *columns], lines)


def signs_table(sets: dict[str, Rows]) -> str:
    """Padding and unknown words under the authors' conditions: what a network may see without reading."""
    lines = []
    for name, rows in sets.items():
        seen = rows.where(what=rows[0]["what"], score="msp", when="after")
        by_source = [seen.where(source=source) for source in IN_PAPER]
        padding = [f"{some.mean('pads'):.1f}" for some in by_source]
        unknown = [f"{100 * some.mean('unknown'):.0f} %" for some in by_source]
        normal, auxiliary = seen.mean("normal_pads"), seen.mean("unknown_auxiliary")
        lines.append([NAMES[name], f"{normal:.1f}", *padding, *unknown, f"{100 * auxiliary:.0f} %"])
    sources = [NAMES[source] for source in IN_PAPER]
    return table(
        ["", "padding of its texts", *(f"of {one}" for one in sources), *(f"unknown in {one}" for one in sources),
         "in WikiText-2"],
        lines,
    )  # fmt: skip


STUDY = Study(
    "text_outliers",
    "outlier exposure of text classifiers, as in Hendrycks et al. 2019",
    cells=cells,
    measure=measure,
    options={"datasets": ["trec", "sst", "20ng"], "seeds": list(SEEDS)},
    page="benchmark/text.md",
    context=context,
)
