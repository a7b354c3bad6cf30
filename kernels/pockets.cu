// Shifts of the pockets of a loop of fields that do not reach the same pockets.
//
// Such pockets overlap: pieces are voxels that lie in the same pocket of every field, a component is pieces that hang
// together by pockets. The unknowns of a component are numbered by slots, of which each field has as many as it has
// pockets in any one component; slot[k, r] is that of field k of the group in piece r. It is -1 where the voxels of the
// piece are pockets of their own: those of a field that stays where it is, or a voxel that it cannot leave. Unknowns of
// such single voxels, y, are eliminated voxel by voxel before those of the pockets, x; with D = N^-1 their own block:
//   A x + B y = R,   C x + D y = r:   (A - sum_v B N C) x = R - sum_v B N r,   y = N (r - C x)
// (solver/conservation.py). n_local fields of the group, the same in all voxels, have single voxels somewhere.

// Piece of a voxel; none are given where there is but one.
__device__ __forceinline__ long long piece_of(const long long v, const long long n_pieces, const int* piece) {
    return n_pieces > 1 ? piece[v] : 0;
}

// out_v = a_v where field `one` has a single voxel, and field `other` has one or has none, else 0
//
// What of a coupling, or of a residual, concerns single voxels.
// over: n by n_designs
// twin: numpy.where
//   n             scalar               [1] open voxels
//   n_pieces      scalar               [1]
//   one           scalar               [1] number of a field in its group, below n_group
//   other         scalar               [1] number of a field in its group, below n_group
//   other_single  scalar               [1] 1 where the other field must have a single voxel, 0 where it must have none
//   piece         (n_given)            [1] piece of each voxel
//   slot          (n_group, n_pieces)  [1] -1 for single voxels
//   a             (n_designs, n)       [um^3/s, or nM um^3/s]
//   out           (n_designs, n)       [as a]
extern "C" __global__ void __launch_bounds__(BLOCK) take_single(
    const long long n, const long long n_pieces, const int one, const int other, const int other_single,
    const int* __restrict__ piece, const int* __restrict__ slot, const real* __restrict__ a, double* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    const long long r = piece_of(v, n_pieces, piece);
    const bool here = slot[one * n_pieces + r] < 0 && (slot[other * n_pieces + r] < 0) == (other_single != 0);
    out[row_of(n, v)] = here ? double(a[row_of(n, v)]) : 0.0;
}

// out_v = -sum_ij B_iv N_ijv r_jv
//
// What the elimination of single voxels adds to a matrix of the pockets, r a column of C, or to a right-hand side.
// over: n by n_designs
// twin: PocketSystem._without_largest
//   n        scalar                            [1] open voxels
//   n_local  scalar                            [1]
//   B        (n_local, n_designs, n)           [um^3/s]
//   N        (n_local, n_local, n_designs, n)  [s/um^3]
//   r        (n_local, n_designs, n)           [um^3/s, or nM um^3/s]
//   out      (n_designs, n)                    [as r]
extern "C" __global__ void __launch_bounds__(BLOCK) eliminate(
    const long long n, const int n_local, const double* __restrict__ B, const double* __restrict__ N,
    const double* __restrict__ r, real* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    const long long own = row_of(n, v), step = (long long)gridDim.y * n;
    double total = 0.0;
    for (int i = 0; i < n_local; ++i) {
        double y = 0.0;
        for (int j = 0; j < n_local; ++j) y += N[(i * n_local + j) * step + own] * r[j * step + own];
        total += B[i * step + own] * y;
    }
    out[own] = real(-total);
}

// r_jv -= C_jv d_p(v)
//
// What the shifts of a field's pockets leave of the residuals of single voxels.
// over: n by n_designs
// twin: PocketSystem._without_largest
//   n         scalar                   [1] open voxels
//   n_local   scalar                   [1]
//   n_pieces  scalar                   [1]
//   piece     (n_given)                [1] piece of each voxel
//   C         (n_local, n_designs, n)  [um^3/s]
//   shift     (n_designs, n_pieces)    [nM]
//   r         (n_local, n_designs, n)  [nM um^3/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) leave_single(
    const long long n, const int n_local, const long long n_pieces, const int* __restrict__ piece,
    const double* __restrict__ C, const real* __restrict__ shift, double* __restrict__ r
) {
    const long long v = item();
    if (v >= n) return;
    const long long own = row_of(n, v), step = (long long)gridDim.y * n;
    const double d = double(shift[row_of(n_pieces, piece_of(v, n_pieces, piece))]);
    for (int j = 0; j < n_local; ++j) r[j * step + own] -= C[j * step + own] * d;
}

// u_fv += sum_j N_ijv r_jv
//
// A field's increment shifted in its single voxels; it is number `row` of those that have some.
// over: n by n_designs
// twin: PocketSystem._without_largest
//   n         scalar                            [1] open voxels
//   n_fields  scalar                            [1]
//   field     scalar                            [1] below n_fields
//   n_local   scalar                            [1]
//   row       scalar                            [1] below n_local
//   N         (n_local, n_local, n_designs, n)  [s/um^3] moves (n_local, n_designs, n)
//   r         (n_local, n_designs, n)           [nM um^3/s]
//   out       (n_designs, n_fields, n)          [nM] in place, moves (n_designs, n)
extern "C" __global__ void __launch_bounds__(BLOCK) shift_single(
    const long long n, const int n_fields, const int field, const int n_local, const int row,
    const double* __restrict__ N, const double* __restrict__ r, real* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    const long long own = row_of(n, v), step = (long long)gridDim.y * n;
    double y = 0.0;
    for (int j = 0; j < n_local; ++j) y += N[(row * n_local + j) * step + own] * r[j * step + own];
    out[row_of(n_fields, field) * n + v] += real(y);
}

// M_ab,c = sum of a_tr over pieces r of component c, in pairs t of fields with slots a and b there
//
// The matrices of components from sums over pieces; every pair may come more than once.
// over: n_components by n_designs
// twin: PocketSystem.add_coupling
//   n_components  scalar                                       [1]
//   n_slots       scalar                                       [1] unknowns of a component
//   n_pieces      scalar                                       [1]
//   n_pairs       scalar                                       [1]
//   rows          (n_pairs)                                    [1] number in the group of the field that loses
//   columns       (n_pairs)                                    [1] number in the group of the field that it loses by
//   first_piece   (n_components+1)                             [1] pieces are ordered by component
//   slot          (n_group, n_pieces)                          [1] -1 for single voxels
//   sums          (n_pairs, n_designs, n_pieces)               [um^3/s]
//   matrix        (n_slots, n_slots, n_designs, n_components)  [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) collect_matrix(
    const long long n_components, const int n_slots, const long long n_pieces, const int n_pairs,
    const int* __restrict__ rows, const int* __restrict__ columns, const long long* __restrict__ first_piece,
    const int* __restrict__ slot, const double* __restrict__ sums, double* __restrict__ matrix
) {
    const long long c = item();
    if (c >= n_components) return;
    const long long own = row_of(n_components, c), step = (long long)gridDim.y * n_components;
    for (int k = 0; k < n_slots * n_slots; ++k) matrix[k * step + own] = 0.0;
    for (int t = 0; t < n_pairs; ++t) {
        for (long long r = first_piece[c]; r < first_piece[c + 1]; ++r) {
            const int a = slot[rows[t] * n_pieces + r], b = slot[columns[t] * n_pieces + r];
            if (a < 0 || b < 0) continue;
            matrix[(a * n_slots + b) * step + own] += sums[((long long)t * gridDim.y + blockIdx.y) * n_pieces + r];
        }
    }
}

// R_a,c = sum of a_tr over pieces r of component c, in rows t of fields with slot a there
//
// Residuals of components from sums over pieces; every field may come more than once.
// over: n_components by n_designs
// twin: ReferenceBackend.pocket_sums
//   n_components  scalar                              [1]
//   n_slots       scalar                              [1] unknowns of a component
//   n_pieces      scalar                              [1]
//   n_rows        scalar                              [1]
//   rows          (n_rows)                            [1] number of a field in the group
//   first_piece   (n_components+1)                    [1] pieces are ordered by component
//   slot          (n_group, n_pieces)                 [1] -1 for single voxels
//   sums          (n_rows, n_designs, n_pieces)       [nM um^3/s]
//   residual      (n_slots, n_designs, n_components)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) collect_residuals(
    const long long n_components, const int n_slots, const long long n_pieces, const int n_rows,
    const int* __restrict__ rows, const long long* __restrict__ first_piece, const int* __restrict__ slot,
    const double* __restrict__ sums, double* __restrict__ residual
) {
    const long long c = item();
    if (c >= n_components) return;
    const long long own = row_of(n_components, c), step = (long long)gridDim.y * n_components;
    for (int k = 0; k < n_slots; ++k) residual[k * step + own] = 0.0;
    for (int t = 0; t < n_rows; ++t) {
        for (long long r = first_piece[c]; r < first_piece[c + 1]; ++r) {
            const int a = slot[rows[t] * n_pieces + r];
            if (a < 0) continue;
            residual[a * step + own] += sums[((long long)t * gridDim.y + blockIdx.y) * n_pieces + r];
        }
    }
}

// d_kr = d_a,c with the slot a of field k in piece r of component c; 0 where it has single voxels
//
// The shifts of the components' unknowns, by pieces, for every field of the group.
// over: n_components by n_designs
// twin: numpy.take
//   n_components  scalar                              [1]
//   n_group       scalar                              [1] fields of the group
//   n_pieces      scalar                              [1]
//   first_piece   (n_components+1)                    [1] pieces are ordered by component
//   slot          (n_group, n_pieces)                 [1] -1 for single voxels
//   shift         (n_slots, n_designs, n_components)  [nM]
//   out           (n_group, n_designs, n_pieces)      [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) spread_shifts(
    const long long n_components, const int n_group, const long long n_pieces,
    const long long* __restrict__ first_piece, const int* __restrict__ slot, const real* __restrict__ shift,
    real* __restrict__ out
) {
    const long long c = item();
    if (c >= n_components) return;
    const long long own = row_of(n_components, c), step = (long long)gridDim.y * n_components;
    for (int k = 0; k < n_group; ++k) {
        for (long long r = first_piece[c]; r < first_piece[c + 1]; ++r) {
            const int a = slot[k * n_pieces + r];
            out[((long long)k * gridDim.y + blockIdx.y) * n_pieces + r] = a < 0 ? real(0) : shift[a * step + own];
        }
    }
}
