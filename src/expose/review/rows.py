"""All rows as a list that can be searched, filtered and sorted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files import Conventions, typed
from expose.review.standing import Material, Standing

if TYPE_CHECKING:
    import pyarrow as pa

PAGE: Final = 50  # rows at a time
DIGITS: Final = 18  # of the number of a row; Python refuses to read thousands
SHOWN: Final = 20_000  # samples without columns, of which what a person sees of each is searched
STATES: Final = ("all", "open", "anomaly", "normal", "skipped")
TESTS: Final = {
    "contains": "contains",
    "is": "is",
    "least": "is at least",
    "most": "is at most",
    "missing": "is missing",
}
RANK, SCORE = "", "anomaly_score"  # what rows are sorted by, beside columns

Order = NDArray[np.intp]


@dataclass(frozen=True)
class Wish:
    """Which rows somebody wants to see, and in which order.

    Attributes
    ----------
    search : str
        In any column or name.
    column, test, value : str
        A filter, of `TESTS`; none where ``column`` is empty.
    state : str
        Of `STATES`.
    sort : str
        A column, "anomaly_score", or nothing for the ranking.
    falling : bool
    page : int
        From 1.
    """

    search: str = ""
    column: str = ""
    test: str = "contains"
    value: str = ""
    state: str = "all"
    sort: str = RANK
    falling: bool = False
    page: int = 1


class Found(NamedTuple):
    """Rows of one page, how many there are on all, and how many pages these are."""

    rows: list[int]
    n_rows: int
    pages: int


class Rows:
    """What can be searched of all samples: what names them, and their values.

    Parameters
    ----------
    material : Material
    samples : Any
        As they were read: an Arrow table where they have columns.
    conventions : Conventions
        How their texts are written.
    """

    def __init__(self, material: Material, samples: Any, conventions: Conventions = Conventions()) -> None:  # noqa: B008
        self._material, self._samples, self._conventions = material, samples, conventions

    @cached_property
    def table(self) -> pa.Table:
        """Names and values, each column of the type that its values have; row by row as in the training."""
        import pyarrow as pa

        named = {**self._material.beside, **self._material.ids}
        columns: dict[str, Any] = {name: pa.array(_plain(values)) for name, values in named.items() if name}
        own = getattr(self._samples, "column_names", None)
        if own is not None:
            values = typed(self._samples, self._conventions)
            columns |= {name: values[name] for name in own if name not in columns}
        elif self.complete:
            shown = [self._material.shown.show(row) for row in range(self._n_rows)]
            names = dict.fromkeys(name for one in shown for name in one)
            columns |= {
                name: pa.array(_plain([one.get(name) for one in shown])) for name in names if name not in columns
            }
        return pa.table(columns)

    @property
    def complete(self) -> bool:
        """Whether values can be searched, and not only names: samples without columns are looked at one by one."""
        return hasattr(self._samples, "column_names") or self._n_rows <= SHOWN

    @property
    def _n_rows(self) -> int:
        return len(self._material.vectors)

    @cached_property
    def texts(self) -> dict[str, Any]:
        """The columns as text in small letters, to be searched."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return {name: pc.utf8_lower(_as_text(self.table[name], pa)) for name in self.table.column_names}

    # ------------------------------------------------------------------------------------------------------- asking

    def find(self, wish: Wish, standing: Standing, called: NDArray[Any]) -> Found:
        """The rows that somebody wants to see, a page of them; ``called`` are their states (n,).

        Raises
        ------
        InputError
            If a column or test is not there, or a value is no number that is compared with numbers.
        """
        if wish.value.strip() and not wish.column:
            raise InputError("Choose the column that the value is to be compared with, or search for it in all.")
        chosen = np.ones(self._n_rows, dtype=np.bool_)
        if wish.search.strip():
            chosen &= self._search(wish.search.strip(), standing)
        if wish.column:
            chosen &= self._filter(wish)
        if wish.state != "all":
            chosen &= called == _known(wish.state, STATES, "state")
        order = self._sorted(wish, standing)
        order = order[chosen[order]]
        pages = max(1, -(-len(order) // PAGE))
        start = (min(max(wish.page, 1), pages) - 1) * PAGE
        return Found(order[start : start + PAGE].tolist(), len(order), pages)

    def _search(self, text: str, standing: Standing) -> NDArray[np.bool_]:
        import pyarrow.compute as pc

        found = np.zeros(self._n_rows, dtype=np.bool_)
        for column in self.texts.values():
            found |= _mask(pc.match_substring(column, text.lower()))
        number = text.removeprefix(standing.fitted.kind.noun).strip()
        if number.isdecimal() and len(number) <= DIGITS and int(number) < self._n_rows:  # a row by its number
            found[int(number)] = True
        return found

    def _filter(self, wish: Wish) -> NDArray[np.bool_]:
        import pyarrow.compute as pc

        name = _known(wish.column, self.table.column_names, "column")
        test = _known(wish.test, tuple(TESTS), "test")
        column, texts, value = self.table[name], self.texts[name], wish.value.strip()
        if test == "missing":
            return _mask(pc.is_null(column, nan_is_null=True))
        if test == "contains":
            return _mask(pc.match_substring(texts, value.lower()))
        if not _is_number(column):
            compare = {"is": pc.equal, "least": pc.greater_equal, "most": pc.less_equal}[test]
            return _mask(compare(texts, value.lower()))
        try:
            bound = float(value.replace(",", "."))
        except ValueError as error:
            raise InputError(f"{name!r} holds numbers; {value!r} is none to compare them with.") from error
        compare = {"is": pc.equal, "least": pc.greater_equal, "most": pc.less_equal}[test]
        return _mask(compare(column, bound))

    def _sorted(self, wish: Wish, standing: Standing) -> Order:
        if wish.sort == RANK:
            return standing.order[::-1] if wish.falling else standing.order
        if wish.sort == SCORE:
            return np.argsort(standing.scores if not wish.falling else -standing.scores, kind="stable")
        import pyarrow.compute as pc

        column = self.table[_known(wish.sort, self.table.column_names, "column")]
        column = column if _is_number(column) or _is_time(column) else self.texts[wish.sort]
        order = "descending" if wish.falling else "ascending"
        found: Order = np.asarray(pc.sort_indices(column, sort_keys=[("", order)]), dtype=np.intp)
        return found


def _known(value: str, names: Any, what: str) -> str:
    if value not in names:
        raise InputError(f"there is no {what} {value!r}; there are {', '.join(map(str, names))}.")
    return value


def _mask(found: Any) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    mask: NDArray[np.bool_] = np.asarray(pc.fill_null(found, False), dtype=np.bool_)
    return mask


def _is_number(column: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
    )


def _is_time(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_temporal(column.type))


def _as_text(column: Any, pa: Any) -> Any:
    """A column as text; of types that cannot be cast, as Python writes their values."""
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.chunked_array([pa.array(_plain(column.to_pylist(), text=True), pa.string())])


def _plain(values: Iterable[Any], *, text: bool = False) -> list[Any]:
    """Values that make a column of Arrow: as they are where they are of one type, else as text."""
    given = list(values)
    kinds = {type(value) for value in given if value is not None}
    if not text and kinds <= {int, float}:
        return [None if value is None else float(value) for value in given] if len(kinds) > 1 else given
    if not text and len(kinds) == 1 and _arrow_takes(given):
        return given
    return [None if value is None else str(value) for value in given]


def _arrow_takes(values: list[Any]) -> bool:
    import pyarrow as pa

    try:
        return not bool(pa.types.is_nested(pa.array(values).type))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return False
