"""What a sample is: a row, a photo, a text. One file per kind, registered; nothing else knows which kinds there are.

A kind recognises its samples, reads them from files, says how they are encoded and judged unless somebody chose, and
puts the scores of parts back where the parts came from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.files.conventions import Conventions
from expose.files.dialect import Dialect
from expose.files.reading import Tables

KINDS: dict[str, Kind] = {}
SEVERAL = ("photo", "views", "entity")  # fields of a `Reading` that a kind has put there, which a model folder keeps
SINGLE = ("time", "window", "session", "text", "video", "every")  # likewise, each one value


class Samples(Protocol):
    """Samples of one kind; nothing is loaded that is not needed."""

    def __len__(self) -> int:
        """How many."""
        ...

    def take(self, rows: Any) -> Self:
        """The chosen ones, by number (an array of int) or slice."""
        ...


@dataclass(frozen=True)
class Reading:
    """How files are read: which columns play which role, and how texts are written.

    Attributes
    ----------
    id, ignore : tuple of str
        Columns that name a sample, and columns to leave out.
    label : str or None
        Column of what is known of each sample.
    dialect : Dialect
        How text files are written, as far as somebody said so.
    conventions : Conventions
        How their values are, likewise.
    features : tuple of str
        Columns that are looked at although they name a sample, too.
    later : bool
        Whether these are samples for a model that exists: columns that play no part in scoring may be absent.
    skip_bad : bool
        Whether files that cannot be read, of kinds of one file per sample, are left out, with a `SkippedWarning`.
    query : str or None
        SQL that is asked of databases.
    photo : tuple of str
        Column of a table that holds paths of files, each a sample; several for several views of each.
    views : tuple of str
        What tells the views of an item apart in the names of its files.
    time : str or None
        Column of a table that says when; its rows are in that order then.
    entity : tuple of str
        Columns that say of what: each is a series of its own.
    window : int, str or None
        How much is looked at together, where samples follow each other in time: so many, or a length such as "5m".
    session : str or None
        What names a session in the lines of a log.
    text : str or None
        Column of a table that holds texts, each a sample; "lines" where each line of a file is one.
    video : bool or None
        Whether files are clips, and images in folders their frames.
    every : int or None
        Of every so many frames of a video the first is looked at.
    """

    id: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    label: str | None = None
    dialect: Dialect = field(default_factory=Dialect)
    conventions: Conventions = field(default_factory=Conventions)
    features: tuple[str, ...] = ()
    later: bool = False
    skip_bad: bool = False
    query: str | None = None
    photo: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    time: str | None = None
    entity: tuple[str, ...] = ()
    window: int | str | None = None
    session: str | None = None
    text: str | None = None
    video: bool | None = None
    every: int | None = None


class Batch(NamedTuple):
    """Samples as they were read: what names them (an Arrow table) and what their label column holds, if anything.

    ``notes`` are sentences on how their files are written, where that is not as in most.
    """

    samples: Any
    ids: Any | None = None
    label: Any | None = None
    notes: tuple[str, ...] = ()


class Curve(NamedTuple):
    """A series to be drawn: its name, which samples it is in order of time, when, the channels, and values (n, C)."""

    name: str
    rows: NDArray[np.intp]
    at: NDArray[Any]
    names: tuple[str, ...]
    values: NDArray[np.float64]


class Kind:
    """Base class of all kinds. What is not overridden has a plain default or says that it cannot be done.

    Attributes
    ----------
    name, plural : str
        As messages have them: "table", "tables".
    noun : str
        What one sample is called: "row". With an s it names several.
    encoder, objective : str
        Registered names of what is used where nobody chose.
    advice : str
        What can be done where an objective cannot take such samples; ends a message.
    identifies : tuple of str
        What names a sample, of the names that `show` gives.
    numbered : bool
        Whether people know a sample by its number, counted from 0, rather than by the name of its file.
    windowed : bool
        Whether `Reading.window` plays a part.
    thinned : bool
        Whether `Reading.every` plays a part.
    classes : str
        What names the class of each sample where nobody named a column; empty where nothing does.
    alone : bool
        Whether a sample is judged by itself. False where those around it are looked at, so that samples cannot be drawn
        from files, nor scored in pieces apart.
    caption : str
        Of the names that `show` gives, that of what says in a line which sample it is: it stands in rankings, too.
    """

    name: str = ""
    plural: str = ""
    noun: str = "sample"
    encoder: str = ""
    objective: str = "neighbours"
    advice: str = ""
    identifies: tuple[str, ...] = ()
    numbered: bool = True
    windowed: bool = False
    thinned: bool = False
    classes: str = ""
    alone: bool = True
    caption: str = ""

    # ------------------------------------------------------------------------------------------ Python objects

    def recognises(self, X: Any) -> bool:
        """Whether an object holds samples of this kind, judged by its form alone."""
        return False

    def samples(self, X: Any) -> Samples:
        """Make samples of an object that holds them.

        Raises
        ------
        InputError
            When it cannot be done; the message says what was expected.
        """
        raise TypeError(f"{type(self).__name__} must define samples(X).")

    def check_training(self, X: Any) -> None:
        """Raise InputError for what has the form of such samples, and cannot be meant to be learned from."""

    def columns(self, samples: Any) -> tuple[int, tuple[str, ...]] | None:
        """How many columns samples have, and their names if these are their own; None where there are no columns."""
        return None

    def learn(self, samples: Any) -> Any:
        """What has to be known of training samples to understand later ones alike, in JSON types; None if nothing."""
        return None

    def understood(self, samples: Any, learned: Any) -> Any:
        """Samples as those of training were understood, of which `learn` kept what is needed."""
        return samples

    def encoder_for(self, forms: Collection[str]) -> str:
        """Name of the usual encoder for an objective that takes parts of these forms."""
        return self.encoder

    def objective_for(self, form: str) -> str:
        """Name of the usual objective for parts of this form, which an encoder that somebody chose makes."""
        return Kind.objective if form == "vector" else self.objective

    def plain(self, samples: Any) -> Any:
        """Samples as the encoders of other packages expect them, by default a list."""
        return list(samples)

    # --------------------------------------------------------------------------------------------------- files

    def claims(self, sources: Sequence[str]) -> bool:
        """Whether files, folders or patterns named on the command line hold this kind."""
        return False

    def asked_for(self, reading: Reading) -> bool:
        """Whether what was said of files means this kind, whatever the files are."""
        return False

    def read(self, sources: Sequence[str], reading: Reading) -> Batch:
        """Read all samples, as a training needs them."""
        raise InputError(f"{self.plural} cannot be read from files here. Use Python.")

    def also(self, batch: Batch) -> tuple[str, ...]:
        """What else training samples of files could be taken for, by which options, in sentences."""
        return ()

    def settled(self, reading: Reading, batch: Batch) -> Reading:
        """The reading with what was found of training files and has to hold of later ones, for the model folder."""
        return reading

    def scan(self, sources: Sequence[str], reading: Reading) -> Iterator[Batch]:
        """Read samples in order, as many at a time as memory holds; by default all at once."""
        yield self.read(sources, reading)

    def arriving(self, reading: Reading) -> Literal["rows", "lines"] | None:
        """What samples are scored from one after another, as they come on a pipe: rows of a table, or lines.

        None where they are not: all is read first.
        """
        return None

    def sent(self, reading: Reading) -> tuple[Literal["rows", "lines", "files"], ...]:
        """In what forms samples come in a message: rows of a table, lines of text, or files that lie in a folder."""
        return ("files",)

    def tables(self, sources: Sequence[str], reading: Reading) -> Tables | None:
        """Files as rows of one table, of which a training may take some; None where files hold no rows of a table."""
        return None

    def trained_on(self, table: Any, reading: Reading) -> Batch:
        """Samples of an Arrow table that was read for a training."""
        return self.split(table, reading)

    def split(self, table: Any, reading: Reading) -> Batch:
        """Samples of an Arrow table whose columns play these roles; by default ids beside what `samples` takes."""
        ids = [name for name in reading.id if name in table.column_names]
        return Batch(self.samples(table.drop_columns(ids)), table.select(ids) if ids else None)

    # ------------------------------------------------------------------------------------------ parts and people

    def put_back(
        self, samples: Any, scores: NDArray[np.float64], places: tuple[int, ...] = ()
    ) -> Sequence[NDArray[np.float64]]:
        """Scores of parts ``(n, P)`` where the parts came from: a heat map, a curve; by default as they are.

        ``places`` is the grid on which they lie, as the encoder's layout says: ``(H, W)`` of a photo.
        """
        return list(scores)

    def folds(self, samples: Any, shuffled: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
        """Numbers of the samples, which come in random order, as so many parts of which none says much of another."""
        return [np.sort(shuffled[place::count]) for place in range(count)]

    def excerpt(self, samples: Any, row: int, names: Sequence[str]) -> list[str]:
        """What of a sample, as it came, shows why it is anomalous, in lines; ``names`` are the reasons for that."""
        return []

    def measure(self, samples: Any) -> str:
        """How large samples are, for people; empty where their values have been counted."""
        return ""

    def name_places(self, places: tuple[int, ...]) -> tuple[str, ...]:
        """Where each place of a grid lies, in words, ``P`` of them; several may share a name."""
        return tuple(f"part {place + 1}" for place in range(prod(places)))

    def picture(self, samples: Any, row: int, longest: int | None = None) -> NDArray[np.uint8]:
        """What a sample looks like, ``(H, W, 3)``, its longer side at most ``longest`` pixels.

        Raises
        ------
        InputError
            Where there is nothing to look at.
        """
        raise InputError(f"{self.plural} have no picture.")

    def without_each(self, samples: Any, row: int) -> tuple[tuple[str, ...], Samples]:
        """What a sample is made of, in words, and so many samples: this one without each of it.

        Where a kind defines this, scores are explained by what is lost without each.
        """
        raise InputError(f"{self.plural} are not made of anything that could be left out.")

    @property
    def has_pieces(self) -> bool:
        """Whether samples are explained by what they are made of, as `without_each` is defined for them."""
        return type(self).without_each is not Kind.without_each

    @property
    def pictured(self) -> bool:
        """Whether samples can be looked at, as `picture` is defined for them."""
        return type(self).picture is not Kind.picture

    def events(
        self, samples: Sequence[Any], scores: NDArray[np.float64], line: float = -np.inf
    ) -> list[NDArray[np.intp]] | None:
        """Samples of each event above a line, by number in order of time, the highest first; None without an order.

        ``samples`` are all that were scored, some at a time, as the encoder reads them. Neighbours that are high
        because of one thing are one event; `spans` tells the flagged ones, and rankings show one sample of each.
        """
        return None

    def foremost(self, samples: Any, scores: NDArray[np.float64], order: NDArray[np.intp]) -> NDArray[np.intp]:
        """Of samples in some order those that a person is to look at: of each event the highest, else all."""
        found = self.events([samples], scores)
        return order[np.isin(order, [rows[scores[rows].argmax()] for rows in found])] if found else order

    def spans(
        self, samples: Sequence[Any], scores: NDArray[np.float64], flagged: NDArray[np.bool_]
    ) -> list[dict[str, Any]] | None:
        """Spans of flagged samples that follow each other, by names and values; None where samples have no order."""
        return None

    def curve(self, samples: Any, row: int) -> Curve | None:
        """The series that a sample is a step of; None where samples do not follow each other."""
        return None

    def show(self, samples: Any, row: int) -> dict[str, Any]:
        """What a person wants to see of a sample: names and values."""
        return {self.name: samples.take(np.array([row]))}


def register_kind(cls: type[Kind]) -> type[Kind]:
    """Make a kind known. Kinds registered later are asked first whether they recognise something.

    Examples
    --------
    >>> @register_kind
    ... class Sounds(Kind):
    ...     name, plural = "sound", "sounds"
    ...
    ...     def claims(self, sources):
    ...         return all(source.endswith(".wav") for source in sources)
    >>> kind_of_files(["a.wav"]).plural
    'sounds'
    >>> del KINDS["sound"]
    """
    KINDS[cls.name] = cls()
    return cls


def kind_of(X: Any) -> Kind:
    """The kind of samples that an object holds: of the kinds that recognise it the one registered last.

    Tables are registered first and recognise everything: what is no table either, they refuse with a reason.

    Examples
    --------
    >>> import expose.kinds
    >>> kind_of(["a text", "another"]).name, kind_of(np.zeros((5, 8, 8))).name, kind_of([[1.0, 2.0]]).name
    ('text', 'image', 'table')
    """
    return next(kind for kind in reversed(KINDS.values()) if kind.recognises(X))


def samples_of(X: Any, kind: Kind) -> Samples:
    """Anything as samples of a kind; where it cannot be, an InputError that says of which kind it looks instead."""
    try:
        return kind.samples(X)
    except (TypeError, ValueError) as error:
        given = kind_of(X)
        any_list = given is next(iter(KINDS.values())) and not hasattr(X, "shape")  # asked last, it recognises all
        if given is kind or any_list:
            raise
        shape = f" of shape {tuple(X.shape)}" if hasattr(X, "shape") else ""
        raise InputError(
            f"expected {kind.plural}, as in training; got what looks like {given.plural}, a {type(X).__name__}{shape}. "
            f"{given.advice}"
        ) from error


def kind_of_files(sources: Sequence[str], reading: Reading | None = None) -> Kind:
    """The kind of samples that files, folders and patterns hold, read so, by the same rule.

    Examples
    --------
    >>> import expose.kinds
    >>> kind_of_files(["rows.csv"]).name
    'table'
    """
    asked = [kind for kind in KINDS.values() if reading is not None and kind.asked_for(reading)]
    found = next(kind for kind in reversed([*KINDS.values(), *asked]) if kind in asked or kind.claims(sources))
    if reading is not None and reading.window is not None and not found.windowed:
        raise InputError(
            "--window goes with --time COLUMN, which says in which order the rows are, or with logs; these files look "
            f"like {found.plural}."
        )
    if reading is not None and reading.every is not None and not found.thinned:
        raise InputError(f"--every goes with --video, and with video files; these files look like {found.plural}.")
    return found


def kind_named(name: str) -> Kind:
    """A registered kind, or an error that says which there are."""
    if name not in KINDS:
        raise InputError(
            f"there is no kind {name!r} of samples; there are {sorted(KINDS)}. Import the file that registers it."
        )
    return KINDS[name]
