"""Whether a surface of triangles is closed and turned one way; small holes closed and triangles turned on request.

Every edge of a closed surface belongs to two triangles that pass along it in opposite directions.
"""

from dataclasses import dataclass

import numpy as np

from payloadfield.errors import GeometryError
from payloadfield.geometry.grid import FloatArray
from payloadfield.geometry.mesh.triangles import IntArray, Triangles

# A hole is small if no two of its vertices are further apart than this share of the mesh's diagonal.
SMALL_HOLE = 0.1
PLACES_SHOWN = 3
# A volume below this share of that of a ball with the same area counts as none.
SMALLEST_VOLUME = 1e-9


@dataclass(frozen=True, eq=False)
class Edges:
    """Sides of triangles, sorted so that those along one edge are neighbours.

    start, end: (3 m,) vertices, in the direction of the triangle; triangle: (3 m,) to which each side belongs
    first: position of the first side of each edge; count: number of sides; balance: those one way less those back
    """

    start: IntArray
    end: IntArray
    triangle: IntArray
    first: IntArray
    count: IntArray
    balance: IntArray


def find_edges(triangles: Triangles) -> Edges:
    """Sides of all triangles, grouped by edge."""
    faces, n = triangles.faces, len(triangles.vertices)
    start, end = faces.T.reshape(-1), np.roll(faces, -1, axis=1).T.reshape(-1)
    key = np.minimum(start, end) * n + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    start, end, key = start[order], end[order], key[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    count = np.diff(np.concatenate([first, [len(key)]]))
    balance = np.add.reduceat(np.where(start < end, 1, -1), first)
    return Edges(start, end, order % len(faces), first, count, balance)


def check_surface(triangles: Triangles, where: str, *, repair: bool = False) -> Triangles:
    """The surface, turned outwards, after its holes were closed if `repair` and they are small.

    Raises GeometryError for holes, triangles turned against their neighbours, or a surface around nothing, with the
    places of the first ones.
    """
    if not len(triangles.faces):
        raise GeometryError(f"{where}: holds no triangle with three different corners")
    if repair:
        triangles = _close_holes(_turn_alike(triangles), where)
    edges = find_edges(triangles)
    single = edges.count % 2 == 1
    if single.any():
        raise GeometryError(
            f"{where}: is open: {int(single.sum()):,} edges belong to one triangle only, "
            f"{_places(triangles, edges, single)}; close its holes, or set repair = true for small ones"
        )
    against = edges.balance != 0
    if against.any():
        raise GeometryError(
            f"{where}: {int(against.sum()):,} edges join triangles that face opposite ways, "
            f"{_places(triangles, edges, against)}; turn them alike, or set repair = true"
        )
    return _turned_outwards(triangles, where)


def _places(triangles: Triangles, edges: Edges, which: np.ndarray) -> str:
    at = edges.first[which][:PLACES_SHOWN]
    middles = (triangles.vertices[edges.start[at]] + triangles.vertices[edges.end[at]]) / 2
    return "such as near " + ", ".join(describe_place(middle) for middle in middles)


def describe_place(point: FloatArray) -> str:
    """A point z, y, x as a text, x first."""
    z, y, x = point
    return f"({x:.6g}, {y:.6g}, {z:.6g}) um"


def _turned_outwards(triangles: Triangles, where: str) -> Triangles:
    volume = triangles.volume
    a, b, c = np.moveaxis(triangles.corners, 1, 0)
    area = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
    if abs(volume) <= SMALLEST_VOLUME * area**1.5:
        raise GeometryError(
            f"{where}: encloses no volume ({volume:.3g} um^3 within {area:.3g} um^2 of surface): its "
            "walls have no thickness; thicken them"
        )
    return triangles if volume > 0 else Triangles(triangles.vertices, triangles.faces[:, ::-1])


def _turn_alike(triangles: Triangles) -> Triangles:
    """Triangles turned the way of their neighbours, each connected part outwards."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    edges, m = find_edges(triangles), len(triangles.faces)
    pairs = edges.first[edges.count == 2]
    a, b = edges.triangle[pairs], edges.triangle[pairs + 1]
    differ = (edges.start[pairs] == edges.start[pairs + 1]).astype(np.int64)
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(m, m)).tocsr()
    n_parts, part = connected_components(graph, directed=False)
    turned = np.zeros(m, np.int64)
    unlike = dict(zip(zip(a.tolist(), b.tolist(), strict=True), differ.tolist(), strict=True)) if differ.any() else {}
    if unlike:
        for first in np.unique(part, return_index=True)[1]:
            order, before = breadth_first_order(graph, first, directed=False)
            for triangle in order[1:].tolist():
                ahead = int(before[triangle])
                pair = (ahead, triangle) if (ahead, triangle) in unlike else (triangle, ahead)
                turned[triangle] = turned[ahead] ^ unlike[pair]
    faces = np.where(turned[:, None] == 1, triangles.faces[:, ::-1], triangles.faces)
    corners = triangles.vertices[faces] - triangles.vertices.mean(axis=0)
    volume = np.bincount(part, np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])), n_parts)
    inwards = (volume < 0)[part] & bool(unlike)
    return Triangles(triangles.vertices, np.where(inwards[:, None], faces[:, ::-1], faces))


def _close_holes(triangles: Triangles, where: str) -> Triangles:
    """The surface with a fan around the middle of each hole; Raises GeometryError for a large hole."""
    edges = find_edges(triangles)
    at = edges.first[edges.count == 1]
    if not len(at):
        return triangles
    low, high = triangles.bounds
    most = SMALL_HOLE * float(np.linalg.norm(high - low))
    vertices, faces, n = [triangles.vertices], [triangles.faces], len(triangles.vertices)
    for loop in _loops(edges.end[at], edges.start[at]):
        rim = triangles.vertices[loop]
        width = float(np.linalg.norm(rim.max(axis=0) - rim.min(axis=0)))
        if width > most:
            raise GeometryError(
                f"{where}: a hole {width:.4g} um wide near {describe_place(rim.mean(axis=0))} is too large to be "
                f"closed (more than {most:.4g} um); close it in the program that made the mesh"
            )
        around = np.array(loop)
        faces.append(np.stack([around, np.roll(around, -1), np.full(len(loop), n)], axis=1))
        vertices.append(rim.mean(axis=0)[None])
        n += 1
    return Triangles(np.concatenate(vertices), np.concatenate(faces))


def _loops(start: IntArray, end: IntArray) -> list[list[int]]:
    """Closed rounds along directed edges."""
    following: dict[int, list[int]] = {}
    for a, b in zip(start.tolist(), end.tolist(), strict=True):
        following.setdefault(a, []).append(b)
    loops = []
    while following:
        loop = [next(iter(following))]
        while loop[-1] in following:
            ahead = following[loop[-1]]
            loop.append(ahead.pop())
            if not ahead:
                del following[loop[-2]]
            if loop[-1] == loop[0]:
                break
        if len(loop) > 3 and loop[-1] == loop[0]:
            loops.append(loop[:-1])
    return loops
