"""What an expression of Prometheus uses, and which labels its result has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

__all__ = ["grouped", "labelsOf", "parse", "selectors"]

Labels = Mapping[str, frozenset[str]]


def _below(expr: Any) -> list[Any]:
    if isinstance(expr, MatrixSelector):
        return [expr.vector_selector]
    if isinstance(expr, Call):
        return list(expr.args)
    if isinstance(expr, BinaryExpr):
        return [expr.lhs, expr.rhs]
    if isinstance(expr, AggregateExpr):
        return [expr.expr] if expr.param is None else [expr.param, expr.expr]
    return [expr.expr] if isinstance(expr, (ParenExpr, SubqueryExpr, UnaryExpr)) else []


def _nodes(expr: Any) -> Iterator[Any]:
    yield expr
    for part in _below(expr):
        yield from _nodes(part)


def selectors(expr: Any) -> list[VectorSelector]:
    """Each use of a series."""
    return [node for node in _nodes(expr) if isinstance(node, VectorSelector)]


def grouped(expr: Any) -> set[str]:
    """The labels that C{by}, C{without}, C{on} and C{ignoring} name."""
    found: set[str] = set()
    for node in _nodes(expr):
        if isinstance(node, AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        if isinstance(node, BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            found.update(node.modifier.matching.labels)
    return found


def labelsOf(expr: Any, labels: Labels) -> frozenset[str]:
    """
    The labels that the result can have.

    @param labels: those of each series.
    """
    if isinstance(expr, VectorSelector):
        return labels[expr.name]
    below = [labelsOf(part, labels) for part in _below(expr)]
    if isinstance(expr, AggregateExpr):
        named = frozenset() if expr.modifier is None else frozenset(expr.modifier.labels)
        isWithout = expr.modifier is not None and expr.modifier.type == AggModifierType.Without
        return below[-1] - named if isWithout else below[-1] & named
    if isinstance(expr, Call) and expr.func.name == "absent":
        # It makes them of what was asked for.
        return frozenset(matcher.name for matcher in expr.args[0].matchers.matchers)
    found = next((part for part in below if part), frozenset())
    return found - {"le"} if isinstance(expr, Call) and expr.func.name == "histogram_quantile" else found
