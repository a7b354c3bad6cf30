// Sums in two launches: every block leaves a partial sum, then one block per sum adds these up, in a fixed order.

// out_s = sum of values[start_s .. start_s+1]
//
// The second launch of every sum: one block per sum.
// over: blocks of n_sums
// twin: numpy.add.reduceat
//   n_sums  scalar      [1]
//   start   (n_sums+1)  [1] first value of each sum
//   values  (n_values)  [any]
//   out     (n_sums)    [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) segment_sums(
    const long long n_sums, const long long* __restrict__ start, const double* __restrict__ values,
    double* __restrict__ out
) {
    const long long s = blockIdx.x;
    if (s >= n_sums) return;
    double total = 0.0;
    for (long long i = start[s] + threadIdx.x; i < start[s + 1]; i += BLOCK) total += values[i];
    total = block_sum(total);
    if (threadIdx.x == 0) out[s] = total;
}

// partial = sum_i a_i b_i
//
// Products of two vectors: norms, amounts, conjugate gradients.
// over: n
// twin: ReferenceBackend.amount
//   n        scalar      [1] length of the vectors
//   a        (n)         [any]
//   b        (n)         [any] may be a
//   partial  (n_blocks)  [a b]
extern "C" __global__ void __launch_bounds__(BLOCK) dot(
    const long long n, const real* a, const real* b, double* __restrict__ partial
) {
    const long long i = item();
    block_partial(i < n ? double(a[i]) * double(b[i]) : 0.0, partial);
}

// partial_r = sum_i u_ri
//
// Sum of each row.
// over: n by n_rows
// twin: ReferenceBackend.sums
//   n        scalar              [1] length of a row
//   n_rows   scalar              [1]
//   values   (n_rows, n)         [any]
//   partial  (n_rows, n_blocks)  [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) row_sums(
    const long long n, const long long n_rows, const real* __restrict__ values, double* __restrict__ partial
) {
    const long long i = item();
    block_partial(i < n && blockIdx.y < n_rows ? double(values[blockIdx.y * n + i]) : 0.0, partial);
}

// partial_c = sum of values[order_i] over chunk c
//
// Sums over pockets: voxels ordered by pocket and cut into chunks, none of which spans two pockets; one block a chunk.
// over: blocks of n_chunks
// twin: ReferenceBackend.pocket_sums
//   n_chunks     scalar        [1]
//   chunk_start  (n_chunks+1)  [1] first place of each chunk in order
//   order        (n)           [1] open voxels, by pocket
//   values       (n)           [nM um^3/s, or um^3/s]
//   partial      (n_chunks)    [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) pocket_sums(
    const long long n_chunks, const long long* __restrict__ chunk_start, const int* __restrict__ order,
    const real* __restrict__ values, double* __restrict__ partial
) {
    const long long c = blockIdx.x;
    if (c >= n_chunks) return;
    double total = 0.0;
    for (long long i = chunk_start[c] + threadIdx.x; i < chunk_start[c + 1]; i += BLOCK) total += values[order[i]];
    block_partial(total, partial);
}

// partial = sum_i C_i (e_i / (floor + max(|u_i|, |v_i|)))^2
//
// Error of a field, weighted by accessible volume; divided by sum C and under a root it is the norm.
// over: n
// twin: ReferenceBackend.error_norm
//   n         scalar      [1] open voxels
//   floor     scalar      [nM]
//   capacity  (n)         [um^3]
//   error     (n)         [nM]
//   old       (n)         [nM] u
//   new_      (n)         [nM] v
//   partial   (n_blocks)  [um^3]
extern "C" __global__ void __launch_bounds__(BLOCK) error_norm(
    const long long n, const real floor, const real* __restrict__ capacity, const real* __restrict__ error,
    const real* __restrict__ old, const real* __restrict__ new_, double* __restrict__ partial
) {
    const long long i = item();
    double square = 0.0;
    if (i < n) {
        const double relative = double(error[i] / (floor + larger(fabs(old[i]), fabs(new_[i]))));
        square = double(capacity[i]) * relative * relative;
    }
    block_partial(square, partial);
}

// partial_s = sum_c (e_sc / (floor_s + max(|u_sc|, |v_sc|)))^2
//
// Error of each state over the cells; divided by their number and under a root it is the norm.
// over: n by n_rows
// twin: ReferenceBackend.state_error_norms
//   n        scalar              [1] cells
//   n_rows   scalar              [1] states
//   floor    (n_rows)            [molecules]
//   error    (n_rows, n)         [molecules]
//   old      (n_rows, n)         [molecules] u
//   new_     (n_rows, n)         [molecules] v
//   partial  (n_rows, n_blocks)  [1]
extern "C" __global__ void __launch_bounds__(BLOCK) state_error_norms(
    const long long n, const long long n_rows, const real* __restrict__ floor, const real* __restrict__ error,
    const real* __restrict__ old, const real* __restrict__ new_, double* __restrict__ partial
) {
    const long long i = item();
    double square = 0.0;
    if (i < n && blockIdx.y < n_rows) {
        const long long k = blockIdx.y * n + i;
        const double relative = double(error[k] / (floor[blockIdx.y] + larger(fabs(old[k]), fabs(new_[k]))));
        square = relative * relative;
    }
    block_partial(square, partial);
}
