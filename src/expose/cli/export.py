"""``expose export``: a model as an ONNX file, for places without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expose.cli import options as opt
from expose.cli.score import choose_rule
from expose.cli.session import Session
from expose.cli.sources import check_output
from expose.cli.text import joined
from expose.errors import InputError

EXAMPLES = """\b
Examples:
  expose export model/ --out model.onnx
  expose export model/ --out strict.onnx --threshold 0.001

The file takes X, float64 of shape (rows, columns), NaN where a value is missing, and gives anomaly_score,
is_anomaly and, of a calibrated model, p_value; of a classifier predicted_class and probability, too.
Of photos it takes float32 of shape (photos, 3, 224, 224) in [0, 1], and gives a map, too.
"""


def export(
    model: opt.Model,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", show_default=False, help="ONNX file, model.onnx say."),
    ],
    threshold: opt.Threshold = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write MODEL as an ONNX file, for places without Python.

    Browsers, Java and many others score with it. MODEL must look at columns of numbers, or at photos, alone. The file
    is compared with MODEL before it is written.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose import load

        if str(out) == "-":
            raise InputError("--out - : an ONNX file is nothing to look at; name a file, model.onnx say.")
        check_output(out, [str(model)])
        fitted = load(model, device="cpu")
        choose_rule(fitted, threshold, None)
        made = fitted.export(out)
        session.result(out=str(out), **made._asdict())
        session.say(f"ONNX file       {out}: {joined(made.outputs)}")
        if made.columns:
            session.say(f"Columns of X    {joined(made.columns)}")
        session.say(f"Compared        its scores are those of {model}, but for {made.difference:.0e}")
