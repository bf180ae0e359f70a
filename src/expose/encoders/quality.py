"""Notes on the quality of a training table: what a careful colleague would say after a first look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from expose.encoders.schema import CategoryColumn, ColumnSchema, TimeColumn, described
from expose.files.names import listing
from expose.files.texts import Stray
from expose.kinds.columns import Categories
from expose.kinds.rows import Table, all_missing, missing_in
from expose.kinds.understood import PLURAL, stray_words

TOTALS = frozenset({"total", "totals", "grand total", "sum", "summe", "gesamt", "average", "mean", "totale", "somme"})
ODD_ENOUGH = 2  # values of one row, of different columns, that are written otherwise
FEWEST_ROWS = 20  # below it, running numbers and repeated rows are no surprise
ENOUGH_NAMES = 10  # to be suspected to be amounts
OFTEN = 3  # rows that hold a number that stands for nothing
AMOUNT = re.compile(r"[<>~]?\s*[-+]?\s*[$€£¥]?\s*\d[\d.,' ]*(?:[.,]\d+|\s*[^\W\d_%]{1,4}|\s*[$€£¥%°])\s*[^\W\d_]{0,3}")


def table_notes(
    table: Table,
    columns: Sequence[ColumnSchema],
    encoded: NDArray[np.float32],
    strays: Mapping[int, Sequence[Stray]],
) -> list[str]:
    """Return one sentence per finding.

    `encoded` are the encoded rows, or a sample of them; `strays` the values that are not written like their column.
    """
    findings = (_left_out, _gaps, _identifiers, _many_names, _numbers_as_text, _like_numbers, _stand_ins, _calendar)
    notes = [note for finding in findings for note in finding(table, columns)]
    return [*_written_otherwise(table, columns, strays), *_no_rows(table, strays), *notes, *_duplicates(encoded)]


def _written_otherwise(
    table: Table, columns: Sequence[ColumnSchema], strays: Mapping[int, Sequence[Stray]]
) -> Iterator[str]:
    for place, found in strays.items():
        name, form, words = table.names[place], columns[place].writing.form, stray_words(found)
        if form == "text":
            yield f"{name!r}: {words} count as missing; name the column with --category if they are names"
        else:
            count = sum(one.count for one in found)
            yield f"{name!r} holds {PLURAL[form]}; {count:,} value(s) are none and count as missing: {words}"
    for column in columns:
        if column.writing.ambiguous:
            yield f"{column.name!r} is read as {described(column)[0]}: {column.writing.in_words()}"


def _no_rows(table: Table, strays: Mapping[int, Sequence[Stray]]) -> Iterator[str]:
    """A first row of units, a last one of totals, rows that repeat the names: what stands in a table and is no row."""
    lone = [(one.row, one.text) for found in strays.values() for one in found if one.count == 1]
    for place, row in (("first", 0), ("last", table.n_rows - 1)):
        texts = [text for where, text in lone if where == row]
        if len(texts) >= ODD_ENOUGH or any(text.strip(" :").lower() in TOTALS for text in texts):
            yield (
                f"row {row}, the {place} one, is written otherwise: {listing(texts)}; if that is no row of data "
                "(units, a total), delete it, or name what such lines begin with (--comment)"
            )
    names = [(place, one) for place, found in strays.items() for one in found if one.text.strip() == table.names[place]]
    if names:
        count, row = max(one.count for _, one in names), min(one.row for _, one in names)
        yield f"the names of the columns stand among the rows, too: {count:,} time(s), first in row {row}; delete them"


def _left_out(table: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    empty = [c.name for i, c in enumerate(columns) if not c.used and all_missing(table.at(i))]
    texts = [c.name for c in columns if _all_differ(c) and not _is_identifier(c)]
    constant = [c.name for c in columns if not c.used and c.name not in set(empty) and not _all_differ(c)]
    if empty:
        yield f"no value at all, left out: {listing(empty)}"
    if texts:
        yield f"a text that is different in nearly every row, left out: {listing(texts)}"
    if constant:
        yield f"the same value in every row, left out: {listing(constant)}"
    if not any(c.used for c in columns):
        yield "no column is left that varies: all rows look alike, and so will their scores"


def _gaps(table: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    shares = {}
    for i, schema in enumerate(columns):
        if schema.indicator:
            shares[schema.name] = float(missing_in(table.at(i)).mean())
    worst = sorted(shares, key=lambda name: -shares[name])
    if worst:
        shown = ", ".join(f"{name!r} {shares[name]:.1%}" for name in worst[:5])
        more = f" and {len(worst) - 5} more columns" if len(worst) > 5 else ""
        yield f"values missing, imputed with an indicator column: {shown}{more}"


def _all_differ(column: ColumnSchema) -> bool:
    return isinstance(column, CategoryColumn) and not column.used and not column.complete


def _is_identifier(column: ColumnSchema) -> bool:
    return _all_differ(column) and isinstance(column, CategoryColumn) and not column.keys


def _identifiers(table: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    texts = [c.name for c in columns if _is_identifier(c)]
    if texts:
        yield f"a different text in every row, left out as identifier: {listing(texts)}"
    if table.n_rows < FEWEST_ROWS or not len(table.places):
        return
    with np.errstate(over="ignore"):
        steps = np.diff(table.numbers[: 10 * FEWEST_ROWS].astype(np.float64), axis=0)
    running = [table.names[i] for i in table.places[(steps == 1).all(axis=0) | (steps == -1).all(axis=0)]]
    if running:
        yield f"a running number, used as a feature: {listing(running)}; name it as id or ignore it"


def _many_names(table: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    for i, schema in enumerate(columns):
        if isinstance(schema, CategoryColumn) and schema.frequency is not None:
            column = table.at(i)
            n_names = len(column.keys) if isinstance(column, Categories) else len(schema.keys)
            yield (
                f"{schema.name!r} has {n_names:,} categories: each of the most frequent, {schema.slots} of them, has a "
                "column, and the others share one that says how common they are"
            )


def _numbers_as_text(_: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    categories = [c for c in columns if isinstance(c, CategoryColumn) and c.used and len(c.keys) > 2]
    names = [c.name for c in categories if _all_numbers(c.keys)]
    if names:
        yield f"numbers stored as categories, so their order is not used: {listing(names)}"


def _all_numbers(keys: Sequence[str]) -> bool:
    try:
        return all(np.isfinite(float(key)) for key in keys)
    except ValueError:
        return False


def _like_numbers(_: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    """Amounts with a unit, or written in several ways, that no rule reads as numbers."""
    for column in columns:
        if isinstance(column, CategoryColumn) and column.used and len(column.keys) >= ENOUGH_NAMES:
            like = [key for key in column.keys if AMOUNT.fullmatch(key.strip())]
            if len(like) >= len(column.keys) / 2:
                yield (
                    f"{column.name!r} is read as names, though they look like amounts ({listing(like, 3)}): write them "
                    "all alike, without units and with one decimal sign, for them to count as numbers"
                )


def _stand_ins(table: Table, _: Sequence[ColumnSchema]) -> Iterator[str]:
    """Numbers such as -9999 that stand for nothing: far from all others, and often."""
    for column, place in zip(table.numbers.T, table.places.tolist(), strict=True):
        there = column[np.isfinite(column)]
        for value in {there.min(), there.max()} if len(there) >= FEWEST_ROWS else set():
            others = there[there != value]
            count = len(there) - len(others)
            if not re.fullmatch(r"-?9{2,}|-1", f"{value:.0f}") or count < OFTEN or len(others) < len(there) / 2:
                continue
            if min(abs(value - others.min()), abs(value - others.max())) > others.max() - others.min():
                yield (
                    f"{table.names[place]!r} holds {value:.0f} in {count:,} rows, far from all other values: if it "
                    f"stands for a missing one, say --null {value:.0f}"
                )


def _calendar(_: Table, columns: Sequence[ColumnSchema]) -> Iterator[str]:
    names = [c.name for c in columns if isinstance(c, TimeColumn) and c.used]
    if names:
        yield (
            f"dates: {listing(names)}; rows from after the training period will count as unusual "
            f"for their date alone; ignore the column if they should not"
        )


def _duplicates(encoded: NDArray[np.float32]) -> Iterator[str]:
    """Compare rows by one random projection: equal rows have equal sums, others practically never."""
    direction = np.random.default_rng(0).standard_normal(encoded.shape[1])
    sums = np.einsum("nd,d->n", encoded, direction)  # the same order of additions in every row
    repeated = len(sums) - len(np.unique(sums))
    if repeated and len(sums) >= FEWEST_ROWS:
        yield f"{repeated:,} of {len(sums):,} rows repeat another row exactly ({repeated / len(sums):.1%})"
