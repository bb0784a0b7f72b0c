"""Straight Python for functions of the subset: their expressions written out in one function, constants filled in.

The one-expression functions stay the source, which proof and reader go by; this only runs them faster (the gate in a
timer interrupt, measured: 1.2 us instead of 7). A test holds both to the same answers.
"""

import ast
import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from enum import IntEnum
from functools import cache
from importlib import import_module
from typing import Any, Final, cast

from dermalink_simulator.therapy.subset import HELPERS

Function = Callable[..., Any]

_MAKE: Final = "make"


@cache
def _definitions(module: str) -> dict[str, ast.FunctionDef]:
    """The functions of a module, as its source has them."""
    tree = ast.parse(inspect.getsource(import_module(module)))
    return {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}


def _expression(function: Function) -> tuple[tuple[str, ...], ast.expr]:
    """Parameters and the one expression of a function of the subset."""
    definition = _definitions(function.__module__)[function.__name__]
    returned = definition.body[-1]
    assert isinstance(returned, ast.Return)
    assert returned.value is not None
    return tuple(argument.arg for argument in definition.args.args), deepcopy(returned.value)


class _Filler(ast.NodeTransformer):
    """Puts arguments for parameters, values for constants, places for fields, and helpers' expressions for calls.

    A helper's call that a part makes itself is worked out once and kept in a local, since parts share them.
    """

    def __init__(self, scope: Mapping[str, Any], arguments: Mapping[str, ast.expr], writer: "Writer") -> None:
        self._scope, self._arguments, self._writer = scope, arguments, writer
        self._inner = False

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._arguments:
            return self._arguments[node.id]
        return _constant(self._scope[node.id])

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        owner = node.value
        assert isinstance(owner, ast.Name)
        if owner.id not in self._arguments:
            return _constant(getattr(self._scope[owner.id], node.attr))
        given = self._arguments[owner.id]
        assert isinstance(given, ast.Name), "fields are read of records only"
        record = given.id
        if record in self._writer.fixed:
            return _constant(getattr(self._writer.fixed[record], node.attr))
        place = self._writer.records[record].index(node.attr)
        return ast.Subscript(ast.Name(record, ast.Load()), ast.Constant(place), ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        helper: Function = self._scope[node.func.id]
        assert HELPERS.get(helper.__qualname__) is helper, "helpers alone are called"
        filled = [cast(ast.expr, self.visit(argument)) for argument in node.args]
        names, body = _expression(helper)
        inner = _Filler(vars(import_module(helper.__module__)), dict(zip(names, filled, strict=True)), self._writer)
        inner._inner = True
        written = cast(ast.expr, inner.visit(body))
        return written if self._inner else self._writer.once(written)


class Writer:
    """Writes functions out; `records` are field names by parameter, `fixed` records whose fields are constants.

    What helpers give is kept in locals, for which `lines` are the assignments.
    """

    def __init__(self, records: Mapping[str, tuple[str, ...]], fixed: Mapping[str, Any]) -> None:
        self.records, self.fixed = records, fixed
        self._kept: dict[str, str] = {}
        self.lines: list[str] = []

    def once(self, expression: ast.expr) -> ast.expr:
        """A local that holds the expression's value."""
        text = ast.unparse(ast.fix_missing_locations(expression))
        if text not in self._kept:
            self._kept[text] = f"v{len(self._kept)}"
            self.lines.append(f"    {self._kept[text]} = {text}")
        return ast.Name(self._kept[text], ast.Load())

    def expression(self, function: Function, arguments: tuple[str, ...]) -> str:
        """The function's expression for these arguments."""
        names, body = _expression(function)
        given: dict[str, ast.expr] = {
            name: ast.Name(argument, ast.Load()) for name, argument in zip(names, arguments, strict=True)
        }
        filler = _Filler(vars(import_module(function.__module__)), given, self)
        return ast.unparse(ast.fix_missing_locations(cast(ast.AST, filler.visit(body))))


def straight(
    parts: Mapping[str, Function],
    result: type[Any],
    parameters: tuple[str, ...],
    records: Mapping[str, tuple[str, ...]],
    fixed: Mapping[str, Any],
) -> Function:
    """A function of the parameters that are not fixed, equal to `result` made from what `parts` give.

    Fields of `result` that no part names are taken over from the first record.
    """
    writer = Writer(records, fixed)
    given = [name for name in parameters if name not in fixed]
    values = [
        writer.expression(parts[name], parameters) if name in parts else f"{given[0]}[{place}]"
        for place, name in enumerate(result._fields)
    ]
    lines = [f"def made({', '.join(given)}):", *writer.lines, f"    return {_MAKE}(cls, ({', '.join(values)},))"]
    scope: dict[str, Any] = {_MAKE: tuple.__new__, "cls": result}
    exec("\n".join(lines), scope)  # noqa: S102 (written from this package's own source)
    return cast(Function, scope["made"])


def _constant(value: Any) -> ast.expr:
    if isinstance(value, IntEnum):
        value = int(value)
    if isinstance(value, tuple):
        return ast.Tuple([_constant(each) for each in value], ast.Load())
    assert isinstance(value, int)
    return ast.Constant(int(value))
