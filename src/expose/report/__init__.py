"""One self-contained HTML page about some rows and a fitted detector or classifier."""

from expose.report.class_page import build_class_report, write_class_report
from expose.report.comparison import compare
from expose.report.page import build_report, write_report

__all__ = ["build_class_report", "build_report", "compare", "write_class_report", "write_report"]
