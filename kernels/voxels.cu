// Reactions in voxels and in the bath, one thread per voxel, around the functions that are generated from the mechanism
// (pasted between common.cuh and this text). N_FIELDS, N_PARAMETERS, N_VOXEL_PAIRS, N_BATH_PAIRS and N_ACCUMULATORS
// come with them. V_r is the smallest of the accessible volumes that reaction r is concerned with.

// Block sums of the accumulators' parts, to partial (N_ACCUMULATORS, blocks); all threads of the block must come here.
__device__ __forceinline__ void accumulate(const real* own, double* __restrict__ partial) {
#pragma unroll
    for (int a = 0; a < N_ACCUMULATORS; ++a) block_partial(double(own[a]), partial + (long long)a * gridDim.x);
}

// out_f = sum_r nu_fr V_r rate_r(u)
//
// Sources of every field.
// over: n
// twin: voxel_rates
//   n          scalar           [1] open voxels
//   fields     (N_FIELDS, n)    [nM]
//   p          (N_PARAMETERS)   [of the mechanism file]
//   capacity   (n_capacity, n)  [um^3]
//   cap_index  (N_FIELDS)       [1] row of each field in capacity
//   out        (N_FIELDS, n)    [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_rates(
    const long long n, const real* __restrict__ fields, const real* __restrict__ p, const real* __restrict__ capacity,
    const long long* __restrict__ cap_index, real* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    voxel_rates_at(v, n, fields, p, capacity, cap_index, out);
}

// jac_fg = sum_r nu_fr V_r d rate_r / du_g
//
// Slopes of the sources by the fields, for the pairs that are not zero.
// over: n
// twin: voxel_jacobian
//   n            scalar              [1] open voxels
//   base_fields  (N_FIELDS, n)       [nM]
//   p            (N_PARAMETERS)      [of the mechanism file]
//   capacity     (n_capacity, n)     [um^3]
//   cap_index    (N_FIELDS)          [1] row of each field in capacity
//   jac          (N_VOXEL_PAIRS, n)  [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_jacobian(
    const long long n, const real* __restrict__ base_fields, const real* __restrict__ p,
    const real* __restrict__ capacity, const long long* __restrict__ cap_index, real* __restrict__ jac
) {
    const long long v = item();
    if (v >= n) return;
    voxel_jacobian_at(v, n, base_fields, p, capacity, cap_index, jac);
}

// partial_a = sum_v sum_r nu_ar V_r rate_r(u)
//
// What enters each accumulator.
// over: n
// twin: voxel_losses
//   n          scalar                      [1] open voxels
//   fields     (N_FIELDS, n)               [nM]
//   p          (N_PARAMETERS)              [of the mechanism file]
//   capacity   (n_capacity, n)             [um^3]
//   cap_index  (N_FIELDS)                  [1] row of each field in capacity
//   partial    (N_ACCUMULATORS, n_blocks)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_losses(
    const long long n, const real* __restrict__ fields, const real* __restrict__ p, const real* __restrict__ capacity,
    const long long* __restrict__ cap_index, double* __restrict__ partial
) {
    const long long v = item();
    real own[N_ACCUMULATORS + 1] = {};
    if (v < n) voxel_losses_at(v, n, fields, p, capacity, cap_index, own);
    accumulate(own, partial);
}

// partial_a = sum_v sum_r nu_ar V_r sum_g d rate_r / du_g increment_g
//
// What increments of the fields add to each accumulator, to first order.
// over: n
// twin: voxel_losses_linear
//   n            scalar                      [1] open voxels
//   base_fields  (N_FIELDS, n)               [nM]
//   increments   (N_FIELDS, n)               [nM]
//   p            (N_PARAMETERS)              [of the mechanism file]
//   capacity     (n_capacity, n)             [um^3]
//   cap_index    (N_FIELDS)                  [1] row of each field in capacity
//   partial      (N_ACCUMULATORS, n_blocks)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_losses_linear(
    const long long n, const real* __restrict__ base_fields, const real* __restrict__ increments,
    const real* __restrict__ p, const real* __restrict__ capacity, const long long* __restrict__ cap_index,
    double* __restrict__ partial
) {
    const long long v = item();
    real own[N_ACCUMULATORS + 1] = {};
    if (v < n) voxel_losses_linear_at(v, n, base_fields, increments, p, capacity, cap_index, own);
    accumulate(own, partial);
}

// out_f = sum_r nu_fr V_r rate_r(u)
//
// Sources of every field of the bath.
// over: n
// twin: bath_rates
//   n          scalar           [1] 1
//   fields     (N_FIELDS, n)    [nM]
//   p          (N_PARAMETERS)   [of the mechanism file]
//   capacity   (n_capacity, n)  [um^3]
//   cap_index  (N_FIELDS)       [1] row of each field in capacity
//   out        (N_FIELDS, n)    [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_rates(
    const long long n, const real* __restrict__ fields, const real* __restrict__ p, const real* __restrict__ capacity,
    const long long* __restrict__ cap_index, real* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    bath_rates_at(v, n, fields, p, capacity, cap_index, out);
}

// jac_fg = sum_r nu_fr V_r d rate_r / du_g
//
// Slopes of the sources by the fields of the bath, for the pairs that are not zero.
// over: n
// twin: bath_jacobian
//   n            scalar              [1] 1
//   base_fields  (N_FIELDS, n)       [nM]
//   p            (N_PARAMETERS)      [of the mechanism file]
//   capacity     (n_capacity, n)     [um^3]
//   cap_index    (N_FIELDS)          [1] row of each field in capacity
//   jac          (N_BATH_PAIRS, n)  [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_jacobian(
    const long long n, const real* __restrict__ base_fields, const real* __restrict__ p,
    const real* __restrict__ capacity, const long long* __restrict__ cap_index, real* __restrict__ jac
) {
    const long long v = item();
    if (v >= n) return;
    bath_jacobian_at(v, n, base_fields, p, capacity, cap_index, jac);
}

// partial_a = sum_v sum_r nu_ar V_r rate_r(u)
//
// What enters each accumulator of the bath.
// over: n
// twin: bath_losses
//   n          scalar                      [1] 1
//   fields     (N_FIELDS, n)               [nM]
//   p          (N_PARAMETERS)              [of the mechanism file]
//   capacity   (n_capacity, n)             [um^3]
//   cap_index  (N_FIELDS)                  [1] row of each field in capacity
//   partial    (N_ACCUMULATORS, n_blocks)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_losses(
    const long long n, const real* __restrict__ fields, const real* __restrict__ p, const real* __restrict__ capacity,
    const long long* __restrict__ cap_index, double* __restrict__ partial
) {
    const long long v = item();
    real own[N_ACCUMULATORS + 1] = {};
    if (v < n) bath_losses_at(v, n, fields, p, capacity, cap_index, own);
    accumulate(own, partial);
}

// partial_a = sum_v sum_r nu_ar V_r sum_g d rate_r / du_g increment_g
//
// What increments of the fields add to each accumulator of the bath, to first order.
// over: n
// twin: bath_losses_linear
//   n            scalar                      [1] 1
//   base_fields  (N_FIELDS, n)               [nM]
//   increments   (N_FIELDS, n)               [nM]
//   p            (N_PARAMETERS)              [of the mechanism file]
//   capacity     (n_capacity, n)             [um^3]
//   cap_index    (N_FIELDS)                  [1] row of each field in capacity
//   partial      (N_ACCUMULATORS, n_blocks)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_losses_linear(
    const long long n, const real* __restrict__ base_fields, const real* __restrict__ increments,
    const real* __restrict__ p, const real* __restrict__ capacity, const long long* __restrict__ cap_index,
    double* __restrict__ partial
) {
    const long long v = item();
    real own[N_ACCUMULATORS + 1] = {};
    if (v < n) bath_losses_linear_at(v, n, base_fields, increments, p, capacity, cap_index, own);
    accumulate(own, partial);
}
