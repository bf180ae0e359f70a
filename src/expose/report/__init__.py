"""One self-contained HTML page about some rows and a fitted detector."""

from expose.report.page import build_report, write_report

__all__ = ["build_report", "write_report"]
