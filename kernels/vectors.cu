// Vectors of open voxels, one thread each.

// out_i = base_i + sum_k c_k T_ki
//
// A stage's value, or a step's result, from the increments of the stages so far.
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

// out_i = sum_k c_k T_ki
//
// The same from zero: the estimate of a step's error.
// over: n
// twin: ReferenceBackend.combine
//   n             scalar         [1] length of the vectors
//   n_terms       scalar         [1] terms used, up to n_stages
//   terms         (n_stages, n)  [nM or molecules] moves (n_terms, n)
//   coefficients  (n_stages)     [1]
//   out           (n)            [as terms]
extern "C" __global__ void __launch_bounds__(BLOCK) combine_terms(
    const long long n, const int n_terms, const real* __restrict__ terms, const real* __restrict__ coefficients,
    real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    real total = real(0);
    for (int k = 0; k < n_terms; ++k) total += coefficients[k] * terms[k * n + i];
    out[i] = total;
}

// out_i = max(u_i, 0)
//
// The point at which Jacobians are taken.
// over: n
// twin: ReferenceBackend.clamp
//   n       scalar  [1] length of the vectors
//   values  (n)     [nM or molecules]
//   out     (n)     [as values]
extern "C" __global__ void __launch_bounds__(BLOCK) clamp(
    const long long n, const real* __restrict__ values, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[i] = larger(values[i], real(0));
}

// out_i += factor a_i b_i
//
// What one field adds to the right-hand side of another through a coupling.
// over: n
// twin: ReferenceBackend.add_product
//   n       scalar  [1] length of the vectors
//   factor  scalar  [1]
//   a       (n)     [um^3/s]
//   b       (n)     [nM]
//   out     (n)     [nM um^3/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) add_product(
    const long long n, const real factor, const real* __restrict__ a, const real* __restrict__ b,
    real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[i] += factor * a[i] * b[i];
}

// out_i += s_p(i)
//
// Shift every pocket so that its residuals sum to zero and the books close.
// over: n
// twin: ReferenceBackend.shift_pockets
//   n       scalar       [1] open voxels
//   pocket  (n)          [1] connected pocket of each voxel
//   shift   (n_pockets)  [nM]
//   out     (n)          [nM] in place
extern "C" __global__ void __launch_bounds__(BLOCK) shift_pockets(
    const long long n, const int* __restrict__ pocket, const real* __restrict__ shift, real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    out[i] += shift[pocket[i]];
}

// out_v += factor sum_e q_e over the entries e of voxel v
//
// What the cells of a voxel give to it, gathered in a fixed order: no two threads write to one place.
// over: n_touched
// twin: ReferenceBackend.gather
//   n_touched      scalar         [1] voxels that some cell covers
//   factor         scalar         [nM um^3 / molecule]
//   touched_voxel  (n_touched)    [1] open voxel
//   touched_start  (n_touched+1)  [1] first entry of each
//   touched_entry  (n_entry)      [1] entries, ordered by voxel
//   entries        (n_entry)      [molecules/s, or molecules/s/nM]
//   out            (n_open)       [nM um^3/s, or um^3/s] in place, moves (n_touched)
extern "C" __global__ void __launch_bounds__(BLOCK) gather(
    const long long n_touched, const real factor, const long long* __restrict__ touched_voxel,
    const long long* __restrict__ touched_start, const long long* __restrict__ touched_entry,
    const real* __restrict__ entries, real* __restrict__ out
) {
    const long long k = item();
    if (k >= n_touched) return;
    real total = real(0);
    for (long long j = touched_start[k]; j < touched_start[k + 1]; ++j) total += entries[touched_entry[j]];
    out[touched_voxel[k]] += factor * total;
}
