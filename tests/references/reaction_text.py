"""A second, slow reader of mechanism files: reactions and rate laws straight from the text.

Rates are evaluated by walking Python's own syntax tree, parsed once, over arrays; nothing is
differentiated or generated, and no code is shared with the package.
"""

import ast
import operator
import tomllib
from dataclasses import dataclass
from functools import cache

import numpy as np

AVOGADRO = 0.602214076  # [molecules / (nM um^3)]
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos}  # fmt: skip
FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "min": np.minimum, "max": np.maximum,
             "hill": lambda x, k, n: x**n / (k**n + x**n), "held": lambda x: x}  # fmt: skip


def value(text, names):
    """Number or array that an expression stands for, given the values of its names."""
    return walk(parse(str(text)), names)


@cache
def parse(text):
    """The syntax tree of an expression."""
    return ast.parse(text.strip(), mode="eval").body


def walk(node, names):
    """Value of one node of the syntax tree."""
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.Name):
        return AVOGADRO if node.id == "N_A" else names[node.id]
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](walk(node.operand, names))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](walk(node.left, names), walk(node.right, names))
    return FUNCTIONS[node.func.id](*(walk(argument, names) for argument in node.args))


@cache
def names_in(text):
    """Every name an expression mentions."""
    return frozenset(n.id for n in ast.walk(parse(text)) if isinstance(n, ast.Name))


@dataclass(frozen=True)
class Step:
    """One irreversible reaction: net change of each species (coefficient as text with its sign) and rate."""

    name: str
    scope: str
    changes: tuple[tuple[str, float, str], ...]  # species, sign, coefficient
    rate: str


def side(text, sign):
    """Species, sign and coefficient of one side of an equation such as 'antibody + DAR payload'."""
    terms = []
    for term in filter(None, (t.strip() for t in text.split("+"))):
        *factors, species = term.replace("*", " ").split()
        if species not in ("0", "nothing"):
            terms.append((species, sign, " * ".join(factors) or "1"))
    return terms


def steps(text):
    """Every reaction of a mechanism file, a reversible one as two."""
    found = []
    for scope, reactions in tomllib.loads(text).get("reactions", {}).items():
        for name, entry in reactions.items():
            arrow = "<=>" if "<=>" in entry["equation"] else "->"
            left, right = entry["equation"].split(arrow)
            found.append(Step(name, scope, tuple(side(left, -1.0) + side(right, 1.0)), entry["rate"]))
            if arrow == "<=>":
                found.append(Step(name + " back", scope, tuple(side(left, 1.0) + side(right, -1.0)), entry["back"]))
    return found


def exposures(text):
    """Rate of each per-cell time integral, by name."""
    return {name: entry["rate"] for name, entry in tomllib.loads(text).get("exposures", {}).items()}
