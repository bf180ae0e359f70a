"""Heat maps of the most anomalous photos, as pictures in a folder that is written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.sources import check_parent
from expose.cli.text import count, indented
from expose.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from expose import Scorer
    from expose.cli.session import Session
    from expose.kinds import Batch
    from expose.model import Fitted
    from expose.scoring import Encoded

MOST = 100  # photos
LONGEST = 1_600  # pixels of a picture's longer side; masks and raw maps are as large as the photo
LONGEST_NAME = 230  # bytes of a file's name without our endings; most drives take 255 with them
ALSO = ("mask", "map")
SMOOTH: Any = {"compression": "tiff_deflate", "tiffinfo": {317: 3}}  # TIFF's predictor of floats: a twentieth in size


class Suspect(NamedTuple):
    """A photo among the most anomalous: its score, its number, its name, itself and the scores of its places."""

    score: float
    row: int
    name: str
    sample: Any
    places: NDArray[np.float64]


class Maps:
    """Gathers the most anomalous photos of a stream, and draws them in the end.

    Of each no more is kept than its name and the scores of its places: the photos are read again when they are drawn.

    Parameters
    ----------
    scorer : Scorer
    folder : str
        Where the pictures go.
    most : int
        How many photos.
    also : sequence of {"mask", "map"}
        What is written beside each picture.
    """

    def __init__(self, scorer: Scorer, folder: str, most: int = MOST, also: Sequence[str] = ()) -> None:
        self.scorer, self.most, self.also = scorer, most, tuple(also)
        self.folder = Path(folder)
        self.rows = 0
        self.found: list[Suspect] = []

    def add(self, batch: Batch, given: Encoded, scores: NDArray[np.float64]) -> None:
        """Look at the photos of a batch."""
        import numpy as np

        best = np.argsort(-scores, kind="stable")[: self.most]
        places = self.scorer.part_scores(given.take(best))
        for row, each in zip(best.tolist(), places, strict=True):
            sample = given.samples.take(np.array([row]))
            name = name_in(batch, row, self.scorer.fitted.kind.identifies)
            self.found.append(Suspect(float(scores[row]), self.rows + row, name, sample, each))
        self.rows += len(scores)
        self.found = sorted(self.found, key=lambda one: (-one.score, one.row))[: self.most]

    def draw(self, folder: Path) -> None:
        """Write all pictures into a folder."""
        from expose.atomic import sync
        from expose.encoders.progress import Watch

        watch = Watch(len(self.found), self.scorer.fitted.encoder.verbose, "maps", "drawn")
        for one, name in zip(self.found, file_names([one.name for one in self.found]), strict=True):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            for ending, content in self.files_of(one):
                file = target.with_name(f"{target.name}{ending}")
                try:
                    file.write_bytes(content)
                    sync(file)
                except OSError as error:  # the draft's name, or none, would tell nothing
                    raise OSError(error.errno, error.strerror, os.path.abspath(self.folder)) from error
            watch(1)

    def files_of(self, one: Suspect) -> Iterator[tuple[str, bytes]]:
        """Endings and contents of what is written of a photo."""
        import numpy as np

        from expose.explain.pictures import encoded, overlay, scale_of

        fitted = self.scorer.fitted
        kind, layout = fitted.kind, fitted.encoder.layout
        picture = kind.picture(one.sample, 0, LONGEST)
        [small] = kind.put_back(kind.samples([picture]), one.places[None], layout.places)
        [line] = fitted.place_lines(one.places[None]).tolist()
        yield ".jpg", encoded(overlay(picture, small, scale_of(fitted), line), quality=90)
        if not self.also:
            return
        [heat] = kind.put_back(one.sample, one.places[None], layout.places)
        if "mask" in self.also:
            yield ".mask.png", encoded(np.where(heat > line, 255, 0).astype(np.uint8), "PNG")
        if "map" in self.also:
            yield ".map.tiff", encoded(heat.astype(np.float32), "TIFF", **SMOOTH)

    def summarise(self, session: Session) -> None:
        """Say what was drawn, and what the colours mean."""
        from expose.explain.pictures import scale_of

        fitted, scale = self.scorer.fitted, scale_of(self.scorer.fitted)
        noun = fitted.kind.noun
        facts = {"folder": str(self.folder), "pictures": len(self.found), "rule": fitted.place_rule}
        session.result(maps=facts | scale._asdict())
        which = f"of {count(self.rows, noun)}" if len(self.found) == self.rows else f"of {self.rows:,} {noun}s"
        first = "all" if len(self.found) == self.rows else f"the {len(self.found):,} most anomalous"
        session.say(f"Maps            {self.folder}: {first} {which}")
        said = f"Colours         alike for all: none up to {scale.usual:.4g}, the strongest from {scale.full:.4g} on. "
        session.say("\n".join(indented(f"{said}Outlined is what lies {fitted.place_rule}", 0, 16)))


def name_in(batch: Batch, row: int, names: Sequence[str] = ()) -> str:
    """What a photo is called: by the columns that name its kind, else by the first that names it, or its number."""
    if batch.ids is None:
        return f"{row:07}"
    there = [name for name in names if name in batch.ids.column_names] or batch.ids.column_names[:1]
    return "/".join(str(batch.ids[name][row].as_py()) for name in there)


def file_names(names: Sequence[str]) -> list[PurePosixPath]:
    """Names of files below a folder for photos of these names: their folders stay, their endings go.

    Photos that differ in nothing else keep their ending, or get a number.

    Examples
    --------
    >>> [str(name) for name in file_names(["a/x.png", "a/y.png", "b/x.png", "b/x.jpg", "b/x.jpg"])]
    ['a/x', 'a/y', 'b/x.png', 'b/x.jpg', 'b/x.jpg.2']
    >>> [str(name) for name in file_names(["/data/in/a/x.png", "/data/in/y.png"])]
    ['a/x', 'y']
    """
    paths = [shortened(path) for path in map(PurePosixPath, inside(names))]
    short = [path.with_suffix("") for path in paths]
    alike = [str(path).casefold() for path in short]  # as some drives see them
    chosen = [path if alike.count(key) > 1 else other for path, other, key in zip(paths, short, alike, strict=True)]
    seen: dict[str, int] = {}
    found = []
    for path in chosen:
        key = str(path).casefold()
        seen[key] = seen.get(key, 0) + 1
        found.append(path if seen[key] == 1 else path.with_name(f"{path.name}.{seen[key]}"))
    return found


def shortened(path: PurePosixPath) -> PurePosixPath:
    """A path whose last name is short enough for endings of ours to fit in behind it; its own stays."""
    room = LONGEST_NAME - len(path.suffix.encode())
    return path.with_name(path.stem.encode()[: max(room, 1)].decode(errors="ignore") + path.suffix)


def inside(names: Sequence[str]) -> list[str]:
    """Paths as they lie below the folder that all of them are in; such as lie below the current one as they are."""
    paths = [name.replace("\\", "/") for name in names]
    if not any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in paths):
        return [path or "_" for path in paths]
    whole = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in whole])
    return [Path(os.path.relpath(path, common)).as_posix() for path in whole]


# ----------------------------------------------------------------------------------------------------- the folder


def check_maps(fitted: Fitted, folder: str, data: Sequence[str], model: Any, also: Sequence[str]) -> None:
    """Refuse maps that there cannot be, or a folder that is not free for them, before any work is done."""
    fitted.check_places()
    if wrong := sorted(set(also) - set(ALSO)):
        raise InputError(f"--maps-with takes {' and '.join(ALSO)}, separated by commas; got {wrong[0]!r}.")
    if "://" in folder:
        raise InputError(f"--maps {folder}: pictures are written to a folder on a drive.")
    place = Path(folder)
    if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
        raise InputError(
            f"--maps {folder} is there already{' and not empty' if place.is_dir() else ''}; give the name of a new "
            "folder, so that nothing is overwritten."
        )
    check_parent(place, "--maps")
    for other, what in [(model, "the model folder"), *((source, "the photos") for source in data)]:
        around = Path(os.path.realpath(str(other)))
        if around.is_dir() and Path(os.path.realpath(place)).is_relative_to(around):
            raise InputError(f"--maps {folder} lies in {other}, with {what}; choose another place.")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, which gets its name when all is written; on any failure there is none."""
    from expose.atomic import all_or_nothing, publish

    target = Path(os.path.abspath(folder))
    with all_or_nothing(target) as draft:
        draft.mkdir()
        yield draft
        if target.is_dir():
            target.rmdir()  # empty, as `check_maps` has seen; otherwise it fails, and nothing is lost
        publish(draft, target)
