"""Items of several views as one part: each view encoded for itself, all places together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Encoder, State, make_encoder, register_encoder, restore_encoder
from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.kinds import kind_named
from expose.kinds.base import Kind
from expose.kinds.views import as_views

_IMAGE = "image"
_NAMED = "view {}: {}"  # an array of a view's encoder, in a model folder


@register_encoder("views")
class ViewsEncoder(Encoder):
    """Encode the photos of each view by an encoder of their own, and put what it gives together.

    So every view has its own places, and an item is judged by the worst of all of them.

    Parameters
    ----------
    encoder : None, str or object, default=None
        Of the photos, one for each view: as ``encoder`` of `AnomalyDetector` for images. None takes the usual one.

    Attributes
    ----------
    encoders : list of Encoder
        One for each view, in the order of training.

    Examples
    --------
    >>> photos = np.random.default_rng(0).random((6, 16, 16, 3))
    >>> from expose.encoders import PhotoEncoder
    >>> small = PhotoEncoder(lambda batch: batch.permute(0, 2, 3, 1), side=4)
    >>> encoder = ViewsEncoder(small).suited(["grid"]).fit({"top": photos, "side": photos})
    >>> encoder.layout.places, encoder.transform({"top": photos, "side": photos}).shape
    ((2, 4, 4), (6, 102))
    """

    encodes = "views"

    def __init__(self, encoder: Any = None) -> None:
        self.encoder = encoder
        self.forms: tuple[str, ...] = ("grid",)

    def suited(self, forms: Collection[str]) -> Self:
        """Give what an objective takes that takes parts of these forms."""
        self.forms = tuple(forms)
        return self

    def fit(self, samples: Any) -> Self:
        """Fit an encoder on the photos of each view.

        Raises
        ------
        InputError
            Where the objective takes pixels: the views would have to be one image.
        """
        views, kind = as_views(samples), kind_named(_IMAGE)
        usual = kind.encoder_for(self.forms)
        made = [make_encoder(self.encoder, kind, usual).suited(self.forms) for _ in views.photos]
        self.names = list(views.photos)
        self.encoders = [encoder.fit(images) for encoder, images in zip(made, views.photos.values(), strict=True)]
        self._settle()
        return self

    def _settle(self) -> None:
        """Lay the places of all views on one grid with an axis more; vectors stand side by side."""
        layouts = [encoder.layout for encoder in self.encoders]
        first = layouts[0]
        if first.form not in ("grid", "vector") or (first.places and first.form == "vector") or len({*layouts}) > 1:
            raise InputError(
                f"several views need an objective that takes patches or vectors of photos; this one takes the form "
                f"{first.form!r}. Objectives for views: 'gaussian', 'neighbours', 'ntl' and others of vectors, with "
                "the encoder 'efficientnet-lite2'."
            )
        count = len(layouts)
        if first.form == "vector":
            self.layout = Layout("vector", (count * first.n_values,))
        else:
            shape, places = (count, *first.shape), (count, *first.places)
            self.layout = replace(first, shape=shape, places=places, beside=count * first.beside)

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """Those on each view."""
        pairs = zip(self.names, self.encoders, strict=True)
        return [f"{name}: {note}" for name, encoder in pairs for note in encoder.notes]

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode items, ``(n, D)``: places of all views, then what describes each view as a whole."""
        views = as_views(samples)
        if list(views.photos) != self.names:
            raise InputError(f"expected photos of the views {self.names}, as in training; got {list(views.photos)}.")
        for encoder in self.encoders:
            encoder.verbose = self.verbose
        each = [encoder.transform(images) for encoder, images in zip(self.encoders, views.photos.values(), strict=True)]
        of_places = prod(self.encoders[0].layout.shape)
        return np.concatenate([*(parts[:, :of_places] for parts in each), *(parts[:, of_places:] for parts in each)], 1)

    def name_places(self, kind: Kind) -> tuple[str, ...]:
        """Of each place its view by name, and the ninth of the photo."""
        ninths = kind_named(_IMAGE).name_places(self.layout.places[1:])
        return tuple(f"{view}: {ninth}" for view in self.names for ninth in ninths)

    def state(self) -> State:
        """Return what the encoders of all views learned."""
        states = [encoder.state() for encoder in self.encoders]
        arrays = {
            _NAMED.format(view, name): one for view, state in enumerate(states) for name, one in state.arrays.items()
        }
        meta = {"views": self.names, "family": self.encoders[0].family, "each": [state.meta for state in states]}
        if own := states[0].meta.get("own"):  # the user's own, which all views have in common
            meta |= {"own": own, own: states[0].meta[own]}
        return State(meta, arrays)

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave."""
        encoder = cls()
        encoder.names = list(state.meta["views"])
        states = (State(meta, _arrays_of(view, state.arrays)) for view, meta in enumerate(state.meta["each"]))
        own = state.meta.get(state.meta.get("own", ""))
        encoder.encoders = [restore_encoder(state.meta["family"], each, kind_named(_IMAGE), own) for each in states]
        encoder._settle()
        return encoder


def _arrays_of(view: int, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    start = _NAMED.format(view, "")
    return {name.removeprefix(start): one for name, one in arrays.items() if name.startswith(start)}
