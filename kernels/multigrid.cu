// The V-cycle of A / D, the preconditioner: one thread per node of a level.
//
// Neighbours lie in a padded table, (width, n): entry k of node i at k n + i, so that threads side by side read side by
// side; width is 6 on the voxels, and the longest row of a level above them. Padding has g = 0 and points to the node.
// Where (BLOCK, 1) stands, a compiler that saves registers for more blocks at once would spill some.

// w_i = z_i / D;   q_i = 1 / (w_i + s_i)
//
// Reciprocal diagonal of the voxels, s_i the sum of a voxel's conductances; 1 where the diagonal is zero.
// over: n
// twin: _Levels.set_zeroth
//   n        scalar  [1] open voxels
//   D        scalar  [um^2/s]
//   zeroth   (n)     [um^3/s]
//   row_sum  (n)     [um]
//   work     (n)     [um] w
//   inverse  (n)     [1/um] q
extern "C" __global__ void __launch_bounds__(BLOCK) set_diagonal(
    const long long n, const real D, const real* __restrict__ zeroth, const real* __restrict__ row_sum,
    real* __restrict__ work, small* __restrict__ inverse
) {
    const long long i = item();
    if (i >= n) return;
    const real w = zeroth[i] / D;
    const real total = w + row_sum[i];
    work[i] = w;
    inverse[i] = total > real(0) ? small(real(1) / total) : small(1);
}

// w_k = sum_i w_i over the nodes i of aggregate k;   q_k = 1 / (w_k + s_k)
//
// The same on the next level.
// over: n_coarse
// twin: _Levels.set_zeroth
//   n_coarse     scalar        [1] nodes of the next level
//   child_start  (n_coarse+1)  [1] first child of each
//   child        (n)           [1] nodes of this level
//   fine         (n)           [um] w of this level
//   row_sum      (n_coarse)    [um]
//   work         (n_coarse)    [um] w of the next level
//   inverse      (n_coarse)    [1/um] q of the next level
extern "C" __global__ void __launch_bounds__(BLOCK) coarsen_diagonal(
    const long long n_coarse, const long long* __restrict__ child_start, const int* __restrict__ child,
    const real* __restrict__ fine, const real* __restrict__ row_sum, real* __restrict__ work,
    small* __restrict__ inverse
) {
    const long long k = item();
    if (k >= n_coarse) return;
    real w = real(0);
    for (long long c = child_start[k]; c < child_start[k + 1]; ++c) w += fine[child[c]];
    const real total = w + row_sum[k];
    work[k] = w;
    inverse[k] = total > real(0) ? small(real(1) / total) : small(1);
}

// x_i = weight b_i q_i
//
// The first smoothing step, from zero; with weight 1 the solution of the last level.
// over: n
// twin: ReferenceBackend._cycle
//   n        scalar  [1] nodes
//   weight   scalar  [1]
//   inverse  (n)     [1/um]
//   b        (n)     [nM um]
//   x        (n)     [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) scale(
    const long long n, const small weight, const small* __restrict__ inverse, const small* __restrict__ b,
    small* __restrict__ x
) {
    const long long i = item();
    if (i >= n) return;
    x[i] = weight * (b[i] * inverse[i]);
}

// out_i = x_i + weight (b - A x)_i / d_i = (1 - weight) x_i + weight (b_i + sum_k g_ki x_j) q_i
//
// One step of the Chebyshev-Jacobi smoother.
// over: n
// twin: ReferenceBackend._cycle
//   n          scalar      [1] nodes
//   width      scalar      [1] neighbours in the table
//   neighbour  (width, n)  [1]
//   g          (width, n)  [um]
//   inverse    (n)         [1/um]
//   weight     scalar      [1]
//   b          (n)         [nM um]
//   x          (n)         [nM]
//   out        (n)         [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) smooth(
    const long long n, const int width, const int* __restrict__ neighbour, const float* __restrict__ g,
    const small* __restrict__ inverse, const small weight, const small* __restrict__ b, const small* __restrict__ x,
    small* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    const small total = inflow(i, n, width, neighbour, g, x);
    out[i] = (small(1) - weight) * x[i] + weight * (b[i] + total) * inverse[i];
}

// B_k = sum_i (b - A x)_i over the nodes i of aggregate k;   X_k = weight B_k Q_k
//
// Residual, restriction and the first smoothing step of the next level; the residual itself is never stored.
// over: n_coarse
// twin: ReferenceBackend._cycle
//   n               scalar        [1] nodes
//   n_coarse        scalar        [1] nodes of the next level
//   width           scalar        [1] neighbours in the table
//   neighbour       (width, n)    [1]
//   g               (width, n)    [um]
//   inverse         (n)           [1/um]
//   b               (n)           [nM um]
//   x               (n)           [nM]
//   child_start     (n_coarse+1)  [1] first child of each node of the next level
//   child           (n)           [1]
//   coarse_inverse  (n_coarse)    [1/um] Q
//   weight          scalar        [1]
//   coarse_b        (n_coarse)    [nM um] B
//   coarse_x        (n_coarse)    [nM] X
extern "C" __global__ void __launch_bounds__(BLOCK, 1) residual_restrict(
    const long long n, const long long n_coarse, const int width, const int* __restrict__ neighbour,
    const float* __restrict__ g, const small* __restrict__ inverse, const small* __restrict__ b,
    const small* __restrict__ x, const long long* __restrict__ child_start, const int* __restrict__ child,
    const small* __restrict__ coarse_inverse, const small weight, small* __restrict__ coarse_b,
    small* __restrict__ coarse_x
) {
    const long long k = item();
    if (k >= n_coarse) return;
    small total = small(0);
    for (long long c = child_start[k]; c < child_start[k + 1]; ++c) {
        const long long i = child[c];
        total += b[i] + inflow(i, n, width, neighbour, g, x) - x[i] / inverse[i];
    }
    coarse_b[k] = total;
    coarse_x[k] = weight * (total * coarse_inverse[k]);
}

// y_i = x_i + X_parent(i);   out_i = (1 - weight) y_i + weight (b_i + sum_k g_ki y_j) q_i
//
// Prolongation and the first smoothing step after it; y itself is never stored.
// over: n
// twin: ReferenceBackend._cycle
//   n          scalar      [1] nodes
//   width      scalar      [1] neighbours in the table
//   neighbour  (width, n)  [1]
//   g          (width, n)  [um]
//   inverse    (n)         [1/um]
//   weight     scalar      [1]
//   b          (n)         [nM um]
//   x          (n)         [nM]
//   parent     (n)         [1] node of the next level
//   coarse     (n_coarse)  [nM] X
//   out        (n)         [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) prolong_smooth(
    const long long n, const int width, const int* __restrict__ neighbour, const float* __restrict__ g,
    const small* __restrict__ inverse, const small weight, const small* __restrict__ b, const small* __restrict__ x,
    const int* __restrict__ parent, const small* __restrict__ coarse, small* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    small total = small(0);
    for (int k = 0; k < width; ++k) {
        const int j = neighbour[k * n + i];
        total += small(g[k * n + i]) * (x[j] + coarse[parent[j]]);
    }
    out[i] = (small(1) - weight) * (x[i] + coarse[parent[i]]) + weight * (b[i] + total) * inverse[i];
}
