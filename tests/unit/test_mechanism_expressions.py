"""The parser lets through what it should and nothing else; derivatives are right."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloadfield.errors import MechanismError
from payloadfield.mechanism import evaluate
from payloadfield.mechanism.calculus import derivative, let_go, simplify
from payloadfield.mechanism.codegen import generate
from payloadfield.mechanism.expressions import MAX_DEPTH, parse
from payloadfield.mechanism.nodes import Number

NAMES = {"x": 0.7, "y": 1.9, "long_name": 3.1}
_PYTHON = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt, "min": min, "max": max}


def _expressions():
    atoms = st.sampled_from([*NAMES, "2", "0.5", "1e-1", ".25", "3."])

    def extend(inner):
        binary = st.tuples(inner, st.sampled_from([" + ", "-", "*", " / "]), inner).map("".join)
        grouped = inner.map(lambda text: f"({text})")
        power = inner.map(lambda text: f"({text})**2")
        signed = inner.map(lambda text: f"-{text}")
        two = st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
        one = inner.map(lambda text: f"exp(-({text})**2)")
        root = inner.map(lambda text: f"sqrt(1 + ({text})**2)")
        return st.one_of(binary, grouped, power, signed, two, one, root)

    return st.recursive(atoms, extend, max_leaves=8)


def _python(text):
    try:
        value = eval(text, {"__builtins__": {}}, {**_PYTHON, **NAMES})
    except (ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) and abs(value) < 1e100 else None


@given(_expressions())
def test_expressions_mean_what_they_mean_in_python(text):
    expected = _python(text)
    if expected is not None:
        assert evaluate(parse(text, "here"), NAMES) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(_expressions())
def test_normal_form_and_printed_form_keep_the_value(text):
    expr = parse(text, "here")
    expected = _python(text)
    if expected is None:
        return
    assert evaluate(parse(str(expr), "printed"), NAMES) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    try:
        normal = simplify(expr)
    except MechanismError:
        return  # a constant part such as 2 / (0.5 - 0.5)
    assert evaluate(normal, NAMES) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert evaluate(parse(str(normal), "printed"), NAMES) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-x**2", -4.0), ("x**-2", 0.25), ("2**3**2", 512.0), ("6/2*3", 9.0), ("1 - 2 - 3", -4.0), ("--x", 2.0),
        ("hill(x, 2, 3)", 0.5), ("hill(0 - x, 2, 3)", 0.0), ("max(x, 3) - min(x, 3)", 1.0), ("1e3*x", 2000.0),
    ],
)  # fmt: skip
def test_precedence_and_functions(text, value):
    assert evaluate(parse(text, "here"), {"x": 2.0}) == pytest.approx(value, rel=1e-14)


def test_arrays_are_evaluated_element_by_element():
    x = np.array([-1.0, 0.0, 2.0, 1e300])
    assert evaluate(parse("hill(x, 2, 4) + 1", "here"), {"x": x}) == pytest.approx([1.0, 1.0, 1.5, 2.0])
    assert evaluate(parse("hill(x, 1, 4)", "here"), {"x": 1e-300}) == 0.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("__import__('os')", "not allowed"), ("a.b", "not allowed"), ("a[0]", "not allowed"), ("x; y", "not allowed"),
        ("lambda: 0", "not allowed"), ("x if y else z", "does not fit"), ("open(x)", "function 'open' is not known"),
        ("exp(x, y)", "takes 1 argument"), ("hill(x)", "takes 3 argument"), ("x^2", r"write powers with \*\*"),
        ("2x", "does not fit after '2'"), ("x +", "ends too early"), ("", "empty"), ("(x", r"'\)' is missing"),
        ("x)", "does not fit"), ("* x", "missing before"), ("1e999", "too large"), ("x == y", "not allowed"),
        ("'x'", "not allowed"), ("x\u00b2", "not allowed"), ("x // y", "missing before '/'"), ("1_0", "does not fit"),
        ("\uff11 + x", "not allowed"), ("x\x00", "not allowed"), ("x # y", "not allowed"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_place_text_and_what_is_allowed(text, reason):
    with pytest.raises(MechanismError, match=reason) as caught:
        parse(text, "file.toml, reactions.cell.binding.rate")
    assert str(caught.value).startswith("file.toml, reactions.cell.binding.rate: in '")
    assert "Allowed: numbers, names" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "x" + ")" * 10_000, "(" * 300 + "x" + ")" * 300, "-" * 900 + "x", "**".join(["x"] * 200),
        "/".join(["x"] * 400), "exp(" * 100 + "x" + ")" * 100, "x" * 1001, "+" * 999, "(" * 999,
    ],
)  # fmt: skip
def test_hostile_expressions_are_refused_at_once(text):
    began = time.perf_counter()
    with pytest.raises(MechanismError):
        parse(text, "here")
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    "text", ["9**9**9**9", "9**9**9", "1/0", "1/(2-2)", "log(0)", "sqrt(0-1)", "exp(1e4)", "(0-8)**0.5"]
)
def test_constants_that_are_no_finite_numbers_are_refused(text):
    with pytest.raises(MechanismError, match=r"finite|division by zero"):
        simplify(parse(text, "here"))


@pytest.mark.parametrize("text", ["+".join(["x"] * 490), "*".join(["x"] * 490), "*".join(["(x+y)"] * 150)])
def test_long_but_shallow_expressions_are_handled_quickly(text):
    began = time.perf_counter()
    slope = derivative(simplify(parse(text, "here")), "x")
    assert evaluate(slope, {"x": 0.5, "y": 0.4}) > 0.0
    assert time.perf_counter() - began < 2.0


def test_nesting_up_to_the_limit_is_allowed():
    depth = MAX_DEPTH - 2
    assert evaluate(parse("(" * depth + "x" + ")" * depth, "here"), {"x": 1.5}) == 1.5
    assert evaluate(parse("sqrt(" * depth + "x" + ")" * depth, "here"), {"x": 1.0}) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "x**3 / (y + x)", "exp(-x / y) * log(1 + x)", "sqrt(x * y)", "hill(x, y, 2.5)", "hill(y, x, 3)", "x**y",
        "min(x, y) * max(x, 2 * y)", "min(2 * x, x**2 + 3)", "1 / (1 + x / y)**2", "-(x - y)**2", "(x * x * x) / x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x", "y"])
def test_derivatives_agree_with_differences(text, name):
    expr = simplify(parse(text, "here"))
    at = {"x": 0.8, "y": 1.7}
    h = 1e-6
    difference = (evaluate(expr, at | {name: at[name] + h}) - evaluate(expr, at | {name: at[name] - h})) / (2 * h)
    assert _slope(derivative(expr, name), at) == pytest.approx(difference, rel=1e-8, abs=1e-9)


def _slope(expr, at):
    """Value of a derivative through the generated NumPy helpers, which know the slopes of min, max and hill."""
    from payloadfield.mechanism import print_numpy
    from payloadfield.mechanism.nodes import expression_text

    scope = {"np": np}
    exec(print_numpy.HELPERS, scope)
    return float(
        eval(expression_text(expr, str, print_numpy._FORMATS), scope, {k: np.float64(v) for k, v in at.items()})
    )


@pytest.mark.parametrize(
    "text", ["sqrt(x)", "x**0.5", "log(x + 0.0)", "hill(x, 2, 0.5)", "hill(x, 2, 1)", "hill(x, 2, 4)"]
)
def test_slopes_at_zero_are_finite_and_not_negative(text):
    slope = _slope(derivative(simplify(parse(text, "here")), "x"), {"x": 0.0})
    assert np.isfinite(slope) and slope >= 0.0


def test_hill_of_exponent_one_has_slope_one_over_k_at_zero():
    assert _slope(derivative(simplify(parse("hill(x, 4, 1)", "here")), "x"), {"x": 0.0}) == pytest.approx(0.25)


def test_what_is_held_counts_in_the_value_and_not_in_the_slope():
    expr = simplify(parse("x * held(x + z) + held(2)", "here"))
    assert evaluate(expr, {"x": 3.0, "z": 1.0}) == 14.0
    assert str(let_go(derivative(expr, "x"))) == str(simplify(parse("x + z", "here")))
    assert derivative(expr, "z") == Number(0.0)
    assert "held" not in str(let_go(expr)) and evaluate(let_go(expr), {"x": 3.0, "z": 1.0}) == 14.0


def test_a_name_without_a_value_is_named():
    with pytest.raises(MechanismError, match="'z' in 'x \\+ z' has no value"):
        evaluate(parse("x + z", "here"), NAMES)


def test_unknown_target_is_refused():
    with pytest.raises(MechanismError, match=r"got target 'fortran'; allowed: numpy, numba"):
        generate(None, "fortran")
