"""What a file looks like by its first bytes, where it is no table that can be read."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from expose.errors import InputError


class _Look(NamedTuple):
    start: re.Pattern[bytes]
    what: str
    advice: str


def _look(start: bytes, what: str, advice: str) -> _Look:
    return _Look(re.compile(start, re.DOTALL | re.IGNORECASE), what, advice)


_EXPORT: Final = "Export it as CSV or Parquet."
_LOOKS: Final = (
    _look(rb"\s*(<!doctype html|<html|<head|<body|<table|<!--)", "HTML, a web page",
          "Often that is an error message, or a page to log in at, in place of the file: look at it in a browser, and "
          "fetch the data themselves."),
    _look(rb"\s*<(\?xml|[a-z][\w:.-]*[\s/>])", "XML", _EXPORT),
    _look(rb"%PDF-", "PDF", "Copy its tables to a CSV file."),
    _look(rb"\{\\rtf", "RTF, a text document", "Save it as plain text."),
    _look(rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|II\*\x00|MM\x00\*|BM.{4}\x00{4}", "an image",
          "Give images a name that says so, such as .png, or a folder of images."),
    _look(rb"(?:\s|--[^\n]*\n|/\*.*?\*/;?)*(?:create (?:table|database|schema)\b|drop table\b|insert into\b|"
          rb"pragma \w+ *=|begin transaction;|set \w+ *= *\w+;)|\s*(?:--\s*)*-- (?:mysql|mariadb|postgresql) ",
          "a dump of a database, as SQL", "Export the table itself, as CSV with a header."),
    _look(rb"(?:\s|%[^\n]*\n)*@relation\b", "ARFF, a format of Weka and OpenML",
          "Save it as CSV, its names of attributes in the first line."),
    _look(rb"SQLite format 3", "an SQLite database", "Name a table of it: sqlite:///FILE#TABLE."),
    _look(rb"\x89HDF|\x93NUMPY", "HDF5 or NumPy data", "Load it in Python, and give the array to AnomalyDetector."),
    _look(rb"ARROW1|FEA1|ORC|Obj\x01", "Arrow, Feather, ORC or Avro", "Write it as Parquet."),
    _look(rb"\x80[\x02-\x05]", "a pickle", "Pickles can run code and are not read; write it as Parquet."),
    _look(rb"7z\xbc\xaf|Rar!|.{257}ustar", "an archive of a kind that is not unpacked here",
          "Unpack it first, or pack the files as .zip, .gz, .bz2, .xz or .zst."),
)  # fmt: skip


def refuse_by_look(head: bytes, label: str) -> None:
    """Raise an InputError that says what a file is, where its first bytes give away that it is no table.

    Examples
    --------
    >>> refuse_by_look(b"a,b", "d.csv")
    >>> refuse_by_look(b"%PDF-1.7", "d.csv")
    Traceback (most recent call last):
    expose.errors.InputError: d.csv: expected a table, but this looks like PDF. Copy its tables to a CSV file.
    """
    text = head.removeprefix(b"\xef\xbb\xbf")
    for start, what, advice in _LOOKS:
        if start.match(text):
            raise InputError(f"{label}: expected a table, but this looks like {what}. {advice}")
