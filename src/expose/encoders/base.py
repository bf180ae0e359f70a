"""What an encoder is: samples of a kind in, parts as vectors out. Fitted on training samples only.

A new encoder is one file: subclass `Encoder` and decorate it with ``@register_encoder("name")``. Anything else that has
``fit`` and ``transform``, of scikit-learn or your own, serves as it is: `OwnEncoder` wraps it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from expose.encoders.arrivals import MOST, Arrivals, check_delay
from expose.encoders.layout import Layout
from expose.errors import InputError, ModelFolderError
from expose.kinds.base import Kind, Samples

ENCODERS: dict[str, Callable[[], Encoder]] = {}
OTHERS: list[Callable[[str], Encoder | None]] = []  # for names that stand in no list
CLASSES: dict[str, type[Encoder]] = {}
OWN = "own"


class State(NamedTuple):
    """All that an encoder learned: JSON types, and arrays by name. No code."""

    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = {}  # noqa: RUF012 - never changed


class ColumnRead(NamedTuple):
    """How one column was read, for people: its name, what it counts as, and what was made of its values, or why not.

    ``kind`` is "number", "category", "date", "identifier" or "left out".

    Examples
    --------
    >>> ColumnRead("day", "date", "dd.mm.yyyy").kind
    'date'
    """

    name: str
    kind: str
    how: str = ""


class Around(NamedTuple):
    """Samples whose scores count besides a sample's own, where they follow each other: its score is a mean of these.

    Attributes
    ----------
    further : samples
        Those that are not among the n samples themselves.
    counted : (n, W) array of int
        What counts for each, by number: of the n samples, and then of the further ones. -1 counts nothing.
    """

    further: Any
    counted: NDArray[np.intp]

    def mean(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean for each, of scores of the samples and the further ones, ``(n + m,)`` or ``(n + m, W)``.

        Examples
        --------
        >>> Around(None, np.array([[0, 1], [1, -1]])).mean(np.array([1.0, 3.0])).tolist()
        [2.0, 3.0]
        """
        there = (self.counted >= 0).reshape(*self.counted.shape, *[1] * (scores.ndim - 1))
        found: NDArray[np.float64] = (scores[self.counted] * there).sum(axis=1) / there.sum(axis=1)
        return found


class Encoder:
    """Base class of the encoders that a model folder can hold.

    Attributes
    ----------
    layout : Layout
        What an encoded part is; there after `fit`.
    notes : list of str
        What a person should know about the training samples.
    columns_read : list of ColumnRead
        How each column of the training samples was read; empty where samples have none.
    groups : list of (str, slice)
        The names that people know, of columns say, and the encoded values that belong to each: what a score is
        explained by. None by default: then it is explained by what kind of oddness the objective found, see
        `Objective.components`.
    """

    family: str = ""  # what a model folder calls it
    encodes: str = ""  # name of the kind of samples; empty: any
    calls: bool = False  # whether its first parameter may be a function
    layout: Layout
    notes: Sequence[str] = ()
    columns_read: Sequence[ColumnRead] = ()
    verbose: int = 0  # whether to say on stderr how far it is, where it takes long

    def suited(self, forms: Collection[str]) -> Self:
        """The encoder, set to give parts of one of these forms, if it has a choice and none was made; before `fit`."""
        return self

    def fit(self, samples: Any) -> Self:
        """Learn from training samples."""
        raise TypeError(f"{type(self).__name__} must define fit(samples), which sets its layout.")

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode samples: finite float32, ``(n, D)``, or ``(n, P, D)`` where a sample has P parts."""
        raise TypeError(f"{type(self).__name__} must define transform(samples).")

    def fit_transform(self, samples: Any) -> NDArray[np.float32]:
        """Learn from training samples, and encode them."""
        self.fit(samples)
        if not hasattr(self, "layout"):
            name = type(self).__name__
            raise InputError(f"{name}.fit must set self.layout, a Layout of what transform gives. Did you forget it?")
        return self.transform(samples)

    def arrivals(self, kind: Kind, delay: int = 0, most: int = MOST) -> Arrivals:
        """What takes samples that come one after another, and says of each as soon as it can.

        Parameters
        ----------
        kind : Kind
            Of the samples.
        delay : int
            For how many later samples each waits, where these say more of it.
        most : int
            Of how many series something is kept.

        Raises
        ------
        InputError
            Where samples cannot be judged as they come.
        """
        if not kind.alone:
            raise InputError(
                f"{kind.plural} are not scored as they come by this encoder, which does not say what it needs of "
                f"earlier {kind.noun}s. Give all of them to a Scorer at once."
            )
        check_delay(delay, kind.plural)
        return Arrivals(self)

    def around(self, samples: Any) -> Around | None:
        """Which samples around each its score is a mean of; None where each is judged by itself."""
        return None

    def likeness(self, parts: NDArray[np.float32]) -> float | None:
        """How alike training samples are, by their encoded parts: 1 for copies; None where the parts cannot tell."""
        return None

    def read(self, samples: Any) -> Any:
        """Samples as the encoder understands them, for people to look at: texts that are numbers as numbers, say."""
        return samples

    @property
    def commas(self) -> tuple[str, ...]:
        """Columns of texts whose numbers had a decimal comma in training: there 1.5 is no number, or another one."""
        return ()

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """Names that people know, and the encoded values of each; none where a part is told from others as a whole."""
        return []

    @property
    def sources(self) -> tuple[str, ...]:
        """Names that people know, where every encoded value depends on several: `without` says what each carries."""
        return ()

    def without(self, samples: Any, source: str | None) -> NDArray[np.float32]:
        """Parts as `transform` gives them, of samples of which this source is not known and the others are.

        None leaves nothing out: what its score is above that without a source, that source carries.
        """
        raise TypeError(f"{type(self).__name__} has no sources.")

    def name_places(self, kind: Kind) -> tuple[str, ...]:
        """Where each place of a sample lies, in words, ``P`` of them; several may share a name."""
        return kind.name_places(self.layout.places)

    def state(self) -> State:
        """All that was learned; `restore` makes the same encoder of it, to the bit."""
        raise TypeError(f"{type(self).__name__} must define state() and restore(state) to be saved.")

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave."""
        raise TypeError(f"{cls.__name__} must define restore(state) to be loaded.")


Some = TypeVar("Some", bound=type[Encoder])


def register_encoder(
    family: str,
    names: Mapping[str, Callable[[], Encoder]] | None = None,
    others: Callable[[str], Encoder | None] | None = None,
) -> Callable[[Some], Some]:
    """Make an encoder known: to model folders by ``family``, to estimators by that or several names.

    ``others`` makes one of a further name that it understands, and None of one that it does not.

    Examples
    --------
    >>> @register_encoder("lengths")
    ... class Lengths(Encoder):
    ...     encodes = "text"
    ...
    ...     def fit(self, samples):
    ...         self.layout = Layout("vector", (1,))
    ...         return self
    ...
    ...     def transform(self, samples):
    ...         return np.array([[len(text)] for text in samples.values], dtype=np.float32)
    >>> ENCODERS["lengths"] is Lengths
    True
    >>> del ENCODERS["lengths"], CLASSES["lengths"]
    """

    def add(cls: Some) -> Some:
        cls.family = family
        CLASSES[family] = cls
        ENCODERS.update(names or {family: cls})
        if others is not None:
            OTHERS.append(others)
        return cls

    return add


class OwnEncoder(Encoder):
    """An object with ``fit(X)`` and ``transform(X)``, and a kind's samples as it expects them.

    Tables come as an array ``(n, columns)``, images and texts as lists.

    Parameters
    ----------
    own : object
        Its ``transform`` gives finite numbers ``(n, D)``, or ``(n, P, D)`` for P parts of each sample, as an array, a
        frame or a torch tensor.
    kind : Kind

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from expose.kinds import as_table, kind_named
    >>> encoder = OwnEncoder(StandardScaler(), kind_named("table")).fit(as_table([[1.0], [3.0]]))
    >>> encoder.transform(as_table([[3.0]])).tolist()
    [[1.0]]
    """

    family = OWN

    def __init__(self, own: Any, kind: Kind) -> None:
        self.own = own
        self.kind = kind
        self.learned: Any = None

    def fit(self, samples: Samples) -> Self:
        """Fit the object, and note the form of what it gives."""
        self.learned = self.kind.learn(samples)
        self.own.fit(self.kind.plain(self.read(samples)))
        some = samples.take(slice(0, 8))  # enough to see the form, where a large network encodes
        width = self._encoded(some).shape[-1]
        self.settle(width, self._names(samples, width))
        return self

    def settle(self, width: int, names: Sequence[str]) -> None:
        """Note how many values it gives per part, and their names."""
        self.layout = Layout("vector", (width,))
        self.names = tuple(names)

    def transform(self, samples: Samples) -> NDArray[np.float32]:
        """What the object makes of samples, checked."""
        parts = self._encoded(samples)
        if parts.shape[-1] != self.layout.n_values:
            raise InputError(
                f"{type(self.own).__name__}.transform gave {parts.shape[-1]} values per part, and "
                f"{self.layout.n_values} in training. It must give the same number always."
            )
        return parts

    def read(self, samples: Any) -> Any:
        """Samples as those of training were understood."""
        return samples if self.learned is None else self.kind.understood(samples, self.learned)

    def _encoded(self, samples: Samples) -> NDArray[np.float32]:
        return checked(self.own.transform(self.kind.plain(self.read(samples))), len(samples), self.own)

    def _names(self, samples: Samples, width: int) -> list[str]:
        """Return the names of its outputs if it has some, as scikit-learn's objects do."""
        _, columns = self.kind.columns(samples) or (0, ())
        names: list[str] = []
        with contextlib.suppress(AttributeError, TypeError, ValueError):  # names are no reason to fail
            names = list(map(str, self.own.get_feature_names_out(columns or None)))
        return names if len(names) == width else [f"value {place}" for place in range(width)]

    @property
    def groups(self) -> list[tuple[str, slice]]:
        """Its outputs, one by one."""
        return [(name, slice(place, place + 1)) for place, name in enumerate(self.names)]

    def state(self) -> State:
        """What a folder keeps: no code, so little more than the class."""
        meta = {"class": type(self.own).__name__, "width": self.layout.n_values, "names": list(self.names)}
        return State({**meta, "learned": self.learned})


def checked(parts: Any, n_samples: int, own: Any) -> NDArray[np.float32]:
    """Return a user's encoded samples as finite float32 ``(n, D)`` or ``(n, P, D)``, or say what is wrong with them."""
    name = f"{type(own).__name__}.transform"
    if hasattr(parts, "toarray"):
        raise InputError(f"{name} gave a sparse matrix; make it dense, for example by sparse_output=False.")
    # of torch: off its graph and its device, and in a type that NumPy has, which bfloat16 is not
    array = np.asarray(parts.detach().cpu().float() if hasattr(parts, "detach") else parts)
    fits = array.ndim in (2, 3) and len(array) == n_samples and 0 not in array.shape[1:]
    if not fits or array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} must give numbers of shape ({n_samples}, D), or ({n_samples}, P, D) for P parts of each sample; "
            f"got shape {array.shape} of {array.dtype}."
        )
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(single).all():
        row = int(np.flatnonzero(~np.isfinite(single).reshape(n_samples, -1).all(axis=1))[0])
        raise InputError(f"{name} gave NaN, infinity or numbers too large for float32, first in sample {row}.")
    return single


def make_encoder(choice: Any, kind: Kind, preferred: str | None = None) -> Encoder:
    """The unfitted encoder of a kind's samples.

    Parameters
    ----------
    choice : None, str or object
        A registered name, an `Encoder`, or any object with fit and transform, which is copied unfitted where
        scikit-learn can. None takes ``preferred``, else the kind's default.
    kind : Kind
    preferred : str, optional
        What the objective prefers for this kind.

    Raises
    ------
    InputError
        If there is no such encoder, or it encodes samples of another kind.

    Examples
    --------
    >>> from expose.kinds import kind_named
    >>> make_encoder(None, kind_named("table")).scalings, make_encoder(None, kind_named("text")).level
    (('quantile',), 'word')
    """
    from sklearn.base import clone

    choice = (preferred or kind.encoder) if choice is None else choice
    if isinstance(choice, str):
        return _suited(_named(choice), kind)
    if isinstance(choice, type):
        raise InputError(f"encoder must be a name or an object; got the class itself. Write {choice.__name__}().")
    if not (hasattr(choice, "fit") and hasattr(choice, "transform")):
        raise InputError(
            f"encoder must be a name or an object with fit and transform; got a {type(choice).__name__}."
            + (_calling(kind) if callable(choice) else "")
        )
    copied = clone(choice, safe=False)
    return _suited(copied, kind) if isinstance(copied, Encoder) else OwnEncoder(copied, kind)


def _calling(kind: Kind) -> str:
    """Say which encoders of a kind take a function, if there are any."""
    able = [cls.__name__ for cls in CLASSES.values() if cls.calls and cls.encodes == kind.name]
    return "".join(f" To encode {kind.plural} by a function, write {name}(function)." for name in able)


def _named(name: str) -> Encoder:
    """Return the encoder of a name, unfitted."""
    if name in ENCODERS:
        return ENCODERS[name]()
    for encoder in filter(None, (make(name) for make in OTHERS)):
        return encoder
    raise InputError(f"encoder must be one of {sorted(ENCODERS)} or an object with fit and transform; got {name!r}.")


def _suited(encoder: Encoder, kind: Kind) -> Encoder:
    """Return the encoder if it encodes samples of this kind."""
    if encoder.encodes not in ("", kind.name):
        able = [name for name, make in ENCODERS.items() if make().encodes in ("", kind.name)]
        raise InputError(
            f"{type(encoder).__name__} encodes samples of kind {encoder.encodes!r}; got {kind.plural}. Encoders of "
            f"{kind.plural}: {', '.join(map(repr, sorted(able)))}, or an object with fit and transform."
        )
    return encoder


def restore_encoder(family: str, state: State, kind: Kind, own: Any = None) -> Encoder:
    """Make an encoder of what a model folder holds; one of the user's own is given, fitted."""
    if family == OWN:
        if own is None:
            raise ModelFolderError(
                f"The model was trained with an encoder of its own, class {state.meta['class']!r}, and a model folder "
                f"holds no code. Load it with load(folder, encoder=...), the fitted {state.meta['class']}."
            )
        if isinstance(own, type) or not hasattr(own, "transform"):
            raise ModelFolderError(
                f"load(folder, encoder=...) takes the fitted {state.meta['class']} of the training; got {own!r}."
            )
        encoder = OwnEncoder(own, kind)
        encoder.settle(int(state.meta["width"]), state.meta["names"])
        encoder.learned = state.meta.get("learned")  # older folders have nothing
        return encoder
    if family not in CLASSES:
        raise ModelFolderError(
            f"The model was trained with the encoder {family!r}, which is not registered. Import its file first."
        )
    return CLASSES[family].restore(_with_own(state, own))


def needs_own(family: str, meta: Mapping[str, Any]) -> bool:
    """Whether a model folder's encoder is the user's own, or has something that is, which takes its place again."""
    return family == OWN or "own" in meta


def _with_own(state: State, own: Any) -> State:
    """Return the state with what is the user's own, where the folder has the name of its class."""
    if "own" not in state.meta:
        return state
    entry = state.meta["own"]
    if own is None:
        raise ModelFolderError(
            f"The model's encoder has a {entry} of its own, class {state.meta[entry]!r}, and a model folder holds no "
            f"code. Load it with load(folder, encoder=...), that {entry}."
        )
    return State({**state.meta, entry: own}, state.arrays)
