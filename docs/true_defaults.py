"""Take the defaults on the reference page from signatures.

griffe reads them off the docstring: of ``{"a", "b"}, default="b"`` it takes the first choice, and of two
parameters described together the default of the first for both. Both would be wrong here.
"""

from __future__ import annotations

import importlib
from typing import Any

import griffe


class TrueDefaults(griffe.Extension):
    """Overwrite the default of each parameter in a parsed docstring with that of the signature."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Correct a class, whose parameters are those of its constructor."""
        if "__init__" in cls.members:
            correct(cls.docstring, cls.members["__init__"])

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Correct a function or method."""
        correct(func.docstring, func)


def correct(docstring: griffe.Docstring | None, function: Any) -> None:
    """Correct the parameters of one docstring; `parsed` is computed once, so what is changed here stays."""
    if docstring is None:
        return
    docstring.parser = "numpy"
    for section in docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.parameters:
            for parameter in section.value:
                if parameter.name in function.parameters:
                    default = function.parameters[parameter.name].default
                    parameter.value = None if default is None else written_out(str(default), function.module.path)


def written_out(default: str, module: str) -> str:
    """The value behind a default that is a constant of its module; others as they are written."""
    constants = vars(importlib.import_module(module))
    return repr(constants[default]) if default in constants else default
