"""The page writer: a template in Markdown, filled with tables of stored results. No number on a page is typed.

A study brings a template, ``studies/<name>.md`` (Jinja), and a function that gives what the template names: most often
tables, each specified by what its lines and its columns are taken from (`grid`). What is to be said about the numbers
by hand stands in ``docs/benchmark/findings/<page>.md`` and is taken over as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.atomic import whole_file
from expose.errors import MissingExtraError
from expose_lab.store import Row, read_table

if TYPE_CHECKING:
    import pyarrow as pa

Where = Mapping[str, Any]
TEMPLATES = Path(__file__).parent / "studies"


class Rows(list[Row]):
    """Rows of results.

    Examples
    --------
    >>> rows = Rows([{"set": "wine", "seed": 0, "auroc": 0.8}, {"set": "wine", "seed": 1, "auroc": 0.9}])
    >>> rows.where(seed=(1, 2)).mean("auroc"), rows.each("set"), rows.per("auroc", "seed")
    (0.9, ['wine'], [0.8, 0.9])
    """

    def where(self, **wanted: Any) -> Rows:
        """The rows that have these values; of a tuple, list or set one of its values."""
        several = {name: value for name, value in wanted.items() if isinstance(value, tuple | list | set)}
        single = wanted.keys() - several.keys()
        return Rows(
            row
            for row in self
            if all(row[name] == wanted[name] for name in single) and all(row[n] in v for n, v in several.items())
        )

    def each(self, column: str) -> list[Any]:
        """The values of a column, each once, in the order met; empty ones left out."""
        return [value for value in dict.fromkeys(row[column] for row in self) if value is not None]

    def values(self, column: str) -> list[Any]:
        """A column."""
        return [row[column] for row in self]

    def mean(self, column: str) -> float:
        """Mean of a column."""
        return float(np.mean(self.values(column)))

    def per(self, column: str, over: str) -> list[float]:
        """Means of a column, one for each value of another, such as the seed."""
        found: dict[Any, list[float]] = {}
        for row in self:
            found.setdefault(row[over], []).append(row[column])
        return [float(np.mean(values)) for values in found.values()]

    def once(self, column: str) -> float:
        """Sum of a number that each task has once, whatever the number of its rows, such as its seconds."""
        return float(sum({row["key"]: row[column] for row in self}.values()))

    @property
    def finished(self) -> str:
        """The day of the last one."""
        return str(max(self.values("finished")))[:10]


# ------------------------------------------------------------------------------------------------------------- tables


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: names to the left, numbers to the right.

    Examples
    --------
    >>> print(table(["set", "AUROC"], [["wine", "0.9"]]))
    | set | AUROC |
    |---|--:|
    | wine | 0.9 |
    """
    lines = [f"| {' | '.join(header)} |", "|" + "|".join(["---"] + ["--:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


class Column(NamedTuple):
    """What a column of a table is made of.

    Attributes
    ----------
    name : str
        A number of the rows.
    where : mapping
        Which rows it is taken from.
    scale, digits
        100 for percent, and how many digits.
    spread : bool
        Whether the standard deviation is told, where there are several values.
    """

    name: str
    where: Where = MappingProxyType({})
    scale: float = 100
    digits: int = 1
    spread: bool = True

    def values(self, rows: Rows, over: str) -> list[float]:
        """Means for each value of a column such as the seed, empty ones left out."""
        return Rows(row for row in rows.where(**self.where) if row[self.name] is not None).per(self.name, over)

    def text(self, values: Sequence[float]) -> str:
        """Mean and spread."""
        return mean_std(values, self.scale, self.digits, self.spread)


def grid(
    rows: Rows,
    lines: Mapping[str, Where],
    columns: Mapping[str, Column | Sequence[Column]],
    corner: str = "",
    *,
    over: str = "seed",
    bold: str | Callable[[str, str], bool] = "",
    best: Callable[..., float] = max,
) -> str:
    """A table of means, each over the rows that are wanted by its line and by its column; empty where there are none.

    Parameters
    ----------
    rows : Rows
    lines : mapping of label to where
        Which rows a line is made of; an empty one takes all.
    columns : mapping of label to column, or to several columns, which then share a cell
    corner : str
        Heading of the labels.
    over : str
        The spread is over the means for each value of this.
    bold : {"", "line", "column"} or callable
        In which direction the best is bold, unless all are alike; or which cells are, by the labels of both.
    best : callable
        max or min.

    Examples
    --------
    >>> rows = Rows([{"who": "ntl", "seed": 0, "auroc": 0.8}, {"who": "knn", "seed": 0, "auroc": 0.9}])
    >>> print(grid(rows, {"ntl": {"who": "ntl"}, "kNN": {"who": "knn"}}, {"AUROC": Column("auroc")}, bold="column"))
    |  | AUROC |
    |---|--:|
    | ntl | 80.0 |
    | kNN | **90.0** |
    """
    several = {label: [one] if isinstance(one, Column) else list(one) for label, one in columns.items()}
    found = {label: rows.where(**where) for label, where in lines.items()}
    values = [[[one.values(some, over) for one in cell] for cell in several.values()] for some in found.values()]
    means = [[100 * np.mean(cell[0]) if cell[0] else np.nan for cell in line] for line in values]
    top = best_of(np.array(means, dtype=np.float64), bold, best) if isinstance(bold, str) else None
    texts = []
    for i, label in enumerate(lines):
        cells = [" / ".join(map(Column.text, cell, values[i][j])) for j, cell in enumerate(several.values())]
        which = [bold(label, name) for name in columns] if callable(bold) else list(top[i])  # type: ignore[index]
        texts.append([label, *map(emphasised, cells, which)])
    return table([corner, *columns], texts)


def best_of(means: NDArray[np.float64], direction: str, best: Callable[..., float]) -> NDArray[np.bool_]:
    """Which of ``(lines, columns)`` numbers, to a tenth, are the best of their line or column, unless all are alike."""
    if not direction:
        return np.zeros(means.shape, dtype=bool)
    axis = 1 if direction == "line" else 0
    rounded = means.round(1)
    top = (np.nanmax if best is max else np.nanmin)(rounded, axis=axis, keepdims=True) == rounded
    return np.asarray(top & ~top.all(axis=axis, keepdims=True))


def mean_std(values: Sequence[float], scale: float = 100, digits: int = 1, spread: bool = True) -> str:
    """Mean and standard deviation, of shares in percent; empty without values.

    Examples
    --------
    >>> mean_std([0.1, 0.3]), mean_std([0.1]), mean_std([])
    ('20.0 ± 14.1', '10.0', '')
    """
    if not len(values):
        return ""
    text = f"{scale * np.mean(values):.{digits}f}"
    return text + (f" ± {scale * np.std(values, ddof=1):.{digits}f}" if spread and len(values) > 1 else "")


def emphasised(text: str, bold: bool) -> str:
    """Bold, but for the spread behind a mean."""
    mean, plus, std = text.partition(" ± ")
    return f"**{mean}**{plus}{std}" if bold and mean else text


# -------------------------------------------------------------------------------------------------------------- words


def count(number: int, thing: str) -> str:
    """Such as "1 set" and "2 sets"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, without needless digits."""
    return f"{100 * share:.3g} %"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign; what rounds to nothing has a plus."""
    return f"{round(float(value), digits) + 0.0:+.{digits}f}"


def listed(names: Sequence[str]) -> str:
    """Names in brackets, if any."""
    return f" ({', '.join(names)})" if names else ""


# ------------------------------------------------------------------------------------------------------------ writing


class Page:
    """A page in the making: what it may read, and the pictures that go with it.

    Parameters
    ----------
    path : str
        Where it will lie below the folder of the docs, such as "benchmark/auto.md".
    results : Path
        Folder of Parquet files.
    docs : Path
    """

    def __init__(self, path: str, results: Path, docs: Path) -> None:
        self.path, self.results, self.docs = path, results, docs
        self.pictures: dict[str, str] = {}

    def has(self, study: str) -> bool:
        """Whether there are results of a study."""
        return (self.results / f"{study}.parquet").exists()

    def table(self, study: str) -> pa.Table:
        """Results of a study, as they are stored."""
        return read_table(self.results / f"{study}.parquet")

    def rows(self, study: str) -> Rows:
        """Results of a study; of a cell that was measured again only what was measured last."""
        rows = self.table(study).to_pylist()
        last = {row["cell"]: row["key"] for row in sorted(rows, key=lambda row: row["finished"])}
        return Rows(row for row in rows if row["key"] == last[row["cell"]])

    def picture(self, file: str, svg: str, says: str) -> str:
        """Add a picture, by its name below ``docs/images``, and return the line that shows it."""
        self.pictures[file] = svg
        return f"![{says}]({os.path.relpath(f'images/{file}', Path(self.path).parent)})"

    @property
    def findings(self) -> str:
        """What somebody wrote about the numbers, or nothing."""
        file = self.docs / "benchmark" / "findings" / Path(self.path).name
        return file.read_text(encoding="utf-8").strip("\n") if file.exists() else ""

    def write(self, template: str, context: Mapping[str, Any]) -> None:
        """Fill the template and write the page and its pictures; remove older pictures of a page of the benchmark."""
        text = fill(TEMPLATES / template, {"page": self, "findings": self.findings, **WORDS, **context})
        save(self.docs / self.path, text)
        folder = self.docs / "images" / "benchmark"
        for old in folder.glob(f"{Path(self.path).stem}-*.svg"):
            if f"benchmark/{old.name}" not in self.pictures:
                old.unlink()
        for file, svg in self.pictures.items():
            save(self.docs / "images" / file, svg)


WORDS: dict[str, Any] = {"count": count, "percent": percent, "signed": signed, "listed": listed}


def fill(template: Path, context: Mapping[str, Any]) -> str:
    """Fill a template; no more than one empty line is left between paragraphs."""
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("Pages need the extra bench: pip install 'expose[bench]'") from error

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template.read_text(encoding="utf-8")).render(context)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def save(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    with whole_file(path.absolute()) as file:
        file.write(text.encode())
