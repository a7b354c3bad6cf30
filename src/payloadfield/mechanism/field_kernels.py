"""The generated functions of voxels and bath, as kernels.

A reaction proceeds in the smallest accessible volume V_r of the fields that it consumes or that its rate contains (of
those that it produces, if there are none): amount rate = V_r rate_r [nM um^3/s], so that what one field loses another
gains to the last digit.
"""

from __future__ import annotations

from functools import reduce

from payloadfield.mechanism.assignments import ITEM, STUDY, Access, Function, Kernel, Sheet
from payloadfield.mechanism.calculus import ZERO, add, mul
from payloadfield.mechanism.dependency import direct_couplings
from payloadfield.mechanism.flows import Flow, field_flows
from payloadfield.mechanism.model import Mechanism
from payloadfield.mechanism.nodes import Call, Expr, Symbol, symbols

_GEOMETRY = ("p", "capacity", "cap_index")


class FieldKernels:
    """Builds the kernels of one scope ("voxel" or "bath") of one mechanism."""

    def __init__(self, mechanism: Mechanism, scope: str) -> None:
        self.mechanism, self.scope = mechanism, scope
        self.fields = mechanism.field_names
        self.flows = field_flows(mechanism.fields, mechanism.reactions, scope)
        self.pairs = tuple(sorted(direct_couplings(self.flows, self.fields)))

    def functions(self) -> tuple[Function, ...]:
        """Rates, Jacobian, losses and the linear part of the losses."""
        return (self.rates(), self.jacobian(), self.losses(), self.losses_linear())

    def _volume(self, flow: Flow) -> Expr:
        """V_r, the smallest of the accessible volumes concerned."""
        present = symbols(flow.rate)
        driving = [name for name in self.fields if name in present or str(flow.change(name)).startswith("-")]
        concerned = driving or [name for name in self.fields if name in flow.changes]
        volumes: list[Expr] = [Symbol(f"V.{name}") for name in concerned]
        return reduce(lambda first, second: Call("min", (first, second)), volumes)

    def _inputs(self, fields: str) -> dict[str, Access]:
        table = {name: Access(fields, str(i), "item", ITEM) for i, name in enumerate(self.fields)}
        for i, name in enumerate(self.fields):
            table[f"V.{name}"] = Access("capacity", f"cap_index[{i}]", "item", ITEM)
            table[f"d.{name}"] = Access("increments", str(i), "item", ITEM)
        parameters = self.mechanism.study_parameters
        return table | {name: Access("p", str(i), None, STUDY) for i, name in enumerate(parameters)}

    def _function(self, kind: str, doc: str, arguments: tuple[str, ...], sheet: Sheet, n_totals: int = 0) -> Function:
        name = f"{self.scope}_{kind}"
        totals = tuple(f"total.{k}" for k in range(n_totals))
        kernel = Kernel(name, doc, arguments, "v", self._inputs(arguments[0]), [sheet.block], totals)
        return Function(name, doc, arguments, (kernel,))

    def rates(self) -> Function:
        """Sources of every field."""
        sheet = Sheet(ITEM)
        amounts = {
            flow.name: sheet.define(f"q.{flow.name}", mul(self._volume(flow), flow.rate), flow.text)
            for flow in self.flows
        }
        for row, name in enumerate(self.fields):
            sheet.store("out", row, add(*(mul(flow.change(name), amounts[flow.name]) for flow in self.flows)), name)
        doc = "Sources of every field [nM um^3/s]."
        return self._function("rates", doc, ("fields", *_GEOMETRY, "out"), sheet)

    def jacobian(self) -> Function:
        """Slopes of the sources by the fields, for the pairs that are not zero."""
        sheet = Sheet(ITEM)
        for row, (f, g) in enumerate(self.pairs):
            of, by = self.fields[f], self.fields[g]
            terms = (mul(flow.change(of), self._volume(flow), flow.slope(by)) for flow in self.flows)
            sheet.store("jac", row, add(*terms), f"{of} by {by}")
        doc = f"Slopes of the sources by the fields [um^3/s], in the order of {self.scope.upper()}_PAIRS."
        return self._function("jacobian", doc, ("base_fields", *_GEOMETRY, "jac"), sheet)

    def losses(self) -> Function:
        """What flows into the accumulators."""
        doc = "Sum over all items of what enters each accumulator [nM um^3/s]."
        return self._losses("losses", doc, ("fields", *_GEOMETRY, "out"), {flow.name: flow.rate for flow in self.flows})

    def losses_linear(self) -> Function:
        """What flows into the accumulators by increments of the fields, through the slopes at the base."""
        doc = "Sum over all items of what increments of the fields add to each accumulator [nM um^3/s], to first order."
        rates = {
            flow.name: add(*(mul(flow.slope(name), Symbol(f"d.{name}")) for name in self.fields)) for flow in self.flows
        }
        return self._losses("losses_linear", doc, ("base_fields", "increments", *_GEOMETRY, "out"), rates)

    def _losses(self, kind: str, doc: str, arguments: tuple[str, ...], rates: dict[str, Expr]) -> Function:
        sheet = Sheet(ITEM)
        for row, name in enumerate(self.mechanism.accumulator_names):
            terms = (mul(flow.change(name), self._volume(flow), rates[flow.name]) for flow in self.flows)
            value = add(*terms)
            if value != ZERO:
                sheet.total(f"total.{row}", value, name)
        return self._function(kind, doc, arguments, sheet, len(self.mechanism.accumulators))
