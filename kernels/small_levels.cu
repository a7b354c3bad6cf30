// The levels that fit into one block's shared memory, as one launch. The V-cycle over them takes a block four times as
// wide as the others: it is alone on its multiprocessor, and as long as it has nodes for each thread.

// Smoothing step of one level in shared memory; a barrier follows.
__device__ __forceinline__ void smooth_level(
    const long long n, const int width, const int* __restrict__ neighbour, const float* __restrict__ g,
    const small* __restrict__ inverse, const small weight, const small* b, const small* x, small* out
) {
    for (long long i = threadIdx.x; i < n; i += blockDim.x) {
        const small total = inflow(i, n, width, neighbour, g, x);
        out[i] = (small(1) - weight) * x[i] + weight * (b[i] + total) * inverse[i];
    }
    __syncthreads();
}

// out = V-cycle of b over the levels from here to the last
//
// Two smoothing steps, the next level's correction, two steps; on the last level x_i = b_i q_i. Tables of the levels
// are laid end to end; nodes, parents and children count from the first node of their level.
// over: one wide block by n_designs
// shared: 3 n_node small
// twin: ReferenceBackend._cycle
//   n_levels     scalar               [1] levels, the last included
//   n_node       scalar               [1] nodes of all of them
//   offset       (n_levels+1)         [1] first node of each level
//   width        (n_levels)           [1] neighbours in each level's table
//   table_start  (n_levels+1)         [1] first entry of each level's table
//   neighbour    (n_table)            [1]
//   g            (n_table)            [um]
//   parent       (n_node)             [1] node of the next level; not read on the last
//   child_start  (n_node+1)           [1] first child of each node, counted over all; none on the first level
//   child        (n_child)            [1]
//   inverse      (n_designs, n_node)  [1/um]
//   first        scalar               [1] weight of the outer smoothing steps
//   second       scalar               [1] weight of the inner ones
//   rhs          (n_designs, n_top)   [nM um] b of the first of these levels
//   out          (n_designs, n_top)   [nM]
extern "C" __global__ void __launch_bounds__(4 * BLOCK) small_levels(
    const int n_levels, const long long n_node, const long long* __restrict__ offset, const int* __restrict__ width,
    const long long* __restrict__ table_start, const int* __restrict__ neighbour, const float* __restrict__ g,
    const int* __restrict__ parent, const long long* __restrict__ child_start, const int* __restrict__ child,
    const small* __restrict__ inverse, const small first, const small second, const small* __restrict__ rhs,
    small* __restrict__ out
) {
    inverse += row_of(n_node, 0);
    rhs += row_of(offset[1], 0);
    out += row_of(offset[1], 0);
    DYNAMIC_SHARED(small, pool);
    small* b = pool;
    small* x = pool + n_node;
    small* t = pool + 2 * n_node;
    const int bottom = n_levels - 1;
    for (long long i = threadIdx.x; i < offset[1]; i += blockDim.x) b[i] = rhs[i];
    __syncthreads();
    for (int level = 0; level < bottom; ++level) {
        const long long lo = offset[level], hi = offset[level + 1], n = hi - lo, table = table_start[level];
        for (long long i = lo + threadIdx.x; i < hi; i += blockDim.x) x[i] = first * (b[i] * inverse[i]);
        __syncthreads();
        smooth_level(n, width[level], neighbour + table, g + table, inverse + lo, second, b + lo, x + lo, t + lo);
        for (long long i = threadIdx.x; i < n; i += blockDim.x) {
            const small total = inflow(i, n, width[level], neighbour + table, g + table, t + lo);
            x[lo + i] = b[lo + i] + total - t[lo + i] / inverse[lo + i];
        }
        __syncthreads();
        for (long long k = hi + threadIdx.x; k < offset[level + 2]; k += blockDim.x) {
            small total = small(0);
            for (long long c = child_start[k]; c < child_start[k + 1]; ++c) total += x[lo + child[c]];
            b[k] = total;
        }
    }  // no barrier: up to the next one every thread reads of b what it wrote
    for (long long i = offset[bottom] + threadIdx.x; i < offset[n_levels]; i += blockDim.x) t[i] = b[i] * inverse[i];
    __syncthreads();
    for (int level = bottom - 1; level >= 0; --level) {
        const long long lo = offset[level], hi = offset[level + 1], n = hi - lo, table = table_start[level];
        for (long long i = lo + threadIdx.x; i < hi; i += blockDim.x) t[i] += t[hi + parent[i]];
        __syncthreads();
        smooth_level(n, width[level], neighbour + table, g + table, inverse + lo, second, b + lo, t + lo, x + lo);
        smooth_level(n, width[level], neighbour + table, g + table, inverse + lo, first, b + lo, x + lo, t + lo);
    }
    for (long long i = threadIdx.x; i < offset[1]; i += blockDim.x) out[i] = t[i];
}

// Z_k = sum_i z_i over the nodes i of aggregate k;   Q_k = 1 / (Z_k / D + s_k)
//
// Reciprocal diagonals of all these levels from the zeroth-order terms of the first of them.
// over: one block by n_designs
// shared: 1 n_node real
// twin: _Levels.set_zeroth
//   n_levels     scalar               [1] levels, the last included
//   n_node       scalar               [1] nodes of all of them
//   offset       (n_levels+1)         [1] first node of each level
//   child_start  (n_node+1)           [1] first child of each node, counted over all; none on the first level
//   child        (n_child)            [1]
//   row_sum      (n_node)             [um] s
//   D            (n_designs)          [um^2/s]
//   top          (n_designs, n_top)   [um^3/s] z of the first level
//   inverse      (n_designs, n_node)  [1/um] Q
extern "C" __global__ void __launch_bounds__(BLOCK) small_diagonals(
    const int n_levels, const long long n_node, const long long* __restrict__ offset,
    const long long* __restrict__ child_start, const int* __restrict__ child, const real* __restrict__ row_sum,
    const real* __restrict__ D, const real* __restrict__ top, small* __restrict__ inverse
) {
    DYNAMIC_SHARED(real, terms);
    top += row_of(offset[1], 0);
    inverse += row_of(n_node, 0);
    for (long long i = threadIdx.x; i < offset[1]; i += BLOCK) terms[i] = top[i];
    __syncthreads();
    for (int level = 1; level < n_levels; ++level) {
        const long long below = offset[level - 1];
        for (long long k = offset[level] + threadIdx.x; k < offset[level + 1]; k += BLOCK) {
            real z = real(0);
            for (long long c = child_start[k]; c < child_start[k + 1]; ++c) z += terms[below + child[c]];
            terms[k] = z;
        }
        __syncthreads();
    }
    for (long long i = threadIdx.x; i < n_node; i += BLOCK) {
        const real total = terms[i] / D[blockIdx.y] + row_sum[i];
        inverse[i] = total > real(0) ? small(real(1) / total) : small(1);
    }
}
