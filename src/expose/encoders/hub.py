"""Vision models of ``transformers``, from the hub of Hugging Face or from a folder, as networks that describe photos.

Their photos are normalised here, as their image processor says: its class may need torchvision, its settings do not.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from logging import ERROR
from math import isqrt
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from expose.encoders.efficientnet_lite import on_one_grid
from expose.errors import InputError, MissingExtraError

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, where a model says nothing
SIDE: Final = 224
NOT_USED: Final = "pooler"  # part of a name of weights: what follows it describes no patches, and is often not trained


class HubNetwork(nn.Module):
    """A vision model of ``transformers``.

    Of transformers, patches are the tokens of the last layer, and the photo is the class token or, without one, the
    mean of all. Of convolutional networks, patches are the maps of the two stages before the last on one grid, and the
    photo is the mean of the last.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    processing : mapping
        Settings of its image processor; empty if it has none.

    Attributes
    ----------
    side : int
        Of the photos it was trained on.
    sha256 : str
        Of its weights and of what is done to photos before.
    revision : str or None
        Its commit on the hub.
    """

    mean: Tensor
    deviation: Tensor
    at_once = 1  # photos: the last digits of large matrix products depend on their number

    def __init__(self, model: nn.Module, processing: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        config: Any = model.config
        normalised = processing.get("do_normalize", True)
        mean, deviation = processing.get("image_mean") or MEAN, processing.get("image_std") or DEVIATION
        self.register_buffer("mean", torch.tensor(mean if normalised else (0.0,) * 3).reshape(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation if normalised else (1.0,) * 3).reshape(3, 1, 1))
        self.patch = number_of(getattr(config, "patch_size", None)) or 1
        self.side = side_of(processing) or number_of(getattr(config, "image_size", None)) or SIDE
        free = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
        self.asked = {"output_hidden_states": True, **({"interpolate_pos_encoding": True} if free else {})}
        self.sha256 = digest_of(self)
        self.revision: str | None = getattr(config, "_commit_hash", None)

    def fitting(self, side: int) -> int:
        """The largest side up to this one of which patches make a whole number."""
        return max(side - side % self.patch, self.patch)

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Photos ``(B, 3, side, side)`` in [0, 1] to maps of patches ``(B, H, W, C)`` and vectors ``(B, V)``."""
        said = self.model(pixel_values=(photos - self.mean) / self.deviation, **self.asked)
        last = said.last_hidden_state
        if last.ndim == 4:
            return on_one_grid(said.hidden_states[-3:-1] or [last]), last.mean(dim=(2, 3))
        return self.of_tokens(last, photos.shape[-1])

    def of_tokens(self, tokens: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Maps and vectors of tokens ``(B, T, C)``; what stands before those of patches is of the whole photo."""
        total = tokens.shape[1]
        high = side // self.patch
        if high**2 > total:  # some join patches on the way
            high = isqrt(total)
        maps = tokens[:, total - high**2 :].reshape(len(tokens), high, high, -1)
        return maps, tokens.mean(dim=1) if total == high**2 else tokens[:, 0]


def hub_network(name: str, revision: str | None = None) -> HubNetwork:
    """A vision model of the hub, or of a folder.

    Raises
    ------
    MissingExtraError
        If ``transformers`` is not installed.
    InputError
        If there is no such model, it cannot be reached, lacks weights, or looks at something else than photos.
    """
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtraError(
            f"{name!r} is a model of the hub, which needs transformers: pip install 'expose[hub]'."
        ) from error
    at = {} if revision is None else {"revision": revision}
    try:
        with silent():
            check_reached(name, revision)
            model, found = AutoModel.from_pretrained(name, use_safetensors=True, output_loading_info=True, **at)
            processing = processing_of(name, at)
    except Exception as error:  # transformers, and what it reads weights by, raise many kinds
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the network {name!r} cannot be had ({reason}). Expected the name of a vision model on the hub, such as "
            "'facebook/dinov2-small', and a connection to it the first time, or a folder that save_pretrained wrote."
        ) from error
    if missing := [key for key in found["missing_keys"] if NOT_USED not in key]:
        raise InputError(f"the network {name!r} lacks weights, of {sorted(missing)[0]} for one: choose a trained one.")
    vision = getattr(model, "vision_model", model)  # of those that know texts, too
    if "pixel_values" not in inspect.signature(vision.forward).parameters:
        raise InputError(f"{name!r} is a {type(model).__name__}, which takes no photos; choose a vision model.")
    try:
        return HubNetwork(vision.float().eval().requires_grad_(False), processing)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"the settings of the image processor of {name!r} are of no use ({error}).") from error


def check_reached(name: str, revision: str | None) -> None:
    """Raise what keeps us from the hub, if a model is neither a folder nor kept from before.

    ``transformers`` would ask six times, half a minute in all.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    if Path(name).is_dir() or try_to_load_from_cache(name, "config.json", revision=revision) is not None:
        return
    with contextlib.suppress(HfHubHTTPError):  # an answer, which transformers puts into words
        get_hf_file_metadata(hf_hub_url(name, "config.json", revision=revision))


def processing_of(name: str, at: Mapping[str, str]) -> Mapping[str, Any]:
    """The settings of a model's image processor; none if it has none."""
    from transformers.utils import cached_file

    for file in ("preprocessor_config.json", "processor_config.json"):
        with contextlib.suppress(OSError):  # most have only one of them
            path = cached_file(name, file, **at)
            if path is not None:
                stored = json.loads(Path(path).read_text(encoding="utf-8"))
                return dict(stored.get("image_processor", stored))
    return {}


def side_of(processing: Mapping[str, Any]) -> int:
    """The side of the photos that an image processor makes; 0 if it does not say."""
    return number_of(processing.get("crop_size") or processing.get("size"))


def number_of(size: Any) -> int:
    """One number of what may be a number, two, or several by name.

    >>> number_of({"shortest_edge": 256}), number_of((16, 16)), number_of(None)
    (256, 16, 0)
    """
    if isinstance(size, Mapping):
        size = [number for number in size.values() if number]
    if isinstance(size, list | tuple):
        size = min(size, default=0)
    return int(size or 0)


def digest_of(module: nn.Module) -> str:
    """The SHA-256 of all weights, whatever files they came in."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if NOT_USED not in name:  # which may be drawn at random
            digest.update(f"{name} {tuple(value.shape)} ".encode())
            digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep ``transformers`` and the hub from telling what they do: what matters comes as an error."""
    from huggingface_hub.utils import logging as of_hub
    from transformers.utils import logging

    before, before_hub, bars = logging.get_verbosity(), of_hub.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    of_hub.set_verbosity(ERROR)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        of_hub.set_verbosity(before_hub)
        if bars:
            logging.enable_progress_bar()
