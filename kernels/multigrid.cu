// The V-cycle of A / D, the preconditioner, on a level above the voxels: one thread per node.
//
// Neighbours lie in a padded table, (width, n): entry k of node i at k n + i, so that threads side by side read side by
// side; width is that of the longest row. Padding has g = 0 and points to the node.
// Where (BLOCK, 1) stands, a compiler that saves registers for more blocks at once would spill some.

// Z_k = sum_i z_i over the nodes i of aggregate k;   Q_k = 1 / (Z_k / D + s_k)
//
// Reciprocal diagonal of the next level; 1 where the diagonal is zero.
// over: n_coarse by n_designs
// twin: _Levels.set_zeroth
//   n            scalar                 [1] nodes
//   n_coarse     scalar                 [1] nodes of the next level
//   child_start  (n_coarse+1)           [1] first child of each
//   child        (n)                    [1] nodes of this level
//   D            (n_designs)            [um^2/s]
//   fine         (n_designs, n)         [um^3/s] z of this level
//   row_sum      (n_coarse)             [um] s
//   work         (n_designs, n_coarse)  [um^3/s] Z
//   inverse      (n_designs, n_coarse)  [1/um] Q
extern "C" __global__ void __launch_bounds__(BLOCK, 1) coarsen_diagonal(
    const long long n, const long long n_coarse, const long long* __restrict__ child_start,
    const int* __restrict__ child, const real* __restrict__ D, const real* __restrict__ fine,
    const real* __restrict__ row_sum, real* __restrict__ work, small* __restrict__ inverse
) {
    const long long k = item();
    if (k >= n_coarse) return;
    const real* own = fine + row_of(n, 0);
    real z = real(0);
    for (long long c = child_start[k]; c < child_start[k + 1]; ++c) z += own[child[c]];
    const real total = z / D[blockIdx.y] + row_sum[k];
    work[row_of(n_coarse, k)] = z;
    inverse[row_of(n_coarse, k)] = total > real(0) ? small(real(1) / total) : small(1);
}

// x_i = b_i q_i
//
// The last level, one node for each pocket, where there are too many of them for one block.
// over: n by n_designs
// twin: ReferenceBackend._cycle
//   n        scalar          [1] nodes
//   inverse  (n_designs, n)  [1/um]
//   b        (n_designs, n)  [nM um]
//   x        (n_designs, n)  [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) last_level(
    const long long n, const small* __restrict__ inverse, const small* __restrict__ b, small* __restrict__ x
) {
    const long long i = item();
    if (i >= n) return;
    const long long k = row_of(n, i);
    x[k] = b[k] * inverse[k];
}

// out_i = x_i + weight (b - A x)_i / d_i = (1 - weight) x_i + weight (b_i + sum_k g_ki x_j) q_i
//
// One step of the Chebyshev-Jacobi smoother.
// over: n by n_designs
// twin: ReferenceBackend._cycle
//   n          scalar          [1] nodes
//   width      scalar          [1] neighbours in the table
//   neighbour  (width, n)      [1]
//   g          (width, n)      [um]
//   inverse    (n_designs, n)  [1/um]
//   weight     scalar          [1]
//   b          (n_designs, n)  [nM um]
//   x          (n_designs, n)  [nM]
//   out        (n_designs, n)  [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) smooth(
    const long long n, const int width, const int* __restrict__ neighbour, const float* __restrict__ g,
    const small* __restrict__ inverse, const small weight, const small* __restrict__ b, const small* __restrict__ x,
    small* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    const long long k = row_of(n, i);
    const small total = inflow(i, n, width, neighbour, g, x + row_of(n, 0));
    out[k] = (small(1) - weight) * x[k] + weight * (b[k] + total) * inverse[k];
}

// B_k = sum_i (b - A x)_i over the nodes i of aggregate k;   X_k = weight B_k Q_k
//
// Residual, restriction and the first smoothing step of the next level; the residual itself is never stored.
// over: n_coarse by n_designs
// twin: ReferenceBackend._cycle
//   n               scalar                 [1] nodes
//   n_coarse        scalar                 [1] nodes of the next level
//   width           scalar                 [1] neighbours in the table
//   neighbour       (width, n)             [1]
//   g               (width, n)             [um]
//   inverse         (n_designs, n)         [1/um]
//   b               (n_designs, n)         [nM um]
//   x               (n_designs, n)         [nM]
//   child_start     (n_coarse+1)           [1] first child of each node of the next level
//   child           (n)                    [1]
//   coarse_inverse  (n_designs, n_coarse)  [1/um] Q
//   weight          scalar                 [1]
//   coarse_b        (n_designs, n_coarse)  [nM um] B
//   coarse_x        (n_designs, n_coarse)  [nM] X
extern "C" __global__ void __launch_bounds__(BLOCK, 1) residual_restrict(
    const long long n, const long long n_coarse, const int width, const int* __restrict__ neighbour,
    const float* __restrict__ g, const small* __restrict__ inverse, const small* __restrict__ b,
    const small* __restrict__ x, const long long* __restrict__ child_start, const int* __restrict__ child,
    const small* __restrict__ coarse_inverse, const small weight, small* __restrict__ coarse_b,
    small* __restrict__ coarse_x
) {
    const long long k = item();
    if (k >= n_coarse) return;
    const long long own = row_of(n, 0), at = row_of(n_coarse, k);
    small total = small(0);
    for (long long c = child_start[k]; c < child_start[k + 1]; ++c) {
        const long long i = child[c];
        total += b[own + i] + inflow(i, n, width, neighbour, g, x + own) - x[own + i] / inverse[own + i];
    }
    coarse_b[at] = total;
    coarse_x[at] = weight * (total * coarse_inverse[at]);
}

// y_i = x_i + X_parent(i);   out_i = (1 - weight) y_i + weight (b_i + sum_k g_ki y_j) q_i
//
// Prolongation and the first smoothing step after it; y itself is never stored.
// over: n by n_designs
// twin: ReferenceBackend._cycle
//   n          scalar                 [1] nodes
//   n_coarse   scalar                 [1] nodes of the next level
//   width      scalar                 [1] neighbours in the table
//   neighbour  (width, n)             [1]
//   g          (width, n)             [um]
//   inverse    (n_designs, n)         [1/um]
//   weight     scalar                 [1]
//   b          (n_designs, n)         [nM um]
//   x          (n_designs, n)         [nM]
//   parent     (n)                    [1] node of the next level
//   coarse     (n_designs, n_coarse)  [nM] X
//   out        (n_designs, n)         [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) prolong_smooth(
    const long long n, const long long n_coarse, const int width, const int* __restrict__ neighbour,
    const float* __restrict__ g, const small* __restrict__ inverse, const small weight, const small* __restrict__ b,
    const small* __restrict__ x, const int* __restrict__ parent, const small* __restrict__ coarse,
    small* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    const small* own = x + row_of(n, 0);
    const small* above = coarse + row_of(n_coarse, 0);
    small total = small(0);
    for (int k = 0; k < width; ++k) {
        const int j = neighbour[k * n + i];
        total += small(g[k * n + i]) * (own[j] + above[parent[j]]);
    }
    const long long at = row_of(n, i);
    out[at] = (small(1) - weight) * (own[i] + above[parent[i]]) + weight * (b[at] + total) * inverse[at];
}
