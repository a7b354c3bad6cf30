"""The generated functions of the cells, as kernels.

Notation, per cell with footprint entries j of weight w_j: flows q_r with changes nu; a flow that depends on a field
runs in every entry with the concentration there.
    J_ss = sum_r nu_r (sum_j w_j dq_r/ds),   M = (sg I - J_ss)^-1
    alpha_fj = w_j sum_r nu_fr dq_r/ds,   A_f = sum_j alpha_fj   (by rows of M, see responses.py)
    beta_gj = w_j sum_r nu_r dq_r/du_g,   kappa_fgj = w_j sum_r nu_fr dq_r/du_g
    entry_schur[(f, g), j] = -(kappa + A_f . M beta_gj)
"""

from __future__ import annotations

from collections.abc import Sequence

from payloadfield.mechanism.assignments import ENTRY, ITEM, STUDY, Access, Function, Kernel, Sheet
from payloadfield.mechanism.calculus import ONE, ZERO, add, derivative, let_go, mul, neg, simplify
from payloadfield.mechanism.dependency import cell_couplings, direct_couplings
from payloadfield.mechanism.elimination import Elimination, eliminate, factor, solve
from payloadfield.mechanism.flows import Flow, cell_flows
from payloadfield.mechanism.model import COLLECTING, Contact, Mechanism
from payloadfield.mechanism.nodes import Expr, Symbol
from payloadfield.mechanism.responses import Responses

_FOOTPRINT = ("start", "voxel", "weight")
_POINT = ("states", "p", "cp", *_FOOTPRINT)
_BASE = ("base_fields", "base_states", "p", "cp", *_FOOTPRINT)
WEIGHT = Symbol("w.")


class CellKernels:
    """Builds the kernels of one mechanism; every method gives one generated function."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism = mechanism
        self.fields = mechanism.field_names
        self.states = mechanism.state_names
        self.flows = cell_flows(mechanism.fields, mechanism.states, mechanism.reactions)
        self.exchanged = tuple(f for f, name in enumerate(self.fields) if self._is_exchanged(name))
        self.schur_pairs = self._schur_pairs()
        collecting = [i for i, state in enumerate(mechanism.states) if state.kind in COLLECTING]
        self.jacobian = direct_couplings(self.flows, self.states)
        self.plan: Elimination = eliminate(len(self.states), self.jacobian, collecting)
        self.responses = Responses(self.plan, self.flows, self.fields, self.states, self.exchanged)
        self.answering = tuple(f for f in self.exchanged if self.responses.answers[f])
        self.absorbing = tuple(self._absorbing(self.fields[f]) for f in self.exchanged)
        self.n_schur = len(self.schur_pairs) + len(self.responses.kept)
        self.slots = (*self.plan.slots.values(), *self.responses.slots.values())

    def functions(self) -> tuple[Function, ...]:
        """All of them, in the order in which a step uses them."""
        of_contacts = self.contacts(), self.contact_gains()
        return (self.rates(), self.factor(), self.respond(), self.absorb(), self.solve(), *of_contacts)

    def _is_exchanged(self, name: str) -> bool:
        return any(name in flow.changes or name in flow.slopes for flow in self.flows)

    def _absorbing(self, name: str) -> tuple[int, ...]:
        """States that an increment of a field changes."""
        driven = [flow for flow in self.flows if name in flow.slopes]
        return tuple(i for i, state in enumerate(self.states) if any(state in flow.changes for flow in driven))

    def _schur_pairs(self) -> tuple[tuple[int, int], ...]:
        group = {f: number for number, members in enumerate(self.mechanism.field_groups) for f in members}
        coupled = cell_couplings(self.flows, self.fields, self.states)
        candidates = [(f, g) for f in self.exchanged for g in self.exchanged]
        return tuple((f, g) for f, g in candidates if f == g or (group[f] == group[g] and (f, g) in coupled))

    def _inputs(self, fields: str, states: str) -> dict[str, Access]:
        table = {name: Access(fields, str(i), "gather", ENTRY) for i, name in enumerate(self.fields)}
        table |= {name: Access(states, str(i), "item", ITEM) for i, name in enumerate(self.states)}
        table |= {name: Access("p", str(i), None, STUDY) for i, name in enumerate(self.mechanism.study_parameters)}
        table |= {name: Access("cp", str(i), "item", ITEM) for i, name in enumerate(self.mechanism.cell_parameters)}
        table |= {f"lu.{slot}": Access("lu", str(slot), "item", ITEM) for slot in self.slots}
        table |= {f"rhs.{name}": Access("rhs", str(i), "item", ITEM) for i, name in enumerate(self.states)}
        for k in self.responses.kept.values():
            table[f"shape.{k}"] = Access("entry_schur", str(len(self.schur_pairs) + k), "entry", ENTRY)
        table["increment."] = Access("increment", None, "gather", ENTRY)
        table |= {f"{name}.": Access(name, None, None, STUDY) for name in ("sg", "sign")}
        return table | {WEIGHT.name: Access("weight", None, "entry", ENTRY)}

    def _kernel(self, name: str, doc: str, arguments: tuple[str, ...], blocks: Sequence[Sheet]) -> Kernel:
        base = "base_" if "base_fields" in arguments else ""
        inputs = self._inputs(f"{base}fields", f"{base}states")
        given = {key: access for key, access in inputs.items() if access.array in arguments or access.array == "weight"}
        if name == "cell_factor":  # which makes them
            given = {key: access for key, access in given.items() if access.array not in ("lu", "entry_schur")}
        return Kernel(name, doc, arguments, "c", given, [sheet.block for sheet in blocks])

    def _slope_totals(self, entry: Sheet, flows: Sequence[Flow]) -> dict[tuple[str, str], Expr]:
        """sum_j w_j dq_r/ds for every flow and state; flows without a field need no sum."""
        totals = {}
        for flow in flows:
            for state in self.states:
                slope = flow.slope(state)
                if flow.is_local:
                    slope = entry.total(f"slope.{flow.name}.{state}", mul(WEIGHT, slope), flow.text)
                totals[flow.name, state] = slope
        return totals

    def rates(self) -> Function:
        """d_states and entry_source of one point."""
        before, entry, after = Sheet(ITEM), Sheet(ENTRY), Sheet(ITEM)
        totals: dict[str, Expr] = {}
        shares: dict[str, Expr] = {}
        for flow in self.flows:
            if flow.is_local:
                shares[flow.name] = entry.define(f"q.{flow.name}", mul(WEIGHT, flow.rate), flow.text)
                totals[flow.name] = entry.total(f"sum.{flow.name}", shares[flow.name])
            else:
                totals[flow.name] = before.define(f"q.{flow.name}", flow.rate, flow.text)
                shares[flow.name] = mul(WEIGHT, totals[flow.name])
        for row, f in enumerate(self.exchanged):
            name = self.fields[f]
            value = add(*(mul(flow.change(name), shares[flow.name]) for flow in self.flows))
            entry.store("entry_source", row, value, name)
        for row, name in enumerate(self.states):
            after.store("d_states", row, add(*(mul(flow.change(name), totals[flow.name]) for flow in self.flows)), name)
        arguments = ("fields", *_POINT, "d_states", "entry_source")
        doc = "Rates of change of the states, and sources of the fields at every entry [molecules/s]."
        return _single("cell_rates", doc, arguments, self._kernel("cell_rates", doc, arguments, [before, entry, after]))

    def factor(self) -> Function:
        """lu and entry_schur."""
        first, middle, second = Sheet(ENTRY), Sheet(ITEM), Sheet(ENTRY)
        slopes = self._slope_totals(first, self.flows)
        matrix: dict[tuple[int, int], Expr] = {(i, i): Symbol("sg.") for i in range(len(self.states))}
        for i, j in self.jacobian:
            terms = (neg(mul(flow.change(self.states[i]), slopes[flow.name, self.states[j]])) for flow in self.flows)
            matrix[i, j] = add(matrix.get((i, j), ZERO), *terms)
        lu = factor(self.plan, matrix, middle)
        for position, slot in self.plan.slots.items():
            row, column = (self.states[k] for k in position)
            middle.store("lu", slot, lu[position], f"1 / pivot, {row}" if row == column else f"{row}, {column}")
        rows = self.responses.make_rows(lu, middle)
        for shape, k in self.responses.kept.items():
            first.store("entry_schur", len(self.schur_pairs) + k, shape, "shape of an answer")
        for f in self.exchanged:
            self._schur(f, rows, first, middle, second)
        arguments = (*_BASE, "sg", "lu", "entry_schur")
        doc = "Factors of sg I - J of every cell, and what its elimination adds at every entry [molecules/s per nM]."
        kernel = self._kernel("cell_factor", doc, arguments, [first, middle, second])
        return _single("cell_factor", doc, arguments, kernel)

    def _schur(self, f: int, rows: Sequence[Sequence[Expr]], first: Sheet, middle: Sheet, second: Sheet) -> None:
        """-(kappa + A_f . M beta), as -w sum_r (nu_fr + v . nu_r) dq_r/du_g with v = M^T A_f."""
        name, answers = self.fields[f], self.responses.answers[f]
        sizes = [
            mul(
                answer.coefficient,
                ONE if answer.shape == ONE else first.total(f"shape.{name}.{k}", mul(WEIGHT, answer.shape)),
            )
            for k, answer in enumerate(answers)
        ]
        v = [
            middle.define(
                f"v.{name}.{state}",
                add(*(mul(size, rows[answer.row][i]) for size, answer in zip(sizes, answers, strict=True))),
            )
            for i, state in enumerate(self.states)
        ]
        gains = {
            flow.name: middle.define(
                f"gain.{name}.{flow.name}",
                add(flow.change(name), *(mul(v[i], flow.change(s)) for i, s in enumerate(self.states))),
            )
            for flow in self.flows
            if flow.is_local
        }
        for row, (of, by) in enumerate(self.schur_pairs):
            if of == f:
                terms = (mul(gains[flow.name], flow.slope(self.fields[by])) for flow in self.flows if flow.is_local)
                second.store("entry_schur", row, neg(mul(WEIGHT, add(*terms))), f"{name} by {self.fields[by]}")

    def respond(self) -> Function:
        """out_entry = alpha_f . M rhs for one exchanged field."""
        arguments = (*_BASE, "lu", "entry_schur", "rhs", "f", "out_entry")
        doc = "Sources of exchanged field number f at every entry that follow from the states' right-hand side."
        kernels = tuple(self._respond(f, arguments) for f in self.exchanged)
        return Function("cell_respond", doc, arguments, kernels, "f")

    def _respond(self, f: int, arguments: tuple[str, ...]) -> Kernel:
        name = self.fields[f]
        before, entry = Sheet(ITEM), Sheet(ENTRY)
        products = self.responses.products(f, before)
        terms = (
            mul(item.coefficient, self._shape(item.shape), products[item.row]) for item in self.responses.answers[f]
        )
        entry.store("out_entry", -1, mul(WEIGHT, add(*terms)))
        return self._kernel(f"cell_respond_{name}", name, arguments, [before, entry])

    def _solution(self, sheet: Sheet) -> list[Expr]:
        lu = {position: Symbol(f"lu.{slot}") for position, slot in self.plan.slots.items()}
        rhs = [Symbol(f"rhs.{name}") for name in self.states]
        return solve(self.plan, lu, rhs, sheet, lambda i: self.states[i])

    def _shape(self, shape: Expr) -> Expr:
        """A shape at an entry: as kept, or as it is."""
        kept = self.responses.kept
        return Symbol(f"shape.{kept[shape]}") if shape in kept else shape

    def absorb(self) -> Function:
        """rhs += sign sum_j beta_fj increment_j for one exchanged field."""
        arguments = (*_BASE, "increment", "f", "sign", "rhs")
        doc = "Add to the states' right-hand side what an increment of exchanged field number f does to them."
        return Function("cell_absorb", doc, arguments, tuple(self._absorb(f, arguments) for f in self.exchanged), "f")

    def _absorb(self, f: int, arguments: tuple[str, ...]) -> Kernel:
        name = self.fields[f]
        entry, after = Sheet(ENTRY), Sheet(ITEM)
        driven = [flow for flow in self.flows if name in flow.slopes]
        totals = {
            flow.name: entry.total(f"sum.{flow.name}", mul(WEIGHT, flow.slope(name), Symbol("increment.")), flow.text)
            for flow in driven
        }
        for row, state in enumerate(self.states):
            value = add(*(mul(flow.change(state), totals[flow.name]) for flow in driven))
            if value != ZERO:
                after.store("rhs", row, mul(Symbol("sign."), value), state, increment=True)
        return self._kernel(f"cell_absorb_{name}", name, arguments, [entry, after])

    def solve(self) -> Function:
        """out = M rhs."""
        sheet = Sheet(ITEM)
        for row, value in enumerate(self._solution(sheet)):
            sheet.store("out", row, value)
        arguments = ("lu", "rhs", "out")
        doc = "Solve (sg I - J) out = rhs in every cell."
        return _single("cell_solve", doc, arguments, self._kernel("cell_solve", doc, arguments, [sheet]))

    def contacts(self) -> Function:
        """What every cell gives to each cell that it touches by one contact, and the share that is alive."""
        arguments = ("fields", *_POINT, "f", "flux", "present")
        doc = (
            "What every cell gives by contact number f to each that it touches [molecules/s], and what of it is alive."
        )
        kernels = []
        for contact in self.mechanism.contacts:
            rate, note = let_go(simplify(contact.rate)), f"{contact.gives} to every cell that is touched"
            kernels.append(self._contact(contact, arguments, rate, Sheet(ITEM), note))
        return Function("cell_contacts", doc, arguments, tuple(kernels), "f")

    def contact_gains(self) -> Function:
        """M_kk dq_k/ds_k: how what is given of state k by one contact answers to k itself, at the end of a step."""
        arguments = (*_BASE, "lu", "f", "gain", "present")
        doc = "How what a cell gives by contact number f grows in a step with the state given [1], and what is alive."
        lu = {position: Symbol(f"lu.{slot}") for position, slot in self.plan.slots.items()}
        kernels = []
        for contact in self.mechanism.contacts:
            k, sheet = self.states.index(contact.gives), Sheet(ITEM)
            unit: list[Expr] = [ONE if i == k else ZERO for i in range(len(self.states))]
            own = solve(self.plan, lu, unit, sheet, lambda i: self.states[i])[k]
            value = mul(own, let_go(derivative(simplify(contact.rate), contact.gives)))
            kernels.append(self._contact(contact, arguments, value, sheet))
        return Function("cell_contact_gains", doc, arguments, tuple(kernels), "f")

    def _contact(
        self, contact: Contact, arguments: tuple[str, ...], value: Expr, sheet: Sheet, note: str = ""
    ) -> Kernel:
        """A kernel that stores a value, and what is alive, in the last two arguments."""
        sheet.store(arguments[-2], -1, value, note)
        sheet.store(arguments[-1], -1, contact.present)
        function = "cell_contact_gains" if "lu" in arguments else "cell_contacts"
        return self._kernel(f"{function}_{contact.name}", contact.name, arguments, [sheet])


def _single(name: str, doc: str, arguments: tuple[str, ...], kernel: Kernel) -> Function:
    return Function(name, doc, arguments, (kernel,))
