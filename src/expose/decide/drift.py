"""Drift: whether new scores are distributed as those of training, of a batch, of a window and of a stream.

With thousands of rows any two samples differ significantly, and a training set is never exactly like the rows that
follow. So the null hypothesis is not that nothing has changed, but that little has: the distributions of scores lie no
further apart than a tolerance t, by the distance of Kolmogorov and Smirnov,

    D = sup_s |F_new(s) - F_ref(s)|,    p = 2 exp(-2 k (D - t)^2) for D > t, else 1,    1/k = 1/n + 1/m,

by the inequality of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart ("The tight constant in the
Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability, 1990), here of n new rows and m of the reference; of two
samples it holds to leading order (Wei and Dudley, "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities", Statistics and
Probability Letters, 2012). If a share a of the rows is replaced by any others, D is at most a: a tolerance of 0.1 lets
a tenth of them change in whatever way. A second test looks at the rows above the threshold, which are few: whether
their share f exceeds what is allowed, a, the larger of twice what was expected and that and half a tolerance, by the
bound of Chernoff (Annals of Mathematical Statistics, 1952),

    p = exp(-k KL(f || a)) for f > a, else 1,    KL(f || a) = f log(f/a) + (1-f) log((1-f)/(1-a)),    1/k = 1/n + 2/m,

where 2/m is for what the reference itself does not know. The p-value of both together is twice the smaller one.

Neighbouring steps of a series have scores alike, so that n of them say less than n rows do. By how much is measured on
the reference, by the variance of means of blocks; n and m count as so many fewer (`inflation`).

An `Alarm` watches a stream at any time; it bets against the same null hypothesis.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]
LEVEL: Final = 0.01  # of the verdict
FEWEST: Final = 30  # rows
NOTICED: Final = 0.6  # where no distance below it could be noticed, rows are too few
BINS: Final = 200  # of each reference: a distance is too small by 1/200 at most
BLOCKS: Final = 10  # the fewest that a variance between blocks is read from
TIMES: Final = 2.0  # as many rows above the threshold are allowed as were expected, or ...
OF_TOLERANCE: Final = 0.5  # ... so much of the tolerance more
EXACT: Final = 0.1  # the tolerance where rows are compared with others that were not trained on
WATCHED: Final = (0.2, 0.5, 0.8)  # quantiles of the reference at which an alarm looks, beside the threshold
MANY: Final = 1_000  # rows from which on a training set is not known by heart
UNKNOWN: Final = 1.0  # a tolerance that says: scores of training rows say nothing of others
AS_TRAINED, MOVED, TOO_FEW, UNJUDGED = "as in training", "moved", "too few rows", "not judged"
KS, RATES = "Kolmogorov-Smirnov distance", "share above the threshold"


class Judge(Protocol):
    """A fitted model: what is asked of it."""

    kind: Any
    objective: Any
    known: NDArray[np.int8]

    @property
    def training_scores(self) -> Floats:
        """Of each training sample."""
        ...

    @property
    def calibration_scores(self) -> Floats | None:
        """Of samples that were not trained on."""
        ...

    def threshold_score(self, threshold: Any) -> float:
        """Above which samples are flagged."""
        ...


@dataclass(frozen=True)
class Reference:
    """What scores are compared with, of whatever size: a few hundred numbers.

    Attributes
    ----------
    edges : (E,) array
        Scores, ascending, at which distributions are compared; the threshold is one of them.
    names : tuple of str
        Of the R samples of scores; new ones have moved if they are unlike all of these.
    shares : (R, E) array
        Share of each sample up to each edge.
    sizes : (R,) array
        So many independent rows each sample is worth.
    inflation : float
        So many rows count as one.
    tolerance : float
        The distance that counts as none.
    line : float
        The threshold.
    """

    edges: Floats
    names: tuple[str, ...]
    shares: Floats
    sizes: Floats
    inflation: float
    tolerance: float
    line: float

    @classmethod
    def of(cls, samples: dict[str, Floats], line: float, tolerance: float, inflation: float = 1.0) -> Self:
        """Make it of samples of scores, by name, with at least one score each."""
        levels = np.linspace(0, 1, BINS + 1)
        found = [np.quantile(one, levels, method="inverted_cdf") for one in samples.values()]
        edges = np.unique(np.concatenate([*found, [line]]))
        shares = np.stack([np.searchsorted(np.sort(one), edges, side="right") / len(one) for one in samples.values()])
        sizes = np.array([len(one) / inflation for one in samples.values()])
        return cls(edges, tuple(samples), shares, sizes, inflation, tolerance, line)

    @property
    def expected(self) -> Floats:
        """Share of each sample above the threshold, ``(R,)``."""
        return 1 - self.shares[:, np.searchsorted(self.edges, self.line)]

    @property
    def allowed(self) -> Floats:
        """How large the share above the threshold may be, ``(R,)``."""
        return self.allows(self.expected)

    def allows(self, expected: Floats) -> Floats:
        """How large a share of rows may be, of which so many are expected."""
        found: Floats = np.minimum(1, np.maximum(TIMES * expected, expected + OF_TOLERANCE * self.tolerance))
        return found


@dataclass(frozen=True)
class DriftVerdict:
    """What is said of new scores.

    Attributes
    ----------
    verdict : str
        "as in training", "moved", "too few rows" or "not judged".
    rows : int
        With a score.
    effective_rows : float
        So many independent rows they are worth.
    test : str
        The one of the two with the smaller p-value.
    p_value : float
        Of the hypothesis that scores lie no further from the reference than the tolerance; of both tests together.
    distance : float
        Largest difference of the two distribution functions, in [0, 1].
    tolerance : float
        The distance that counts as none.
    noticeable : float
        The least distance that so many rows could show.
    flagged, expected : float
        Share above the threshold: of the new rows, and of the reference.
    median_level : float
        The share of the reference below the median of the new scores; 0.5 where nothing has changed.
    reference : str
        What was compared with: the sample that is nearer.
    """

    verdict: str
    rows: int
    effective_rows: float
    test: str
    p_value: float
    distance: float
    tolerance: float
    noticeable: float
    flagged: float
    expected: float
    median_level: float
    reference: str

    @property
    def moved(self) -> bool:
        """Whether the scores have moved."""
        return self.verdict == MOVED

    def facts(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return dict(vars(self))

    def said(self, noun: str = "row") -> str:
        """The verdict in a sentence, without a full stop.

        Examples
        --------
        >>> drift = Drift(Reference.of({"training": np.arange(1000.0)}, line=989.0, tolerance=0.1))
        >>> drift.add(np.full(3, 2000.0))
        >>> print(drift.verdict().said())
        too few rows to say: 3 rows, at least 30 are needed
        """
        rows = f"{self.rows:,} {noun}{'' if self.rows == 1 else 's'}"
        if self.verdict == UNJUDGED:
            return f"not judged: scores of the training {noun}s say nothing of others here; fit with --calibration 5"
        if self.verdict == TOO_FEW:
            few = f"{rows}, at least {FEWEST} are needed"
            if self.rows >= FEWEST:
                few = f"{rows} count as {self.effective_rows:,.0f} beside the {self.reference}"
                few += f", so a distance below {self.noticeable:.2f} could not be seen"
            return f"too few {noun}s to say: {few}"
        numbers = f"distance {self.distance:.2f}, up to {self.tolerance:g} is usual"
        numbers += f"; {_percent(self.flagged)} flagged, {_percent(self.expected)} expected"
        if self.verdict == AS_TRAINED:
            return f"none: scores are as in training ({numbers})"
        way = "higher" if self.median_level > 0.5 else "lower"
        moved = f"scores of {rows} are {way} than in training" if self.test == KS else f"of {rows} more are flagged"
        chance = f"p {self.p_value:.1g}" if self.p_value >= 1e-16 else "p below 1e-16"
        return f"{moved} ({numbers}; {chance})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


class Drift:
    """Counts scores, batch by batch, and says whether they are distributed as those of training.

    It holds a few hundred counts, however many rows come. Those of several processes are merged.

    Parameters
    ----------
    reference : Reference
        `Drift.against` makes it of a model.

    Examples
    --------
    >>> from expose import AnomalyDetector
    >>> rng = np.random.default_rng(0)
    >>> scorer = AnomalyDetector(random_state=0).fit(rng.normal(size=(500, 3))).scorer()
    >>> drift = Drift.against(scorer.fitted)
    >>> drift.add(scorer.scores(rng.normal(size=(400, 3))))
    >>> drift.verdict().verdict
    'as in training'
    >>> drift = drift.fresh()
    >>> drift.add(scorer.scores(rng.normal(size=(400, 3)) + [50, 0, 0]))
    >>> drift.verdict().verdict, drift.verdict().distance
    ('moved', 1.0)
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.counts = np.zeros(len(reference.edges) + 1, dtype=np.int64)  # up to each edge from the one before

    @classmethod
    def against(cls, fitted: Judge, threshold: Any = None, *, tolerance: float = 0.0) -> Self:
        """Compare with what a model keeps: its calibration scores and its training scores.

        Parameters
        ----------
        fitted : Fitted
        threshold : None, float, str or object
            The rule in force, as of a `Scorer`.
        tolerance : float, default=0
            The least distance that counts; as large as the objective's own at least (`Objective.in_sample`).
        """
        training, calibration, known = fitted.training_scores, fitted.calibration_scores, fitted.known == 1
        samples = {"training scores": training}
        if known.any() and not known.all():
            samples["training scores of no known anomalies"] = training[~known]
        if calibration is not None:
            samples["calibration scores"] = calibration
        own = EXACT if calibration is not None else in_sample(fitted.objective.in_sample, len(training))
        tolerance = max(tolerance, own)
        inflation = 1.0 if fitted.kind.alone else inflation_of(training)
        return cls(Reference.of(samples, fitted.threshold_score(threshold), tolerance, inflation))

    def fresh(self) -> Self:
        """The same without the scores that were counted."""
        return type(self)(self.reference)

    def add(self, scores: Any) -> None:
        """Count some more scores, ``(n,)``; those that are NaN are none."""
        given = np.asarray(scores, dtype=np.float64)
        if given.ndim != 1:
            raise InputError(f"scores must be an array of shape (n,); got shape {given.shape}.")
        places = np.searchsorted(self.reference.edges, given[~np.isnan(given)], side="left")
        self.counts += np.bincount(places, minlength=len(self.counts))

    def merge(self, other: Drift) -> None:
        """Count what another one has counted, against the same reference.

        Raises
        ------
        InputError
            Where the reference is another one.
        """
        if not np.array_equal(self.reference.edges, other.reference.edges):
            raise InputError("these scores were counted against another model; merge those of one and the same.")
        self.counts += other.counts

    @property
    def rows(self) -> int:
        """How many scores were counted."""
        return int(self.counts.sum())

    def verdict(self) -> DriftVerdict:
        """What the scores that were counted say."""
        reference, n = self.reference, self.rows
        share = np.cumsum(self.counts)[:-1] / max(n, 1)  # (E,)
        distances = np.abs(reference.shares - share).max(axis=1) if n else np.zeros(len(reference.names))
        effective = n / reference.inflation
        pairs = effective * reference.sizes / (effective + reference.sizes)  # k of the equation, (R,)
        by_distance = distance_bound(distances, reference.tolerance, pairs)
        line = int(np.searchsorted(reference.edges, reference.line))
        flagged = float(1 - share[line]) if n else 0.0
        by_share = share_bound(
            flagged, reference.allowed, effective * reference.sizes / (2 * effective + reference.sizes)
        )
        together = np.minimum(1, 2 * np.minimum(by_distance, by_share))
        nearest = int(np.argmax(together - distances * 1e-9))  # the likeliest; of as likely ones that which is nearer
        noticeable = reference.tolerance + math.sqrt(math.log(4 / LEVEL) / (2 * pairs[nearest])) if n else 1.0
        middle = int(np.searchsorted(share, 0.5))
        levels = np.concatenate([reference.shares[nearest], [1.0]])
        return DriftVerdict(
            verdict=self._word(float(together[nearest]), noticeable),
            rows=n,
            effective_rows=effective,
            test=KS if by_distance[nearest] <= by_share[nearest] else RATES,
            p_value=float(together[nearest]),
            distance=float(distances[nearest]),
            tolerance=reference.tolerance,
            noticeable=min(1.0, noticeable),
            flagged=flagged,
            expected=float(reference.expected[nearest]),
            median_level=float(levels[middle]) if n else 0.5,
            reference=reference.names[nearest],
        )

    def _word(self, p_value: float, noticeable: float) -> str:
        if self.reference.tolerance >= UNKNOWN:
            return UNJUDGED
        if self.rows < FEWEST:
            return TOO_FEW
        if p_value <= LEVEL:
            return MOVED
        return TOO_FEW if noticeable > NOTICED else AS_TRAINED


def distance_bound(distances: Floats, tolerance: float, pairs: Floats) -> Floats:
    """P-values of distances that may be as large as a tolerance, ``(R,)``, of so many pairs of rows.

    Examples
    --------
    >>> distance_bound(np.array([0.05, 0.2]), 0.1, np.array([500.0, 500.0])).round(6).tolist()
    [1.0, 9.1e-05]
    """
    beyond = np.maximum(distances - tolerance, 0)
    found: Floats = np.minimum(1, 2 * np.exp(-2 * pairs * beyond**2))
    return found


def share_bound(share: float, allowed: Floats, pairs: Floats) -> Floats:
    """P-values of a share of rows that may be as large as is allowed, ``(R,)``.

    Examples
    --------
    >>> share_bound(0.2, np.array([0.2, 0.1]), np.array([200.0, 200.0])).round(6).tolist()
    [1.0, 0.000139]
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # where all may lie above, or all do
        divergence = share * np.log(share / allowed)  # (R,)
        if share < 1:
            divergence += (1 - share) * np.log((1 - share) / (1 - allowed))
    found: Floats = np.where(share > allowed, np.exp(-pairs * divergence), 1.0)
    return found


def upper_bound(shares: Floats, sizes: Floats) -> Floats:
    """How large a share may truly be that was found among so many rows, at the level (Wilson, JASA, 1927).

    Examples
    --------
    >>> upper_bound(np.array([0.0, 0.5]), np.array([100.0, 100.0])).round(3).tolist()
    [0.051, 0.613]
    """
    z = 2.326  # of the level, to one side
    middle, half = shares + z**2 / (2 * sizes), z * np.sqrt(shares * (1 - shares) / sizes + (z / (2 * sizes)) ** 2)
    found: Floats = (middle + half) / (1 + z**2 / sizes)
    return found


def in_sample(tolerance: float, rows: int) -> float:
    """How far scores of so many rows that were trained on may lie from those of others: of few rows further.

    Examples
    --------
    >>> in_sample(0.1, 50), in_sample(0.25, 4000), in_sample(0.25, 250), in_sample(0.25, 50)
    (0.1, 0.25, 0.5, 1.0)
    """
    if tolerance <= EXACT:  # judged without themselves
        return tolerance
    return min(UNKNOWN, tolerance * math.sqrt(max(1.0, MANY / rows)))


def inflation_of(scores: Floats) -> float:
    """So many scores, in the order of their rows, say as much as one of independent rows; at least 1.

    The variance of means of blocks, times their length, over the variance of single scores, both of ranks; the largest
    over lengths of 2, 4, 8 ... as long as there are ten blocks (Flegal and Jones, Annals of Statistics, 2010, on batch
    means).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=4000)
    >>> inflation_of(noise) < 2 < 20 < inflation_of(np.convolve(noise, np.ones(40)))
    True
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # of ties the mean
    spread = float(ranks.var())
    if spread == 0:
        return 1.0

    def of_length(length: int) -> float:
        count = len(ranks) // length
        means = ranks[: count * length].reshape(count, length).mean(axis=1)
        return length * float(means.var(ddof=1)) / spread

    lengths = [2**power for power in range(1, 64) if len(ranks) >= BLOCKS * 2**power]
    return max([1.0, *map(of_length, lengths)])


# --------------------------------------------------------------------------------------------------------- streams


class Recent:
    """The same of the latest scores of a stream: of the last ``rows``, or of the last ``seconds``.

    What is counted together is forgotten together, in ``parts`` parts, so that it holds as many counts of a `Drift`,
    and a window is longer than asked for by a part at most.

    Parameters
    ----------
    drift : Drift
        Whose reference is taken.
    rows : int, optional
    seconds : float, optional
        Either of the two.
    parts : int, default=10
    clock : callable
        Seconds, ascending.

    Examples
    --------
    >>> recent = Recent(Drift(Reference.of({"training": np.arange(1000.0)}, 989.0, 0.1)), rows=100)
    >>> recent.add(np.full(5000, 2000.0))
    >>> recent.add(np.arange(0.0, 1000.0, 10.0))
    >>> recent.verdict().rows, recent.verdict().verdict
    (100, 'as in training')
    """

    def __init__(
        self,
        drift: Drift,
        *,
        rows: int | None = None,
        seconds: float | None = None,
        parts: int = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if (rows is None) == (seconds is None):
            raise InputError("a window is of so many rows or of so many seconds; give one of the two.")
        if parts < 1 or (rows is not None and rows < parts) or (seconds is not None and not seconds > 0):
            raise InputError(f"a window has at least one row in each of its {parts} parts, or a length in time.")
        self.rows, self.seconds, self.parts, self.clock = rows, seconds, parts, clock
        self._whole = drift.fresh()
        self._parts: deque[tuple[float, Drift]] = deque()

    def add(self, scores: Any) -> None:
        """Count the latest scores, ``(n,)``, and forget those that are too old."""
        given = np.asarray(scores, dtype=np.float64)
        for piece in self._pieces(given[~np.isnan(given)]):
            self._parts[-1][1].add(piece)
            self._whole.add(piece)
        self._forget()

    def verdict(self) -> DriftVerdict:
        """What the scores in the window say."""
        self._forget()
        return self._whole.verdict()

    def _pieces(self, scores: Floats) -> Iterator[Floats]:
        """Scores that fit into one part, each; parts are begun as they are needed."""
        if self.rows is None:
            now = self.clock()
            if not self._parts or now - self._parts[-1][0] >= self._length:
                self._parts.append((now, self._whole.fresh()))
            yield scores
            return
        most = max(1, self.rows // self.parts)
        scores = scores[-self.rows - most :]  # older ones would be forgotten at once
        while len(scores):
            if not self._parts or self._parts[-1][1].rows >= most:
                self._parts.append((0.0, self._whole.fresh()))
            room = most - self._parts[-1][1].rows
            yield scores[:room]
            scores = scores[room:]
            self._forget()

    @property
    def _length(self) -> float:
        return (self.seconds or 0.0) / self.parts

    def _forget(self) -> None:
        while self._parts and self._is_old(*self._parts[0]):
            self._whole.counts -= self._parts.popleft()[1].counts

    def _is_old(self, begun: float, first: Drift) -> bool:
        if self.seconds is not None:
            return self.clock() - begun - self._length >= self.seconds
        return self._whole.rows - first.rows >= (self.rows or 0)


class Alarm:
    """Watches a stream without end, and may be asked after every block of rows.

    At three quantiles of the reference, upwards and downwards, and at the threshold, it bets on the share X of a block
    that lies beyond, which has a mean of at most mu if scores are no further from the reference than the tolerance:

        L = 1 + lambda (X - mu),    0 < lambda < 1/mu,    R <- (R + 1) L.

    Each product of L is a test supermartingale (Waudby-Smith and Ramdas, "Estimating means of bounded random variables
    by betting", JRSS B, 2024), and the mean of the R over all bets an e-detector of Shiryaev-Roberts type: under the
    null hypothesis it takes ``patience`` blocks or more on average until it reaches ``patience`` (Shin, Ramdas and
    Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2024). A conformal test
    martingale (Vovk, "Testing randomness online", Statistical Science, 2021) knows no tolerance: in a long stream it
    rejects whatever differs at all, the error of the reference too.

    R is not kept above the square of ``patience``, and an alarm ends when it has fallen to a tenth of ``patience``.

    Parameters
    ----------
    drift : Drift
        Whose reference is taken.
    patience : float, default=1000
        Blocks between two false alarms, on average, at least.
    block : int, default=20
        Rows of a block, at least; of rows that resemble their neighbours as many as count as one.

    Attributes
    ----------
    on : bool
        Whether scores have moved.
    rows : int
        How many scores came.
    since : int
        Row after which the alarm began or ended; 0 before the first.

    Examples
    --------
    >>> alarm = Alarm(Drift(Reference.of({"training": np.arange(1000.0)}, 989.0, 0.1)))
    >>> rng = np.random.default_rng(0)
    >>> list(alarm.add(rng.permutation(np.arange(1000.0)))), alarm.on
    ([], False)
    >>> list(alarm.add(np.full(300, 2000.0)))[0][0], alarm.on
    ('moved', True)
    """

    def __init__(self, drift: Drift, *, patience: float = 1000.0, block: int = 20) -> None:
        reference = drift.reference
        self.reference, self.patience = reference, patience
        self.block = math.ceil(max(block, reference.inflation))
        self.on, self.rows, self.since = False, 0, 0
        inner = np.searchsorted(reference.shares[-1], WATCHED)
        self._edges = np.append(reference.edges[np.minimum(inner, len(reference.edges) - 1)], reference.line)  # (J,)
        above = 1 - reference.shares[:, np.searchsorted(reference.edges, self._edges)]  # (R, J)
        most = upper_bound(np.concatenate([above, 1 - above[:, :-1]], axis=1), reference.sizes[:, None])
        self._means = np.minimum(1, most + reference.tolerance)  # (R, K): above each edge; below each but the threshold
        line = len(WATCHED)
        self._means[:, line] = reference.allows(most[:, line])
        self._stakes = np.array([0.5, 0.9])[:, None, None] / self._means  # (S, R, K)
        self._wealth = np.zeros(self._stakes.shape)
        self._beyond = np.zeros(len(self._edges))  # of the block that is not full, rows above each edge
        self._filled = 0

    def add(self, scores: Any) -> Iterator[tuple[str, int]]:
        """Take the scores that came, ``(n,)``; yield (verdict, row) where the alarm begins or ends."""
        given = np.asarray(scores, dtype=np.float64)
        given = given[~np.isnan(given)]
        while len(given):
            piece, given = given[: self.block - self._filled], given[self.block - self._filled :]
            self._beyond += (piece[:, None] > self._edges).sum(axis=0)
            self._filled += len(piece)
            self.rows += len(piece)
            if self._filled == self.block:
                turned = self._bet(self._beyond / self.block)
                self._beyond, self._filled = np.zeros(len(self._edges)), 0
                if turned:
                    self.on, self.since = not self.on, self.rows
                    yield (MOVED if self.on else AS_TRAINED), self.rows

    def _bet(self, above: Floats) -> bool:
        """Bet on one block; whether the alarm begins or ends with it."""
        shares = np.concatenate([above, 1 - above[:-1]])  # (K,)
        self._wealth = (self._wealth + 1) * (1 + self._stakes * (shares - self._means))
        evidence = self._wealth.mean(axis=(0, 2), keepdims=True)
        self._wealth *= np.minimum(1, self.patience**2 / evidence)  # or an alarm would not end for as long as it took
        return self.evidence >= self.patience if not self.on else self.evidence < self.patience / 10

    @property
    def evidence(self) -> float:
        """R: the mean over bets, of the sample of the reference that is nearest."""
        if self.reference.tolerance >= UNKNOWN:
            return 0.0
        return float(self._wealth.mean(axis=(0, 2)).min())

    def state(self) -> dict[str, Any]:
        """What it has to know to go on, in JSON types."""
        lists = {
            "wealth": self._wealth.ravel().tolist(),
            "beyond": self._beyond.tolist(),
            "edges": self._edges.tolist(),
        }
        return {"on": self.on, "rows": self.rows, "since": self.since, "filled": self._filled, **lists}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same model.

        Raises
        ------
        InputError
            Where it is of another model, or another threshold.
        """
        wealth, beyond = np.array(state["wealth"]), np.array(state["beyond"])
        if wealth.size != self._wealth.size or not np.array_equal(state["edges"], self._edges):
            raise InputError("this state of an alarm is of another model or threshold; begin without it.")
        self._wealth, self._beyond, self._filled = wealth.reshape(self._wealth.shape), beyond, state["filled"]
        self.on, self.rows, self.since = state["on"], state["rows"], state["since"]
