// Vectors of open voxels, one thread each.

// out_i = base_i + sum_k c_k T_ki
//
// A stage's value from the increments of the stages so far; of all designs at once.
// over: n
// twin: ReferenceBackend.combine
//   n             scalar         [1] length of the vectors
//   n_terms       scalar         [1] terms used, up to n_stages
//   base          (n)            [nM or molecules]
//   terms         (n_stages, n)  [as base] moves (n_terms, n)
//   coefficients  (n_stages)     [1]
//   out           (n)            [as base]
extern "C" __global__ void __launch_bounds__(BLOCK) combine(
    const long long n, const int n_terms, const real* __restrict__ base, const real* __restrict__ terms,
    const real* __restrict__ coefficients, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    real total = base[i];
    for (int k = 0; k < n_terms; ++k) total += coefficients[k] * terms[k * n + i];
    out[i] = total;
}

// out_i = 0
//
// Where a sum begins.
// over: n by n_designs
// twin: numpy.zeros_like
//   n    scalar          [1] length of the vectors
//   out  (n_designs, n)  [any]
extern "C" __global__ void __launch_bounds__(BLOCK) clear(
    const long long n, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[row_of(n, i)] = real(0);
}

// out_i = out_i where it is finite, else 0
//
// What a failed attempt left must not begin the next one.
// over: n by n_designs
// twin: numpy.nan_to_num
//   n    scalar          [1] length of the vectors
//   out  (n_designs, n)  [any] in place
extern "C" __global__ void __launch_bounds__(BLOCK) heal(
    const long long n, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    const real value = out[row_of(n, i)];
    if (!(value - value == real(0))) out[row_of(n, i)] = real(0);
}

// out_i = u_fi + sum_k a_ki v_gi,   a_k and g of the pair k;   total = sum_i out_i^2
//
// The right-hand side that a solve begins with: a field's own row, and what other fields' increments do to it.
// over: n by n_designs
// twin: ReferenceBackend.add_products
//   n         scalar                    [1] open voxels
//   n_fields  scalar                    [1]
//   field     scalar                    [1] below n_fields
//   n_rows    scalar                    [1]
//   n_pairs   scalar                    [1]
//   rows      (n_pairs)                 [1] rows in a
//   others    (n_pairs)                 [1] fields in v
//   u         (n_designs, n_fields, n)  [nM um^3/s] moves (n_designs, n)
//   a         (n_designs, n_rows, n)    [um^3/s] moves (n_designs, n_pairs, n)
//   v         (n_designs, n_fields, n)  [nM] moves (n_designs, n_pairs, n)
//   out       (n_designs, n)            [nM um^3/s]
//   partial   (n_designs, n_blocks)     [nM^2 um^6/s^2]
//   done      (n_designs)               [1] blocks that are done, in place
//   total     (n_designs)               [nM^2 um^6/s^2]
extern "C" __global__ void __launch_bounds__(BLOCK) couple_row(
    const long long n, const int n_fields, const int field, const int n_rows, const int n_pairs,
    const int* __restrict__ rows, const int* __restrict__ others, const real* __restrict__ u,
    const real* __restrict__ a, const real* __restrict__ v, real* __restrict__ out, double* __restrict__ partial,
    int* __restrict__ done, double* __restrict__ total
) {
    const long long i = item();
    real sum = real(0);
    if (i < n) {
        sum = u[row_of(n_fields, field) * n + i];
        for (int k = 0; k < n_pairs; ++k) {
            sum += a[row_of(n_rows, rows[k]) * n + i] * v[row_of(n_fields, others[k]) * n + i];
        }
        out[row_of(n, i)] = sum;
    }
    block_total(double(sum) * double(sum), partial, done, total);
}

// u_fi += x_i
//
// The correction of a field in a loop of fields.
// over: n by n_designs
// twin: Stepper._correct
//   n         scalar                    [1] open voxels
//   n_fields  scalar                    [1]
//   field     scalar                    [1] below n_fields
//   x         (n_designs, n)            [nM]
//   out       (n_designs, n_fields, n)  [nM] in place, moves (n_designs, n)
extern "C" __global__ void __launch_bounds__(BLOCK) add_to_row(
    const long long n, const int n_fields, const int field, const real* __restrict__ x, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[row_of(n_fields, field) * n + i] += x[row_of(n, i)];
}

// out_i -= a_ri
//
// A row of Jacobians of the reactions in voxels, taken from a diagonal or a coupling.
// over: n by n_designs
// twin: Stepper._coupling
//   n       scalar                  [1] open voxels
//   n_rows  scalar                  [1]
//   row     scalar                  [1] below n_rows
//   a       (n_designs, n_rows, n)  [um^3/s] moves (n_designs, n)
//   out     (n_designs, n)          [um^3/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) subtract_row(
    const long long n, const int n_rows, const int row, const real* __restrict__ a, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[row_of(n, i)] -= a[row_of(n_rows, row) * n + i];
}

// u_fi += s_p(i)
//
// Every pocket of a field's increment shifted, so that its residuals sum to zero and the books close.
// over: n by n_designs
// twin: ReferenceBackend.shift_pockets
//   n          scalar                    [1] open voxels
//   n_fields   scalar                    [1]
//   field      scalar                    [1] below n_fields
//   n_pockets  scalar                    [1]
//   pocket     (n_given)                 [1] connected pocket of each voxel; none are given where there is but one
//   shift      (n_designs, n_pockets)    [nM]
//   out        (n_designs, n_fields, n)  [nM] in place, moves (n_designs, n)
extern "C" __global__ void __launch_bounds__(BLOCK) shift_pockets(
    const long long n, const int n_fields, const int field, const long long n_pockets,
    const int* __restrict__ pocket, const real* __restrict__ shift, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[row_of(n_fields, field) * n + i] += shift[row_of(n_pockets, n_pockets > 1 ? pocket[i] : 0)];
}

// x_fi += b z_i
//
// What the bath's increment adds to a field.
// over: n by n_designs
// twin: Stepper._solve_bordered
//   n         scalar                    [1] open voxels
//   n_fields  scalar                    [1]
//   field     scalar                    [1] below n_fields
//   b         (n_designs)               [nM]
//   z         (n_designs, n)            [1] the field's answer to its bath
//   x         (n_designs, n_fields, n)  [nM] in place, moves (n_designs, n)
extern "C" __global__ void __launch_bounds__(BLOCK) add_border(
    const long long n, const int n_fields, const int field, const double* __restrict__ b, const real* __restrict__ z,
    real* __restrict__ x
) {
    const long long i = item();
    if (i >= n) return;
    x[row_of(n_fields, field) * n + i] += real(b[blockIdx.y]) * z[row_of(n, i)];
}

// out_fv += factor sum_e q_re over the entries e of voxel v
//
// What the cells of a voxel give to it, gathered in a fixed order: no two threads write to one place.
// over: n_touched by n_designs
// twin: ReferenceBackend.gather
//   n_touched      scalar                         [1] voxels that some cell covers
//   n_entry        scalar                         [1]
//   n_open         scalar                         [1] open voxels
//   n_rows         scalar                         [1]
//   row            scalar                         [1] below n_rows
//   n_fields       scalar                         [1]
//   field          scalar                         [1] below n_fields
//   factor         scalar                         [nM um^3 / molecule]
//   touched_voxel  (n_touched)                    [1] open voxel
//   touched_start  (n_touched+1)                  [1] first entry of each
//   touched_entry  (n_entry)                      [1] entries, ordered by voxel
//   entries        (n_designs, n_rows, n_entry)   [molecules/s, or molecules/s/nM] moves (n_designs, n_entry)
//   out            (n_designs, n_fields, n_open)  [nM um^3/s, or um^3/s] in place, moves (n_designs, n_touched)
extern "C" __global__ void __launch_bounds__(BLOCK) gather(
    const long long n_touched, const long long n_entry, const long long n_open, const int n_rows, const int row,
    const int n_fields, const int field, const real factor, const long long* __restrict__ touched_voxel,
    const long long* __restrict__ touched_start, const long long* __restrict__ touched_entry,
    const real* __restrict__ entries, real* __restrict__ out
) {
    const long long k = item();
    if (k >= n_touched) return;
    const long long own = row_of(n_rows, row) * n_entry;
    real total = real(0);
    for (long long j = touched_start[k]; j < touched_start[k + 1]; ++j) total += entries[own + touched_entry[j]];
    out[row_of(n_fields, field) * n_open + touched_voxel[k]] += factor * total;
}
