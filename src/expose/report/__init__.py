"""One self-contained HTML page about some rows and a fitted model, of any kind."""

from expose.report.comparison import compare
from expose.report.page import build_report, write_report

__all__ = ["build_report", "compare", "write_report"]
