"""Photos of a product that does not exist: drilled plates of brushed steel, some scratched, dented or stained.

For the demo and for tests: whose plates are odd, and where, is known, and no licence is in the way.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 224  # pixels
DEFECTS: Final = ("scratch", "dent", "stain")
_HOLES: Final = ((0.26, 0.26), (0.26, 0.74), (0.74, 0.26), (0.74, 0.74))  # their middles, as shares of the side

Floats = NDArray[np.float64]


class Plate(NamedTuple):
    """A photo ``(H, W, 3)``, what is wrong with it, if anything, and where, ``(H, W)``."""

    photo: NDArray[np.uint8]
    defect: str | None
    mask: NDArray[np.bool_]


def plate(number: int, defect: str | None = None, seed: int = 0) -> Plate:
    """Make the photo of one plate; the same number gives the same plate, whatever is then done to it.

    Examples
    --------
    >>> made = plate(3, "scratch")
    >>> made.photo.shape, made.mask.shape, bool(made.mask.any()), bool(plate(3).mask.any())
    ((224, 224, 3), (224, 224), True, False)
    """
    rng = np.random.default_rng([seed, number])
    grey, inside = steel(rng)
    colour = np.array([0.98, 1.0, 1.03]) * rng.normal(1, 0.01, size=3)
    photo = grey[..., None] * colour  # (H, W, 3)
    mask = np.zeros(grey.shape, dtype=bool)
    if defect is not None:
        photo, mask = {"scratch": scratched, "dent": dented, "stain": stained}[defect](
            photo, inside, np.random.default_rng([seed, number, 1])
        )
    photo = photo * light(rng)[..., None] + rng.normal(scale=0.012, size=photo.shape)
    return Plate((255 * np.clip(photo, 0, 1)).astype(np.uint8), defect, mask)


def plates(count: int = 150, share: float = 0.08, seed: int = 0) -> list[Plate]:
    """Make photos, a share of them with a defect, these anywhere among them.

    Examples
    --------
    >>> [made.defect for made in plates(6, 0.5)].count(None)
    3
    """
    rng = np.random.default_rng([seed, count])
    odd = rng.permutation(count)[: round(share * count)].tolist()
    return [plate(row, DEFECTS[odd.index(row) % 3] if row in odd else None, seed) for row in range(count)]


# ------------------------------------------------------------------------------------------------------ the plate


def steel(rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """Brushed steel with four holes on a dark table, in grey, and where the steel is; each lies differently."""
    turn, shift = rng.normal(scale=0.012), rng.normal(scale=0.008, size=2)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    across = np.cos(turn) * x + np.sin(turn) * y + shift[0]
    along = np.cos(turn) * y - np.sin(turn) * x + shift[1]
    edge = np.maximum(np.abs(across), np.abs(along)) - 0.44
    grey = 0.58 + brushed(rng)
    border = np.clip(1 - np.abs(edge + 0.006) / 0.008, 0, 1)  # a chamfer, which catches the light
    grey = grey + 0.18 * border * (along < across)
    inside = edge < 0
    for middle in _HOLES:
        away = np.hypot(across - middle[0] + 0.5, along - middle[1] + 0.5)
        hole = np.clip((0.045 - away) * SIDE / 2, 0, 1)
        ring = np.clip(1 - np.abs(away - 0.055) / 0.008, 0, 1)
        grey = grey * (1 - 0.85 * hole) + 0.14 * ring * np.where(along < across, 1, -0.6)
        inside &= away > 0.08
    table = 0.16 + 0.02 * soft(rng.normal(size=(SIDE, SIDE)), 6)
    cover = np.clip(-edge * SIDE / 2 + 0.5, 0, 1)
    return cover * grey + (1 - cover) * table, inside & (edge < -0.04)


def brushed(rng: np.random.Generator) -> Floats:
    """Fine lines across, as a brush leaves them."""
    fine = soft(rng.normal(size=(SIDE, SIDE)), 18, 0.6)
    broad = soft(rng.normal(size=(SIDE, SIDE)), 30, 3)
    lines: Floats = 0.035 * fine / fine.std() + 0.012 * broad / broad.std()
    return lines


def light(rng: np.random.Generator) -> Floats:
    """How bright a lamp makes each pixel: from another side and with another strength each time."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0.05, 0.3)
    side = np.cos(angle) * x + np.sin(angle) * y
    bright: Floats = rng.uniform(0.85, 1.12) * (1 + slope * side) - 0.2 * (x * x + y * y)
    return bright


def soft(values: Floats, across: float, down: float | None = None) -> Floats:
    """Values blurred by a Gaussian of these widths in pixels."""
    for axis, width in ((1, across), (0, across if down is None else down)):
        frequency = np.fft.rfftfreq(SIDE)
        gain = np.exp(-2 * (np.pi * width * frequency) ** 2)
        shape = (-1, 1) if axis == 0 else (1, -1)
        values = np.fft.irfft(np.fft.rfft(values, axis=axis) * gain.reshape(shape), n=SIDE, axis=axis)
    return values


# ---------------------------------------------------------------------------------------------------- the defects


def spot(inside: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """Somewhere on the steel: row and column."""
    places = np.flatnonzero(inside)
    row, column = divmod(int(rng.choice(places)), SIDE)
    return float(row), float(column)


def scratched(photo: Floats, inside: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """A thin bright line with a dark side, across the brush strokes, slightly bent."""
    row, column = spot(inside, rng)
    angle, length = rng.uniform(0.3, np.pi - 0.3), rng.uniform(30, 80)
    bend = rng.uniform(-0.004, 0.004)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    along = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
    aside = (y - row) * np.cos(angle) - (x - column) * np.sin(angle) - bend * along**2
    ends = np.clip((length / 2 - np.abs(along)) / 6, 0, 1) * inside
    width, strength = rng.uniform(0.6, 1.4), rng.uniform(0.1, 0.3)
    bright = np.exp(-((aside / width) ** 2)) * ends
    dark = np.exp(-(((aside - 2 * width) / width) ** 2)) * ends
    return photo + strength * (bright - 0.8 * dark)[..., None], (bright > 0.2) | (dark > 0.2)


def dented(photo: Floats, inside: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """A hollow: bright where it faces the lamp, dark where it turns away."""
    row, column = spot(inside, rng)
    radius, angle = rng.uniform(7, 13), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    across, down = (x - column) / radius, (y - row) / radius * rng.uniform(0.8, 1.3)
    away = np.hypot(across, down)
    slope = (across * np.cos(angle) + down * np.sin(angle)) * np.exp(-(away**2))
    return photo * (1 + rng.uniform(0.2, 0.6) * slope)[..., None], away < 1.4


def stained(photo: Floats, inside: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """A brownish film with a ragged border."""
    row, column = spot(inside, rng)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    ragged = soft(rng.normal(size=(SIDE, SIDE)), 5)
    away = np.hypot(x - column, (y - row) * rng.uniform(0.7, 1.4)) / rng.uniform(12, 22) + 0.35 * ragged / ragged.std()
    film = rng.uniform(0.3, 0.9) * np.clip((1 - away) * 5, 0, 1) * inside
    tint: Any = np.array([0.78, 0.66, 0.5])
    return photo * (1 - film[..., None] * (1 - tint)), film > 0.1
