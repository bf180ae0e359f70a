"""How often drift is said where there is none, and how often where there is some: tables, series and streams.

Rows that a model has not seen are drawn from a pool of held-out rows of the same set, as they are or changed: a column
shifted, doubled in scale or dead, a category gone, more anomalies. Beside the verdict of `expose.decide.Drift` stand
the plain test of Kolmogorov and Smirnov at the same level, and the population stability index above 0.2. Of series the
verdict is also taken as if steps were independent. Streams are watched by an `Alarm`, by the verdict of the latest
thousand rows, asked every hundred, and by a conformal test martingale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.decide import Alarm, Drift, Recent
from expose.decide.drift import distance_bound
from expose.kinds import as_series
from expose_lab.datasets import load
from expose_lab.datasets.series import load_series
from expose_lab.pages import Column, Page, Rows, grid, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.series_spans import BASES, made

Floats = NDArray[np.float64]
SETS = ["annthyroid", "satellite", "mnist", "shuttle", "cover", "adult", "kdd_probe"]
FEW_SETS = ["annthyroid", "satellite", "shuttle"]
OBJECTIVES = ["autoencoder", "gaussian", "ntl", "svdd", "flow"]
SIZES = {30: 20, 100: 20, 1_000: 20, 10_000: 5}  # rows, and how often they are drawn
POOL, ANOMALIES = 4_000, 1_000
LEVEL, STABILITY = 0.01, 0.2
SAME = {0.0: (0.0, 0.05), 0.05: (0.0, 0.05, 0.1), 0.1: (0.0, 0.05, 0.1, 0.15)}  # shares in training, and later
MORE = {0.05: 0.2, 0.1: 0.3}
CHANGES = {
    "shift 1": "a column shifted by 1 sd",
    "shift 3": "a column shifted by 3 sd",
    "scale": "a column of twice its scale",
    "dead": "a column that stands still",
    "vanished": "the commonest category gone",
    "more": "more anomalies: 5 to 20 %, 10 to 30 %",
}
WATCHERS = ("alarm", "window", "martingale")
STREAM, BREAK = 20_000, 10_000
HALF = 6_000  # steps of made series


def cells(sets: Sequence[str], seeds: int, collections: Sequence[str]) -> Iterator[Row]:
    """Tables, other objectives, a classifier, series, streams."""
    for name, seed in product(sets, range(seeds)):
        for rows, share in ((100, 0.0), (100, 0.1), (1_000, 0.0), (1_000, 0.05), (1_000, 0.1), (3_000, 0.1)):
            yield {"part": "tables", "set": name, "rows": rows, "share": share, "seed": seed}
    for name, rows, objective in product(FEW_SETS, (200, 1_000), OBJECTIVES):
        ways = (None, 5) if rows == 1_000 and objective in ("svdd", "flow") else (None,)
        for folds in ways:
            facts = {"set": name, "rows": rows, "share": 0.1, "objective": objective, "calibration": folds}
            yield {"part": "objectives", **facts, "seed": 0}
    for held, seed in product((0, 200), range(seeds)):
        yield {"part": "classifier", "calibration": held or None, "seed": seed}
    for base, seed in product(BASES, range(seeds)):
        yield {"part": "series", "set": base, "seed": seed}
    yield from ({"part": "sets of series", "set": name} for name in collections)
    for name, seed in product(FEW_SETS, range(2 * seeds)):
        yield {"part": "streams", "set": name, "rows": 1_000, "share": 0.1, "seed": seed}


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """The rows of a cell."""
    return PARTS[cell["part"]](cell, data)


# ---------------------------------------------------------------------------------------------------------- tables


class Pool:
    """A fitted model, and rows of the same set that it has not seen."""

    def __init__(self, cell: Row, data: Path) -> None:
        self.rng = np.random.default_rng([cell["seed"], cell["rows"]])
        stored = load(cell["set"], data)
        normal, odd = (self.rng.permutation(np.flatnonzero(stored.y == label)) for label in (0, 1))
        n_odd = min(round(cell["share"] * cell["rows"]), len(odd) // 2)
        n_normal = min(cell["rows"] - n_odd, len(normal) // 2)
        training = stored.X[np.concatenate([normal[:n_normal], odd[:n_odd]])]
        self.normal, self.odd = stored.X[normal[n_normal:][:POOL]], stored.X[odd[n_odd:][:ANOMALIES]]
        self.training = training[self.rng.permutation(len(training))]
        self.share = n_odd / len(training)
        objective, folds = cell.get("objective", "auto"), cell.get("calibration")
        self.detector = AnomalyDetector(objective, calibration=folds, random_state=cell["seed"], device="cpu")
        self.detector.fit(self.training)
        self.drift = Drift.against(self.detector.scorer().fitted)

    @property
    def numbers(self) -> list[int]:
        """Columns of numbers that vary."""
        if self.training.dtype != object:
            return [int(at) for at in np.flatnonzero(self.training.std(axis=0) > 0)]
        whole = [
            all(isinstance(one, float | int) for one in self.training[:, at]) for at in range(self.training.shape[1])
        ]
        return [int(at) for at in np.flatnonzero(whole) if len(set(self.training[:, at])) > 1]

    def changed(self, what: str) -> list[tuple[Floats, Floats]]:
        """Scores of normal rows and of anomalies after a change, of up to three columns one after the other."""
        if what in ("none", "more"):
            return [self.scores(self.normal, self.odd)]
        if what == "vanished":
            return self.without_a_category()
        columns = self.rng.permutation(self.numbers)[:3]
        return [
            self.scores(*(self.with_column(some, int(at), what) for some in (self.normal, self.odd))) for at in columns
        ]

    def with_column(self, rows: NDArray[Any], at: int, what: str) -> NDArray[Any]:
        """Rows with a changed column."""
        known, rows = self.training[:, at].astype(np.float64), rows.copy()
        values = rows[:, at].astype(np.float64)
        new = {
            "shift 1": values + known.std(),
            "shift 3": values + 3 * known.std(),
            "scale": known.mean() + 2 * (values - known.mean()),
            "dead": np.full(len(values), known[0]),
        }
        rows[:, at] = new[what]
        return rows

    def without_a_category(self) -> list[tuple[Floats, Floats]]:
        """Without the rows that hold the commonest category of a column, where it is in a tenth to nine tenths."""
        if self.training.dtype != object:
            return []
        found = []
        for at in set(range(self.training.shape[1])) - set(self.numbers):
            names, counts = np.unique([str(one) for one in self.training[:, at]], return_counts=True)
            if 0.1 < counts.max() / len(self.training) < 0.9:
                gone = names[counts.argmax()]
                found.append([some[[str(one) != gone for one in some[:, at]]] for some in (self.normal, self.odd)])
        return [
            self.scores(*found[place]) for place in self.rng.permutation(len(found))[:3] if all(map(len, found[place]))
        ]

    def scores(self, normal: NDArray[Any], odd: NDArray[Any]) -> tuple[Floats, Floats]:
        """Scores of both."""
        said = self.detector.anomaly_score(np.concatenate([normal, odd]))
        return said[: len(normal)], said[len(normal) :]

    def draw(self, pools: tuple[Floats, Floats], n: int, share: float) -> Floats:
        """So many scores, with a share of anomalies."""
        odd = self.rng.uniform(size=n) < share
        return np.where(odd, self.rng.choice(pools[1], n), self.rng.choice(pools[0], n))


def of_table(cell: Row, data: Path) -> Iterator[Row]:
    """Shares of draws in which each test says drift, by change, size and share of anomalies."""
    pool = Pool(cell, data)
    for what in ("none", *CHANGES) if cell["part"] == "tables" else ("none", "shift 3"):
        before = cell["share"]
        shares = {"none": SAME[before], "more": (MORE[before],) if before in MORE else ()}.get(what, (before,))
        for pools, share, (n, draws) in product(pool.changed(what), shares, SIZES.items()):
            said = [judged(pool.drift, pool.draw(pools, n, share)) for _ in range(draws)]
            yield {"what": what, "later": share, "n": n, **averaged(said)}


def judged(drift: Drift, scores: Floats) -> Row:
    """What each test says of scores."""
    fresh = drift.fresh()
    fresh.add(scores)
    found, reference = fresh.verdict(), drift.reference
    plain = distance_bound(np.array([found.distance]), 0.0, np.array([1 / (1 / len(scores) + 1 / reference.sizes[0])]))
    tenths = np.searchsorted(reference.shares[0], np.linspace(0.1, 0.9, 9))
    expected = np.diff([0, *reference.shares[0, tenths], 1])
    new = np.diff([0, *(np.cumsum(fresh.counts)[tenths] / len(scores)), 1])
    kept, new = np.maximum(expected, 1e-4), np.maximum(new, 1e-4)
    return {
        "moved": found.moved,
        "few": found.verdict == "too few rows",
        "plain": bool(plain[0] <= LEVEL),
        "stability": bool(((new - kept) * np.log(new / kept)).sum() > STABILITY),
        "distance": found.distance,
    }


def averaged(said: Sequence[Row]) -> Row:
    """Means of what was said."""
    return {name: float(np.mean([one[name] for one in said])) for name in said[0]}


def of_classifier(cell: Row, data: Path) -> Iterator[Row]:
    """The same of a classifier of handwritten digits: none has changed, or the lower half of each picture is lost."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(cell["seed"]).permutation(len(X))
    train, later, held = order[:1000], X[order[1000:]], cell["calibration"] or 0
    model = OutlierExposureClassifier(random_state=cell["seed"], device="cpu").fit(X[train[held:]], y[train[held:]])
    if held:
        model.calibrate(X[train[:held]], y[train[:held]])
    drift = Drift.against(model.scorer().fitted)
    for what, rows in (("none", later), ("shift 3", np.where(np.arange(64) >= 32, 0, later))):
        yield {"what": what, "n": len(rows), **averaged([judged(drift, model.anomaly_score(rows))])}


# ---------------------------------------------------------------------------------------------------------- series


def of_series(cell: Row, data: Path) -> Iterator[Row]:
    """Made series: trained on one half, judged by pieces of the other, quiet and with faults of the first channel."""
    values = made(cell["set"], cell["seed"], 2 * HALF)
    yield from of_halves(values[:HALF], values[HALF:], (1_000, HALF))


def of_collection(cell: Row, data: Path) -> Iterator[Row]:
    """Series of a collection without an anomaly in their later half: trained on the first half."""
    for one in load_series(cell["set"], data):
        half = len(one) // 2
        if 1_000 <= half <= 4_000 and not one.y[half:].any() and np.ptp(one.values[:half]):
            for row in of_halves(one.values[:half].astype(np.float64), one.values[half:].astype(np.float64), (half,)):
                yield row | {"series": one.name}


def of_halves(first: Floats, later: Floats, sizes: Sequence[int]) -> Iterator[Row]:
    """Verdicts on pieces of the later half, by all ways; scores as of a file, and as rows come."""
    detector = AnomalyDetector(random_state=0, device="cpu").fit(as_series(first))
    fitted = detector.scorer().fitted
    drift, live = Drift.against(fitted), Drift.against(fitted, tolerance=detector.scorer().live().tolerance)
    naive = Drift(replace(drift.reference, inflation=1.0, sizes=drift.reference.sizes * drift.reference.inflation))
    for what, n in product(("none", "shift 3", "shift 50", "dead", "noise"), sizes):
        for start in range(0, len(later) - n + 1, max(n, HALF // 2)):
            faulty = with_fault(later[start : start + n], what, first[:, 0].std())
            scores = detector.anomaly_score(as_series(faulty))
            said = judged(drift, scores) | {"naive": judged(naive, scores)["moved"]}
            as_come = np.asarray(detector.scorer().live().score(as_series(faulty))["anomaly_score"].to_numpy())
            alarms = list(Alarm(live).add(as_come))
            facts = {
                "inflation": drift.reference.inflation,
                "live": judged(live, as_come)["moved"],
                "alarm": bool(alarms),
            }
            facts |= {"after": alarms[0][1] if alarms else n}
            yield {"what": what, "n": n, **{name: float(value) for name, value in (said | facts).items()}}


def with_fault(values: Floats, what: str, spread: float) -> Floats:
    """Steps whose first channel is changed throughout."""
    values, rng = values.copy(), np.random.default_rng(0)
    first = values[:, 0]
    if what == "dead":
        first[:] = first[0]
    elif what == "noise":
        first += spread * rng.normal(size=len(first))
    elif what != "none":
        first += float(what.split()[1]) * spread
    return values


# --------------------------------------------------------------------------------------------------------- streams


def of_streams(cell: Row, data: Path) -> Iterator[Row]:
    """Twenty thousand rows one after the other; from the ten thousandth on something is changed."""
    pool = Pool(cell, data)
    usual = pool.changed("none")[0]
    streams = [("none", usual, share) for share in (0.02, 0.1, 0.15)]
    streams += [(what, pools, 0.1) for what in ("shift 1", "shift 3", "dead") for pools in pool.changed(what)]
    streams += [("more", usual, 0.3)]
    for what, pools, share in streams:
        first = pool.draw(usual, BREAK, share if what == "none" else 0.1)
        stream = np.concatenate([first, pool.draw(pools, STREAM - BREAK, share)])
        for watcher in WATCHERS:
            begun = first_alarm(watcher, pool.drift, stream)
            false = begun is not None and (what == "none" or begun <= BREAK)
            seen = begun is not None and begun > BREAK and what != "none"
            delay = float(begun - BREAK) if begun is not None and seen else None
            yield {
                "what": what,
                "later": share,
                "watcher": watcher,
                "false": float(false),
                "seen": float(seen),
                "delay": delay,
            }


def first_alarm(watcher: str, drift: Drift, stream: Floats) -> int | None:
    """The row after which a watcher first says drift."""
    if watcher == "alarm":
        return next((row for what, row in Alarm(drift).add(stream) if what == "moved"), None)
    if watcher == "martingale":
        return martingale(drift, stream)
    recent = Recent(drift, rows=1_000)
    for start in range(0, len(stream), 100):
        recent.add(stream[start : start + 100])
        if recent.verdict().moved:
            return start + 100
    return None


def martingale(drift: Drift, stream: Floats, jump: float = 0.01, patience: float = 1_000.0) -> int | None:
    """The simple jumper (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman, "Retrain or not retrain", 2021).

    It bets on conformal p-values u by 1 + e (u - 1/2), e of -1, 0 and 1, and moves a hundredth of its money from
    each to the others after each row. It reaches a thousand with a probability of at most a thousandth (Ville).
    """
    rng, shares = np.random.default_rng(0), np.concatenate([[0.0], drift.reference.shares[0], [1.0]])
    place = np.searchsorted(drift.reference.edges, stream)
    p_values = 1 - shares[place] - rng.uniform(size=len(stream)) * (shares[place + 1] - shares[place])
    stakes, money = np.array([-1.0, 0.0, 1.0]), np.full(3, 1 / 3)
    for row, u in enumerate(p_values, 1):
        money = (1 - jump) * money + jump * money.mean()
        money *= 1 + stakes * (u - 0.5)
        if money.sum() >= patience:
            return row
    return None


PARTS = {
    "tables": of_table,
    "objectives": of_table,
    "classifier": of_classifier,
    "series": of_series,
    "sets of series": of_collection,
    "streams": of_streams,
}


# ------------------------------------------------------------------------------------------------------------ page


def context(page: Page) -> dict[str, Any]:
    """Tables of false alarms and of power."""
    rows = page.rows("drift")
    tables, series = rows.where(part="tables"), rows.where(part=("series", "sets of series"))
    tests = {"moved": "this test", "plain": "plain test", "stability": "stability index"}
    columns = {f"{n:,} rows": [Column(name, {"n": n}, spread=False) for name in tests] for n in SIZES}

    def by_share(found: Rows) -> str:
        pairs = [(before, later) for before, some in SAME.items() for later in some]
        lines = {f"{100 * a:g} % to {100 * b:g} %": {"share": a, "later": b} for a, b in pairs}
        return grid(found, lines, columns, "anomalies in training, and later")

    by_size = {f"{n:,} training rows": {"rows": n} for n in sorted(tables.each("rows"))}
    usual = tables.where(rows=1_000)
    power = {said: {"what": what} for what, said in CHANGES.items()}
    changed = Rows(row for row in usual if row["what"] != "none")
    by_set = {name: {"set": name} for name in tables.each("set")}
    of_change = {said: Column("moved", {"what": what, "n": 1_000}, spread=False) for what, said in CHANGES.items()}
    others = rows.where(part="objectives", n=10_000)
    way: dict[str, Row] = {"no calibration": {"calibration": None}, "5 folds": {"calibration": 5}}
    fitted: dict[str, Row] = {
        f"{name}, {said}": {"objective": name, **where}
        for name, (said, where) in product(others.each("objective"), way.items())
        if others.where(objective=name, **where)
    }
    shown = {
        f"{'false alarms' if what == 'none' else 'a column shifted by 3 sd'}, {n:,} training rows": Column(
            "moved", {"what": what, "rows": n}, spread=False
        )
        for what, n in product(("none", "shift 3"), (200, 1_000))
    }
    distance = {
        f"distance, {n:,}": Column("distance", {"what": "none", "rows": n}, 1, 2, spread=False) for n in (200, 1_000)
    }
    ways = {"moved": "this test", "naive": "steps as independent", "live": "as rows come", "alarm": "alarm"}
    faults = {
        "quiet": "none",
        "shifted by 3 sd": "shift 3",
        "by 50 sd": "shift 50",
        "dead": "dead",
        "noise of 1 sd": "noise",
    }
    kinds: dict[str, Row] = {f"made, {n:,} steps": {"part": "series", "n": n} for n in (1_000, HALF)}
    kinds |= {"NAB, quiet later halves": {"part": "sets of series"}}
    of_series_ = {
        label: [Column(name, {"what": what}, spread=False) for name in ways] for label, what in faults.items()
    }
    streams = rows.where(part="streams")
    return {
        "date": rows.finished,
        "sets": SETS,
        "few_sets": FEW_SETS,
        "seeds": len(tables.each("seed")),
        "draws": SIZES,
        "pool": (POOL, ANOMALIES),
        "level": LEVEL,
        "stability": STABILITY,
        "tests": tests,
        "false_by_share": by_share(usual.where(what="none")),
        "false_by_size": grid(tables.where(what="none"), by_size, columns, "model"),
        "n_draws": sum(SIZES[row["n"]] for row in tables.where(what="none")),
        "n_false": round(sum(SIZES[row["n"]] * row["moved"] for row in tables.where(what="none"))),
        "worst": worst(tables.where(what="none")),
        "power": grid(changed, power, columns, "what has changed"),
        "by_set": grid(usual, by_set, of_change, "set"),
        "objectives": grid(others, fitted, {**shown, **distance}, "objective"),
        "classifier": grid(
            rows.where(part="classifier"),
            {"not calibrated": {"calibration": None}, "200 held-out rows": {"calibration": 200}},
            {
                "false alarms": Column("moved", {"what": "none"}, spread=False),
                "distance": Column("distance", {"what": "none"}, 1, 2, spread=False),
                "half of the picture lost": Column("moved", {"what": "shift 3"}, spread=False),
            },
            "calibration",
        ),
        "series": grid(series, kinds, of_series_, "series"),
        "series_by_base": grid(
            series.where(part="series", n=HALF),
            {base: {"set": base} for base in BASES},
            {**of_series_, "rows that count as one": Column("inflation", {}, 1, 0, spread=False)},
            "series",
        ),
        "few": grid(
            series,
            kinds,
            {label: Column("few", {"what": what}, spread=False) for label, what in faults.items()},
            "too few",
        ),
        "ways": ways,
        "streams": of_watchers(streams),
        "stream": (STREAM, BREAK),
        "half": HALF,
    }


def worst(found: Rows) -> str:
    """The set on which false alarms are most frequent, for each test."""
    means = {
        name: max((found.where(set=one).mean(name), one) for one in found.each("set"))
        for name in ("moved", "plain", "stability")
    }
    return " / ".join(f"{100 * share:.1f} ({name})" if share else "0.0" for share, name in means.values())


def of_watchers(streams: Rows) -> str:
    """False alarms, and of each change how often it was seen, and after how many rows in the median."""
    lines = []
    quiet = streams.where(what="none")
    for watcher in WATCHERS:
        false = [
            f"{100 * quiet.where(watcher=watcher, later=share).mean('false'):.0f}" for share in quiet.each("later")
        ]
        early = 100 * Rows(row for row in streams.where(watcher=watcher) if row["what"] != "none").mean("false")
        seen = []
        for what in ("shift 1", "shift 3", "dead", "more"):
            here = streams.where(watcher=watcher, what=what)
            delays = [row["delay"] for row in here if row["delay"] is not None]
            seen.append(f"{100 * here.mean('seen'):.0f}" + (f" ({np.median(delays):,.0f})" if delays else ""))
        lines.append([watcher, *false, f"{early:.0f}", *seen])
    shares = [f"quiet, {100 * share:g} %" for share in quiet.each("later")]
    return table(["watcher", *shares, "too early", "shift 1 sd", "shift 3 sd", "dead", "10 to 30 %"], lines)


STUDY = Study(
    "drift",
    "how often drift is said where there is none and where there is some, on tables, series and streams",
    cells=cells,
    measure=measure,
    options={"sets": SETS, "seeds": 2, "collections": ["nab"]},
    page="benchmark/drift.md",
    context=context,
)
