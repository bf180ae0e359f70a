"""Which code makes a row of results: found by following imports, and made part of the row's key.

A root is a module (``expose_lab.protocols``) or something in one (``expose_lab.studies.demo:measure``). Of a module all
code counts, of a function only what it uses in its own module; comments and docstrings never do. From there imports of
this distribution are followed, also those inside functions. ``from room import name`` leads to the module that defines
the name, and to modules of that room which register themselves when the room is imported, as kinds and encoders do.
Objectives do so too, but a row depends on its own objective only, which whoever asks must name.

Code of other people counts by the version of its package, code of one's own by the source of its classes.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

OURS = ("expose", "expose_lab")
CHOSEN_BY_NAME = "expose.objectives"  # a registry of which a row needs one entry, and not all
COUNTED_ELSEWHERE = ("builtins", *OURS, "numpy", "sklearn", "torch")  # by `code_of`, or among the versions
INSTALLED = {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}


def code_of(roots: Iterable[str], unfollowed: Iterable[str] = ()) -> str:
    """A digest of all code that the roots lead to; of `unfollowed` modules only their own code counts.

    Examples
    --------
    >>> len(code_of(["expose_lab.protocols"]))
    16
    """
    return _digest(tuple(sorted(set(roots))), tuple(sorted(set(unfollowed))))


@lru_cache
def _digest(roots: tuple[str, ...], unfollowed: tuple[str, ...]) -> str:
    code = hashlib.sha256()
    for name in sorted({*reached(roots), *unfollowed}):
        code.update(name.encode() + source_of(name).encode())
    return code.hexdigest()[:16]


def reached(roots: Iterable[str]) -> set[str]:
    """All roots and modules that importing them leads to.

    Examples
    --------
    >>> sorted(reached(["expose_lab.protocols"]))[:2]
    ['expose.errors', 'expose_lab.protocols']
    """
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        module, _, inside = name.partition(":")
        places = homes(module, inside) if inside else {name}
        if places not in ({name}, {module}):  # a room that only hands the name on
            waiting += places
        elif name not in found:
            found.add(name)
            waiting += imported(name)
    return found


@lru_cache
def imported(root: str) -> frozenset[str]:
    """Modules that the code of a root imports, by the names that it takes from them."""
    found: set[str] = set()
    for node in statements(root):
        for child in walk(node):
            if isinstance(child, ast.Import):
                found |= {alias.name for alias in child.names if file_of(alias.name)}
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                for alias in child.names:
                    found |= homes(child.module, alias.name)
    return frozenset(found)


def homes(module: str, name: str) -> set[str]:
    """Modules that ``from module import name`` leads to, this distribution's only."""
    file = file_of(module)
    if file is None:
        return set()
    if file_of(f"{module}.{name}"):
        return {f"{module}.{name}"}
    if file.name != "__init__.py":
        return {module}
    found = set() if module == CHOSEN_BY_NAME else set(registering(module))
    for node in ast.walk(tree_of(module)):  # TYPE_CHECKING too: there lazy packages say where their names live
        if isinstance(node, ast.ImportFrom) and node.module and name in {one.asname or one.name for one in node.names}:
            return found | homes(node.module, name)
    return found | {module}


@lru_cache
def registering(package: str) -> tuple[str, ...]:
    """Modules of a package that register something when they are imported."""
    file = file_of(package)
    modules = [] if file is None else [f"{package}.{path.stem}" for path in sorted(file.parent.glob("[a-z]*.py"))]
    return tuple(name for name in modules if any(map(registers, tree_of(name).body)))


def registers(node: ast.stmt) -> bool:
    """Whether a statement uses ``register`` or the like, as a decorator or by itself."""
    used = [node.value] if isinstance(node, ast.Expr) else getattr(node, "decorator_list", [])
    names = [ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in used]
    return any(name.rpartition(".")[2].startswith("register") for name in names)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, but those behind TYPE_CHECKING."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk(child)


def statements(root: str) -> list[ast.stmt]:
    """The statements of a module, or those that one name in it needs."""
    module, _, wanted = root.partition(":")
    body = tree_of(module).body
    if not wanted:
        return body
    bound = {name: node for node in body for name in names_bound(node)}
    if wanted not in bound:
        raise ValueError(f"{module} has no {wanted!r}.")
    needed: set[str] = set()
    waiting = [wanted]
    while waiting:
        name = waiting.pop()
        if name in bound and name not in needed:
            needed.add(name)
            waiting += [child.id for child in walk(bound[name]) if isinstance(child, ast.Name)]
    return [node for node in body if needed.intersection(names_bound(node))]


def names_bound(node: ast.stmt) -> list[str]:
    """Names that a statement of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    return [name.id for name in walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)]


def source_of(root: str) -> str:
    """Code of a root as the interpreter sees it: no comments, no docstrings, no layout."""
    return "\n".join(map(unparsed, statements(root)))


@cache
def unparsed(node: ast.stmt) -> str:
    """A statement as text, made once as long as its file stays as it is."""
    return ast.unparse(node)


@lru_cache
def tree_of(module: str) -> ast.Module:
    """The parsed code of a module, without docstrings."""
    file = file_of(module)
    if file is None:
        raise ValueError(f"{module} is no module of {' or '.join(OURS)}.")
    return without_docstrings(file.read_text(encoding="utf-8"))


@lru_cache
def file_of(module: str) -> Path | None:
    """The file of a module of this distribution; None for any other name."""
    package, *parts = module.split(".")
    if package not in OURS:
        return None
    path = folder_of(package).joinpath(*parts)
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


def folder_of(package: str) -> Path:
    """Where a package lies."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def without_docstrings(source: str) -> ast.Module:
    """Parse code, with nothing in place of docstrings; the same code is the same tree."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and _is_text(body[0].value):
            body[0] = ast.Pass()
    return tree


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def forget() -> None:
    """Read all code anew, for tests that change it."""
    for function in (_digest, imported, registering, tree_of, file_of):
        function.cache_clear()


# ------------------------------------------------------------------------------------------ code that is not ours


def origins(classes: Iterable[type]) -> list[str]:
    """Where the code of classes comes from, those aside that keys hold anyway."""
    return sorted({origin(cls) for cls in classes} - {""})


def origin(cls: type) -> str:
    """Name and version of the package of a class, or a digest of its source; empty for what a key holds anyway."""
    package = cls.__module__.partition(".")[0]
    if package in COUNTED_ELSEWHERE:
        return ""
    file = Path(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")
    if INSTALLED & set(file.parents):
        return ", ".join(f"{name}=={version(name)}" for name in dict.fromkeys(_distributions().get(package, ())))
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # typed at a prompt
        return f"{cls.__qualname__} of unknown source"
    code = ast.unparse(without_docstrings(textwrap.dedent(source)))
    return f"{cls.__qualname__} {hashlib.sha256(code.encode()).hexdigest()[:16]}"


@lru_cache
def _distributions() -> Any:
    """The distributions of each top-level package; slow to make."""
    return packages_distributions()


@lru_cache
def installed(package: str) -> str:
    """Version of an installed package, or "absent"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
