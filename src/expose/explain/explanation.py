"""What makes samples as anomalous as they are: one signature for columns of tables and places of photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.explain.attribution import attribute, most_anomalous_parts
from expose.model import Fitted
from expose.scoring import Encoded, Scorer

Floats = NDArray[np.float64]
WHOLE = "the whole"  # the name of what no place of a sample carries
NOTHING = "nothing in it"  # of what an empty sample is made of
MOST_PIECES = 10  # that are kept of each sample
TINY = 1e-12


@dataclass(frozen=True)
class Explanation:
    """Parts of the anomaly scores of n samples.

    Attributes
    ----------
    names : tuple of K str
        What is distinguished: the columns of a table, or where in a photo, such as "upper left". Where nothing in a
        sample is, what the objective found odd of it, in words; empty if that has no words either.
    effects : (n, K) array of float
        Change of the anomaly score due to each, in its units; 0 for what was not examined.
    excess : (n,) array of float
        Anomaly score of each sample minus the mean score of typical training samples.
    maps : sequence of n arrays of float, or None
        Where places were judged, their scores put back where they came from: of each photo a heat map ``(H, W)`` of its
        size, made when it is looked at.
    """

    names: tuple[str, ...]
    effects: Floats
    excess: Floats
    maps: Sequence[Floats] | None = None

    def top(self, row: int, count: int = 3) -> list[tuple[str, float]]:
        """The names that make a sample most anomalous, with their share of its excess score."""
        best = np.argsort(-self.effects[row], kind="stable")[:count]
        excess = self.excess[row] if self.excess[row] > 0 else np.inf
        return [(self.names[k], float(max(self.effects[row, k], 0.0) / excess)) for k in best]


def explain(scorer: Scorer, X: Any) -> Explanation:
    """Attribute the anomaly score of each sample to its columns, or to places in it, or to the kind of oddness found.

    Where places were judged, their scores are at hand, see `of_places`; the maps come along. Else the columns, or
    whatever the encoder distinguishes, are exchanged with those of typical training parts that the model keeps, see
    `expose.explain.attribution`: one sample is explained as well as many, up to the number of typical parts averaged
    over, 16 for few, 4 for thousands. Some 100 scores are computed for each of 1,000 samples, more of fewer.
    """
    given = scorer.encoded(X)
    if scorer.fitted.encoder.sources:
        return of_sources(scorer.fitted, given)
    if scorer.fitted.kind.has_pieces:
        return of_pieces(scorer, given)
    maps = scorer.maps(given) if scorer.fitted.has_places else None
    return explain_parts(scorer.fitted, given.parts, maps)


def explain_parts(fitted: Fitted, parts: NDArray[np.float32], maps: Sequence[Floats] | None = None) -> Explanation:
    """The same for encoded samples, ``(n, D)`` or ``(n, P, D)``; of P parts without places the most anomalous."""
    if fitted.has_places:
        return of_places(fitted, parts, maps)
    groups = fitted.encoder.groups
    if not groups:
        return of_components(fitted, parts)
    rows = most_anomalous_parts(fitted.scores, parts)
    found = attribute(fitted.scores, rows, fitted.typical, groups)
    effects = np.zeros((len(rows), len(groups)))
    np.put_along_axis(effects, found.columns, found.effects, axis=1)
    return Explanation(tuple(name for name, _ in groups), effects, found.excess)


def of_sources(fitted: Fitted, given: Encoded) -> Explanation:
    """Give each source what the score would fall if it were not known, and were as the others let one expect."""
    encoder, samples = fitted.encoder, given.samples
    whole = fitted.scores(encoder.without(samples, None))
    falls = [whole - fitted.scores(encoder.without(samples, source)) for source in encoder.sources]
    return Explanation(encoder.sources, np.maximum(np.stack(falls, axis=1), 0.0), excess_of(fitted, given.parts))


def of_pieces(scorer: Scorer, given: Encoded) -> Explanation:
    """What is lost without each of what a sample is made of, see `Kind.without_each`, as a share of its excess.

    Of vectors it is the way towards the middle of typical ones: by how much of the sample's distance from there it is
    nearer without the piece, along the line between them. Scores would not do: to a model that remembers its training
    samples, one of them less a word is near to a remembered one, least changed by the words that say least. Of other
    forms it is how far the score falls.

    Of each sample the most telling few are kept. Where it is made of nothing, that is why.
    """
    excess = excess_of(scorer.fitted, given.parts)
    kind, found = scorer.fitted.kind, list[dict[str, float]]()
    for row in range(len(excess)):
        names, without = kind.without_each(given.samples, row)
        lost = lost_without(scorer, given.take(np.array([row])), without) if names else np.ones(1)
        best = np.argsort(-lost, kind="stable")[:MOST_PIECES].tolist()
        found.append({(names or (NOTHING,))[place]: float(lost[place]) for place in best})
    different = tuple(dict.fromkeys(name for each in found for name in each))
    shares = np.array([[each.get(name, 0.0) for name in different] for each in found])
    return Explanation(different, shares.reshape(len(found), -1) * np.maximum(excess, 0.0)[:, None], excess)


def lost_without(scorer: Scorer, whole: Encoded, without: Any) -> Floats:
    """Share of what sets one sample apart that is gone in each of others, ``(K,)``."""
    less = scorer.encoded(without)
    parts = less.parts
    if scorer.fitted.encoder.layout.form != "vector" or parts.ndim > 2:
        excess = float(excess_of(scorer.fitted, whole.parts)[0])
        falls: Floats = scorer.scores(whole) - scorer.scores(less)
        return falls / max(excess, TINY)
    middle = scorer.fitted.typical.mean(axis=0, dtype=np.float64)
    away = whole.parts[0] - middle  # (D,)
    return np.asarray(1.0 - (parts - middle) @ away / max(float(away @ away), TINY), dtype=np.float64)


def of_components(fitted: Fitted, parts: NDArray[np.float32]) -> Explanation:
    """Give all of the excess of each sample to the component that its score is, in the words of the objective."""
    components = fitted.components(parts)
    names = tuple(fitted.objective.components[name] for name in components)
    each = np.stack([*components.values(), np.full(len(parts), -np.inf)], axis=1)  # (n, K + 1)
    largest = each.argmax(axis=1)[:, None] == np.arange(len(names))  # (n, K)
    excess = excess_of(fitted, parts)
    return Explanation(names, largest * np.maximum(excess, 0.0)[:, None], excess)


def excess_of(fitted: Fitted, parts: NDArray[np.float32]) -> Floats:
    """Scores of encoded samples minus the mean score of typical ones, ``(n,)``."""
    excess: Floats = fitted.scores(parts) - fitted.scores(fitted.typical).mean()
    return excess


def of_places(fitted: Fitted, parts: NDArray[np.float32], maps: Sequence[Floats] | None = None) -> Explanation:
    """Divide the excess of each sample among the places that score higher than the highest of a usual sample does.

    Each has its part in proportion to how much higher; where none does, the highest has all. Places of one name are
    taken together. What an objective adds that no place carries, see `Objective.placeless`, goes to `WHOLE`.
    """
    scores = fitted.place_scores(parts)  # (n, P)
    above = np.maximum(scores - fitted.usual_peak.centre, 0.0)
    none = above.sum(axis=1) <= 0
    above[none, scores[none].argmax(axis=1)] = 1.0
    names = fitted.place_names
    different = tuple(dict.fromkeys(names))
    belongs = np.array([[name == one for one in different] for name in names], dtype=np.float64)  # (P, K)
    excess = excess_of(fitted, parts)
    shares = above @ belongs / above.sum(axis=1, keepdims=True)
    if fitted.objective.placeless:
        whole = _placeless_shares(fitted, parts)[:, None]
        different, shares = (*different, WHOLE), np.hstack([shares * (1.0 - whole), whole])
    return Explanation(different, shares * np.maximum(excess, 0.0)[:, None], excess, maps)


def _placeless_shares(fitted: Fitted, parts: NDArray[np.float32]) -> Floats:
    """How much of each score no place carries, ``(n,)`` in [0, 1]: components are logarithms of what is added."""
    components = fitted.components(parts)
    rarity = {name: np.exp(scores - fitted.scores(parts)) for name, scores in components.items()}
    shares: Floats = rarity[fitted.objective.placeless] / sum(rarity.values())
    return shares
