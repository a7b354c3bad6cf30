// Sums in a fixed order: every block leaves a partial sum; the last block, or a second launch, adds them up.

// out_s = sum of values[start_s .. start_s+1]
//
// The second launch of sums of several kinds: one block per sum.
// over: blocks of n_sums by n_designs
// twin: numpy.add.reduceat
//   n_sums    scalar                 [1] of each design
//   n_values  scalar                 [1] of each design
//   start     (n_sums+1)             [1] first value of each sum
//   values    (n_designs, n_values)  [any]
//   out       (n_designs, n_sums)    [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) segment_sums(
    const long long n_sums, const long long n_values, const long long* __restrict__ start,
    const double* __restrict__ values, double* __restrict__ out
) {
    const long long s = blockIdx.x;
    if (s >= n_sums) return;
    const double* own = values + row_of(n_values, 0);
    double total = 0.0;
    for (long long i = start[s] + threadIdx.x; i < start[s + 1]; i += BLOCK) total += own[i];
    total = block_sum(total);
    if (threadIdx.x == 0) out[row_of(n_sums, s)] = total;
}

// total = sum_i r_i^2
//
// Squared norm of a right-hand side.
// over: n by n_designs
// twin: ReferenceBackend.norm
//   n        scalar                 [1] open voxels
//   r        (n_designs, n)         [any]
//   partial  (n_designs, n_blocks)  [r^2]
//   done     (n_designs)            [1] blocks that are done, in place
//   total    (n_designs)            [r^2]
extern "C" __global__ void __launch_bounds__(BLOCK) square(
    const long long n, const real* __restrict__ r, double* __restrict__ partial, int* __restrict__ done,
    double* __restrict__ total
) {
    const long long i = item();
    const double value = i < n ? double(r[row_of(n, i)]) : 0.0;
    block_total(value * value, partial, done, total);
}

// partial_c = sum of values[order_i] over chunk c
//
// Sums over pockets: voxels ordered by pocket and cut into chunks, none of which spans two pockets; one block a chunk.
// With one pocket the voxels stand as they are, and no order is given.
// over: blocks of n_chunks by n_designs
// twin: ReferenceBackend.pocket_sums
//   n_chunks     scalar                 [1]
//   n            scalar                 [1] open voxels
//   n_pockets    scalar                 [1]
//   chunk_start  (n_chunks+1)           [1] first place of each chunk in order
//   order        (n_given)              [1] open voxels, by pocket
//   values       (n_designs, n)         [nM um^3/s, or um^3/s]
//   partial      (n_designs, n_chunks)  [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) pocket_sums(
    const long long n_chunks, const long long n, const long long n_pockets,
    const long long* __restrict__ chunk_start, const int* __restrict__ order, const real* __restrict__ values,
    double* __restrict__ partial
) {
    const long long c = blockIdx.x;
    if (c >= n_chunks) return;
    const real* own = values + row_of(n, 0);
    double total = 0.0;
    for (long long i = chunk_start[c] + threadIdx.x; i < chunk_start[c + 1]; i += BLOCK) {
        total += own[n_pockets > 1 ? order[i] : i];
    }
    block_partial(total, partial);
}

// out_p(v) = values_v
//
// The same where every pocket is a single voxel, as for a field that stays where it is.
// over: n by n_designs
// twin: ReferenceBackend.pocket_sums
//   n       scalar          [1] open voxels
//   pocket  (n)             [1] of each voxel
//   values  (n_designs, n)  [nM um^3/s, or um^3/s]
//   out     (n_designs, n)  [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) single_sums(
    const long long n, const int* __restrict__ pocket, const real* __restrict__ values, double* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    out[row_of(n, pocket[v])] = double(values[row_of(n, v)]);
}

// v_ri = u_ri + sum_k m_k T_kri;   e_ri = sum_k c_k T_kri;   total_r = sum_i w_i v_ri;   largest_r = max_i |v_ri|
//
// Every quantity after the step, its error, its amount and its largest value; rows are the fields, or states, of every
// design in turn.
// over: n by n_rows
// twin: ReferenceBackend.amount
//   n             scalar              [1] open voxels, or cells
//   n_rows        scalar              [1] quantities of all designs
//   n_kinds       scalar              [1] quantities of a design
//   weights       (n_weights, n)      [um^3, or 1] moves (n_rows, n)
//   weight_of     (n_kinds)           [1] row of each quantity in weights
//   coefficients  (4)                 [1] m
//   error         (4)                 [1] c
//   u             (n_rows, n)         [nM or molecules]
//   terms         (4, n_rows, n)      [as u]
//   after         (n_rows, n)         [as u] v
//   change        (n_rows, n)         [as u] e
//   partial       (n_rows, n_blocks)  [u w]
//   done          (n_rows)            [1] blocks that are done, in place
//   total         (n_rows)            [u w]
//   largest       (n_rows, n_blocks)  [as u]
extern "C" __global__ void __launch_bounds__(BLOCK) measure(
    const long long n, const long long n_rows, const int n_kinds, const real* __restrict__ weights,
    const int* __restrict__ weight_of, const real* __restrict__ coefficients, const real* __restrict__ error,
    const real* __restrict__ u, const real* __restrict__ terms, real* __restrict__ after, real* __restrict__ change,
    double* __restrict__ partial, int* __restrict__ done, double* __restrict__ total, double* __restrict__ largest
) {
    const long long i = item();
    double amount = 0.0, size = 0.0;
    if (i < n) {
        const long long k = blockIdx.y * n + i;
        real v = u[k], e = real(0);
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            const real term = terms[s * n_rows * n + k];
            v += coefficients[s] * term;
            e += error[s] * term;
        }
        after[k] = v;
        change[k] = e;
        amount = double(weights[weight_of[blockIdx.y % n_kinds] * n + i]) * double(v);
        size = fabs(double(v));
    }
    block_total(amount, partial, done, total);
    block_largest(size, largest);
}

// total_r = sum_i w_i (e_ri / (floor_r + max(|u_ri|, |v_ri|)))^2
//
// Error of every quantity; divided by sum w and under a root it is the norm. Rows as in measure.
// over: n by n_rows
// twin: ReferenceBackend.error_norm
//   n          scalar              [1] open voxels, or cells
//   n_rows     scalar              [1] quantities of all designs
//   n_kinds    scalar              [1] quantities of a design
//   weights    (n_weights, n)      [um^3, or 1] moves (n_rows, n)
//   weight_of  (n_kinds)           [1] row of each quantity in weights
//   floor      (n_rows)            [nM or molecules]
//   u          (n_rows, n)         [as floor]
//   after      (n_rows, n)         [as floor] v
//   change     (n_rows, n)         [as floor] e
//   partial    (n_rows, n_blocks)  [um^3, or 1]
//   done       (n_rows)            [1] blocks that are done, in place
//   total      (n_rows)            [um^3, or 1]
extern "C" __global__ void __launch_bounds__(BLOCK) step_error(
    const long long n, const long long n_rows, const int n_kinds, const real* __restrict__ weights,
    const int* __restrict__ weight_of, const double* __restrict__ floor, const real* __restrict__ u,
    const real* __restrict__ after, const real* __restrict__ change, double* __restrict__ partial,
    int* __restrict__ done, double* __restrict__ total
) {
    const long long i = item();
    double square = 0.0;
    if (i < n && blockIdx.y < n_rows) {
        const long long k = blockIdx.y * n + i;
        const double size = floor[blockIdx.y] + double(larger(fabs(u[k]), fabs(after[k])));
        const double relative = double(change[k]) / size;
        square = double(weights[weight_of[blockIdx.y % n_kinds] * n + i]) * relative * relative;
    }
    block_total(square, partial, done, total);
}

// u_i = v_i where the step is accepted
//
// The step taken; of all designs at once.
// over: n
// twin: numpy.copyto
//   n        scalar  [1] length of the vectors
//   verdict  (1)     [1] 1 for an accepted step, else 0
//   after    (n)     [nM or molecules] v
//   u        (n)     [as after]
extern "C" __global__ void __launch_bounds__(BLOCK) accept(
    const long long n, const int* __restrict__ verdict, const real* __restrict__ after, real* __restrict__ u
) {
    const long long i = item();
    if (i >= n) return;
    if (verdict[0] == 1) u[i] = after[i];
}
