"""Sums as an ONNX graph, written as one writes them in NumPy.

Everything is computed in float64, so that a score does not depend on how a runtime orders its sums. Only operators of
operator set 17, and of those only such as onnxruntime has for float64: on a server, in a browser and in Java.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from expose.errors import MissingExtraError

OPSET, IR_VERSION = 17, 8  # of 2022; readers go on reading them
SINGLE, WHOLE, TEXT, TRUTH, DOUBLE = 1, 7, 8, 9, 11  # types, as ONNX numbers them
TILE: Final = 256  # rows worked on at a time: the memory that a batch needs does not grow with it
FEW: Final = 64  # numbers that are not worth a conversion
SHORTEST: Final = 1e-12  # length of a vector that can be made one of length 1, as torch has it

Operand = Any  # a Value, a tensor, an array, a float or a whole number


def onnx_package() -> Any:
    """The package `onnx`, or MissingExtraError with the line that installs it."""
    try:
        import onnx
        import onnxruntime  # noqa: F401 - what is exported is compared with ours, see `checking`
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"ONNX files need the package {error.name}, which is not installed. Get it with: pip install 'expose[onnx]'"
        ) from error
    return onnx


class Graph:
    """The operators of an ONNX graph, in order, or those of the body of a loop in another one."""

    def __init__(self, outer: Graph | None = None) -> None:
        self.onnx = onnx_package()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.root: Graph = self if outer is None else outer.root
        self.depth: int = 0 if outer is None else outer.depth + 1
        self._numbers = count()

    def fresh(self) -> str:
        """A name that no other value has, in this graph or around it."""
        return f"v{next(self.root._numbers)}"

    def named(self, operand: Operand) -> str:
        """The name of an operand; what is no value becomes a constant, and None what is left out."""
        if operand is None:
            return ""
        return operand.name if isinstance(operand, Value) else self.root.constant(operand).name

    def constant(self, given: Operand) -> Value:
        """Numbers, in float32 where that loses nothing, which halves the file."""
        array = as_array(given)
        stored = array
        if array.dtype == np.float64 and array.size > FEW:
            with np.errstate(over="ignore"):
                single = array.astype(np.float32)
            stored = single if np.array_equal(single, array) else array
        name = self.fresh()
        self.constants.append(self.onnx.numpy_helper.from_array(stored, name))
        value = Value(self, name)
        return value if stored is array else op("Cast", value, to=DOUBLE)

    def single(self, array: NDArray[Any]) -> Value:
        """Numbers in float32, as networks of photos compute."""
        name = self.fresh()
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        return Value(self, name)

    def input(self, name: str, element: int, shape: Sequence[str | int | None]) -> tuple[Value, Any]:
        """A value that is given from outside, and its description."""
        return Value(self, name), self.onnx.helper.make_tensor_value_info(name, element, shape)


class Value:
    """An array of a graph. Arithmetic with others, with arrays, tensors and numbers adds an operator to it."""

    __array_ufunc__ = None  # of two, the array lets us do it

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __add__(self, other: Operand) -> Value:
        return op("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return op("Sub", self, other)

    def __mul__(self, other: Operand) -> Value:
        return op("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return op("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return op("MatMul", self, other)

    def __radd__(self, other: Operand) -> Value:
        return op("Add", other, self)

    def __rsub__(self, other: Operand) -> Value:
        return op("Sub", other, self)

    def __rmul__(self, other: Operand) -> Value:
        return op("Mul", other, self)

    def __neg__(self) -> Value:
        return op("Neg", self)

    def __lt__(self, other: Operand) -> Value:
        return op("Less", self, other)

    def __le__(self, other: Operand) -> Value:
        return op("LessOrEqual", self, other)

    def __gt__(self, other: Operand) -> Value:
        return op("Greater", self, other)

    def __or__(self, other: Operand) -> Value:
        return op("Or", self, other)

    def square(self) -> Value:
        """Each number times itself."""
        return self * self

    def exp(self) -> Value:
        """Exponential of each."""
        return op("Exp", self)

    def log(self) -> Value:
        """Natural logarithm of each."""
        return op("Log", self)

    def sqrt(self) -> Value:
        """Square root of each."""
        return op("Sqrt", self)

    def clip(self, low: Operand, high: Operand) -> Value:
        """Each number, or the bound that it is beyond."""
        return op("Clip", self, low, high)

    def softplus(self) -> Value:
        """``log(1 + exp(x))``; onnxruntime has none for float64."""
        return op("Relu", self) + (1.0 + (-op("Abs", self)).exp()).log()

    def sum(self, *axes: int, keep: bool = False) -> Value:
        """Sum over axes, by default the last."""
        return op("ReduceSum", self, np.array(axes or (-1,)), keepdims=int(keep))

    def mean(self, *axes: int, keep: bool = False) -> Value:
        """Mean over axes, by default the last."""
        return op("ReduceMean", self, axes=axes or (-1,), keepdims=int(keep))

    def max(self, *axes: int, keep: bool = False) -> Value:
        """Largest over axes, by default the last."""
        return op("ReduceMax", self, axes=axes or (-1,), keepdims=int(keep))

    def min(self, *axes: int, keep: bool = False) -> Value:
        """Smallest over axes, by default the last."""
        return op("ReduceMin", self, axes=axes or (-1,), keepdims=int(keep))

    def logsumexp(self, *axes: int, keep: bool = False) -> Value:
        """Logarithm of the sum of exponentials over axes, by default the last, however large they are."""
        largest = self.max(*axes, keep=True)
        total = largest + (self - largest).exp().sum(*axes, keep=True).log()
        return total if keep else op("Squeeze", total, np.array(axes or (-1,)))

    def unit(self, axis: int = -1) -> Value:
        """Vectors along an axis, by default the last, at length 1."""
        length = self.square().sum(axis, keep=True).sqrt()
        return self / op("Max", length, SHORTEST)

    def reshape(self, *shape: int) -> Value:
        """The same numbers in another shape, in which -1 is what is left and 0 as before."""
        return op("Reshape", self, np.array(shape))

    def transpose(self, *order: int) -> Value:
        """Axes in another order."""
        return op("Transpose", self, perm=order)

    def take(self, places: Operand, axis: int = 0) -> Value:
        """Those at some places along an axis."""
        return op("Gather", self, places, axis=axis)

    def slice(self, start: Operand, end: Operand, axis: int = 0) -> Value:
        """Those from one place to before another along an axis."""
        return op("Slice", self, start, end, np.array([axis]))

    def smallest(self, number: int) -> tuple[Value, Value]:
        """So many smallest along the last axis, ascending, and their places."""
        values, places = ops("TopK", 2, self, np.array([number]), axis=-1, largest=0, sorted=1)
        return values, places

    def rounded(self) -> Value:
        """Each number at the precision of float32, in which models give their scores."""
        return op("Cast", op("Cast", self, to=SINGLE), to=DOUBLE)


def op(kind: str, *operands: Operand, **attributes: Any) -> Value:
    """What an operator gives, at least one of whose operands is a value."""
    (result,) = ops(kind, 1, *operands, **attributes)
    return result


def ops(kind: str, outputs: int, *operands: Operand, **attributes: Any) -> tuple[Value, ...]:
    """The same of one with several outputs. It goes where the innermost of its operands is."""
    graph = max((one.graph for one in operands if isinstance(one, Value)), key=lambda graph: graph.depth)
    names = [graph.named(operand) for operand in operands]
    results = [graph.fresh() for _ in range(outputs)]
    graph.nodes.append(graph.onnx.helper.make_node(kind, names, results, **attributes))
    return tuple(Value(graph, name) for name in results)


def where(condition: Value, yes: Operand, no: Operand) -> Value:
    """One or the other, number by number."""
    return op("Where", condition, yes, no)


def side_by_side(values: Sequence[Value], axis: int = -1) -> Value:
    """Values one after the other along an axis that they have."""
    return values[0] if len(values) == 1 else op("Concat", *values, axis=axis)


def stacked(values: Sequence[Value]) -> Value:
    """Values one beside the other along a new last axis."""
    return side_by_side([op("Unsqueeze", value, np.array([-1])) for value in values])


def rows_in(value: Value) -> Value:
    """Entries along the first axis, ``(1,)``."""
    return op("Shape", value, start=0, end=1)


def tiled(rows: Value, width: int | None, work: Callable[[Value], Value], at_once: int = TILE) -> Value:
    """What a function gives for rows, some at a time: ``(n,)``, or ``(n, width)``."""
    graph, more = rows.graph, () if width is None else (width,)
    body = Graph(graph)
    turn, turn_info = body.input(body.fresh(), WHOLE, [])
    going, going_info = body.input(body.fresh(), TRUTH, [])
    before, before_info = body.input(body.fresh(), DOUBLE, [None, *more])
    start = turn * np.array([at_once])
    after = side_by_side([before, work(rows.slice(start, start + np.array([at_once])))], axis=0)
    on = op("Identity", going)
    helper = graph.onnx.helper
    described = [
        helper.make_tensor_value_info(on.name, TRUTH, []),
        helper.make_tensor_value_info(after.name, DOUBLE, [None, *more]),
    ]
    inner = helper.make_graph(body.nodes, "tile", [turn_info, going_info, before_info], described)
    turns = op("Squeeze", op("Div", rows_in(rows) + (at_once - 1), at_once))
    return op("Loop", turns, np.array(True), np.zeros((0, *more)), body=inner)


def as_array(given: Operand) -> NDArray[Any]:
    """Numbers as float64, whole ones as int64; texts and truth values as they are."""
    array = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, dtype=np.float64)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
