"""Conservation to round-off: the shift of each connected pocket that closes the books of an unconverged solve.

An elliptic solve stopped early leaves a residual r. Adding to the solution, on each pocket p, the constant d_p that
makes the residuals of the pocket sum to zero restores the balance without another solve. Diffusion does not see
constants, so with K_p the sum over the pocket of the zeroth-order terms, G_p of its bath conductances, B the diagonal
of a finite bath and R the residual sums,
    K_p d_p - G_p e = R_p,      B e - sum_p G_p d_p = R_bath;
fields that depend on each other in a loop are shifted together, coupled by the sums of their cross terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

_Floats = NDArray[np.float64]
_Entries = list[tuple[_Floats, NDArray[np.int64], NDArray[np.int64]]]


class PocketSystem:
    """The small linear system of the shifts of one group of fields, factored once per step.

    Unknowns: the shifts of the pockets of each field of the group in turn, then, if the bath is finite, its shift for
    each field.
    """

    def __init__(self, n_pockets: Sequence[int], *, finite_bath: bool) -> None:
        self._start = np.concatenate([[0], np.cumsum(n_pockets)]).astype(np.int64)
        self._n_fields = len(n_pockets)
        self._finite_bath = finite_bath
        self._size = int(self._start[-1]) + (self._n_fields if finite_bath else 0)
        self._entries: _Entries = []
        self._apply_inverse: Callable[[_Floats], _Floats]

    def add_field(self, k: int, diagonal: _Floats) -> None:
        """Add the pocket sums of field k's own zeroth-order terms, (P,); zero where the field cannot be: no shift."""
        rows = self._start[k] + np.arange(len(diagonal))
        self._entries.append((np.where(diagonal == 0.0, 1.0, diagonal), rows, rows))

    def add_coupling(
        self,
        k: int,
        j: int,
        factor: float,
        values: _Floats,
        pocket_k: NDArray[np.int32],
        pocket_j: NDArray[np.int32],
        at: slice | NDArray[np.int64] = slice(None),
    ) -> None:
        """Add cross terms of field k with field j: factor times values, the loss in k per unit of j.

        values (m,): in voxels, or at entries of cells, which are in the voxels `at`; pocket_k, pocket_j (n,): the
        pockets of the two fields in every voxel.
        """
        sizes = self._start[k + 1] - self._start[k], self._start[j + 1] - self._start[j]
        if sizes == (1, 1):
            values = np.array([values.sum()])
            rows = columns = np.zeros(1, np.int64)
        else:
            rows, columns = pocket_k[at].astype(np.int64), pocket_j[at].astype(np.int64)
            if sizes[0] * sizes[1] < len(values):  # few pockets: one value for each pair of them
                summed = np.bincount(rows * sizes[1] + columns, weights=values, minlength=sizes[0] * sizes[1])
                values = np.asarray(summed, float)
                rows, columns = np.divmod(np.arange(len(values)), sizes[1])
        self._entries.append((factor * values, self._start[k] + rows, self._start[j] + columns))

    def add_bath(self, k: int, diagonal: float, pocket_conductance: _Floats, couplings: Mapping[int, float]) -> None:
        """Add the bath's row and column of field k: diagonal B, G of each pocket, losses per unit of other fields."""
        bath = int(self._start[-1])
        rows = self._start[k] + np.arange(len(pocket_conductance))
        column = np.full(len(rows), bath + k)
        self._entries.append((-pocket_conductance, rows, column))
        self._entries.append((-pocket_conductance, column, rows))
        self._entries.append((np.array([diagonal]), np.array([bath + k]), np.array([bath + k])))
        for j, value in couplings.items():
            self._entries.append((np.array([value]), np.array([bath + k]), np.array([bath + j])))

    def factor(self) -> None:
        """Assemble and factor the matrix; where that fails, shifts are nan, and the step is rejected."""
        values, rows, columns = (np.concatenate([entry[i] for entry in self._entries]) for i in range(3))
        counts = values != 0.0
        if np.array_equal(rows[counts], columns[counts]):
            diagonal = np.bincount(rows, weights=np.where(rows == columns, values, 0.0), minlength=self._size)
            self._apply_inverse = lambda right: right / diagonal
            return
        matrix = sparse.coo_array((values, (rows, columns)), shape=(self._size, self._size)).tocsr()
        try:
            self._apply_inverse = self._without_largest(matrix)
        except RuntimeError:  # singular, or made of nan: a step far too long
            self._apply_inverse = lambda right: np.full_like(right, np.nan)

    def _without_largest(self, matrix: sparse.csr_array) -> Callable[[_Floats], _Floats]:
        """The inverse by blocks: the field with most pockets, a field that does not move has one in every voxel, first.

        Its own block D is diagonal:  S = A - B D^-1 C,   x = S^-1 (r - B D^-1 q),   y = D^-1 (q - C x).
        """
        largest = int(np.argmax(np.diff(self._start)))
        own = np.arange(self._start[largest], self._start[largest + 1])
        rest = np.r_[0 : self._start[largest], self._start[largest + 1] : self._size]
        across, back = matrix[own][:, rest], matrix[rest][:, own]
        inverse = 1.0 / matrix.diagonal()[own]
        apply = splu((matrix[rest][:, rest] - back @ (sparse.diags_array(inverse) @ across)).tocsc()).solve

        def apply_inverse(right: _Floats) -> _Floats:
            out = np.empty_like(right)
            out[rest] = apply(right[rest] - back @ (inverse * right[own]))
            out[own] = inverse * (right[own] - across @ out[rest])
            return out

        return apply_inverse

    def solve(self, residuals: Sequence[_Floats], bath_residuals: Sequence[float]) -> tuple[list[_Floats], _Floats]:
        """Shifts of each field's pockets, and of the bath of each field (zeros if infinite)."""
        right = np.concatenate([*residuals, np.asarray(bath_residuals if self._finite_bath else [], float)])
        solution = self._apply_inverse(right)
        shifts = [solution[self._start[k] : self._start[k + 1]] for k in range(self._n_fields)]
        bath = solution[self._start[-1] :] if self._finite_bath else np.zeros(self._n_fields)
        return shifts, bath
