"""Photos with the truth about them: which are anomalous, and which of their pixels.

They come from files of encoded photos (magnetic tiles, textures), or from folders laid out as those of MVTec AD.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

Bytes = NDArray[np.uint8]
TILES, TEXTURES = "magnetic_tile", "dtd"
FILES = {TILES: "magnetic_tile_128", TEXTURES: "dtd_10classes_128"}
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Photos with the truth about them.

    Attributes
    ----------
    name : str
    photos : sequence of n of array (H, W) or (H, W, 3), or Path
    y : (n,) int8
        1 for an anomalous photo, 0 for a normal one.
    masks : sequence of n of array (H, W) of bool, Path or None
        Which pixels are defective; None for a photo without a defect, or of which nobody said. Empty: of no photo.
    training : (n,) bool
        Which are meant for training, where the set says so.
    """

    name: str
    photos: Sequence[Bytes | Path]
    y: NDArray[np.int8]
    masks: Sequence[NDArray[np.bool_] | Path | None] = ()
    training: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def take(self, rows: NDArray[np.intp]) -> PhotoSet:
        """Those photos."""
        masks = [self.masks[row] for row in rows] if self.masks else ()
        training = None if self.training is None else self.training[rows]
        return PhotoSet(self.name, [self.photos[row] for row in rows], self.y[rows], masks, training)

    def mask(self, row: int) -> NDArray[np.bool_] | None:
        """Which pixels of a photo are defective, ``(H, W)``."""
        mask = self.masks[row] if self.masks else None
        return read_mask(mask) if isinstance(mask, Path) else mask


def read_mask(path: Path) -> NDArray[np.bool_]:
    """A mask from its file: whatever is not black."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 0


# ---------------------------------------------------------------------------------------------------- encoded photos


def magnetic_tiles(data: Path) -> PhotoSet:
    """Grey photos of magnetic tiles, 128 x 128, with masks: 952 without a defect, 392 with one (Huang et al., 2020)."""
    with opened(data, TILES) as file:
        y = (file["label"] != list(file["classes"]).index("Free")).astype(np.int8)
        bits = np.unpackbits(file["mask_bits"], axis=-1).astype(bool)
        photos = decoded(file)
    masks = [mask[:, : photo.shape[1]] if odd else None for mask, photo, odd in zip(bits, photos, y, strict=True)]
    return PhotoSet(TILES, photos, y, masks)


def textures(data: Path, normal: str) -> PhotoSet:
    """Photos of ten textures, 128 x 128, of which one is normal (Cimpoi et al., 2014)."""
    with opened(data, TEXTURES) as file:
        classes = [str(name) for name in file["classes"]]
        if normal not in classes:
            raise InputError(f"there is no texture {normal!r}; there are {', '.join(classes)}.")
        y = (file["label"] != classes.index(normal)).astype(np.int8)
        return PhotoSet(f"{TEXTURES}/{normal}", decoded(file), y)


def texture_names(data: Path) -> list[str]:
    """Their classes."""
    with opened(data, TEXTURES) as file:
        return [str(name) for name in file["classes"]]


def opened(data: Path, name: str) -> Any:
    """The file of a set below the folder of data."""
    path = data / "images" / f"{FILES[name]}.npz"
    if not path.is_file():
        raise InputError(f"there are no photos {path}. Give the folder that holds images/{FILES[name]}.npz.")
    return np.load(path, allow_pickle=False)


def decoded(file: Any) -> list[Bytes]:
    """The photos of a file that holds them encoded, one after the other."""
    from PIL import Image

    blob, ends = file["blob"], file["offset"]
    parts = [blob[start:end].tobytes() for start, end in pairwise(ends)]
    return [np.asarray(Image.open(io.BytesIO(part)).convert("RGB")) for part in parts]


# ------------------------------------------------------------------------------------------- folders like MVTec's


def photo_folder(folder: Path, name: str | None = None) -> PhotoSet:
    """Photos of one category, laid out as MVTec AD: ``train/good``, ``test/<defect>`` and masks of the defects.

    The mask of ``test/scratch/007.png`` is ``ground_truth/scratch/007_mask.png``. ``test/good`` holds normal photos.
    A photo without a mask is judged as a whole only, so that no mask at all is allowed, too.

    Parameters
    ----------
    folder : Path
    name : str, optional
        Of the set. Default: that of the folder.

    Raises
    ------
    InputError
        If the folder is laid out otherwise.
    """
    train, test = images_in(folder / "train" / "good"), images_in(folder / "test")
    if not train or not test:
        raise InputError(
            f"{folder} is not laid out as MVTec AD: expected photos in train/good and test/<defect>; found "
            f"{len(train)} and {len(test)}. Masks, if any, are ground_truth/<defect>/<photo>_mask.png."
        )
    odd = [photo.parent.name != "good" for photo in test]
    masks = [mask_of(photo, folder) if anomalous else None for photo, anomalous in zip(test, odd, strict=True)]
    return PhotoSet(
        name or folder.name,
        [*train, *test],
        np.concatenate([np.zeros(len(train), np.int8), np.array(odd, np.int8)]),
        [*[None] * len(train), *masks] if any(masks) else (),
        np.arange(len(train) + len(test)) < len(train),
    )


def is_photo_folder(folder: Path) -> bool:
    """Whether a folder looks like one of MVTec's categories."""
    return (folder / "train" / "good").is_dir() and (folder / "test").is_dir()


def photo_folders(place: Path) -> list[Path]:
    """A folder of photos, or those that a folder holds, such as all categories of MVTec AD."""
    return [place] if is_photo_folder(place) else [one for one in sorted(place.iterdir()) if is_photo_folder(one)]


def images_in(folder: Path) -> list[Path]:
    """Image files below a folder, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES)


def mask_of(photo: Path, folder: Path) -> Path | None:
    """The mask of a photo, if there is one: MVTec calls it like the photo, with ``_mask`` behind."""
    place = folder / "ground_truth" / photo.parent.name
    found = [path for path in images_in(place) if path.stem in (f"{photo.stem}_mask", photo.stem)]
    return found[0] if found else None
