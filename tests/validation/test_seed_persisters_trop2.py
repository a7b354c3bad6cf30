"""seeds/persisters-trop2 shows what its README says, at a small size; each claim beside the study without it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests import tolerances

from payloadfield.compare.metrics import Kinds, time_to_regrowth
from payloadfield.compare.solve import kinds_of_study
from payloadfield.resources import find_seed
from payloadfield.solver import Simulation
from payloadfield.store.capture import cell_table, take_snapshot
from payloadfield.store.exposure import CellSeries, stack_series
from payloadfield.store.table import Table
from payloadfield.study import make_variants, read_variants

SEED = find_seed("persisters-trop2") / "study.toml"
SMALL = ('grid.size=["160 um", "160 um", "320 um"]', "grid.voxel=40 um")  # a quarter of the column, coarse
TUMOUR, NEIGHBOUR = "PC-9", "fibroblast"
DAY, HOUR = 86400.0, 3600.0

UNTREATED, INHIBITOR, CONJUGATE, TOGETHER = "untreated", "osimertinib alone", "sac-TMT alone", "together"
THEN, REVERSE = "osimertinib, then sac-TMT", "sac-TMT, then osimertinib"
SECOND = "osimertinib, then sacituzumab govitecan"
LAST_DAY = 11  # of every treatment but the conjugate alone, which takes four days

NO_INDUCTION = {"inhibitors.osimertinib.antigen_induction.fold": 1}
NO_DAMAGE = {'fates."tumour cells".damage.rate': "0 / s"}
NO_RESPONSE = {"cell_types.PC-9.inhibitor_response": 0}
SAME_LINKER = {'agents."sacituzumab govitecan".linker': "MSP-CL2A"}


@dataclass(frozen=True)
class Course:
    """A finished run: the table of cells, the time courses, and what the columns are."""

    cells: Table
    series: CellSeries
    kinds: Kinds

    @property
    def days(self) -> np.ndarray:
        """Times of the outputs."""
        return self.series.times / DAY

    def of(self, name: str, cell_type: str = TUMOUR) -> np.ndarray:
        """A state summed over the cells of a type, per cell at the start, at each output."""
        chosen = self.chosen(cell_type)
        values: np.ndarray = self.series.cells[name][:, chosen].sum(axis=1) / chosen.sum()
        return values

    def at(self, day: float, name: str) -> float:
        """The same on one day."""
        return float(np.interp(day, self.days, self.of(name)))

    def living(self) -> np.ndarray:
        """Living tumour cells over those at the start."""
        values: np.ndarray = np.sum([self.of(name) for name in self.kinds.living], axis=0)
        return values

    def chosen(self, cell_type: str) -> np.ndarray:
        """Which rows are of a type."""
        chosen: np.ndarray = self.cells["type"].astype(str) == cell_type
        return chosen

    def regrowth(self) -> float:
        """Days until the tumour has as many living cells again as at the start."""
        return time_to_regrowth(self.series, self.kinds, self.chosen(TUMOUR)) / 24

    def recovery(self) -> float:
        """Days until as many divide, or will again, as at the start: senescent and doomed cells aside."""
        dividing = Kinds(exposures=(), living=("cycling", "persister"))
        return time_to_regrowth(self.series, dividing, self.chosen(TUMOUR)) / 24


def follow(design: str, changes: Mapping[str, Any] | None = None) -> Course:
    """Run one design of the seed, with something else changed if need be."""
    return _follow(design, tuple((changes or {}).items()))


@cache
def _follow(design: str, changes: tuple[tuple[str, Any], ...]) -> Course:
    own = read_variants(SEED)["design"][design]
    (variant,) = make_variants(SEED, {design: {**own, **dict(changes)}}, SMALL)
    simulation = Simulation(variant.study)
    snapshots = [take_snapshot(simulation, index) for index in simulation.outputs_now()]
    for record in simulation.steps():
        assert max(abs(each) for each in record.balance.values()) <= tolerances.BALANCE
        snapshots += [take_snapshot(simulation, index) for index in record.outputs]
    cells = cell_table(simulation)
    return Course(cells, stack_series(snapshots), kinds_of_study(variant.study, cells))


# -- TROP2 rises under the inhibitor, and falls on withdrawal ----------------------------------------------------------


def test_induction_follows_its_time_course_up_and_down() -> None:
    course = follow(INHIBITOR)
    inhibition, up = 200 / (200 + 15), course.days <= 11
    fast, slow = math.log(2) / (0.5 * HOUR), math.log(2) / (48 * HOUR)  # c-Myc, and what follows it
    time = course.series.times[up]
    exact = inhibition * (1 - (fast * np.exp(-slow * time) - slow * np.exp(-fast * time)) / (fast - slow))
    assert course.of("induction")[up] == pytest.approx(exact, abs=0.01)
    assert course.of("myc")[up][1:] == pytest.approx(1 - inhibition, abs=0.01)
    fall = course.of("induction")[(course.days >= 12) & (course.days <= 18)]
    assert np.diff(np.log2(fall)) == pytest.approx(-12 / 96, rel=0.02)  # outputs are 12 h apart


def test_trop2_on_the_cells_rises_under_the_inhibitor_and_falls_back_on_withdrawal() -> None:
    course = follow(INHIBITOR)
    on_a_cell = course.of("receptor") / course.living()
    fold = on_a_cell / on_a_cell[0]
    up, down = course.days <= 11, course.days >= 12
    assert (np.diff(fold[up]) > 0).all()
    assert (np.diff(fold[down]) < 0.01).all()
    assert fold[up][-1] == pytest.approx(1 + 3 * course.at(LAST_DAY, "induction"), rel=0.03)
    assert fold[-1] < 1.1


def test_trop2_stays_where_it_is_without_induction() -> None:
    course = follow(INHIBITOR, NO_INDUCTION)
    on_a_cell = course.of("receptor") / course.living()
    assert on_a_cell[course.days <= 11].max() < 1.05 * on_a_cell[0]
    assert course.at(LAST_DAY, "induction") > 0.8  # c-Myc falls all the same


# -- persisters and relapse -------------------------------------------------------------------------------------------


def persisters(course: Course) -> float:
    """Persisters at the end of the treatment, per cell at its start."""
    return course.at(LAST_DAY, "persister")


def test_the_inhibitor_leaves_a_few_persisters_that_seed_relapse() -> None:
    course = follow(INHIBITOR)
    assert 0.001 < persisters(course) < 0.05  # 0.3% (0.1 to 5%) after nine days
    assert persisters(course) > 5 * course.at(LAST_DAY, "cycling")
    assert course.regrowth() < 20
    turned = course.at(16, "persister") / course.at(12, "persister")
    assert turned == pytest.approx(math.exp(-0.1 * 4), rel=0.03)  # back to cycling, a tenth a day


@pytest.mark.parametrize("design", [TOGETHER, THEN])
def test_inhibitor_and_conjugate_leave_fewer_persisters_and_relapse_later_than_either_alone(design: str) -> None:
    both, inhibitor, conjugate = follow(design), follow(INHIBITOR), follow(CONJUGATE)
    assert persisters(both) < 0.25 * persisters(inhibitor)
    assert math.isfinite(both.regrowth())
    assert both.regrowth() > inhibitor.regrowth() + 2 > conjugate.regrowth() + 10


def test_without_damage_the_conjugate_adds_nothing() -> None:
    both, inhibitor = follow(TOGETHER, NO_DAMAGE), follow(INHIBITOR)
    assert both.regrowth() == pytest.approx(inhibitor.regrowth(), abs=0.05)
    assert persisters(both) == pytest.approx(persisters(inhibitor), rel=0.01)


def test_without_a_response_to_it_the_inhibitor_adds_nothing() -> None:
    both, conjugate = follow(TOGETHER, NO_RESPONSE), follow(CONJUGATE)
    assert both.regrowth() == pytest.approx(conjugate.regrowth(), abs=0.05)
    assert both.of("persister").max() == 0


def test_the_conjugate_first_is_worse_than_the_inhibitor_first() -> None:
    then, reverse = follow(THEN), follow(REVERSE)
    assert persisters(then) < 0.7 * persisters(reverse)
    assert then.regrowth() > reverse.regrowth() + 1
    assert then.recovery() > reverse.recovery() + 0.5


def test_without_induction_of_trop2_the_order_no_longer_pays() -> None:
    then, reverse = follow(THEN, NO_INDUCTION), follow(REVERSE, NO_INDUCTION)
    assert persisters(then) > 0.9 * persisters(reverse)
    assert then.recovery() < reverse.recovery()
    assert then.regrowth() < follow(THEN).regrowth() - 1
    assert reverse.regrowth() == pytest.approx(follow(REVERSE).regrowth(), abs=0.1)


# -- the linker -------------------------------------------------------------------------------------------------------


def exposed(course: Course) -> int:
    """Antigen-negative cells in which bound payload ever reaches the damage of half the greatest hazard."""
    return int(np.count_nonzero(course.cells["bound_payload_peak"][course.chosen(NEIGHBOUR)] > 0.057))


def exposure(course: Course) -> float:
    """Mean exposure of the antigen-negative cells to free payload."""
    return float(course.cells["payload_exposure"][course.chosen(NEIGHBOUR)].mean())


def test_the_less_stable_linker_exposes_more_cells_without_antigen() -> None:
    stable, unstable = follow(THEN), follow(SECOND)
    assert (stable.series.cells["complex"][:, stable.chosen(NEIGHBOUR)] == 0).all()
    assert exposed(unstable) > exposed(stable)
    assert exposure(unstable) > 1.8 * exposure(stable)
    assert unstable.of("dead", NEIGHBOUR)[-1] > 1.5 * stable.of("dead", NEIGHBOUR)[-1]


def test_with_the_stable_linker_the_second_conjugate_exposes_no_more() -> None:
    stable, same = follow(THEN), follow(SECOND, SAME_LINKER)
    assert exposed(same) == exposed(stable)
    assert exposure(same) == pytest.approx(7.6 / 7.4 * exposure(stable), rel=0.02)  # by payloads per antibody


# -- the design of the study ------------------------------------------------------------------------------------------


def test_untreated_cells_only_grow() -> None:
    course = follow(UNTREATED)
    assert math.isnan(course.regrowth())
    assert course.living()[-1] == pytest.approx(30, rel=0.05)  # the capacity of the territory of one agent


@pytest.mark.validate
def test_times_to_regrowth_hardly_change_with_voxels_of_half_the_size_and_a_tenth_of_the_tolerance() -> None:
    for design in (THEN, REVERSE, INHIBITOR):
        for finer in ({"grid.voxel": "20 um"}, {"solver.rtol": 1e-3}):
            assert follow(design, finer).regrowth() == pytest.approx(follow(design).regrowth(), abs=0.05), design
