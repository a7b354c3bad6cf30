"""Reactions as data: mechanism files, their checks, and the code generated from them."""

from payloadfield.mechanism.codegen import GeneratedCode, generate
from payloadfield.mechanism.evaluation import evaluate
from payloadfield.mechanism.model import Accumulator, Field, Mechanism, Parameter, Reaction, State
from payloadfield.mechanism.reader import (
    built_in_mechanisms,
    find_modules,
    load_mechanism,
    refuse_modules,
    with_expected_fates,
)
from payloadfield.mechanism.signs import backward_rates

__all__ = [
    "Accumulator",
    "Field",
    "GeneratedCode",
    "Mechanism",
    "Parameter",
    "Reaction",
    "State",
    "backward_rates",
    "built_in_mechanisms",
    "evaluate",
    "find_modules",
    "generate",
    "load_mechanism",
    "refuse_modules",
    "with_expected_fates",
]
