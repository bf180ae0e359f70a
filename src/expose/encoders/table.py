"""From a table to the float32 matrix a network trains on, under a schema learned once and enforced after."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import ColumnRead, Encoder, State, register_encoder
from expose.encoders.categories import encode_categories, fit_categories
from expose.encoders.layout import Layout
from expose.encoders.numbers import Numbers, fit_numbers, sample_rows
from expose.encoders.quality import table_notes
from expose.encoders.scaling import SCALINGS, check_scalings
from expose.encoders.schema import (
    CategoryColumn,
    ColumnSchema,
    NumberColumn,
    TimeColumn,
    described,
    schema_from_json,
    schema_to_json,
    to_categories,
    to_times,
)
from expose.encoders.times import encode_times, fit_times
from expose.errors import DataWarning, InputError
from expose.files.conventions import NOTHING_SAID, Conventions
from expose.files.names import listing
from expose.kinds.columns import Categories, Column, Strings, Times
from expose.kinds.frames import as_table
from expose.kinds.rows import Table, missing_in
from expose.kinds.understood import find_writings, understood

TWO_SCALINGS = ("quantile", "bounded")


@register_encoder(
    "table",
    {scaling: lambda scaling=scaling: TableEncoder(scaling) for scaling in SCALINGS}
    | {"two-scalings": lambda: TableEncoder(TWO_SCALINGS)},
)
class TableEncoder(Encoder):
    """Encode tables as float32 matrices, always finite.

    Numbers and booleans are scaled (see `expose.encoders.scaling`), and a missing one becomes the median with
    an indicator column; categories are one-hot with one column for rare and unseen ones; times become scaled
    seconds and the phase of day, week and year where the training rows vary in it. Constant and empty columns
    are left out. If nothing is left, one column of zeros remains.

    Parameters
    ----------
    scalings : str or sequence of str, default="quantile"
        How numbers are scaled: "quantile", "bounded", "robust", "standard" or "unscaled". Of V scalings, each encoded
        value stands V times side by side.

    Attributes
    ----------
    layout : Layout
        Of form "vector", with D * V values.
    groups : list of (str, slice)
        Each input column and its encoded columns; an empty slice if it is left out.
    notes : list of str
        What a person should know about the quality of the training table.
    names : tuple of str
        The training columns in order.
    named : bool
        Whether the training table had names of its own.
    columns_read : list of ColumnRead
        What each column counts as, and what was made of it.

    Examples
    --------
    >>> encoder = TableEncoder().fit(as_table([[1.0, "a"], [2.0, "b"], [3.0, "a"]]))
    >>> encoder.transform(as_table([[2.0, "b"]])).tolist()
    [[0.0, 0.0, 1.0, 0.0]]
    >>> encoder = TableEncoder(["standard", "unscaled"]).fit(as_table([[1.0], [3.0]]))
    >>> encoder.transform(as_table([[3.0]])).tolist()
    [[1.0, 3.0]]
    """

    encodes = "table"

    def __init__(self, scalings: str | Sequence[str] = "quantile") -> None:
        self.scalings = (scalings,) if isinstance(scalings, str) else tuple(scalings)
        self.notes: list[str] = []
        self.conventions = Conventions()
        self.skipped: tuple[tuple[str, str], ...] = ()

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, samples: Any) -> Self:
        """Learn the schema of a table.

        Raises
        ------
        InputError
            When the table has no row or no column, or a number is infinite.
        """
        table = as_table(samples)
        self.conventions, self.skipped = table.conventions, table.skipped
        if self.skipped:
            _warn(f"left out what has no meaning as a feature: {', '.join(f'{n!r} ({t})' for n, t in self.skipped)}")
        writings, strays = find_writings(table)
        table = understood(table, writings, self.conventions)
        check_scalings(self.scalings)
        if table.n_rows == 0 or table.n_columns == 0:
            raise InputError(
                f"Found array with {table.n_rows} sample(s) and {table.n_columns} feature(s) "
                f"(shape=({table.n_rows}, {table.n_columns})) while a minimum of 1 is required."
            )
        numbers, scales = fit_numbers(table, self.scalings)
        columns: dict[int, ColumnSchema] = dict(zip(table.places.tolist(), numbers, strict=True))
        for place, column in table.others.items():
            name = table.names[place]
            if isinstance(column, Times):
                columns[place] = fit_times(column, name)
            elif isinstance(column, Categories):
                columns[place] = fit_categories(column, name)
        for place, writing in writings.items():
            schema = columns[place]
            if not isinstance(schema, CategoryColumn):
                columns[place] = replace(schema, writing=writing)
        used = [i for i in np.argsort(table.places) if numbers[i].used]
        self._settle([columns[i] for i in range(table.n_columns)], table.named, scales[:, :, used])
        sample = table.take(sample_rows(table.n_rows))
        self.notes = table_notes(table, self.columns, self._encode(sample)[..., 0], strays)
        return self

    def _settle(self, columns: Sequence[ColumnSchema], named: bool, scales: NDArray[np.float64]) -> None:
        """Lay out the encoded columns; ``scales`` are those of the used number columns, (V, 4, k)."""
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self.named = named
        ends = np.cumsum([column.width for column in columns])
        starts = [0, *ends[:-1].tolist()]
        self._places = [slice(start, int(end)) for start, end in zip(starts, ends, strict=True)]  # of one view
        width, views = max(int(ends[-1]), 1), len(self.scalings)
        of_names = [p for c, p in zip(columns, self._places, strict=True) if isinstance(c, CategoryColumn)]
        categories = tuple(place for one in of_names for place in range(one.start, one.stop))
        self.layout = Layout("vector", (width * views,), views=views, categories=categories)
        self._numbers = Numbers(columns, starts, self.scalings, scales)
        self._no_numbers = [(i, c) for i, c in enumerate(columns) if not isinstance(c, NumberColumn)]
        self._unused = [(i, c) for i, c in enumerate(columns) if isinstance(c, NumberColumn) and not c.used]

    @property
    def columns_read(self) -> list[ColumnRead]:  # type: ignore[override]
        """What each column counts as, and what was made of it."""
        read = [ColumnRead(column.name, *described(column)) for column in self.columns]
        return read + [
            ColumnRead(name, "left out", f"{type_} has no meaning as a feature") for name, type_ in self.skipped
        ]

    @property
    def commas(self) -> tuple[str, ...]:
        """Columns whose numbers had a decimal comma in training."""
        return tuple(column.name for column in self.columns if column.writing.decimal == ",")

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """Each input column and its encoded columns, in all scalings."""
        views = len(self.scalings)
        places = [slice(place.start * views, place.stop * views) for place in self._places]
        return list(zip(self.names, places, strict=True))

    def read(self, samples: Any) -> Table:
        """Return a table as it was understood in training: columns of texts as numbers, dates or names.

        Raises
        ------
        InputError
            When columns of training are missing, or nothing in one of them is written as in training.

        Warns
        -----
        DataWarning
            When single values are not; they count as missing.
        """
        table = as_table(samples)
        said = table.conventions
        different = NOTHING_SAID if said == self.conventions else said
        writings = {
            place: column.writing.as_said(different)
            for column, place in zip(self.columns, self._places_in(table).tolist(), strict=True)
            if place in table.others and _is_read(table.others[place], column)
        }
        return understood(table, writings, self._conventions(different))

    def _conventions(self, said: Conventions) -> Conventions:
        """What holds of a table of which something is said, beside what was said of the training table."""
        if said == NOTHING_SAID:
            return self.conventions
        return replace(
            self.conventions,
            strict=said.strict or self.conventions.strict,
            null=tuple(dict.fromkeys([*self.conventions.null, *said.null])),
            infinity="missing" if said.infinity == "missing" else self.conventions.infinity,
        )

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode anything `as_table` takes, float32 ``(n, D * V)``, C-contiguous and finite.

        Named columns are found by name, in any order; columns without names count by position.

        Raises
        ------
        InputError
            When columns are missing or of another type than in training, or a number is infinite.

        Warns
        -----
        DataWarning
            For columns that are not used, unseen categories, values missing where none was in training.
        """
        encoded = self._encode(self.read(samples))
        return encoded.reshape(len(encoded), self.layout.n_values)

    def _encode(self, table: Table) -> NDArray[np.float32]:
        """Encode a table, (n, D, V)."""
        places = self._match(table)
        views = len(self.scalings)
        out = np.zeros((len(table), self.layout.n_values // views, views), dtype=np.float32)
        self._check_unused(table, places)
        self._numbers.encode(table, places, out)
        for i, column in self._no_numbers:
            place, target = int(places[i]), self._places[i]
            if isinstance(column, TimeColumn):
                encode_times(to_times(table.at(place), column.name), column, out[:, target, 0])
            else:
                categories = to_categories(table.at(place), column.keys, boolean=place in table.booleans)
                encode_categories(categories, column, out[:, target, 0])
            out[:, target, 1:] = out[:, target, :1]  # only numbers differ between scalings
        return out

    def _match(self, table: Table) -> NDArray[np.intp]:
        """The same as `_places_in`, with a warning of columns that training did not have."""
        known = set(self.names)
        extra = [name for name in table.names if name not in known] if self.named and table.named else []
        if extra:
            _warn(f"ignored {len(extra)} column(s) that were not there in training: {listing(extra)}")
        return self._places_in(table)

    def _places_in(self, table: Table) -> NDArray[np.intp]:
        """Return the position in the table of each training column, (n_columns,)."""
        if not (self.named and table.named):
            if table.n_columns != len(self.names):
                raise InputError(
                    f"X has {table.n_columns} features, but the model is expecting {len(self.names)} "
                    f"features as input: {listing(self.names)}. Give the same columns in the same order."
                )
            return np.arange(table.n_columns)
        if table.names == self.names:
            return np.arange(table.n_columns)
        position = {name: i for i, name in enumerate(table.names)}
        missing = [name for name in self.names if name not in position]
        if missing:
            raise InputError(_missing_message(missing, table.names))
        return np.array([position[name] for name in self.names], dtype=np.intp)

    def _check_unused(self, table: Table, places: NDArray[np.intp]) -> None:
        """Warn when a column that never varied in training does now: nothing was learned of it."""
        changed = []
        for i, schema in self._unused:
            column = table.at(places[i])
            now = ~missing_in(column)
            if isinstance(column, np.ndarray) and schema.constant is not None:
                now &= column != schema.constant
            if now.any():
                changed.append(schema.name)
        if changed:
            _warn(
                f"{len(changed)} column(s) had the same value or none in every training row and are not "
                f"used, but hold others now: {listing(changed)}"
            )

    # ------------------------------------------------------------------------------------------------- store

    def state(self) -> State:
        """Return the schema, and the scales of numbers, (V, 4, k)."""
        meta = {
            "scalings": list(self.scalings),
            "named": self.named,
            "notes": list(self.notes),
            "conventions": asdict(self.conventions),
            "skipped": [list(one) for one in self.skipped],
            "columns": [schema_to_json(column) for column in self.columns],
        }
        return State(meta, {"scales": self._numbers.scales})

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave; it encodes to the same bits."""
        encoder = cls(check_scalings(state.meta["scalings"]))
        encoder.notes = list(state.meta["notes"])
        encoder.conventions = Conventions.of(state.meta.get("conventions", {}))  # older folders have none
        encoder.skipped = tuple((str(name), str(kind)) for name, kind in state.meta.get("skipped", ()))
        columns = [schema_from_json(column) for column in state.meta["columns"]]
        encoder._settle(columns, bool(state.meta["named"]), np.asarray(state.arrays["scales"], dtype=np.float64))
        return encoder


def _is_read(column: Column, schema: ColumnSchema) -> bool:
    """Whether values of a column are texts that training knows how to read."""
    if isinstance(schema, NumberColumn) and not schema.used and schema.constant is None:
        return False  # training saw no value
    if isinstance(column, Strings):
        return True
    return isinstance(column, Categories) and not isinstance(schema, CategoryColumn)


def _warn(message: str) -> None:
    """Warn about data that have a defined treatment."""
    warnings.warn(message, DataWarning, stacklevel=4)


def _missing_message(missing: Sequence[str], given: Sequence[str]) -> str:
    lacking = f"{len(missing)} column(s) of training are missing: {listing(missing)}"
    message = f"{lacking}. The table has {listing(given)}."
    close = get_close_matches(missing[0], given, n=1)
    return f"{message} Did you mean {close[0]!r} for {missing[0]!r}?" if close else message
