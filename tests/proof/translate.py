"""From a function in the therapy core's subset of Python to one over terms; what is outside of it is refused."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from enum import IntEnum, IntFlag
from functools import cache
from typing import Any, Final, NamedTuple

from dermalink_simulator.therapy.subset import HELPERS
from tests.proof import terms

OPERATIONS: Final = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.In: "in_",
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Mod: "mod",
    ast.BitAnd: "band",
    ast.BitOr: "bor",
}
PLAIN_NUMBERS: Final = (0, 1, 7, 9)
"""0 and 1 are what they are; 7 is all three directions, 9 the cells of zones. Any other number wants a name."""

Reads = frozenset[tuple[int, str]]
"""Which field of which argument a function looks at; the empty name is the argument itself."""


class OutsideSubset(Exception):
    """A function uses what not every tool can read."""


class Translated(NamedTuple):
    """A function over terms, and what it reads."""

    function: Callable[..., Any]
    reads: Reads
    name: str


class _Rewriter(ast.NodeTransformer):
    """Puts the operations of `terms` in place of Python's, and values in place of constants' names."""

    def __init__(self, function: Callable[..., Any], parameters: list[str]) -> None:
        self.function = function
        self.parameters = parameters
        self.reads: set[tuple[int, str]] = set()
        self.names: dict[str, Any] = {}

    def refuse(self, node: ast.AST, why: str) -> OutsideSubset:
        where = f"{self.function.__module__}.{self.function.__qualname__}"
        return OutsideSubset(f"{where}: `{ast.unparse(node)}`: {why}")

    def generic_visit(self, node: ast.AST) -> ast.AST:
        raise self.refuse(node, f"{type(node).__name__} is not in the subset")

    def call(self, operation: str, *arguments: ast.expr) -> ast.expr:
        return ast.Call(ast.Name(operation, ast.Load()), list(arguments), [])

    def later(self, node: ast.expr) -> ast.expr:
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        return ast.Lambda(nothing, self.visit(node))

    def keep(self, value: Any) -> ast.expr:
        if isinstance(value, int):
            return ast.Constant(int(value))
        name = f"_constant_{len(self.names)}"
        self.names[name] = tuple(int(member) for member in value)
        return ast.Name(name, ast.Load())

    def constant(self, name: str) -> Any:
        value = self.function.__globals__.get(name)
        if isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(member, int) for member in value)):
            return value
        return None

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if node.value not in PLAIN_NUMBERS:
            raise self.refuse(node, "a number wants a name")
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.parameters:
            self.reads.add((self.parameters.index(node.id), ""))
            return node
        value = self.constant(node.id)
        if value is None:
            raise self.refuse(node, "neither an argument nor a constant")
        return self.keep(value)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if not isinstance(node.value, ast.Name):
            raise self.refuse(node, "only a field of an argument, or a member of an enumeration")
        if node.value.id in self.parameters:
            self.reads.add((self.parameters.index(node.value.id), node.attr))
            return node
        enumeration = self.function.__globals__.get(node.value.id)
        if isinstance(enumeration, type) and issubclass(enumeration, (IntEnum, IntFlag)):
            return self.keep(int(enumeration[node.attr]))
        value = getattr(enumeration, node.attr, None)
        if inspect.ismodule(enumeration) and isinstance(value, (int, tuple)):
            return self.keep(value)
        raise self.refuse(node, "only a field of an argument, or a member of an enumeration")

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        elements: list[ast.expr] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                elements.extend(ast.Constant(int(member)) for member in self.members(element.value))
            else:
                elements.append(self.visit(element))
        return ast.Tuple(elements, ast.Load())

    def members(self, node: ast.expr) -> tuple[int, ...]:
        """The members of a tuple of constants."""
        found = self.visit(node)
        if isinstance(found, ast.Name) and found.id in self.names:
            return tuple(self.names[found.id])
        raise self.refuse(node, "only a tuple of constants")

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        operation = "and_" if isinstance(node.op, ast.And) else "or_"
        return self.call(operation, self.visit(node.values[0]), *(self.later(value) for value in node.values[1:]))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if not isinstance(node.op, ast.Not):
            raise self.refuse(node, "of operations with one side, only `not`")
        return self.call("not_", self.visit(node.operand))

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return self.call("ite", self.visit(node.test), self.later(node.body), self.later(node.orelse))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        pairs: list[ast.expr] = []
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            negated = isinstance(operator, ast.NotIn)
            operation = "in_" if negated else OPERATIONS.get(type(operator), "")
            if not operation:
                raise self.refuse(node, "this comparison is not in the subset")
            pair = self.call(operation, self.visit(left), self.visit(right))
            pairs.append(self.call("not_", pair) if negated else pair)
            left = right
        if len(pairs) == 1:
            return pairs[0]
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        return self.call("and_", pairs[0], *(ast.Lambda(nothing, pair) for pair in pairs[1:]))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        operation = OPERATIONS.get(type(node.op))
        if not operation:
            raise self.refuse(node, "this operation is not in the subset")
        return self.call(operation, self.visit(node.left), self.visit(node.right))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        fixed = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
        return self.call("index", self.visit(node.value), node.slice if fixed else self.visit(node.slice))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        helper: Any = self.function.__globals__.get(name)
        if HELPERS.get(name) is not helper or helper is None or node.keywords:
            raise self.refuse(node, "only helpers may be called")
        translated = translate(helper)
        name = f"_helper_{name}"
        self.names[name] = remembering(helper)
        for place, argument in enumerate(node.args):
            of_argument = {field for number, field in translated.reads if number == place}
            if isinstance(argument, ast.Name) and argument.id in self.parameters:
                self.reads |= {(self.parameters.index(argument.id), field) for field in of_argument}
        arguments = [
            argument
            if isinstance(argument, ast.Name) and argument.id in self.parameters and not self._whole(translated, place)
            else self.visit(argument)
            for place, argument in enumerate(node.args)
        ]
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def _whole(self, translated: Translated, place: int) -> bool:
        return (place, "") in translated.reads


_CACHE: dict[Callable[..., Any], Translated] = {}
_OPERATIONS: Final[Mapping[str, Any]] = {
    name: getattr(terms, name) for name in (*OPERATIONS.values(), "and_", "or_", "not_", "ite", "index")
}


def expression_of(function: Callable[..., Any]) -> tuple[list[str], ast.expr]:
    """The parameters and the one expression of a function of the subset."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise OutsideSubset(f"{function.__qualname__} is no plain function")
    body = [
        statement
        for statement in definition.body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        raise OutsideSubset(f"{function.__module__}.{function.__qualname__} is not one expression")
    return [argument.arg for argument in definition.args.args], body[0].value


@cache
def remembering(helper: Callable[..., Any]) -> Callable[..., Any]:
    """A helper over terms, evaluated once for the same fields; its obligations are left wherever it is called."""
    translated = translate(helper)
    known: dict[tuple[int, ...], tuple[Any, tuple[Any, ...], list[Any]]] = {}

    def call(*arguments: Any) -> Any:
        read = [getattr(arguments[number], field) if field else arguments[number] for number, field in translated.reads]
        key = tuple(value if type(value) is int else id(value) for value in read)
        found = known.get(key)
        if found is None:
            with terms.CONTEXT.collecting() as obligations:
                term = translated.function(*arguments)
            found = known[key] = (term, tuple(obligations), read)  # `read` is kept, so that no id is given again
        for obligation in found[1]:
            terms.CONTEXT.oblige(obligation)
        return found[0]

    return call


def translate(function: Callable[..., Any]) -> Translated:
    """`function` over terms; `OutsideSubset` with the place when it leaves the subset."""
    if function not in _CACHE:
        parameters, expression = expression_of(function)
        _CACHE[function] = compiled(function, parameters, expression)
    return _CACHE[function]


def compiled(function: Callable[..., Any], parameters: list[str], expression: ast.expr) -> Translated:
    """An expression that stands in place of `function`'s, over terms."""
    rewriter = _Rewriter(function, parameters)
    rewritten = rewriter.visit(expression)
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(name) for name in parameters], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    code = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, rewritten)))
    made = eval(compile(code, f"<terms of {function.__qualname__}>", "eval"), {**_OPERATIONS, **rewriter.names})
    return Translated(made, frozenset(rewriter.reads), function.__qualname__)
