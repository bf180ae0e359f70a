"""A fitted model as one ONNX graph: raw columns or photos in, scores, decisions and maps out."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from expose.atomic import whole_file
from expose.decide import Verdict
from expose.errors import InputError
from expose.exporting.base import PLACES, Input, input_of, score_of
from expose.exporting.checking import compared
from expose.exporting.graph import (
    DOUBLE,
    IR_VERSION,
    OPSET,
    TEXT,
    TRUTH,
    WHOLE,
    Graph,
    Value,
    onnx_package,
    op,
    side_by_side,
    stacked,
    tiled,
)
from expose.exporting.heads import combined, judged, p_values
from expose.model import Fitted
from expose.objectives import Objective
from expose.scoring import Scorer
from expose.stores import Stored, place_of

NEARLY = 1e-5  # of a score: so far may ours be from those of the graph, by rounding


class Exported(NamedTuple):
    """What an ONNX file takes and gives.

    Attributes
    ----------
    columns : list of str
        Of its input, in order.
    outputs : list of str
    difference : float
        The largest between its scores and those of the model, over made-up rows, see `difference`.
    """

    columns: list[str]
    outputs: list[str]
    difference: float


def export(scorer: Scorer, file: str | Path) -> Exported:
    """Write an ONNX file that scores as a model does; it appears whole or not at all, and replaces one that is there.

    Raises
    ------
    InputError
        If something of the model cannot be exported, the message names what; or if the graph does not score as it.
    MissingExtraError
        If `onnx` or `onnxruntime` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> detector = AnomalyDetector("svdd", random_state=0).fit(X)
    >>> export(detector.scorer(), tempfile.mkdtemp() + "/model.onnx").outputs
    ['anomaly_score', 'is_anomaly']
    """
    model = onnx_model(scorer)
    content = model.SerializeToString()
    most = compared(content, scorer)
    target = place_of(file)
    with whole_file(target if isinstance(target, Stored) else Path(os.path.realpath(target))) as draft:
        draft.write(content)
    columns = json.loads(next(one.value for one in model.metadata_props if one.key == "columns"))
    return Exported(columns, [one.name for one in model.graph.output], most)


def onnx_model(scorer: Scorer) -> Any:
    """The model of a scorer, checked by `onnx.checker`; with the rule by which the scorer flags.

    Raises
    ------
    InputError
        If something of it cannot be exported; the message names what.
    MissingExtraError
        If `onnx` or `onnxruntime` is not installed.
    """
    onnx = onnx_package()
    fitted = scorer.fitted
    given = input_of(fitted.encoder)
    members = [fitted.ensemble.member(place) for place in range(fitted.ensemble.n_members)]
    graph = Graph()
    X, described = graph.input(given.name, given.element, ["n", *given.shape])
    n_places = fitted.encoder.layout.n_places if type(members[0]) in PLACES and fitted.has_places else 0
    width = 3 if isinstance(fitted.head, Verdict) else 1 + n_places
    said = tiled(X, width, lambda part: head(fitted, members, given.encode(part)), given.at_once)
    scores = said.take(np.array(0), axis=1)  # (n,)
    outputs = {"anomaly_score": (scores, DOUBLE), "is_anomaly": (scores > line(scorer), TRUTH)}
    shapes: dict[str, list[str | int]] = {}
    if n_places:
        places = fitted.encoder.layout.places
        outputs["map"] = (said.take(np.arange(1, width), axis=1).reshape(0, *places), DOUBLE)
        shapes["map"] = ["n", *places]
    if isinstance(fitted.head, Verdict):
        number = op("Cast", said.take(np.array(1), axis=1), to=WHOLE)
        classes = class_names(fitted.head)
        outputs["predicted_class"] = (op("Gather", classes, number, axis=0), TYPES[classes.dtype.kind])
        outputs["probability"] = (said.take(np.array(2), axis=1), DOUBLE)
    if fitted.calibration_scores is not None:
        outputs["p_value"] = (p_values(scores, fitted.calibration_scores), DOUBLE)
    helper = onnx.helper
    for name, (value, _) in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [value.name], [name]))
    returned = [
        helper.make_tensor_value_info(name, kind, shapes.get(name, ["n"])) for name, (_, kind) in outputs.items()
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "expose", [described], returned, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="expose",
        producer_version=version("expose"),
    )
    helper.set_model_props(model, described_by(scorer, given))
    onnx.checker.check_model(model, full_check=True)
    return model


TYPES = {"f": DOUBLE, "i": WHOLE, "b": TRUTH, "U": TEXT}


def class_names(head: Verdict) -> np.ndarray[Any, Any]:
    """The classes as ONNX has them: numbers, truth values or texts."""
    classes = np.asarray(head.classes)
    if classes.dtype.kind == "O":
        classes = np.array([str(one) for one in classes])
    if classes.dtype.kind == "u":
        classes = classes.astype(np.int64)
    if classes.dtype.kind not in TYPES:
        raise InputError(f"ONNX has no type for classes such as {classes[0]!r}; name them by texts or whole numbers.")
    return classes


def head(fitted: Fitted, members: list[Objective], parts: Value) -> Value:
    """What all members make of parts ``(n, D)``, as one: scores, and those of places, ``(n, 1 + P)``; see `judged`."""
    said = [score_of(member, parts).rounded() for member in members]
    if isinstance(fitted.head, Verdict):
        return judged(fitted.head, said[0])
    scores = stacked([combined(fitted.head, said)])
    if type(members[0]) not in PLACES or not fitted.has_places:
        return scores
    places = [PLACES[type(member)](member, parts).rounded() for member in members]  # (n, P) each
    return side_by_side([scores, combined(fitted.head, places)])


def line(scorer: Scorer) -> float:
    """The score above which rows are flagged, a little above ours.

    Ours is the score of a training row, which is not flagged itself. Were it to score the last digit more elsewhere, it
    would be.
    """
    drawn = scorer.fitted.threshold_score(scorer.threshold)
    above = scorer.fitted.reference_scores
    above = above[above > drawn]
    gap = float(above.min()) - drawn if len(above) else np.inf
    return drawn + min(gap / 2, NEARLY * abs(drawn))


def described_by(scorer: Scorer, given: Input) -> dict[str, str]:
    """What a reader of the file wants to know of it; lists as JSON."""
    fitted, threshold = scorer.fitted, scorer.threshold
    found = {
        "expose_version": version("expose"),
        "kind": fitted.kind.name,
        "objective": fitted.objective.name or type(fitted.objective).__name__,
        "columns": json.dumps(given.columns),
        "threshold_rule": fitted.threshold_rule(threshold),
        "threshold_score": repr(fitted.threshold_score(threshold)),
    }
    if isinstance(fitted.head, Verdict):
        found["classes"] = json.dumps(class_names(fitted.head).tolist())
        found["score_function"] = fitted.head.score
    return found
