// Exchange between touching cells (solver/contacts.py): what each gives to the others, gathered without atomics.
//
// Contacts alike share a table of pairs; the tables lie end to end, each pair in both rows. A batch has the pairs that
// touch in any of its designs, with strength 0 where they do not.

#define STABLE_SHARE 0.63

// ds_r/dt += sum_j g_ij p_i p_j (other q_kj - own q_ki) over the cells j that touch cell i
//
// All contacts at once: of each transfer, the row r that it adds to and the contact k that it is of. What a cell loses
// another gains: a difference of rates, times a factor of the pair that is the same both ways.
// over: n_cell by n_designs
// twin: ContactExchange.add_rates
//   n_cell       scalar                           [1]
//   n_link       scalar                           [1] pairs of all tables, each both ways
//   n_contacts   scalar                           [1]
//   n_states     scalar                           [1]
//   n_transfers  scalar                           [1]
//   table        (n_transfers)                    [1]
//   contact      (n_transfers)                    [1]
//   row          (n_transfers)                    [1] slot that it adds to
//   other        (n_transfers)                    [1] 1 where the slot gains
//   own          (n_transfers)                    [1] 1 where it loses
//   row_start    (n_tables, n_cell+1)             [1] first of the cells that touch each
//   touching     (n_link)                         [1] the other cell
//   strength     (n_designs, n_link)              [of the mechanism file] g
//   flux         (n_designs, n_contacts, n_cell)  [molecules/s] q
//   present      (n_designs, n_contacts, n_cell)  [1] p
//   d_states     (n_designs, n_states, n_cell)    [molecules/s] in place, moves (n_designs, n_transfers, n_cell)
extern "C" __global__ void __launch_bounds__(BLOCK) exchange(
    const long long n_cell, const long long n_link, const int n_contacts, const int n_states, const int n_transfers,
    const int* __restrict__ table, const int* __restrict__ contact, const int* __restrict__ row,
    const real* __restrict__ other, const real* __restrict__ own, const long long* __restrict__ row_start,
    const int* __restrict__ touching, const real* __restrict__ strength, const real* __restrict__ flux,
    const real* __restrict__ present, real* __restrict__ d_states
) {
    const long long i = item();
    if (i >= n_cell) return;
    strength += row_of(n_link, 0);
    for (int t = 0; t < n_transfers; ++t) {
        const long long* start = row_start + table[t] * (n_cell + 1);
        const real* q = flux + row_of(n_contacts, contact[t]) * n_cell;
        const real* alive = present + row_of(n_contacts, contact[t]) * n_cell;
        real total = real(0);
        for (long long k = start[i]; k < start[i + 1]; ++k) {
            const real pair = strength[k] * (alive[touching[k]] * alive[i]);
            total += pair * (other[t] * q[touching[k]] - own[t] * q[i]);
        }
        d_states[row_of(n_states, row[t]) * n_cell + i] += total;
    }
}

// partial = max_c max_k 2 |gain_kc| sum_j g_cj p_c p_j over the cells j that touch cell c
//
// Largest share that the exchange has in what a cell does in a step, of the contacts k in the list; largest of a block.
// over: n_cell by n_designs
// twin: ContactExchange.haste
//   n_cell      scalar                           [1]
//   n_link      scalar                           [1] pairs of all tables, each both ways
//   n_contacts  scalar                           [1]
//   n_measured  scalar                           [1] contacts in the list
//   table       (n_measured)                     [1]
//   contact     (n_measured)                     [1] their numbers
//   row_start   (n_tables, n_cell+1)             [1] first of the cells that touch each
//   touching    (n_link)                         [1] the other cell
//   strength    (n_designs, n_link)              [of the mechanism file] g
//   gain        (n_designs, n_contacts, n_cell)  [of 1 / g]
//   present     (n_designs, n_contacts, n_cell)  [1] p
//   partial     (n_designs, n_blocks)            [1]
extern "C" __global__ void __launch_bounds__(BLOCK) contact_shares(
    const long long n_cell, const long long n_link, const int n_contacts, const int n_measured,
    const int* __restrict__ table, const int* __restrict__ contact, const long long* __restrict__ row_start,
    const int* __restrict__ touching, const real* __restrict__ strength, const real* __restrict__ gain,
    const real* __restrict__ present, double* __restrict__ partial
) {
    const long long c = item();
    strength += row_of(n_link, 0);
    double worst = 0.0;
    for (int t = 0; t < n_measured && c < n_cell; ++t) {
        const long long* start = row_start + table[t] * (n_cell + 1);
        const real* alive = present + row_of(n_contacts, contact[t]) * n_cell;
        const real own = real(-2) * gain[row_of(n_contacts, contact[t]) * n_cell + c];
        real share = real(0);
        for (long long k = start[c]; k < start[c + 1]; ++k) {
            share -= strength[k] * (alive[touching[k]] * alive[c]) * own;
        }
        if (fabs(double(share)) > worst) worst = fabs(double(share));
    }
    block_largest(worst, partial);
}

// haste = (max / 0.63)^3
//
// How far a step is beyond what is stable beside the contacts, as a scaled error; from the largest value of each block.
// over: blocks of n_designs
// twin: ContactExchange.haste
//   n_designs  scalar                [1]
//   n_parts    scalar                [1]
//   parts      (n_designs, n_parts)  [1]
//   haste      (n_designs)           [1]
extern "C" __global__ void __launch_bounds__(BLOCK) contact_haste(
    const long long n_designs, const long long n_parts, const double* __restrict__ parts, double* __restrict__ haste
) {
    const long long d = blockIdx.x;
    if (d >= n_designs) return;
    double most = 0.0;
    for (long long k = threadIdx.x; k < n_parts; k += BLOCK) {
        if (parts[d * n_parts + k] > most) most = parts[d * n_parts + k];
    }
    block_largest(most, haste);
    if (threadIdx.x == 0) haste[d] = pow(haste[d] / STABLE_SHARE, 3.0);
}
