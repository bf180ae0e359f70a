"""JSON: one object per line, or a list of objects. Numbers keep their spelling, and all cells are text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from expose.errors import InputError
from expose.files.delimited import BLOCK, LONGEST, as_table, opened_text, sample, undecodable
from expose.files.dialect import Dialect
from expose.files.origins import Origin

_SHORT: Final = 2**24  # characters of a list that is parsed once alone
_LOOKED_AT: Final = 1_000  # objects of a stream whose keys are the columns


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


class JsonLines:
    """One file of JSON objects. Nested ones are columns "a.b", lists are their JSON.

    The columns are the keys of all objects, so a file is walked twice. A stream cannot be: there the first objects must
    hold every key, and a later one is an error that names it.
    """

    def __init__(self, origin: Origin, dialect: Dialect) -> None:
        self.origin, self.label = origin, origin.label
        self.encoding, text, truncated = sample(origin, dialect.encoding)
        self.is_list = text.lstrip("\ufeff \t\r\n").startswith("[")
        self.notes: tuple[str, ...] = ("JSON, a list of objects",) if self.is_list else ()
        self._read = 0  # lines
        self._kept: list[tuple[str, dict[str, str]]] | None = None  # of a short list, to be read once more
        self._commas = frozenset(dialect.commas)
        found = self._of_first(text, truncated) if origin.once else self._objects()
        self.names = _without_empty_objects(cells for _, cells in found)
        if not self.names:
            raise InputError(f"{self.label}: its JSON objects hold no keys. Expected one object per row.")

    def schema(self) -> Any:
        """Every column is text."""
        return pa.schema([(name, pa.string()) for name in self.names])

    def tables(self, names: Sequence[str], batch_rows: int) -> Iterator[Any]:
        """Yield the rows as Arrow tables of these columns."""
        known, rows, size = frozenset(self.names), list[list[str | None]](), 0
        for place, cells in self._objects():
            if not known.issuperset(cells) and (new := [n for n, cell in cells.items() if cell and n not in known]):
                raise InputError(
                    f"{self.label}, {place}: the key {new[0]!r} is in none of the first "
                    f"{_LOOKED_AT:,} objects, and a stream is read only once. Save it as a file, or begin it with an "
                    "object that holds every key (null where there is nothing)."
                )
            rows.append([cells.get(name) for name in names])
            size += sum(map(len, filter(None, rows[-1])))
            if len(rows) == batch_rows or size > BLOCK:
                yield as_table(rows, names)
                rows, size = [], 0
        if rows:
            yield as_table(rows, names)

    def _of_first(self, text: str, truncated: bool) -> Iterator[tuple[str, dict[str, str]]]:
        if self.is_list:
            raise InputError(f"{self.label}: a list of JSON objects is not read from a stream. Save it as a file.")
        lines = list(io.StringIO(text, newline=""))
        yield from self._of_lines(iter(lines[:-1] if truncated else lines), _LOOKED_AT)

    def _objects(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Place and cells of each object."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            yield from kept
            return
        with opened_text(self.origin, self.encoding) as text:
            try:
                if self.is_list:
                    whole = text.read()
                    found = self._of_list(whole)
                    self._kept = list(found) if len(whole) <= _SHORT else None
                    yield from self._kept or found
                else:
                    yield from self._of_lines(iter(partial(text.readline, LONGEST), ""))
            except UnicodeError as error:
                raise undecodable(error, self._read + 1, self.encoding, self.label) from None

    def _of_lines(self, lines: Iterator[str], most: int | None = None) -> Iterator[tuple[str, dict[str, str]]]:
        for number, line in enumerate(islice(lines, most), 1):
            self._read = number
            if line.strip("\ufeff \t\r\n"):
                place = f"line {number}"
                yield place, cells_of(parsed(line, self.label, place), self.label, place, self._commas)

    def _of_list(self, text: str) -> Iterator[tuple[str, dict[str, str]]]:
        for number, one in enumerate(parsed(text, self.label, "the list")):
            place = f"object {number} (counting from 0)"
            yield place, cells_of(one, self.label, place, self._commas)


def parsed(text: str, label: str, place: str) -> Any:
    """One line, or a list, as Python has it; numbers as they were written."""
    try:
        return _DECODER.decode(text.strip("\ufeff \t\r\n"))
    except (ValueError, RecursionError) as error:
        advice = "Expected one JSON object per line, complete in it"
        raise InputError(f"{label}, {place}: {error}: {text[:80]!r}. {advice}.") from None


def cells_of(one: Any, label: str, place: str, commas: Collection[str] = ()) -> dict[str, str]:
    """What an object holds, by column; numbers of some columns are written with a decimal comma, as others of these.

    >>> cells_of(parsed('{"a": {"b": 1.50}, "c": null}', "rows.jsonl", "line 1"), "rows.jsonl", "line 1")
    {'a.b': '1.50', 'c': ''}
    >>> cells_of(parsed('{"a": 1.50, "b": "1.50"}', "rows.jsonl", "line 1"), "rows.jsonl", "line 1", ["a", "b"])
    {'a': '1,50', 'b': '1.50'}
    """
    if not isinstance(one, dict):
        raise InputError(f"{label}, {place}: expected a JSON object per row, got {_written(one)[:80]!r}.")
    cells = dict(pairs := _pairs(one))
    if len(cells) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{label}, {place}: two values for {twice!r}. Rename one of the keys.")
    for name in cells.keys() & commas:
        if isinstance(cells[name], _Number):
            cells[name] = cells[name].replace(".", ",")
    try:
        "".join((*cells, *cells.values())).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{label}, {place}: half of a character ({error.reason}). Write it anew.") from None
    return cells


def _without_empty_objects(rows: Iterable[dict[str, str]]) -> tuple[str, ...]:
    """All keys, but not one that is null wherever it is no object: its values are in the columns "key.of.it".

    >>> _without_empty_objects([{"user.id": "7", "x": ""}, {"user": "", "x": ""}])
    ('user.id', 'x')
    """
    filled: dict[str, bool] = {}
    full = set[str]()
    for cells in rows:
        if not full.issuperset(cells):
            filled |= {name: bool(cell) or name in full for name, cell in cells.items()}
            full.update(name for name, cell in cells.items() if cell)
    outer = {name[:end] for name in filled for end in (m.start() for m in re.finditer(r"\.", name))}
    return tuple(name for name, full in filled.items() if full or name not in outer)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"two values for {next(name for name in names if names.count(name) > 1)!r}")
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_Number, parse_float=_Number, parse_constant=_Number
)


def _pairs(one: dict[str, Any]) -> Collection[tuple[str, str]]:
    """Names and cells; of nearly all objects they are what these hold."""
    kinds = set(map(type, one.values()))
    return one.items() if kinds <= {str, _Number} else list(_flat(one, ""))


def _flat(one: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in one.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else _written(value)


def _written(value: Any) -> str:
    """A value as a cell: nothing for null, JSON for a list."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_as_json, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(name)}: {_as_json(one)}' for name, one in value.items())}}}"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
