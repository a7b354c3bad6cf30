// Cells, one thread each, around the functions that are generated from the mechanism (pasted between common.cuh and
// this text). N_STATES, N_EXCHANGED, N_LU, N_SCHUR, N_PARAMETERS, N_CELL_PARAMETERS and N_FIELDS come with them.
// Cells are few and have much to remember: one block a multiprocessor is enough, and all its registers may be used.
// Footprints lie in compressed rows: entries start_c .. start_c+1 of cell c cover voxels with weights that sum to 1.

// ds/dt = sum_r nu_r q_r;   source_fe = w_e sum_r nu_fr q_r(u_e, s)
//
// Rates of change of the states, and sources of the exchanged fields at every entry.
// over: n_cell by n_designs
// twin: cell_rates
//   n_cell        scalar                                  [1]
//   n_open        scalar                                  [1] open voxels
//   n_entry       scalar                                  [1]
//   fields        (n_designs, N_FIELDS, n_open)           [nM] moves (n_designs, N_EXCHANGED, n_entry)
//   states        (n_designs, N_STATES, n_cell)           [molecules]
//   p             (n_designs, N_PARAMETERS)               [of the mechanism file]
//   cp            (n_designs, N_CELL_PARAMETERS, n_cell)  [of the mechanism file]
//   start         (n_cell+1)                              [1] first entry of each cell
//   voxel         (n_entry)                               [1] open voxel
//   weight        (n_entry)                               [1]
//   d_states      (n_designs, N_STATES, n_cell)           [molecules/s]
//   entry_source  (n_designs, N_EXCHANGED, n_entry)       [molecules/s]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_rates(
    const long long n_cell, const long long n_open, const long long n_entry, const real* __restrict__ fields,
    const real* __restrict__ states, const real* __restrict__ p, const real* __restrict__ cp,
    const long long* __restrict__ start, const long long* __restrict__ voxel, const real* __restrict__ weight,
    real* __restrict__ d_states, real* __restrict__ entry_source
) {
    const long long c = item();
    if (c >= n_cell) return;
    fields += row_of(N_FIELDS, 0) * n_open;
    states += row_of(N_STATES, 0) * n_cell;
    p += row_of(N_PARAMETERS, 0);
    cp += row_of(N_CELL_PARAMETERS, 0) * n_cell;
    d_states += row_of(N_STATES, 0) * n_cell;
    entry_source += row_of(N_EXCHANGED, 0) * n_entry;
    cell_rates_at(c, n_cell, n_open, n_entry, fields, states, p, cp, start, voxel, weight, d_states, entry_source);
}

// L U = sg I - J_ss;   schur_fge = -w_e sum_r (nu_fr + A_f M nu_r) dq_r/du_g,   M = (L U)^-1
//
// Factors of every cell, and what its elimination adds at every entry to the equation of field f by field g.
// over: n_cell by n_designs
// twin: cell_factor
//   n_cell       scalar                                  [1]
//   n_open       scalar                                  [1] open voxels
//   n_entry      scalar                                  [1]
//   base_fields  (n_designs, N_FIELDS, n_open)           [nM] at max(u, 0), moves (n_designs, N_EXCHANGED, n_entry)
//   base_states  (n_designs, N_STATES, n_cell)           [molecules] at max(u, 0)
//   p            (n_designs, N_PARAMETERS)               [of the mechanism file]
//   cp           (n_designs, N_CELL_PARAMETERS, n_cell)  [of the mechanism file]
//   start        (n_cell+1)                              [1] first entry of each cell
//   voxel        (n_entry)                               [1] open voxel
//   weight       (n_entry)                               [1]
//   sg           (1)                                     [1/s] 1 / (gamma dt)
//   lu           (n_designs, N_LU, n_cell)               [1/s, s on the diagonal] and rows of M behind
//   entry_schur  (n_designs, N_SCHUR, n_entry)           [molecules/s/nM] and shapes of answers behind
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_factor(
    const long long n_cell, const long long n_open, const long long n_entry, const real* __restrict__ base_fields,
    const real* __restrict__ base_states, const real* __restrict__ p, const real* __restrict__ cp,
    const long long* __restrict__ start, const long long* __restrict__ voxel, const real* __restrict__ weight,
    const real* __restrict__ sg, real* __restrict__ lu, real* __restrict__ entry_schur
) {
    const long long c = item();
    if (c >= n_cell) return;
    base_fields += row_of(N_FIELDS, 0) * n_open;
    base_states += row_of(N_STATES, 0) * n_cell;
    p += row_of(N_PARAMETERS, 0);
    cp += row_of(N_CELL_PARAMETERS, 0) * n_cell;
    lu += row_of(N_LU, 0) * n_cell;
    entry_schur += row_of(N_SCHUR, 0) * n_entry;
    cell_factor_at(
        c, n_cell, n_open, n_entry, base_fields, base_states, p, cp, start, voxel, weight, sg[0], lu, entry_schur
    );
}

// out_e = w_e sum_r nu_fr dq_r/ds . M rhs
//
// Sources of exchanged field number f at every entry that follow from the states' right-hand side.
// over: n_cell by n_designs
// twin: cell_respond
//   n_cell       scalar                                  [1]
//   n_open       scalar                                  [1] open voxels
//   n_entry      scalar                                  [1]
//   base_fields  (n_designs, N_FIELDS, n_open)           [nM] at max(u, 0), moves (n_designs, N_EXCHANGED, n_entry)
//   base_states  (n_designs, N_STATES, n_cell)           [molecules] at max(u, 0)
//   p            (n_designs, N_PARAMETERS)               [of the mechanism file]
//   cp           (n_designs, N_CELL_PARAMETERS, n_cell)  [of the mechanism file]
//   start        (n_cell+1)                              [1] first entry of each cell
//   voxel        (n_entry)                               [1] open voxel
//   weight       (n_entry)                               [1]
//   lu           (n_designs, N_LU, n_cell)               [1/s, s on the diagonal] and rows of M, which alone are read
//   entry_schur  (n_designs, N_SCHUR, n_entry)           [molecules/s/nM] shapes of answers behind, moves (0)
//   rhs          (n_designs, N_STATES, n_cell)           [molecules/s]
//   f            scalar                                  [1] number among the exchanged fields, below N_EXCHANGED
//   out_entry    (n_designs, n_entry)                    [molecules/s]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_respond(
    const long long n_cell, const long long n_open, const long long n_entry, const real* __restrict__ base_fields,
    const real* __restrict__ base_states, const real* __restrict__ p, const real* __restrict__ cp,
    const long long* __restrict__ start, const long long* __restrict__ voxel, const real* __restrict__ weight,
    const real* __restrict__ lu, const real* __restrict__ entry_schur, const real* __restrict__ rhs, const int f,
    real* __restrict__ out_entry
) {
    const long long c = item();
    if (c >= n_cell) return;
    base_fields += row_of(N_FIELDS, 0) * n_open;
    base_states += row_of(N_STATES, 0) * n_cell;
    p += row_of(N_PARAMETERS, 0);
    cp += row_of(N_CELL_PARAMETERS, 0) * n_cell;
    lu += row_of(N_LU, 0) * n_cell;
    entry_schur += row_of(N_SCHUR, 0) * n_entry;
    rhs += row_of(N_STATES, 0) * n_cell;
    out_entry += row_of(1, 0) * n_entry;
    cell_respond_at(
        c, n_cell, n_open, n_entry, base_fields, base_states, p, cp, start, voxel, weight, lu, entry_schur, rhs, f,
        out_entry
    );
}

// rhs += sign sum_e w_e sum_r nu_r dq_r/du_f increment_e
//
// What an increment of exchanged field number f does to the states.
// over: n_cell by n_designs
// twin: cell_absorb
//   n_cell       scalar                                  [1]
//   n_open       scalar                                  [1] open voxels
//   n_entry      scalar                                  [1]
//   base_fields  (n_designs, N_FIELDS, n_open)           [nM] at max(u, 0), moves (n_designs, N_EXCHANGED, n_entry)
//   base_states  (n_designs, N_STATES, n_cell)           [molecules] at max(u, 0)
//   p            (n_designs, N_PARAMETERS)               [of the mechanism file]
//   cp           (n_designs, N_CELL_PARAMETERS, n_cell)  [of the mechanism file]
//   start        (n_cell+1)                              [1] first entry of each cell
//   voxel        (n_entry)                               [1] open voxel
//   weight       (n_entry)                               [1]
//   row          scalar                                  [1] row of the field among the increments, below n_rows
//   n_rows       scalar                                  [1]
//   increment    (n_designs, n_rows, n_open)             [nM] moves (n_designs, n_entry)
//   f            scalar                                  [1] number among the exchanged fields, below N_EXCHANGED
//   sign         scalar                                  [1]
//   rhs          (n_designs, N_STATES, n_cell)           [molecules/s] in place
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_absorb(
    const long long n_cell, const long long n_open, const long long n_entry, const real* __restrict__ base_fields,
    const real* __restrict__ base_states, const real* __restrict__ p, const real* __restrict__ cp,
    const long long* __restrict__ start, const long long* __restrict__ voxel, const real* __restrict__ weight,
    const int row, const int n_rows, const real* __restrict__ increment, const int f, const real sign,
    real* __restrict__ rhs
) {
    const long long c = item();
    if (c >= n_cell) return;
    base_fields += row_of(N_FIELDS, 0) * n_open;
    base_states += row_of(N_STATES, 0) * n_cell;
    p += row_of(N_PARAMETERS, 0);
    cp += row_of(N_CELL_PARAMETERS, 0) * n_cell;
    increment += row_of(n_rows, row) * n_open;
    rhs += row_of(N_STATES, 0) * n_cell;
    cell_absorb_at(
        c, n_cell, n_open, n_entry, base_fields, base_states, p, cp, start, voxel, weight, increment, f, sign, rhs
    );
}

// out = M rhs
//
// The increments of the states.
// over: n_cell by n_designs
// twin: cell_solve
//   n_cell  scalar                         [1]
//   lu      (n_designs, N_LU, n_cell)      [1/s, s on the diagonal]
//   rhs     (n_designs, N_STATES, n_cell)  [molecules/s]
//   out     (n_designs, N_STATES, n_cell)  [molecules]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_solve(
    const long long n_cell, const real* __restrict__ lu, const real* __restrict__ rhs, real* __restrict__ out
) {
    const long long c = item();
    if (c >= n_cell) return;
    lu += row_of(N_LU, 0) * n_cell;
    rhs += row_of(N_STATES, 0) * n_cell;
    out += row_of(N_STATES, 0) * n_cell;
    cell_solve_at(c, n_cell, lu, rhs, out);
}

// flux_k = q_k(s),   present_k(s)
//
// What every cell gives by each contact to each cell that it touches, and the share of the cell that is alive, without
// which there is no contact.
// over: n_cell by n_designs
// twin: cell_contacts
//   n_cell   scalar                                  [1]
//   n_open   scalar                                  [1] open voxels
//   n_entry  scalar                                  [1]
//   fields   (n_designs, N_FIELDS, n_open)           [nM] not read: moves (0)
//   states   (n_designs, N_STATES, n_cell)           [molecules]
//   p        (n_designs, N_PARAMETERS)               [of the mechanism file]
//   cp       (n_designs, N_CELL_PARAMETERS, n_cell)  [of the mechanism file]
//   start    (n_cell+1)                              [1] first entry of each cell, moves (0)
//   voxel    (n_entry)                               [1] open voxel, moves (0)
//   weight   (n_entry)                               [1] moves (0)
//   flux     (n_designs, N_CONTACTS, n_cell)         [molecules/s]
//   present  (n_designs, N_CONTACTS, n_cell)         [1]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_contacts(
    const long long n_cell, const long long n_open, const long long n_entry, const real* __restrict__ fields,
    const real* __restrict__ states, const real* __restrict__ p, const real* __restrict__ cp,
    const long long* __restrict__ start, const long long* __restrict__ voxel, const real* __restrict__ weight,
    real* __restrict__ flux, real* __restrict__ present
) {
    const long long c = item();
    if (c >= n_cell) return;
    fields += row_of(N_FIELDS, 0) * n_open;
    states += row_of(N_STATES, 0) * n_cell;
    p += row_of(N_PARAMETERS, 0);
    cp += row_of(N_CELL_PARAMETERS, 0) * n_cell;
    flux += row_of(N_CONTACTS, 0) * n_cell;
    present += row_of(N_CONTACTS, 0) * n_cell;
#pragma unroll
    for (int f = 0; f < N_CONTACTS; ++f) {
        cell_contacts_at(
            c, n_cell, n_open, n_entry, fields, states, p, cp, start, voxel, weight, f, flux + f * n_cell,
            present + f * n_cell
        );
    }
}

// gain_k = M_kk dq_k/ds_k,   present_k(s)
//
// How what every cell gives by each contact in the list answers within a step to the state k that is given.
// over: n_cell by n_designs
// twin: cell_contact_gains
//   n_cell       scalar                                  [1]
//   n_open       scalar                                  [1] open voxels
//   n_entry      scalar                                  [1]
//   base_fields  (n_designs, N_FIELDS, n_open)           [nM] not read: moves (0)
//   base_states  (n_designs, N_STATES, n_cell)           [molecules] at max(u, 0)
//   p            (n_designs, N_PARAMETERS)               [of the mechanism file]
//   cp           (n_designs, N_CELL_PARAMETERS, n_cell)  [of the mechanism file]
//   start        (n_cell+1)                              [1] first entry of each cell, moves (0)
//   voxel        (n_entry)                               [1] open voxel, moves (0)
//   weight       (n_entry)                               [1] moves (0)
//   lu           (n_designs, N_LU, n_cell)               [1/s, s on the diagonal]
//   n_measured   scalar                                  [1] contacts in the list
//   contact      (n_measured)                            [1] their numbers
//   gain         (n_designs, N_CONTACTS, n_cell)         [1] moves (n_designs, n_measured, n_cell)
//   present      (n_designs, N_CONTACTS, n_cell)         [1] moves (n_designs, n_measured, n_cell)
extern "C" __global__ void __launch_bounds__(BLOCK, 1) cell_contact_gains(
    const long long n_cell, const long long n_open, const long long n_entry, const real* __restrict__ base_fields,
    const real* __restrict__ base_states, const real* __restrict__ p, const real* __restrict__ cp,
    const long long* __restrict__ start, const long long* __restrict__ voxel, const real* __restrict__ weight,
    const real* __restrict__ lu, const int n_measured, const int* __restrict__ contact, real* __restrict__ gain,
    real* __restrict__ present
) {
    const long long c = item();
    if (c >= n_cell) return;
    base_fields += row_of(N_FIELDS, 0) * n_open;
    base_states += row_of(N_STATES, 0) * n_cell;
    p += row_of(N_PARAMETERS, 0);
    cp += row_of(N_CELL_PARAMETERS, 0) * n_cell;
    lu += row_of(N_LU, 0) * n_cell;
    gain += row_of(N_CONTACTS, 0) * n_cell;
    present += row_of(N_CONTACTS, 0) * n_cell;
    for (int t = 0; t < n_measured; ++t) {
        cell_contact_gains_at(
            c, n_cell, n_open, n_entry, base_fields, base_states, p, cp, start, voxel, weight, lu, contact[t],
            gain + contact[t] * n_cell, present + contact[t] * n_cell
        );
    }
}
