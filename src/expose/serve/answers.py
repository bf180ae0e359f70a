"""Scores as bytes: JSON, CSV, an Arrow stream or Parquet, as a request accepts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from expose.files.writing import as_csv
from expose.serve.intake import ARROW, CSV, JSON, PARQUET
from expose.serve.problems import Problem
from expose.serve.scoring import Answer

LONGEST_HEADER: Final = 4_000  # bytes of notes beside an answer that has no place for them


class Form(NamedTuple):
    """A form of answers."""

    media: str
    written: Callable[[Answer], bytes]


def as_json(answer: Answer) -> bytes:
    """Rows as objects, with the notes. Numbers are written so that they are read as the same; NaN is null."""
    rows = answer.table.to_pylist()
    whole = {"model": answer.served.name, "rows": rows, "notes": answer.notes}
    try:
        return json.dumps(whole, ensure_ascii=False, allow_nan=False, default=written).encode()
    except ValueError:
        whole["rows"] = [{name: finite(value) for name, value in row.items()} for row in rows]
        return json.dumps(whole, ensure_ascii=False, allow_nan=False, default=written).encode(
            "utf-8", "backslashreplace"
        )


def finite(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(name): finite(one) for name, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def written(value: Any) -> str:
    """What JSON has no type for, as text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return str(value)


def as_text(answer: Answer) -> bytes:
    """CSV with a header, as `expose score` writes it."""
    return as_csv(answer.table, header=True)


def as_arrow(answer: Answer) -> bytes:
    """A stream of Arrow."""
    file = io.BytesIO()
    table = answer.table.replace_schema_metadata(None)
    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return file.getvalue()


def as_parquet(answer: Answer) -> bytes:
    """A file of Parquet."""
    file = io.BytesIO()
    pq.write_table(answer.table.replace_schema_metadata(None), file, compression="zstd")
    return file.getvalue()


FORMS: Final = {
    media: Form(media, act)
    for media, act in ((JSON, as_json), (CSV, as_text), (ARROW, as_arrow), (PARQUET, as_parquet))
}


def accepted(accept: str) -> Form:
    """The form that a request likes best.

    Raises
    ------
    Problem
        406 when it takes none.

    Examples
    --------
    >>> [accepted(one).media for one in ("", "*/*", "text/csv;q=0.5, application/json;q=0.1")]
    ['application/json', 'application/json', 'text/csv']
    """
    best: tuple[float, Form | None] = (0.0, None)
    for one in accept.split(",") if accept.strip() else ["*/*"]:
        media, *parameters = (part.strip().lower() for part in one.split(";"))
        weight = next((number(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        matching = [form for form in FORMS.values() if matches(form.media, media)]
        if matching and weight > best[0]:
            best = (weight, matching[0])
    if best[1] is None:
        raise Problem(406, f"scores come as {', '.join(FORMS)}; got Accept: {accept[:200]}.")
    return best[1]


def matches(media: str, wanted: str) -> bool:
    """Whether a media type is one of those that a pattern means."""
    return wanted in ("*/*", media) or (wanted.endswith("/*") and media.startswith(wanted[:-1]))


def number(text: str) -> float:
    """A weight; what is none counts nothing."""
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def in_header(notes: list[str]) -> str:
    """Notes as a list of JSON in ASCII, which a header holds; the last says how many were left out.

    >>> in_header(["one", "two"])
    '["one", "two"]'
    """
    for count in range(len(notes), -1, -1):
        left = [f"and {len(notes) - count} more"] if count < len(notes) else []
        text = json.dumps([*notes[:count], *left])
        if len(text) <= LONGEST_HEADER:
            return text
    return "[]"
