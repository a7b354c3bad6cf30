"""Segments: walking over runs of voxels at fixed offsets adds up what the table of neighbours says, on any geometry."""

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from tests import handmade

from payloadfield.backends.compiled import stencil
from payloadfield.backends.compiled.levels import make_levels
from payloadfield.backends.compiled.segments import make_chunks, make_segments
from payloadfield.errors import GeometryError
from payloadfield.geometry import LabelArray
from payloadfield.solver.discretisation import make_plan

SIDES = st.integers(1, 6)


@st.composite
def plans(draw):
    """Plans of random solids in small boxes with any axes joined."""
    shape = draw(st.tuples(SIDES, SIDES, SIDES))
    label = draw(of_numpy.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    label.flat[draw(st.integers(0, label.size - 1))] = 0
    periodic = draw(st.tuples(*[st.booleans()] * 3))
    try:
        geometry = handmade.make_box(shape, 10.0, periodic, [LabelArray(label, {0: None, 1: "solid"})])
    except GeometryError:  # no two open voxels touch
        reject()
    return make_plan(handmade.make_study("diffusion", geometry, duration=1.0, initial={"solute": 1.0}))


def from_table(neighbour, conductance, u):
    """sum_j g_ij (u_j - u_i) by the table of neighbours."""
    return (conductance.astype(float) * (u[neighbour] - u)).sum(0)


@given(plans(), st.integers(0, 2**32 - 1))
def test_stencil_over_segments_is_the_sum_over_neighbours(plan, seed):
    levels = make_levels(plan.groups[0], plan.neighbour, np.float64)
    u, out = np.random.default_rng(seed).normal(size=plan.n_open), np.zeros(plan.n_open)
    for k in range(levels.chunk_start[1] - 1):
        stencil.divergence(levels.chunks[k], levels.chunks[k + 1], levels.segments, levels.g, 1.0, u, out)
    first, last = levels.extra_start[0], levels.extra_start[1]
    i, j = levels.extra_node[first:last], levels.extra_neighbour[first:last]
    np.add.at(out, i, levels.extra_g[first:last] * (u[j] - u[i]))
    expected = from_table(plan.neighbour, plan.groups[0].conductance, u)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12 * (1 + np.abs(expected).max()))


@given(plans())
def test_segments_cover_every_voxel_once_and_read_nothing_outside(plan):
    group = plan.groups[0]
    segments = make_segments(plan.neighbour, group.conductance)
    covered = np.concatenate([np.arange(a, b) for a, b in segments[:, :2]])
    np.testing.assert_array_equal(covered, np.arange(plan.n_open))
    for first, last, *offsets in segments:
        inside = np.arange(first, last)
        for direction, offset in enumerate(offsets):
            assert first + offset >= 0 and last - 1 + offset < plan.n_open
            is_open = group.conductance[direction, inside] > 0
            np.testing.assert_array_equal(plan.neighbour[direction, inside][is_open], (inside + offset)[is_open])


@given(plans(), st.integers(1, 50))
def test_chunks_share_out_every_segment_in_order(plan, size):
    segments = make_segments(plan.neighbour, plan.groups[0].conductance)
    chunks = make_chunks(segments, size)
    assert chunks[0] == 0 and chunks[-1] == len(segments)
    assert np.all(np.diff(chunks) > 0)


@given(plans())
def test_conductances_are_the_same_from_both_sides_of_a_face(plan):
    g = plan.groups[0].conductance
    for direction in range(6):
        opposite = direction ^ 1
        here = np.flatnonzero(g[direction] > 0)
        np.testing.assert_array_equal(g[opposite, plan.neighbour[direction, here]], g[direction, here])
