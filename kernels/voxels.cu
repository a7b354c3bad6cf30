// Reactions in voxels and in the bath, one thread per voxel, around the functions that are generated from the mechanism
// (pasted between common.cuh and this text). N_FIELDS, N_PARAMETERS, N_VOXEL_PAIRS, N_BATH_PAIRS and N_ACCUMULATORS
// come with them. V_r is the smallest of the accessible volumes that reaction r is concerned with.

// Block sums of the accumulators' parts, to partial (N_ACCUMULATORS, blocks) of this block's design; all threads of the
// block must come here. block_partial moves on by one row for each design.
__device__ __forceinline__ void accumulate(const real* own, double* __restrict__ partial) {
#pragma unroll
    for (int a = 0; a < N_ACCUMULATORS; ++a) {
        block_partial(double(own[a]), partial + (row_of(N_ACCUMULATORS, a) - blockIdx.y) * gridDim.x);
    }
}

// out_f = sum_r nu_fr V_r rate_r(u)
//
// Sources of every field.
// over: n by n_designs
// twin: voxel_rates
//   n          scalar                     [1] open voxels
//   fields     (n_designs, N_FIELDS, n)   [nM]
//   p          (n_designs, N_PARAMETERS)  [of the mechanism file]
//   capacity   (n_capacity, n)            [um^3]
//   cap_index  (N_FIELDS)                 [1] row of each field in capacity
//   out        (n_designs, N_FIELDS, n)   [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_rates(
    const long long n, const real* __restrict__ fields, const real* __restrict__ p, const real* __restrict__ capacity,
    const long long* __restrict__ cap_index, real* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    fields += row_of(N_FIELDS, 0) * n;
    out += row_of(N_FIELDS, 0) * n;
    p += row_of(N_PARAMETERS, 0);
    voxel_rates_at(v, n, fields, p, capacity, cap_index, out);
}

// jac_fg = sum_r nu_fr V_r d rate_r / du_g
//
// Slopes of the sources by the fields, for the pairs that are not zero.
// over: n by n_designs
// twin: voxel_jacobian
//   n            scalar                         [1] open voxels
//   base_fields  (n_designs, N_FIELDS, n)       [nM] at max(u, 0)
//   p            (n_designs, N_PARAMETERS)      [of the mechanism file]
//   capacity     (n_capacity, n)                [um^3]
//   cap_index    (N_FIELDS)                     [1] row of each field in capacity
//   jac          (n_designs, N_VOXEL_PAIRS, n)  [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_jacobian(
    const long long n, const real* __restrict__ base_fields, const real* __restrict__ p,
    const real* __restrict__ capacity, const long long* __restrict__ cap_index, real* __restrict__ jac
) {
    const long long v = item();
    if (v >= n) return;
    base_fields += row_of(N_FIELDS, 0) * n;
    jac += row_of(N_VOXEL_PAIRS, 0) * n;
    p += row_of(N_PARAMETERS, 0);
    voxel_jacobian_at(v, n, base_fields, p, capacity, cap_index, jac);
}

// partial_a = sum_v sum_r nu_ar V_r (rate_r(u) + sum_g d rate_r / du_g increment_g)
//
// What enters each accumulator in a stage: its rate, and to first order what the increments of the fields add.
// over: n by n_designs
// twin: voxel_losses
//   n            scalar                                 [1] open voxels
//   fields       (n_designs, N_FIELDS, n)               [nM]
//   base_fields  (n_designs, N_FIELDS, n)               [nM] at max(u, 0)
//   increments   (n_designs, N_FIELDS, n)               [nM]
//   p            (n_designs, N_PARAMETERS)              [of the mechanism file]
//   capacity     (n_capacity, n)                        [um^3]
//   cap_index    (N_FIELDS)                             [1] row of each field in capacity
//   partial      (n_designs, N_ACCUMULATORS, n_blocks)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) voxel_losses(
    const long long n, const real* __restrict__ fields, const real* __restrict__ base_fields,
    const real* __restrict__ increments, const real* __restrict__ p, const real* __restrict__ capacity,
    const long long* __restrict__ cap_index, double* __restrict__ partial
) {
    const long long v = item(), rows = row_of(N_FIELDS, 0) * n;
    p += row_of(N_PARAMETERS, 0);
    real own[N_ACCUMULATORS + 1] = {}, more[N_ACCUMULATORS + 1] = {};
    if (v < n) {
        voxel_losses_at(v, n, fields + rows, p, capacity, cap_index, own);
        voxel_losses_linear_at(v, n, base_fields + rows, increments + rows, p, capacity, cap_index, more);
    }
    for (int a = 0; a < N_ACCUMULATORS; ++a) own[a] += more[a];
    accumulate(own, partial);
}

// out_f = sum_r nu_fr V rate_r(u_bath)
//
// Sources of every field of the bath, whose concentrations come first among the small quantities.
// over: n by n_designs
// twin: bath_rates
//   n            scalar                     [1] 1
//   n_small      scalar                     [1] small quantities of a design
//   small_value  (n_designs, n_small)       [nM]
//   p            (n_designs, N_PARAMETERS)  [of the mechanism file]
//   volume       (n_designs, 1)             [um^3]
//   cap_index    (N_FIELDS)                 [1] zeros
//   out          (n_designs, N_FIELDS)      [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_rates(
    const long long n, const int n_small, const real* __restrict__ small_value, const real* __restrict__ p,
    const real* __restrict__ volume, const long long* __restrict__ cap_index, real* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    const real* fields = small_value + row_of(n_small, 0);
    out += row_of(N_FIELDS, 0);
    bath_rates_at(v, n, fields, p + row_of(N_PARAMETERS, 0), volume + row_of(1, 0), cap_index, out);
}

// jac_fg = sum_r nu_fr V d rate_r / du_g
//
// Slopes of the sources by the fields of the bath, for the pairs that are not zero.
// over: n by n_designs
// twin: bath_jacobian
//   n           scalar                     [1] 1
//   n_small     scalar                     [1] small quantities of a design
//   small_base  (n_designs, n_small)       [nM] at max(u, 0)
//   p           (n_designs, N_PARAMETERS)  [of the mechanism file]
//   volume      (n_designs, 1)             [um^3]
//   cap_index   (N_FIELDS)                 [1] zeros
//   jac         (n_designs, N_BATH_PAIRS)  [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_jacobian(
    const long long n, const int n_small, const real* __restrict__ small_base, const real* __restrict__ p,
    const real* __restrict__ volume, const long long* __restrict__ cap_index, real* __restrict__ jac
) {
    const long long v = item();
    if (v >= n) return;
    const real* fields = small_base + row_of(n_small, 0);
    jac += row_of(N_BATH_PAIRS, 0);
    bath_jacobian_at(v, n, fields, p + row_of(N_PARAMETERS, 0), volume + row_of(1, 0), cap_index, jac);
}

// out_a = sum_r nu_ar V (rate_r(u) + sum_g d rate_r / du_g increment_g)
//
// What enters each accumulator of the bath in a stage: its rate, and to first order what the increments add.
// over: n by n_designs
// twin: bath_losses
//   n                scalar                       [1] 1
//   n_small          scalar                       [1] small quantities of a design
//   small_value      (n_designs, n_small)         [nM]
//   small_base       (n_designs, n_small)         [nM] at max(u, 0)
//   small_increment  (n_designs, n_small)         [nM]
//   p                (n_designs, N_PARAMETERS)    [of the mechanism file]
//   volume           (n_designs, 1)               [um^3]
//   cap_index        (N_FIELDS)                   [1] zeros
//   out              (n_designs, N_ACCUMULATORS)  [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_losses(
    const long long n, const int n_small, const real* __restrict__ small_value, const real* __restrict__ small_base,
    const real* __restrict__ small_increment, const real* __restrict__ p, const real* __restrict__ volume,
    const long long* __restrict__ cap_index, double* __restrict__ out
) {
    const long long v = item();
    if (v >= n) return;
    real rate[N_ACCUMULATORS + 1] = {}, more[N_ACCUMULATORS + 1] = {};
    const long long own = row_of(n_small, 0);
    p += row_of(N_PARAMETERS, 0);
    volume += row_of(1, 0);
    bath_losses_at(v, n, small_value + own, p, volume, cap_index, rate);
    bath_losses_linear_at(v, n, small_base + own, small_increment + own, p, volume, cap_index, more);
    for (int a = 0; a < N_ACCUMULATORS; ++a) out[row_of(N_ACCUMULATORS, a)] = double(rate[a]) + double(more[a]);
}
