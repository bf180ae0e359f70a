"""The commands of ``expose``, gathered. Each imports what it needs only when it runs, so help is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from expose.cli.demo import demo
from expose.cli.fit import fit
from expose.cli.query import query
from expose.cli.report import report
from expose.cli.score import score
from expose_lab.cli import bench, data

HELP = """Find anomalies in data nobody has cleaned.

Train on a table as it is, anomalies included; get its suspects ranked, and score new rows.
"""

EPILOG = """\b
Examples:
  expose demo
  expose fit transactions.parquet --id account --out model/
  expose score model/ new.csv --out scores.parquet
  expose report model/ new.csv --out report.html

Exit codes: 0 done; 1 a bug in expose; 2 the command, the data or the disk needs a repair, the message says
which; 3 the model folder was refused; 130 interrupted by Ctrl-C; 141 nobody reads stdout any more.
"""

FIT_EXAMPLES = """\b
Examples:
  expose fit transactions.parquet --out model/
  expose fit data/ --id account,day --ignore comment --out model/
  expose fit data.csv --contamination 0.02 --members 5 --out model/
  expose fit data.csv --label is_fraud --outliers known_frauds.csv --out model/
  expose fit leaves.csv --label species --outliers other.parquet --out model/     (a classifier)
  zcat data.csv.gz | expose fit - --out model/

Killed or interrupted? Run the same command again: it goes on from MODEL.checkpoint.
"""

SCORE_EXAMPLES = """\b
Examples:
  expose score model/ new.csv --out scores.parquet
  expose score model/ 'logs/*.parquet' --threshold 0.001 --out scores.csv.gz
  expose score model/ new.csv --fdr 0.1 --out scores.csv
  cat new.csv | expose score model/ - --out - | head

The scores file keeps the order of the rows: id columns, then anomaly_score (higher = more anomalous)
and is_anomaly; p_value too, if the model was fitted with --calibration. A classifier also writes
predicted_class and its probability.
"""

QUERY_EXAMPLES = """\b
Examples:
  expose query model/ transactions.parquet --out to_label.csv
  expose query model/ data.csv -k 5 --id account --out to_label.csv

Fill in the column 'label' (1 anomaly, 0 normal), then train again, and perhaps ask again:
  expose fit transactions.parquet --answers to_label.csv --out better/
"""

REPORT_EXAMPLES = """\b
Examples:
  expose report model/ new.csv
  expose report model/ new.csv --top 50 --title "November" --out november.html
"""

DEMO_EXAMPLES = """\b
Examples:
  expose demo
  expose demo --out /tmp/demo
"""

app = typer.Typer(
    name="expose",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help comes up in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=FIT_EXAMPLES)(fit)
app.command(epilog=SCORE_EXAMPLES)(score)
app.command(epilog=QUERY_EXAMPLES)(query)
app.command(epilog=REPORT_EXAMPLES)(report)
app.command(epilog=DEMO_EXAMPLES)(demo)
app.command(epilog=bench.EXAMPLES)(bench.bench)
app.add_typer(data.data, name="data", help=data.HELP, epilog=data.EXAMPLES)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"expose {version('expose')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Find anomalies in data nobody has cleaned."""
