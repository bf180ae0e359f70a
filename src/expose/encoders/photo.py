"""Photos as patches on a grid and a vector of the whole, both by one pass through a frozen network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial
from numbers import Integral
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Encoder, State, register_encoder
from expose.encoders.feature_cache import FeatureCache, cache_folder, cache_in, key_of
from expose.encoders.layout import Layout
from expose.encoders.pretrained import SIDE, WEIGHTS, Frozen, is_of_hub, pretrained
from expose.encoders.progress import Watch
from expose.errors import InputError
from expose.kinds.images import Images, as_images
from expose.kinds.pixels import resized, with_channels

GIVES: Final = ("grid", "vector", "patches")
PRECISIONS: Final = ("32", "bf16")
USUAL: Final = "efficientnet-lite2"
MEASURED: Final = (USUAL,)  # of which it is known how near to each other vectors of one product are
FIT_PHOTOS: Final = 256  # from which principal components are found,
FIT_PATCHES: Final = 60_000  # and how many patches of these
KEPT: Final = 2**26  # bytes of features of these photos that wait until they are encoded
AT_ONCE: Final = 4  # photos that one thread reads and describes
SHORTEST: Final = 1e-12  # length of a patch that has a direction
# Largest numbers of a patch that half precision has: beyond it is infinity, below it has fewer digits, then none
HALF: Final = (2.0**-10, float(np.finfo(np.float16).max))

Floats = NDArray[np.float32]


class Photo(NamedTuple):
    """Features of one photo: of its patches ``(H, W, C)``, none where only a vector is wanted, and of all, ``(V,)``."""

    maps: NDArray[np.float16]
    vector: Floats


class PhotoEncoder(Encoder):
    """Encode photos by a frozen network.

    Parameters
    ----------
    network : str or callable
        "efficientnet-lite2" or "efficientnet-lite0", with the extra ``images``; the name of a vision model on the hub,
        such as "facebook/dinov2-small", or a folder that holds one, with the extra ``hub``; or a network of your own,
        from a tensor of photos ``(B, 3, side, side)`` in [0, 1] to vectors ``(B, V)``, maps of their patches
        ``(B, H, W, C)``, or both. A model folder holds no code: ``load(folder, encoder=...)`` takes that again.
    give : {"grid", "vector", "patches"} or None
        One part for each photo that holds its patches and a vector of the whole ("grid"), a vector alone, or patches as
        parts of their own. None gives what the objective takes.
    components : int
        Principal components that patches are reduced to, at most.
    tiles : int
        Into how many strips a photo is cut each way for its patches: 3 looks at nine parts of it, each as large as the
        network's photos, and finds smaller defects in nine times the time. The vector is that of the whole photo.
    side : int or (int, int), optional
        Height and width that photos, or tiles of them, are resized to; by default what the network was trained on.
    precision : {"32", "bf16"}
        "bf16" computes most in bfloat16: twice as fast or more on processors that have it. Scores then differ from
        those in float32 by tenths of their standard deviation; the model keeps the precision.

    Attributes
    ----------
    mean, axes : (C,) and (C, K) array of float32
        Of the principal components of patches.

    Notes
    -----
    Features are kept in a cache on disk, those of patches in float16, see `expose.encoders.feature_cache`.

    Examples
    --------
    >>> photos = np.random.default_rng(0).random((6, 16, 16, 3))
    >>> encoder = PhotoEncoder(lambda batch: batch.permute(0, 2, 3, 1), side=4).fit(photos)
    >>> encoder.layout.form, encoder.layout.shape, encoder.layout.beside
    ('grid', (4, 4, 3), 3)
    """

    encodes = "image"
    calls = True
    noun = "photos"  # what is counted while it takes long
    _kept: dict[int, Photo] | None = None  # features by row, between `fit` and `transform` of the same photos

    def __init__(
        self,
        network: str | Callable[..., Any] = USUAL,
        give: str | None = None,
        components: int = 100,
        tiles: int = 1,
        side: int | tuple[int, int] | None = None,
        precision: str = "32",
    ) -> None:
        self.network = network
        self.give = give
        self.components = components
        self.tiles = tiles
        self.side = side
        self.precision = precision
        self.notes: list[str] = []
        self.suits = "grid"
        self.revision: str | None = None
        self.sha256: str | None = None

    def __sklearn_clone__(self) -> Self:
        """The same, unfitted; a network is never copied."""
        return type(self)(self.network, self.give, self.components, self.tiles, self.side, self.precision)

    def suited(self, forms: Collection[str]) -> Self:
        """Give what an objective takes that takes parts of these forms."""
        self.suits = "grid" if "grid" in forms else "vector"
        return self

    # ------------------------------------------------------------------------------------------------- learn

    def fit(self, samples: Any) -> Self:
        """Find the principal components of patches, on some photos."""
        images = as_images(samples)
        self._check(len(images))
        self.__dict__.pop("frozen", None)  # a folder may hold other weights by now
        self.revision = self.sha256 = None
        self.revision, self.sha256 = self.frozen.revision, self.frozen.sha256
        self.gives = self.give or (self.suits if self.frozen.places else "vector")
        if self.gives != "vector" and not self.frozen.places:
            raise InputError(
                f"give={self.give!r} needs a network that describes patches; this one gives vectors alone."
            )
        if self.tiles > 1 and self.gives == "vector":
            raise InputError(
                "tiles are of objectives that judge patches; this one takes one vector of each photo. Choose another, "
                f"such as local-global, or leave tiles out; got tiles = {self.tiles}."
            )
        self.mean, self.axes = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
        if self.gives != "vector":
            some = np.sort(np.random.default_rng(0).permutation(len(images))[:FIT_PHOTOS])
            self.mean, self.axes = principal(self._patches(images, some), self.components)
        self._settle()
        return self

    def fit_transform(self, samples: Any) -> NDArray[np.float32]:
        """Fit and encode: photos that components were found from are not read and described again, if there is room."""
        images = as_images(samples)
        self._kept = {}
        try:
            return self.fit(images).transform(images)
        finally:
            self._kept = None

    def _check(self, n_photos: int) -> None:
        if not n_photos:
            raise InputError("Found 0 sample(s): expected at least one image.")
        if not (isinstance(self.network, str) or callable(self.network)):
            raise InputError(f"network must be the name of one, or one to be called; got {self.network!r}.")
        for name, allowed in (("give", (None, *GIVES)), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be one of {list(allowed)}; got {getattr(self, name)!r}.")
        for name, value in (("components", self.components), ("tiles", self.tiles), *self._sides):
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if not (whole and value > 0):
                raise InputError(f"{name} must be a whole number, at least 1; got {value!r}.")

    @property
    def _sides(self) -> list[tuple[str, Any]]:
        """Height and width that were asked for, one number for both of a square."""
        given = self.side if isinstance(self.side, tuple | list) else (self.side,)
        return [] if self.side is None else [("side", value) for value in given]

    @cached_property
    def frozen(self) -> Frozen:
        """The network, and what has to be known of it; since `fit` always with the same weights."""
        if not isinstance(self.network, str):
            return Frozen(self.network, self.side or SIDE)
        found = pretrained(self.network, self.side, self.revision)
        if self.sha256 not in (None, found.sha256):
            raise InputError(
                f"the weights of {self.network!r} are not those that the model was made with (SHA-256 "
                f"{str(self.sha256)[:12]}, now {found.sha256[:12]}). Bring these back, or train again."
            )
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, where it has a name: a copy, or another process, finds it by that."""
        kept = dict(self.__dict__)
        kept.pop("frozen", None)
        return kept

    def _patches(self, images: Images, rows: NDArray[np.intp]) -> Floats:
        """Patches of some photos ``(n, C)``, of each some at random if there are many."""

        def few(places: range) -> list[Floats]:
            photos = self.features(images, rows[places].tolist())
            self._keep(dict(zip(rows[places].tolist(), photos, strict=True)))
            return [drawn(patches_of(photo), most, place) for place, photo in zip(places, photos, strict=True)]

        most = -(-FIT_PATCHES // len(rows))
        return np.concatenate([patches for several in self._each(len(rows), few) for patches in several])

    def _keep(self, photos: dict[int, Photo]) -> None:
        """Keep features until the photos are encoded, if that is to be and there is room."""
        for row, photo in photos.items():
            if self._kept is not None and (len(self._kept) + 1) * (photo.maps.nbytes + photo.vector.nbytes) <= KEPT:
                self._kept[row] = photo

    def _settle(self) -> None:
        width = self.axes.shape[-1]
        high, wide = (self.tiles * number for number in self.frozen.places or (0, 0))
        if self.gives == "grid":
            beside = self.frozen.n_vector
            self.layout = Layout("grid", (high, wide, width), places=(high, wide), beside=beside)
        elif self.gives == "patches":
            self.layout = Layout("vector", (width,), places=(high, wide))
        else:
            self.layout = Layout("vector", (self.frozen.n_vector,))

    # ------------------------------------------------------------------------------------------------ encode

    def transform(self, samples: Any) -> NDArray[np.float32]:
        """Encode photos: ``(n, D)``, or ``(n, P, D)`` where patches are parts of their own."""
        images = as_images(samples)
        n_parts = self.layout.n_places if self.gives == "patches" else 1
        out = np.empty((len(images), n_parts, self.layout.n_values), dtype=np.float32)

        def fill(rows: range) -> None:
            for row, photo in zip(rows, self.features(images, rows), strict=True):
                out[row] = self._part(photo)

        self._each(len(images), fill)
        return out if self.gives == "patches" else out[:, 0]

    def _each(self, count: int, act: Callable[[range], Any]) -> list[Any]:
        """What an act makes of so many photos, some at a time; threads read and compute side by side."""
        from expose.threads import side_by_side

        watch = Watch(count, self.verbose, self.noun)

        def watched(rows: range) -> Any:
            made = act(rows)
            watch(len(rows))
            return made

        several = [range(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]
        if isinstance(self.network, str):
            return side_by_side(watched, several)
        return list(map(watched, several))  # a network of the user's may not bear several threads

    def _part(self, photo: Photo) -> Floats:
        """Features of a photo as parts, ``(P, D)``."""
        import torch

        if self.gives == "vector":
            return photo.vector[None]
        centred = torch.from_numpy(patches_of(photo) - self.mean)
        reduced: Floats = (centred @ torch.from_numpy(self.axes)).numpy()  # (P, K)
        return reduced if self.gives == "patches" else np.concatenate([reduced.ravel(), photo.vector])[None]

    def likeness(self, parts: Floats) -> float | None:
        """Mean cosine of the vectors of two photos: near 1 for photos of one product, lower the more things they show.

        None for parts that are not a photo each, for fewer than two photos, and for networks of which nobody has
        measured what is near.
        """
        if self.gives == "patches" or parts.ndim != 2 or len(parts) < 2 or self.network not in MEASURED:
            return None
        return mean_cosine(parts[:, -self.frozen.n_vector :])

    def features(self, images: Images, rows: Sequence[int]) -> list[Photo]:
        """Features of some photos, kept since `fit`, or from the cache, if they are there."""
        described = self._kept or {}
        if waiting := {row: described.pop(row) for row in rows if row in described}:
            others = iter(self.features(images, [row for row in rows if row not in waiting]))
            return [waiting[row] if row in waiting else next(others) for row in rows]
        keys = [self._key(images, row) for row in rows]
        found = [None if self._cache is None or key is None else self._cache.get(key) for key in keys]
        missing = [row for row, kept in zip(rows, found, strict=True) if kept is None]
        made = iter(self._computed(images, missing))
        photos = [next(made) if kept is None else Photo(**kept) for kept in found]
        for key, kept, photo in zip(keys, found, photos, strict=True):
            if self._cache is not None and key is not None and kept is None:
                self._cache.put(key, photo._asdict())
        return photos

    def _computed(self, images: Images, rows: Sequence[int]) -> Iterator[Photo]:
        """Features by the network, of patches in half precision, as they are kept."""
        if not rows:
            return
        pictures = [self._pictures(images, row) for row in rows]  # (1 + t * t, 3, side, side) each
        maps, vectors = self.frozen(np.concatenate(pictures), self.precision)
        for first in range(0, len(vectors), len(pictures[0])):
            several = slice(first, first + len(pictures[0]))
            yield Photo(self._together(None if maps is None else maps[several]), vectors[first])

    def _together(self, maps: Floats | None) -> NDArray[np.float16]:
        """Maps of a photo, and of its tiles if there are any, as one map ``(H, W, C)``."""
        if maps is None or self.gives == "vector":
            return np.zeros((0, 0, 0), dtype=np.float16)
        return halved(joined(maps[-(self.tiles**2) :], self.tiles))

    def _pictures(self, images: Images, row: int) -> Floats:
        """What the network looks at of a photo: itself, and its tiles if there are any, ``(T, 3, side, side)``."""
        tiles = 1 if self.gives == "vector" else self.tiles
        size = self.frozen.size
        larger = (tiles * size[0], tiles * size[1])
        photo = with_channels(images.at(row, larger), 3)
        seen = [resized(photo, *size)]
        if tiles > 1:
            seen.append(cut(resized(photo, *larger)[0], tiles))
        return np.ascontiguousarray(np.moveaxis(np.concatenate(seen), 3, 1))

    # ------------------------------------------------------------------------------------------------- cache

    @property
    def _cache(self) -> FeatureCache | None:
        folder = cache_folder()
        return None if folder is None or not self.frozen.sha256 else cache_in(folder)

    def _key(self, images: Images, row: int) -> str | None:
        """What a photo's features are kept under; None where they are not."""
        if self._cache is None:
            return None
        import torch

        tiles = 0 if self.gives == "vector" else self.tiles
        height, width = self.frozen.size
        side = height if height == width else [height, width]
        made_by = [1, self.frozen.sha256, side, self.precision, tiles, torch.__version__]
        try:
            return key_of(images.pixels[row], made_by)
        except (OSError, ValueError):
            return None  # to read it as a photo says what is wrong

    # ------------------------------------------------------------------------------------------------- store

    def state(self) -> State:
        """Names, hash of the weights, and the principal components."""
        sides = [int(value) for _, value in self._sides]  # NumPy's numbers cannot be written
        meta: dict[str, Any] = {
            "network": self.network,
            "give": self.gives,
            "components": int(self.components),
            "tiles": int(self.tiles),
            "side": sides if len(sides) > 1 else next(iter(sides), None),
            "precision": self.precision,
            "sha256": self.frozen.sha256,
            "revision": self.frozen.revision,
            "notes": list(self.notes),
        }
        if not isinstance(self.network, str):
            meta |= {"network": type(self.network).__name__, "own": "network"}
        return State(meta, {"mean": self.mean, "axes": self.axes})

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave, with the same weights; a network of the user's stands in its place."""
        meta, network = state.meta, state.meta["network"]
        given = (meta[name] for name in ("give", "components", "tiles", "side", "precision"))
        given = (tuple(one) if isinstance(one, list) else one for one in given)
        encoder = cls(network.network if isinstance(network, cls) else network, *given)
        encoder.gives, encoder.revision, encoder.sha256 = meta["give"], meta["revision"], meta["sha256"]
        encoder.mean, encoder.axes = state.arrays["mean"], state.arrays["axes"]
        encoder.notes = list(meta["notes"])
        encoder._settle()
        return encoder


def halved(maps: Floats) -> NDArray[np.float16]:
    """Maps ``(H, W, C)`` in half precision; a patch that would not fit is scaled, by a power of two.

    That changes none of its digits, and its length is not looked at, see `patches_of`.

    >>> halved(np.array([[[3e9, -1.5e9]]], dtype=np.float32)).tolist()
    [[[0.69873046875, -0.349365234375]]]
    """
    largest = np.abs(maps).max(axis=-1, keepdims=True)
    fits = (HALF[0] <= largest) & (largest <= HALF[1])
    scaled: Floats = np.ldexp(maps, np.where(fits, 0, -np.frexp(largest)[1]))
    return scaled.astype(np.float16)


def patches_of(photo: Photo) -> Floats:
    """Features of a photo's patches, row by row, at length 1 ``(P, C)``: how strong one is tells little of its kind."""
    single = photo.maps.reshape(-1, photo.maps.shape[-1]).astype(np.float32)
    lengths = np.linalg.norm(single, axis=1, keepdims=True)
    single /= np.maximum(lengths, SHORTEST)
    return single


def drawn(patches: Floats, most: int, seed: int) -> Floats:
    """At most so many of a photo's patches ``(P, C)``, at random."""
    return patches[np.sort(np.random.default_rng(seed).permutation(len(patches))[:most])]


def cut(photo: Floats, tiles: int) -> Floats:
    """A photo ``(H, W, C)`` as its tiles, row by row: ``(t * t, H / t, W / t, C)``.

    >>> cut(np.arange(16.0, dtype=np.float32).reshape(4, 4, 1), 2)[1, ..., 0].tolist()
    [[2.0, 3.0], [6.0, 7.0]]
    """
    high, wide = photo.shape[0] // tiles, photo.shape[1] // tiles
    strips = photo.reshape(tiles, high, tiles, wide, -1)
    return strips.swapaxes(1, 2).reshape(tiles**2, high, wide, -1)


def joined(parts: Floats, tiles: int) -> Floats:
    """The tiles of a photo, or of a map, together again: what `cut` has cut."""
    _, high, wide, depth = parts.shape
    return parts.reshape(tiles, tiles, high, wide, depth).swapaxes(1, 2).reshape(tiles * high, tiles * wide, depth)


def mean_cosine(vectors: Floats) -> float:
    """Mean cosine of all pairs of vectors ``(n, D)``.

    >>> round(mean_cosine(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)), 2)
    0.33
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    total = (vectors / np.maximum(lengths, SHORTEST)).sum(axis=0, dtype=np.float64)
    return float((total @ total - len(vectors)) / (len(vectors) * (len(vectors) - 1)))


def principal(patches: Floats, count: int) -> tuple[Floats, Floats]:
    """Mean ``(C,)`` and the first principal axes ``(C, K)`` of patches ``(n, C)``, by one thread: always alike."""
    import torch

    from expose.threads import torch_threads

    mean = patches.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = torch.from_numpy(patches - mean).double()
    with torch_threads(1):  # two that wait for each other are slower on a busy machine
        axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.numpy()
    return mean, np.ascontiguousarray(axes[:, ::-1][:, :count], dtype=np.float32)


def of_hub(name: str) -> PhotoEncoder | None:
    """The encoder of a model on the hub, or in a folder, by its name."""
    return PhotoEncoder(name) if is_of_hub(name) else None


register_encoder("photo", {name: partial(PhotoEncoder, name) for name in WEIGHTS}, others=of_hub)(PhotoEncoder)
