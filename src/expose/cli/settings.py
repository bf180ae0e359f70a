"""``--set name=value``: settings that most people never need, by the declarations that Python code has."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import GenericAlias, NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import typer

from expose.cli.session import Session
from expose.errors import InputError

if TYPE_CHECKING:
    from expose.objectives import Objective

OF_OUTLIERS = (
    "terms", "energy_margins", "outlier_weight", "outlier_batch_size", "outlier_share", "hardest", "joint_pass",
)  # fmt: skip
PLAIN = (NoneType, bool, int, float, str)  # what a value may be where nothing is declared
WORDS = {"true": True, "yes": True, "false": False, "no": False}
ENTRY = re.compile(r"^(\w+(?:, \w+)*)(?: : (.*))?\n((?:[ ].*\n|\n)*)", re.MULTILINE)  # of a parameter in a docstring
SENTENCE = re.compile(r".{6}.*?(?<!et al)\.(?= |$)")
WIDTH = 28  # of a name and its default in the list of all


class Setting(NamedTuple):
    """Something that can be set: name, default, type (Any where none is declared), and what its docstring says."""

    name: str
    default: Any
    accepts: Any = Any
    meaning: str = ""


# --------------------------------------------------------------------------------------------- declarations


def parameters_of(estimator: Any, names: Collection[str]) -> dict[str, Setting]:
    """Some parameters of an estimator's constructor."""
    defaults = {name: one.default for name, one in inspect.signature(estimator).parameters.items() if name in names}
    return declared(defaults, hints_of(estimator.__init__), meanings(estimator))


def settings_of(objective: type[Objective]) -> dict[str, Setting]:
    """What the constructor of an objective takes, its recipe included."""
    from expose.objectives import allowed_settings

    recipe = type(objective.recipe)
    hints = hints_of(recipe) | hints_of(objective.__init__)
    return declared(allowed_settings(objective), hints, meanings(recipe) | meanings(objective))


def fields_of(recipe: type) -> dict[str, Setting]:
    """What a recipe takes."""
    return declared(vars(recipe()), hints_of(recipe), meanings(recipe))


def declared(defaults: Mapping[str, Any], hints: Mapping[str, Any], meaning: Mapping[str, str]) -> dict[str, Setting]:
    """Settings by name."""
    return {
        name: Setting(name, default, hints.get(name, Any), meaning.get(name, "")) for name, default in defaults.items()
    }


def hints_of(owner: Any) -> dict[str, Any]:
    """Declared types by name; none where they cannot be evaluated, as somebody's own may not."""
    try:
        return get_type_hints(owner)
    except (NameError, TypeError):
        return {}


def meanings(owner: type) -> dict[str, str]:
    """Type and first sentence of each parameter in a numpydoc docstring.

    Examples
    --------
    >>> from expose.objectives import Descend
    >>> meanings(Descend)["halve_every"]
    'int or None. Halve the learning rate after every so many epochs.'
    """
    headings = re.split(r"(?:^|\n)(\S.*)\n-{3,}\n", inspect.getdoc(owner) or "")
    section = dict(zip(headings[1::2], headings[2::2], strict=True)).get("Parameters", "")
    found: dict[str, str] = {}
    for names, kind, body in ENTRY.findall(section + "\n"):
        text = f"{kind.split(', default')[0]}. {first_sentence(' '.join(body.split()))}".removeprefix(". ")
        found |= dict.fromkeys(names.split(", "), text)
    return found


def first_sentence(text: str) -> str:
    """The first sentence that says more than a symbol of a paper.

    >>> first_sentence("K. The number of components, see Lin et al. for more. Not this.")
    'K. The number of components, see Lin et al. for more.'
    """
    found = SENTENCE.match(text)
    return found.group(0) if found else text


# --------------------------------------------------------------------------------------------------- reading


def chosen(
    values: Sequence[str] | None,
    known: Mapping[str, Setting],
    owner: str,
    options: Collection[str],
    *,
    outliers: bool,
) -> dict[str, Any]:
    """What was set, each value as its declaration asks.

    Parameters
    ----------
    values : sequence of str
        Each ``name=value``.
    known : mapping of str to Setting
    owner : str
        The command that lists them, for messages, such as ``expose fit``.
    options : collection of str
        Names of the command's own options.
    outliers : bool
        Whether there are auxiliary outliers; without, settings of these are refused.

    Raises
    ------
    InputError
        For an unknown name, one that plays no part, a name given twice, or a value of another type.
    """
    found: dict[str, Any] = {}
    for value in values or ():
        name, sign, text = map(str.strip, value.partition("="))
        if not sign or name in found:
            raise InputError(f"--set takes name=value, each name once; got {value!r}. '{owner} --set help' lists them.")
        if name not in known:
            raise InputError(f"--set {name}: {unknown(name, known, options)} '{owner} --set help' lists all.")
        if name in OF_OUTLIERS and not outliers:
            raise InputError(f"--set {name} plays a part only with --outliers FILE. Give some, or leave it out.")
        found[name] = value_of(known[name], text)
    return found


def unknown(name: str, known: Collection[str], options: Collection[str]) -> str:
    """What may have been meant by a name that is no setting."""
    if name in options:
        return f"it has an option of its own, --{name.replace('_', '-')}."
    close = get_close_matches(name, [*known], n=1)
    return "there is no such setting." + (f" Did you mean {close[0]!r}?" if close else "")


def value_of(setting: Setting, text: str) -> Any:
    """A value as its declaration asks.

    Examples
    --------
    >>> value_of(Setting("epochs", None, int | None), "5"), value_of(Setting("epochs", 5, int | None), "none")
    (5, None)
    >>> value_of(Setting("wide", (0.1,), Sequence[float]), "0.2,0.3")
    (0.2, 0.3)
    """
    types = types_of(setting)
    for read in filter(None, map(reader, types)):
        try:
            return read(text)
        except ValueError:
            continue
    raise InputError(f"--set {setting.name} takes {in_words(types)}; got {text!r}.")


def types_of(setting: Setting) -> list[Any]:
    """The types that a value may have, the narrowest first."""
    accepts, default = setting.accepts, setting.default
    if accepts is Any and isinstance(default, list | tuple) and default:
        accepts = GenericAlias(Sequence, (type(default[0]),))
    if accepts is Any:
        return list(PLAIN)
    each = get_args(accepts) if get_origin(accepts) in (Union, UnionType) else (accepts,)
    return sorted(each, key=width)


def width(accepts: Any) -> float:
    """How much a type takes: whatever can be read as a narrower one is not read as it."""
    if accepts in PLAIN:
        return PLAIN.index(accepts)
    return PLAIN.index(str) - (0.75 if is_a(accepts, Mapping) else 0.5)


def is_a(accepts: Any, base: type) -> bool:
    """Whether a generic type, such as ``list[str]``, is one of a class."""
    origin = get_origin(accepts)
    return isinstance(origin, type) and issubclass(origin, base)


def reader(accepts: Any) -> Callable[[str], Any] | None:
    """What reads a text as a type; None for a type that cannot be written on a command line."""
    plain: dict[Any, Callable[[str], Any]] = {NoneType: nothing, bool: yes_or_no, int: int, float: float, str: str}
    if accepts in plain:
        return plain[accepts]
    inner = [reader(one) or str for one in get_args(accepts) if one is not ...]
    if is_a(accepts, Mapping):
        return lambda text: {name: inner[-1](number) for name, number in pairs(text)}
    if is_a(accepts, Sequence):
        made_of = list if get_origin(accepts) is list else tuple
        return lambda text: made_of(map(inner[0], listed(text)))
    return None


def nothing(text: str) -> None:
    """Read None."""
    if text.lower() not in ("none", ""):
        raise ValueError(text)


def yes_or_no(text: str) -> bool:
    """Read a bool."""
    if text.lower() not in WORDS:
        raise ValueError(text)
    return WORDS[text.lower()]


def listed(text: str) -> list[str]:
    """Parts of a comma list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Parts of a list such as ``a:0.5,b:0.1``."""
    for part in listed(text):
        name, sign, number = part.partition(":")
        if not sign:
            raise ValueError(text)
        yield name.strip(), number.strip()


# --------------------------------------------------------------------------------------------------- showing


def help_by(show: Callable[[str], str]) -> Callable[[typer.Context, list[str] | None], list[str] | None]:
    """A callback of ``--set`` that prints all settings and stops where ``--set help`` asks for them.

    Parameters
    ----------
    show : callable
        Takes the objective, if one was named before, else "auto".
    """

    def callback(context: typer.Context, values: list[str] | None) -> list[str] | None:
        if values and "help" in values and not context.resilient_parsing:
            with Session():
                print(show(context.params.get("objective") or "auto"))
            raise typer.Exit
        return values

    return callback


def in_words(types: Iterable[Any]) -> str:
    """Types for people.

    Examples
    --------
    >>> in_words([NoneType, int]), in_words([Sequence[float]])
    ('none or int', 'a list of float with commas')
    """
    return " or ".join(dict.fromkeys(word_of(one) for one in types if reader(one)))


def word_of(one: Any) -> str:
    """A type for people."""
    if one is NoneType or not get_args(one):
        return "none" if one is NoneType else str(one.__name__)
    inner = "name:number" if is_a(one, Mapping) else in_words(get_args(one)[:1])
    return f"a list of {inner} with commas"


def listing(groups: Mapping[str, Iterable[Setting]]) -> str:
    """All settings with default, type and meaning, by group."""
    lines = [line for title, settings in groups.items() for line in ("", title, *map(line_of, settings))]
    return "\n".join(lines[1:])


def line_of(setting: Setting) -> str:
    """One setting; on more lines where it must be."""
    default = setting.default
    shown = ",".join(map(str, default)) if isinstance(default, list | tuple) else str(default).lower()
    text = setting.meaning or in_words(types_of(setting))
    head = f"  {setting.name}={shown}".ljust(WIDTH)
    return textwrap.fill(head + text, 100, subsequent_indent=" " * WIDTH)
