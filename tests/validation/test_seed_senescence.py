"""seeds/senescence shows what its README says, at a coarse size: directions, each beside a run without what makes it.

Controls that are another mechanism run on the reference backend, since compiling one takes longer than running it.
"""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from tests import tolerances

from payloadfield.resources import find_seed
from payloadfield.solver import Simulation
from payloadfield.study import make_variants, read_variants

pytestmark = pytest.mark.validate

STUDY = find_seed("senescence") / "study.toml"
PIECE = (
    "size=['320 um','320 um','320 um']"  # an eighth of the construct, as densely seeded, with its share of the medium
)
COARSE = [
    f"grid.{PIECE}", "grid.voxel=40 um", "cells.0.count=375", "cells.1.count=125", "cells.2.count=63",
    "bath.volume=0.25 mL", "bath.construct=['2.56 mm','2.56 mm','0.32 mm']", "output.every=12 h",
]  # fmt: skip
TUMOUR, FIBROBLAST, ENDOTHELIUM = 0, 1, 2
NEIGHBOURS = (FIBROBLAST, ENDOTHELIUM)
HOURS = 3600.0
SHUT = "vesicles and bridges alone"
VARIANTS = read_variants(STUDY)


def changes(design, scenario="washout", **more):
    """What a case of the comparison sets, and more: keys with __ for a dot."""
    return (
        dict(VARIANTS["scenario"][scenario]) | VARIANTS["design"][design]
        | {key.replace("__", "."): value for key, value in more.items()}
    )  # fmt: skip


@cache
def follow(design, scenario="washout", **more):
    """Time courses of states and fates of every cell, (n_time, n_cell), and the fields at the end."""
    (variant,) = make_variants(STUDY, {"case": changes(design, scenario, **more)}, COARSE)
    is_another = scenario == SHUT or any(key.startswith(("modules", "cell_types")) for key in more)
    return observe(variant.study, "numpy" if is_another else "numba")


def observe(study, backend="numba"):
    simulation = Simulation(study, backend=backend)
    present = study.mechanism.state_names
    followed = [
        name for name in ("complex", "payload_cytosol", "payload_bound", "target", "cycling", "damaged", "senescent",
                          "dead", "bound_payload_exposure", "payload_exposure", "taken_up_from_outside",
                          "taken_up_from_vesicles", "taken_up_from_bridges")
        if name in present
    ]  # fmt: skip
    times, courses = [], {name: [] for name in followed}
    for record in simulation.steps():
        assert all(abs(defect) <= tolerances.BALANCE for defect in record.balance.values())
        if record.outputs:
            times.append(record.time)
            for name in followed:
                courses[name].append(simulation.cell_state(name).copy())
    of_type = [study.cells.type_index == k for k in range(3)]
    return SimpleNamespace(
        study=study, time=np.array(times) / HOURS, of_type=of_type, sim=simulation,
        **{name: np.array(values) for name, values in courses.items()},
    )  # fmt: skip


def mean(run, name, kind, hour=168):
    """A state's mean over the cells of a type at a time; 0 where nothing ever makes it."""
    if not hasattr(run, name):
        return 0.0
    row = int(np.argmin(np.abs(run.time - hour)))
    return float(getattr(run, name)[row, run.of_type[kind]].mean())


def hit(run, kind):
    """Share that no longer cycles."""
    return 1 - mean(run, "cycling", kind)


# -- the neighbours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_neighbours_without_antigen_are_exposed_and_hit_by_t_dxd_and_hit_far_less_by_t_dm1(kind):
    t_dxd, t_dm1 = follow("T-DXd"), follow("T-DM1")
    assert mean(t_dxd, "complex", kind, 12) == 0 < mean(t_dxd, "complex", TUMOUR, 12)
    assert mean(t_dxd, "bound_payload_exposure", kind) > 50 * HOURS
    assert hit(t_dxd, kind) > 0.4 and mean(t_dxd, "dead", kind) > 0.05
    assert hit(t_dm1, kind) < 0.2 * hit(t_dxd, kind)
    assert mean(t_dm1, "dead", kind) < 0.1 * mean(t_dxd, "dead", kind)
    assert hit(t_dm1, TUMOUR) > 0.5  # which is no weaker on cells with antigen


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_without_bridges_neighbours_are_exposed_far_less_by_t_dm1_and_with_them_only_hit_far_less(kind):
    def exposure(design, **more):
        return mean(follow(design, **more), "bound_payload_exposure", kind)

    alone = {"modules__bridges": False}
    assert 0 < exposure("T-DM1", **alone) < 0.2 * exposure("T-DXd", **alone)
    assert hit(follow("T-DM1", **alone), kind) < 0.01 * hit(follow("T-DXd", **alone), kind)
    # At the assumed rate bridges bring nearly all that neighbours get of T-DM1, and nothing to speak of under T-DXd.
    assert exposure("T-DM1") > 5 * exposure("T-DM1", **alone)
    assert exposure("T-DXd") == pytest.approx(exposure("T-DXd", **alone), rel=0.02)


# -- vesicles and bridges ---------------------------------------------------------------------------------------------


def test_vesicles_and_bridges_alone_deliver_payload_when_nothing_crosses_membranes():
    run = follow("T-DXd", SHUT)
    for kind in NEIGHBOURS:
        assert mean(run, "bound_payload_exposure", kind) > 100 * HOURS
        assert hit(run, kind) > 0.2
        assert mean(run, "taken_up_from_vesicles", kind) > 1000 and mean(run, "taken_up_from_bridges", kind) > 1000
        assert mean(run, "taken_up_from_outside", kind) == 0


@pytest.mark.parametrize("kept", ["vesicles", "bridges"])
def test_either_way_alone_delivers(kept):
    other = {"vesicles": "bridges", "bridges": "vesicles"}[kept]
    run = follow("T-DXd", SHUT, **{f"modules__{other}": False})
    assert mean(run, f"taken_up_from_{kept}", FIBROBLAST) > 1000
    assert mean(run, f"taken_up_from_{other}", FIBROBLAST) == 0


def test_without_both_not_a_molecule_arrives_and_neighbours_are_spared():
    run = follow("T-DXd", SHUT, modules__vesicles=False, modules__bridges=False)
    assert mean(run, "payload_bound", TUMOUR, 24) > 0
    for kind in NEIGHBOURS:
        assert mean(run, "payload_bound", kind) == mean(run, "bound_payload_exposure", kind) == hit(run, kind) == 0


def test_free_payload_does_nothing_where_membranes_are_shut():
    run = follow("free payload", SHUT)
    assert all(mean(run, "bound_payload_exposure", kind) == hit(run, kind) == 0 for kind in range(3))


# -- senescence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", ["T-DXd", "free payload", "Dato-DXd"])
def test_a_senescent_fraction_stays_after_the_washout_while_free_payload_falls(design):
    run = follow(design)
    for kind in range(3):
        assert mean(run, "senescent", kind) > 0.1
        assert mean(run, "senescent", kind) >= mean(run, "senescent", kind, 48) - 1e-6
        before = mean(run, "payload_cytosol", kind, 24)
        assert mean(run, "payload_cytosol", kind, 120) < 1e-3 * before


def test_without_the_washout_payload_stays_and_without_its_hazard_or_a_dose_nobody_is_senescent():
    no_wash = {f"schedule[{k}]__wash": 1e-9 for k in (1, 2, 3, 4)}
    left = follow("T-DXd", **no_wash)
    assert mean(left, "payload_cytosol", TUMOUR, 120) > 0.1 * mean(left, "payload_cytosol", TUMOUR, 24)
    never = follow("T-DXd", **{"fates__tumour cells__senescence__kmax": "0 / s"})
    undosed = follow("T-DXd", schedule__0__dose__ADC="0 nM")
    for kind in range(3):
        assert mean(never, "senescent", kind) == mean(undosed, "senescent", kind) == 0
        assert hit(undosed, kind) == 0


def test_top1_is_lost_in_exposed_cells_and_stays_low():
    def left(run, kind, hour):
        return (mean(run, "target", kind, hour) + mean(run, "payload_bound", kind, hour)) / mean(run, "target", kind, 0)

    run = follow("T-DXd")
    for kind in range(3):
        assert left(run, kind, 72) < 0.8 and left(run, kind, 168) < 0.8
    assert left(run, TUMOUR, 72) < 0.5
    kept = follow("T-DXd", modules__target_loss=False, **{"fates__tumour cells__senescence__target": 1.0})
    undosed = follow("T-DXd", schedule__0__dose__ADC="0 nM")
    # Without the loss, what remains of it is the living cells' own: contents of dead ones are gone.
    alive = 1 - mean(kept, "dead", TUMOUR, 72)
    assert left(kept, TUMOUR, 72) > 0.95 * alive and left(undosed, TUMOUR, 168) == pytest.approx(1)
    assert left(run, TUMOUR, 72) < 0.7 * (1 - mean(run, "dead", TUMOUR, 72))


# -- one fate curve ---------------------------------------------------------------------------------------------------

DOSES = (0.03, 0.1, 0.3, 1.0, 3.0)


@cache
def cloud(design):
    """Every cell at all doses: log of its exposure to bound payload, its senescent share, and the share that is hit."""
    key = "schedule__0__dose" if design == "free payload" else "schedule__0__dose__ADC"
    points = []
    for factor in DOSES:
        amount = f"{20 * factor} nM"
        variant = changes(design, **({} if design == "free payload" else {key: amount}))
        if design == "free payload":
            variant["schedule[0].dose"] = {"DXd": amount}
        (made,) = make_variants(STUDY, {"case": variant}, COARSE)
        run = observe(made.study)
        points.append((np.log(run.bound_payload_exposure[-1]), run.senescent[-1], 1 - run.cycling[-1]))
    return np.concatenate(points, axis=1)


def deviation(design, fate):
    """Largest distance of a design's cells from the curve of T-DXd, where that has points."""
    exposure, *fates = cloud("T-DXd")
    bins = np.array_split(np.argsort(exposure), 60)
    place = np.array([exposure[each].mean() for each in bins])
    curve = np.array([fates[fate][each].mean() for each in bins])
    own, *of_own = cloud(design)
    inside = (own > place[0]) & (own < place[-1])
    assert inside.sum() > 50
    return float(np.abs(of_own[fate] - np.interp(own, place, curve))[inside].max())


@pytest.mark.parametrize("fate", [0, 1])
def test_free_payload_and_the_trop2_conjugate_give_the_fate_curve_of_t_dxd_and_another_payload_does_not(fate):
    assert deviation("free payload", fate) < 0.1
    assert deviation("Dato-DXd", fate) < 0.1
    assert deviation("T-DM1", fate) > 0.3


def test_at_the_same_dose_the_three_do_not_give_the_same_fates():
    shares = [mean(follow(design), "senescent", FIBROBLAST) for design in ("T-DXd", "Dato-DXd")]
    assert shares[0] > 1.3 * shares[1]


def test_dato_dxd_needs_trop2():
    without = follow("Dato-DXd", **{"cell_types__SK-BR-3__antigens__TROP2__receptors": 0})
    assert hit(without, TUMOUR) < 0.5 * hit(follow("Dato-DXd"), TUMOUR)


# -- what senescent cells secrete, and what kills them ----------------------------------------------------------------


UNDOSED = {"schedule__0__dose__ADC": "0 nM"}
# With the library's numbers it diffuses 1.7 mm before it is lost: smooth, whoever secretes it. Here, 30 um.
SHORT_WAY = {"secreted.SASP.diffusivity": "1 um^2 / s", "secreted.SASP.k_loss": "1e-3 / s"}


@cache
def sasp(**more):
    """Mean SASP at the end, and SASP in every cell's voxel, after a dose that makes tumour cells senescent."""
    variant = changes("T-DXd", **({"schedule__0__dose__ADC": "1 nM"} | more))
    (made,) = make_variants(STUDY, {"case": variant}, [each.replace("voxel=40", "voxel=20") for each in COARSE])
    run = observe(made.study)
    study = run.study
    field = np.full(study.geometry.open_fraction.shape, np.nan)
    field[study.geometry.open_fraction > 0] = run.sim.state.fields[study.mechanism.field_names.index("sasp")]
    place = tuple((study.cells.position[:, k] // 20).astype(int) for k in range(3))
    return float(np.nanmean(field)), field[place], run.senescent[-1]


def test_sasp_is_there_for_senescent_cells():
    level, *_ = sasp()
    assert level > 3 * sasp(**UNDOSED)[0] > 0  # nobody senescent: what all cells secrete
    assert sasp(**{"secreted.SASP.secretion": "0 molecules / s"})[0] == 0


def test_a_field_of_sasp_stands_around_senescent_cells_and_not_around_others():
    _, level, senescent = sasp(**SHORT_WAY)
    is_senescent = senescent > 0.3
    assert is_senescent.sum() > 300 and (~is_senescent).sum() > 150

    def excess(values):
        return np.nanmean(values[is_senescent]) / np.nanmean(values[~is_senescent])

    _, undosed, nobody = sasp(**SHORT_WAY | UNDOSED)
    assert not nobody.any()
    assert excess(level) > 1.3
    assert excess(undosed) < 1.1  # the same places, where nobody is senescent and all cells secrete


@pytest.mark.parametrize("kind", range(3))
def test_a_senolytic_removes_senescent_cells_and_only_those(kind):
    without, treated = follow("T-DXd"), follow("T-DXd", "washout and senolytic")
    assert mean(treated, "senescent", kind) < 0.25 * mean(without, "senescent", kind)
    for fate in ("cycling", "damaged"):
        assert mean(treated, fate, kind) == pytest.approx(mean(without, fate, kind), rel=0.01, abs=1e-4)
    removed = mean(without, "senescent", kind) - mean(treated, "senescent", kind)
    assert mean(treated, "dead", kind) - mean(without, "dead", kind) == pytest.approx(removed, rel=0.02)
    assert mean(treated, "senescent", kind, 120) == pytest.approx(mean(without, "senescent", kind, 120), rel=1e-3)


def test_a_senolytic_kills_nobody_where_nobody_is_senescent():
    run = follow("T-DXd", "washout and senolytic", schedule__0__dose__ADC="0 nM")
    assert all(mean(run, "dead", kind) == 0 for kind in range(3))
