// Transport between open voxels and exchange with the bath, one thread per voxel or per contact.

// out_i += C_i sum_k c_k T_kfi + D sum_d g_di (u_j - u_i)
//
// The right-hand side of a stage: history of the earlier stages, and transport; the bath's share is bath_flux.
// over: n
// twin: ReferenceBackend.stage_rhs
//   n             scalar                   [1] open voxels
//   n_fields      scalar                   [1]
//   field         scalar                   [1] row of the field in terms, below n_fields
//   n_terms       scalar                   [1] stages so far, up to n_stages
//   D             scalar                   [um^2/s]
//   neighbour     (6, n)                   [1] open voxel per direction, itself where there is none
//   g             (6, n)                   [um]
//   capacity      (n)                      [um^3]
//   value         (n)                      [nM]
//   terms         (n_stages, n_fields, n)  [nM] moves (n_terms, n)
//   coefficients  (n_stages)               [1/s]
//   out           (n)                      [nM um^3/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) stage_rhs(
    const long long n, const int n_fields, const int field, const int n_terms, const real D,
    const int* __restrict__ neighbour, const float* __restrict__ g, const real* __restrict__ capacity,
    const real* __restrict__ value, const real* __restrict__ terms, const real* __restrict__ coefficients,
    real* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    real history = real(0);
    for (int k = 0; k < n_terms; ++k) history += coefficients[k] * terms[((long long)k * n_fields + field) * n + i];
    out[i] += capacity[i] * history + D * divergence(i, n, neighbour, g, value);
}

// out_i += g_bath,i (bath - u_i)
//
// Inflow from the bath at the voxels that touch it.
// over: n_contact
// twin: ReferenceBackend.stage_rhs
//   n_contact    scalar       [1] voxels that touch the bath
//   voxel        (n_contact)  [1]
//   conductance  (n_contact)  [um^3/s]
//   bath         (1)          [nM]
//   value        (n)          [nM] moves (n_contact)
//   out          (n)          [nM um^3/s] in place, moves (n_contact)
extern "C" __global__ void __launch_bounds__(BLOCK) bath_flux(
    const long long n_contact, const long long* __restrict__ voxel, const real* __restrict__ conductance,
    const real* __restrict__ bath, const real* __restrict__ value, real* __restrict__ out
) {
    const long long k = item();
    if (k >= n_contact) return;
    out[voxel[k]] += conductance[k] * (bath[0] - value[voxel[k]]);
}

// partial = sum_i g_bath,i (bath - u_i)
//
// What enters from the bath.
// over: n_contact
// twin: ReferenceBackend.bath_inflow
//   n_contact    scalar       [1] voxels that touch the bath
//   voxel        (n_contact)  [1]
//   conductance  (n_contact)  [um^3/s]
//   bath         (1)          [nM]
//   value        (n)          [nM] moves (n_contact)
//   partial      (n_blocks)   [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_inflow(
    const long long n_contact, const long long* __restrict__ voxel, const real* __restrict__ conductance,
    const real* __restrict__ bath, const real* __restrict__ value, double* __restrict__ partial
) {
    const long long k = item();
    const bool inside = k < n_contact;
    block_partial(inside ? double(conductance[k]) * (double(bath[0]) - double(value[voxel[k]])) : 0.0, partial);
}

// out_i = A u = z_i u_i - D sum_d g_di (u_j - u_i);   partial = sum_i u_i out_i
//
// The elliptic operator of a field and the product that a conjugate-gradient step needs.
// over: n
// twin: ReferenceBackend._apply
//   n          scalar      [1] open voxels
//   D          scalar      [um^2/s]
//   neighbour  (6, n)      [1] open voxel per direction, itself where there is none
//   g          (6, n)      [um]
//   zeroth     (n)         [um^3/s]
//   value      (n)         [nM]
//   out        (n)         [nM um^3/s]
//   partial    (n_blocks)  [nM^2 um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) apply_dot(
    const long long n, const real D, const int* __restrict__ neighbour, const float* __restrict__ g,
    const real* __restrict__ zeroth, const real* __restrict__ value, real* __restrict__ out,
    double* __restrict__ partial
) {
    const long long i = item();
    double product = 0.0;
    if (i < n) {
        const real image = zeroth[i] * value[i] - D * divergence(i, n, neighbour, g, value);
        out[i] = image;
        product = double(value[i]) * double(image);
    }
    block_partial(product, partial);
}

// rhs_i -= A u = z_i u_i - D sum_d g_di (u_j - u_i)
//
// What is left of a right-hand side.
// over: n
// twin: ReferenceBackend.subtract_image
//   n          scalar  [1] open voxels
//   D          scalar  [um^2/s]
//   neighbour  (6, n)  [1] open voxel per direction, itself where there is none
//   g          (6, n)  [um]
//   zeroth     (n)     [um^3/s]
//   value      (n)     [nM]
//   rhs        (n)     [nM um^3/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) subtract_image(
    const long long n, const real D, const int* __restrict__ neighbour, const float* __restrict__ g,
    const real* __restrict__ zeroth, const real* __restrict__ value, real* __restrict__ rhs
) {
    const long long i = item();
    if (i >= n) return;
    rhs[i] -= zeroth[i] * value[i] - D * divergence(i, n, neighbour, g, value);
}

// z_i = sg C_i + extra_i
//
// Zeroth-order term of the elliptic operator of a field; the bath's share is bath_coupling.
// over: n
// twin: ReferenceBackend.set_operator
//   n         scalar  [1] open voxels
//   sg        (1)     [1/s] 1 / (gamma dt)
//   capacity  (n)     [um^3]
//   extra     (n)     [um^3/s]
//   zeroth    (n)     [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) set_zeroth(
    const long long n, const real* __restrict__ sg, const real* __restrict__ capacity,
    const real* __restrict__ extra, real* __restrict__ zeroth
) {
    const long long i = item();
    if (i >= n) return;
    zeroth[i] = sg[0] * capacity[i] + extra[i];
}

// out_i += g_bath,i
//
// Conductance towards the bath at the voxels that touch it.
// over: n_contact
// twin: ReferenceBackend.bath_coupling
//   n_contact    scalar       [1] voxels that touch the bath
//   voxel        (n_contact)  [1]
//   conductance  (n_contact)  [um^3/s]
//   out          (n)          [um^3/s] in place, moves (n_contact)
extern "C" __global__ void __launch_bounds__(BLOCK) bath_coupling(
    const long long n_contact, const long long* __restrict__ voxel, const real* __restrict__ conductance,
    real* __restrict__ out
) {
    const long long k = item();
    if (k >= n_contact) return;
    out[voxel[k]] += conductance[k];
}
