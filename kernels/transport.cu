// Transport between open voxels and exchange with the bath, one thread per place of the table of words (common.cuh), or
// per contact.

// out_fi += C_fi sum_k c_k T_kfi + D_f sum_d g_di (u_fj - u_fi)
//
// The right-hand sides of a stage: history of the earlier stages, and transport; the bath's share is bath_flux. Of all
// fields whose conductances are proportional.
// over: 32 n_words by n_designs
// twin: ReferenceBackend.stage_rhs
//   n             scalar                    [1] open voxels
//   n_fields      scalar                    [1]
//   n_members     scalar                    [1] fields that share these conductances
//   n_terms       scalar                    [1] stages so far, up to n_stages
//   members       (n_members)               [1] which they are
//   D             (n_fields, n_designs)     [um^2/s]
//   n_words       scalar                    [1]
//   words         (n_words, 8)              [1] see common.cuh
//   faces         (3, n)                    [um] conductances, on the lower side
//   capacity      (n_capacity, n)           [um^3]
//   capacity_of   (n_fields)                [1] row of each field in capacity
//   value         (n_designs, n_fields, n)  [nM] moves (n_designs, n_members, n)
//   terms         (n_stages, n_rows, n)     [nM] moves (n_terms, n_designs, n_members, n)
//   coefficients  (n_stages)                [1/s]
//   out           (n_designs, n_fields, n)  [nM um^3/s] in place, moves (n_designs, n_members, n)
extern "C" __global__ void __launch_bounds__(BLOCK, 1) stage_rhs(
    const long long n, const int n_fields, const int n_members, const int n_terms, const int* __restrict__ members,
    const real* __restrict__ D, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const real* __restrict__ capacity, const int* __restrict__ capacity_of,
    const real* __restrict__ value, const real* __restrict__ terms, const real* __restrict__ coefficients,
    real* __restrict__ out
) {
    Around at;
    if (!look_around(item(), n, n_words, words, faces, at)) return;
    const long long stage = (long long)gridDim.y * n_fields * n;
    for (int m = 0; m < n_members; ++m) {
        const int f = members[m];
        const long long own = row_of(n_fields, f) * n, i = own + at.i;
        real history = real(0);
        for (int k = 0; k < n_terms; ++k) history += coefficients[k] * terms[k * stage + i];
        const real flux = D[f * (long long)gridDim.y + blockIdx.y] * divergence(at, value + own);
        out[i] += capacity[capacity_of[f] * n + at.i] * history + flux;
    }
}

// out_fi += g_bath,fi (bath_f - u_fi)
//
// Inflow from the bath at the voxels that touch it. The bath's concentrations come first among the small quantities.
// over: n_contact by n_designs
// twin: ReferenceBackend.stage_rhs
//   n_contact    scalar                            [1] voxels that touch the bath
//   n            scalar                            [1] open voxels
//   n_fields     scalar                            [1]
//   n_small      scalar                            [1] small quantities of a design
//   voxel        (n_contact)                       [1]
//   conductance  (n_designs, n_fields, n_contact)  [um^3/s]
//   small_value  (n_designs, n_small)              [nM]
//   value        (n_designs, n_fields, n)          [nM] moves (n_designs, n_fields, n_contact)
//   out          (n_designs, n_fields, n)          [nM um^3/s] in place, moves (n_designs, n_fields, n_contact)
extern "C" __global__ void __launch_bounds__(BLOCK) bath_flux(
    const long long n_contact, const long long n, const int n_fields, const int n_small,
    const long long* __restrict__ voxel, const real* __restrict__ conductance, const real* __restrict__ small_value,
    const real* __restrict__ value, real* __restrict__ out
) {
    const long long k = item();
    if (k >= n_contact) return;
    for (int f = 0; f < n_fields; ++f) {
        const long long own = row_of(n_fields, f), i = own * n + voxel[k];
        out[i] += conductance[own * n_contact + k] * (small_value[row_of(n_small, f)] - value[i]);
    }
}

// total_f = sum_i g_bath,i (bath - u_fi)
//
// What enters from the bath; rows are the fields of every design in turn.
// over: n_contact by n_rows
// twin: ReferenceBackend.bath_inflow
//   n_contact    scalar                [1] voxels that touch the bath
//   n_rows       scalar                [1] fields of all designs
//   n            scalar                [1] open voxels
//   n_fields     scalar                [1]
//   n_small      scalar                [1] small quantities of a design
//   voxel        (n_contact)           [1]
//   conductance  (n_rows, n_contact)   [um^3/s]
//   small_value  (n_designs, n_small)  [nM]
//   value        (n_rows, n)           [nM] moves (n_rows, n_contact)
//   partial      (n_rows, n_blocks)    [nM um^3/s]
//   done         (n_rows)              [1] blocks that are done, in place
//   total        (n_rows)              [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_inflow(
    const long long n_contact, const long long n_rows, const long long n, const int n_fields, const int n_small,
    const long long* __restrict__ voxel, const real* __restrict__ conductance, const real* __restrict__ small_value,
    const real* __restrict__ value, double* __restrict__ partial, int* __restrict__ done, double* __restrict__ total
) {
    const long long k = item(), row = blockIdx.y;
    double rate = 0.0;
    if (k < n_contact) {
        const double bath = double(small_value[row / n_fields * n_small + row % n_fields]);
        rate = double(conductance[row * n_contact + k]) * (bath - double(value[row * n + voxel[k]]));
    }
    block_total(rate, partial, done, total);
}

// total = sum_i g_bath,i x_fi
//
// What a solution of one field gives to the bath.
// over: n_contact by n_designs
// twin: Stepper._bath_dot
//   n_contact    scalar                            [1] voxels that touch the bath
//   n            scalar                            [1] open voxels
//   n_fields     scalar                            [1]
//   field        scalar                            [1] below n_fields
//   n_rows       scalar                            [1] rows of x
//   row          scalar                            [1] below n_rows
//   voxel        (n_contact)                       [1]
//   conductance  (n_designs, n_fields, n_contact)  [um^3/s] moves (n_designs, n_contact)
//   x            (n_designs, n_rows, n)            [nM] moves (n_designs, n_contact)
//   partial      (n_designs, n_blocks)             [nM um^3/s]
//   done         (n_designs)                       [1] blocks that are done, in place
//   total        (n_designs)                       [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_dot(
    const long long n_contact, const long long n, const int n_fields, const int field, const int n_rows, const int row,
    const long long* __restrict__ voxel, const real* __restrict__ conductance, const real* __restrict__ x,
    double* __restrict__ partial, int* __restrict__ done, double* __restrict__ total
) {
    const long long k = item();
    double rate = 0.0;
    if (k < n_contact) {
        const double inflow = double(x[row_of(n_rows, row) * n + voxel[k]]);
        rate = double(conductance[row_of(n_fields, field) * n_contact + k]) * inflow;
    }
    block_total(rate, partial, done, total);
}

// rhs_i -= A u_f = z_i u_fi - D sum_d g_di (u_fj - u_fi)
//
// What is left of a right-hand side.
// over: 32 n_words by n_designs
// twin: ReferenceBackend.subtract_image
//   n          scalar                    [1] open voxels
//   n_fields   scalar                    [1]
//   field      scalar                    [1] below n_fields
//   D          (n_designs)               [um^2/s]
//   n_words    scalar                    [1]
//   words      (n_words, 8)              [1] see common.cuh
//   faces      (3, n)                    [um] conductances, on the lower side
//   zeroth     (n_designs, n)            [um^3/s]
//   value      (n_designs, n_fields, n)  [nM] moves (n_designs, n)
//   rhs        (n_designs, n)            [nM um^3/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) subtract_image(
    const long long n, const int n_fields, const int field, const real* __restrict__ D, const long long n_words,
    const int* __restrict__ words, const float* __restrict__ faces, const real* __restrict__ zeroth,
    const real* __restrict__ value, real* __restrict__ rhs
) {
    Around at;
    if (!look_around(item(), n, n_words, words, faces, at)) return;
    const long long k = row_of(n, at.i);
    const real* own = value + row_of(n_fields, field) * n;
    rhs[k] -= zeroth[k] * own[at.i] - D[blockIdx.y] * divergence(at, own);
}

// z_i = sg C_i
//
// Zeroth-order term of the elliptic operator of a field; reactions, cells and the bath add theirs.
// over: n by n_designs
// twin: ReferenceBackend.set_operator
//   n         scalar          [1] open voxels
//   sg        (1)             [1/s] 1 / (gamma dt)
//   capacity  (n)             [um^3]
//   zeroth    (n_designs, n)  [um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) set_zeroth(
    const long long n, const real* __restrict__ sg, const real* __restrict__ capacity, real* __restrict__ zeroth
) {
    const long long i = item();
    if (i >= n) return;
    zeroth[row_of(n, i)] = sg[0] * capacity[i];
}

// out_i += b g_bath,i
//
// Conductance towards the bath at the voxels that touch it, times what the bath's concentration changes by, or 1.
// over: n_contact by n_designs
// twin: ReferenceBackend.bath_coupling
//   n_contact    scalar                            [1] voxels that touch the bath
//   n            scalar                            [1] open voxels
//   n_fields     scalar                            [1]
//   field        scalar                            [1] below n_fields
//   voxel        (n_contact)                       [1]
//   conductance  (n_designs, n_fields, n_contact)  [um^3/s] moves (n_designs, n_contact)
//   n_small      scalar                            [1] small quantities of a design
//   column       scalar                            [1] which of them is b, below n_small
//   b            (n_designs, n_small)              [nM, or 1]
//   out          (n_designs, n)                    [nM um^3/s, or um^3/s] in place, moves (n_designs, n_contact)
extern "C" __global__ void __launch_bounds__(BLOCK) bath_coupling(
    const long long n_contact, const long long n, const int n_fields, const int field,
    const long long* __restrict__ voxel, const real* __restrict__ conductance, const int n_small, const int column,
    const real* __restrict__ b, real* __restrict__ out
) {
    const long long k = item();
    if (k >= n_contact) return;
    const real share = conductance[row_of(n_fields, field) * n_contact + k];
    out[row_of(n, voxel[k])] += b[row_of(n_small, column)] * share;
}
