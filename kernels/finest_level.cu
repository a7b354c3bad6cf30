// The V-cycle on the voxels: one thread per place of the table of words (common.cuh), or per aggregate.
//
// A V-cycle begins with two smoothing steps from zero in one pass, restricts what they leave, takes the coarser levels'
// correction with a smoothing step, and ends with another. Where (BLOCK, 1) stands, a compiler that saves registers for
// more blocks at once would spill some.

// q_i = 1 / (z_i / D + sum_d g_di)
//
// Reciprocal diagonal; 1 where the diagonal is zero.
// over: 32 n_words by n_designs
// twin: _Levels.set_zeroth
//   n        scalar          [1] open voxels
//   n_words  scalar          [1]
//   words    (n_words, 8)    [1] see common.cuh
//   faces    (3, n)          [um] conductances, on the lower side
//   D        (n_designs)     [um^2/s]
//   zeroth   (n_designs, n)  [um^3/s]
//   inverse  (n_designs, n)  [1/um]
extern "C" __global__ void __launch_bounds__(BLOCK) finest_diagonal(
    const long long n, const long long n_words, const int* __restrict__ words, const float* __restrict__ faces,
    const real* __restrict__ D, const real* __restrict__ zeroth, small* __restrict__ inverse
) {
    Around at;
    if (!look_around(item(), n, n_words, words, faces, at)) return;
    const long long k = row_of(n, at.i);
    real total = real(0);
#pragma unroll
    for (int d = 0; d < 6; ++d) total += real(at.g[d]);
    total += zeroth[k] / D[blockIdx.y];
    inverse[k] = total > real(0) ? small(real(1) / total) : small(1);
}

// Z_k = sum_i z_i over the voxels i of aggregate k;   Q_k = 1 / (Z_k / D + s_k)
//
// The same on the next level.
// over: n_coarse by n_designs
// twin: _Levels.set_zeroth
//   n            scalar                 [1] open voxels
//   n_coarse     scalar                 [1] nodes of the next level
//   n_words      scalar                 [1]
//   words        (n_words, 8)           [1] see common.cuh
//   child_start  (n_coarse+1)           [1] first voxel of each
//   place        (n)                    [1] voxels of this level by their places
//   D            (n_designs)            [um^2/s]
//   zeroth       (n_designs, n)         [um^3/s]
//   row_sum      (n_coarse)             [um] s
//   work         (n_designs, n_coarse)  [um^3/s] Z
//   inverse      (n_designs, n_coarse)  [1/um] Q
extern "C" __global__ void __launch_bounds__(BLOCK) coarsen_finest(
    const long long n, const long long n_coarse, const long long n_words, const int* __restrict__ words,
    const long long* __restrict__ child_start, const int* __restrict__ place, const real* __restrict__ D,
    const real* __restrict__ zeroth, const real* __restrict__ row_sum, real* __restrict__ work,
    small* __restrict__ inverse
) {
    const long long k = item();
    if (k >= n_coarse) return;
    const real* own = zeroth + row_of(n, 0);
    real z = real(0);
    for (long long c = child_start[k]; c < child_start[k + 1]; ++c) z += own[voxel_at(place[c], words)];
    const real total = z / D[blockIdx.y] + row_sum[k];
    work[row_of(n_coarse, k)] = z;
    inverse[row_of(n_coarse, k)] = total > real(0) ? small(real(1) / total) : small(1);
}

// b_i = r_i / (sqrt(rr) D);   y_i = w b_i q_i;   x_i = (1 - v) y_i + v (b_i + sum_d g_di y_j) q_i
//
// The right-hand side of the V-cycle, of norm 1 / D so that single precision holds it, and two smoothing steps from
// zero, of weights w and v; the first of them is never stored.
// over: 32 n_words by n_designs
// twin: ReferenceBackend._cycle
//   n        scalar          [1] open voxels
//   n_words  scalar          [1]
//   words    (n_words, 8)    [1] see common.cuh
//   faces    (3, n)          [um] conductances, on the lower side
//   inverse  (n_designs, n)  [1/um] q
//   D        (n_designs)     [um^2/s]
//   w        scalar          [1]
//   v        scalar          [1]
//   rr       (n_designs)     [nM^2 um^6/s^2] r.r
//   r        (n_designs, n)  [nM um^3/s]
//   b        (n_designs, n)  [s/um^2]
//   x        (n_designs, n)  [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) begin_cycle(
    const long long n, const long long n_words, const int* __restrict__ words, const float* __restrict__ faces,
    const small* __restrict__ inverse, const real* __restrict__ D, const small w, const small v,
    const double* __restrict__ rr, const real* __restrict__ r, small* __restrict__ b, small* __restrict__ x
) {
    Around at;
    if (!look_around(item(), n, n_words, words, faces, at)) return;
    const double factor = scale_of(rr[blockIdx.y], D[blockIdx.y]);
    const real* right = r + row_of(n, 0);
    const small* q = inverse + row_of(n, 0);
    small total = small(0);
#pragma unroll
    for (int d = 0; d < 6; ++d) {
        const int j = at.j[d];
        total += small(at.g[d]) * (w * (small(double(right[j]) * factor) * q[j]));
    }
    const long long k = row_of(n, at.i);
    const small own = small(double(r[k]) * factor);
    b[k] = own;
    x[k] = (small(1) - v) * (w * (own * inverse[k])) + v * (own + total) * inverse[k];
}

// B_k = sum_i (b - A x)_i over the voxels i of aggregate k;   X_k = weight B_k Q_k
//
// Residual, restriction and the first smoothing step of the next level; the residual itself is never stored.
// over: n_coarse by n_designs
// twin: ReferenceBackend._cycle
//   n               scalar                 [1] open voxels
//   n_coarse        scalar                 [1] nodes of the next level
//   n_words         scalar                 [1]
//   words           (n_words, 8)           [1] see common.cuh
//   faces           (3, n)                 [um] conductances, on the lower side
//   inverse         (n_designs, n)         [1/um]
//   b               (n_designs, n)         [s/um^2]
//   x               (n_designs, n)         [s/um^3]
//   child_start     (n_coarse+1)           [1] first voxel of each node of the next level
//   place           (n)                    [1] voxels of this level by their places
//   coarse_inverse  (n_designs, n_coarse)  [1/um] Q
//   weight          scalar                 [1]
//   coarse_b        (n_designs, n_coarse)  [s/um^2] B
//   coarse_x        (n_designs, n_coarse)  [s/um^3] X
extern "C" __global__ void __launch_bounds__(BLOCK, 1) restrict_finest(
    const long long n, const long long n_coarse, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const small* __restrict__ inverse, const small* __restrict__ b,
    const small* __restrict__ x, const long long* __restrict__ child_start, const int* __restrict__ place,
    const small* __restrict__ coarse_inverse, const small weight, small* __restrict__ coarse_b,
    small* __restrict__ coarse_x
) {
    const long long node = item();
    if (node >= n_coarse) return;
    const small* own = x + row_of(n, 0);
    small left = small(0);
    for (long long c = child_start[node]; c < child_start[node + 1]; ++c) {
        Around at;
        if (!look_around(place[c], n, n_words, words, faces, at)) continue;
        const long long k = row_of(n, at.i);
        left += b[k] + inflow(at, own) - x[k] / inverse[k];
    }
    const long long k = row_of(n_coarse, node);
    coarse_b[k] = left;
    coarse_x[k] = weight * (left * coarse_inverse[k]);
}

// y_i = x_i + X_parent(i);   out_i = (1 - weight) y_i + weight (b_i + sum_d g_di y_j) q_i
//
// Prolongation and the first smoothing step after it; y itself is never stored.
// over: 32 n_words by n_designs
// twin: ReferenceBackend._cycle
//   n         scalar                 [1] open voxels
//   n_coarse  scalar                 [1] nodes of the next level
//   n_words   scalar                 [1]
//   words     (n_words, 8)           [1] see common.cuh
//   faces     (3, n)                 [um] conductances, on the lower side
//   inverse   (n_designs, n)         [1/um]
//   weight    scalar                 [1]
//   b         (n_designs, n)         [s/um^2]
//   x         (n_designs, n)         [s/um^3]
//   parent    (n)                    [1] node of the next level
//   coarse    (n_designs, n_coarse)  [s/um^3] X
//   out       (n_designs, n)         [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) prolong_finest(
    const long long n, const long long n_coarse, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const small* __restrict__ inverse, const small weight, const small* __restrict__ b,
    const small* __restrict__ x, const int* __restrict__ parent, const small* __restrict__ coarse,
    small* __restrict__ out
) {
    Around at;
    if (!look_around(item(), n, n_words, words, faces, at)) return;
    const small *own = x + row_of(n, 0), *above = coarse + row_of(n_coarse, 0);
    small total = small(0);
#pragma unroll
    for (int d = 0; d < 6; ++d) total += small(at.g[d]) * (own[at.j[d]] + above[parent[at.j[d]]]);
    const long long k = row_of(n, at.i);
    out[k] = (small(1) - weight) * (x[k] + above[parent[at.i]]) + weight * (b[k] + total) * inverse[k];
}

// t_i = (1 - weight) x_i + weight (b_i + sum_d g_di x_j) q_i;   rho = rr D sum_i b_i t_i
//
// The last smoothing step, and rho = r.z, which the conjugate gradients need.
// over: 32 n_words by n_designs
// twin: ReferenceBackend._cycle
//   n        scalar                 [1] open voxels
//   n_words  scalar                 [1]
//   words    (n_words, 8)           [1] see common.cuh
//   faces    (3, n)                 [um] conductances, on the lower side
//   inverse  (n_designs, n)         [1/um]
//   weight   scalar                 [1]
//   b        (n_designs, n)         [s/um^2]
//   x        (n_designs, n)         [s/um^3]
//   D        (n_designs)            [um^2/s]
//   rr       (n_designs)            [nM^2 um^6/s^2] r.r
//   t        (n_designs, n)         [s/um^3]
//   partial  (n_designs, n_blocks)  [nM^2 um^3/s]
//   done     (n_designs)            [1] blocks that are done, in place
//   rho      (n_designs)            [nM^2 um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) end_cycle(
    const long long n, const long long n_words, const int* __restrict__ words, const float* __restrict__ faces,
    const small* __restrict__ inverse, const small weight, const small* __restrict__ b, const small* __restrict__ x,
    const real* __restrict__ D, const double* __restrict__ rr, small* __restrict__ t, double* __restrict__ partial,
    int* __restrict__ done, double* __restrict__ rho
) {
    Around at;
    double product = 0.0;
    if (look_around(item(), n, n_words, words, faces, at)) {
        const long long k = row_of(n, at.i);
        const small total = inflow(at, x + row_of(n, 0));
        const small after = (small(1) - weight) * x[k] + weight * (b[k] + total) * inverse[k];
        t[k] = after;
        product = rr[blockIdx.y] * double(D[blockIdx.y]) * double(b[k]) * double(after);
    }
    block_total(product, partial, done, rho);
}
