"""How text files are written, as far as somebody says so; the rest is found in each file."""

from __future__ import annotations

import codecs
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from expose.errors import InputError

_SPELLED: Final = {"\\t": "\t", "tab": "\t", "space": " ", "blank": " ", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True)
class Dialect:
    r"""How text files are written. What is None, or 0 or empty, is found in each file.

    Attributes
    ----------
    delimiter : str or None
        Between the values of a row: one character, or a word such as "tab". A blank stands for any number of blanks.
    header : bool or None
        Whether the first row holds the names of the columns. Without one they are called x0, x1, ...
    skip_lines : int
        Lines at the top that belong to neither names nor rows.
    comment : str or None
        What lines begin with that are no rows; "" if no line is a comment.
    encoding : str or None
        Such as "latin-1". By default UTF-8, or what a byte order mark says.
    commas : tuple of str
        Columns whose texts have decimal commas. What JSON has as a number, 1.5, is the text 1,5 of them.

    Raises
    ------
    InputError
        When one of them cannot be.

    Examples
    --------
    >>> Dialect(delimiter="tab", skip_lines=2).given()
    {'delimiter': '\t', 'skip_lines': 2}
    """

    delimiter: str | None = None
    header: bool | None = None
    skip_lines: int = 0
    comment: str | None = None
    encoding: str | None = None
    commas: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = self.delimiter
        object.__setattr__(self, "delimiter", given and _SPELLED.get(given.lower(), given))
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'):
            raise InputError(f"delimiter must be one character, or a word such as 'tab' or 'space'; got {given!r}.")
        if self.skip_lines < 0:
            raise InputError(f"skip_lines must be 0 or more; got {self.skip_lines}.")
        if self.encoding is not None:
            _check_encoding(self.encoding)

    def given(self) -> dict[str, Any]:
        """What somebody said, as plain values; `Dialect` of them is the same again."""
        usual = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


def _check_encoding(name: str) -> None:
    try:
        codecs.lookup(name)
        "".encode(name)  # "hex" and the like are no encodings of texts
    except LookupError:
        raise InputError(f"unknown encoding {name!r}; expected for example 'utf-8', 'cp1252', 'utf-16'") from None
