// Fates of the cells, where they are expected: when each transition came to each cell (solver/fates.py).
//
// A transition has come once half of what a cell stands for has taken it. Within a step its slot is the cubic through
// its values and rates at both ends (Hermite); where that passes one half is found by bisection.

#define SHARE_OF_A_CELL 0.5
#define BISECTIONS 50

__device__ __forceinline__ double cubic(
    const double s, const double before, const double after, const double rise_before, const double rise_after
) {
    const double left = 1.0 - s;
    return before * (1.0 + 2.0 * s) * left * left + after * (3.0 - 2.0 * s) * s * s + rise_before * s * left * left
        - rise_after * s * s * left;
}

// time_k = t + s dt with u_k(s) = 1/2, the first time that u_k passes it
//
// After a step that was accepted; idle otherwise.
// over: n_cell by n_designs
// twin: Fates.follow
//   n_cell         scalar                              [1]
//   n_states       scalar                              [1]
//   n_transitions  scalar                              [1]
//   n_clock        scalar                              [1]
//   rows           (n_transitions)                     [1] slots of the transitions
//   verdict        (1)                                 [1] 1 for an accepted step, else 0
//   clock          (n_clock)                           [s]
//   states         (n_designs, n_states, n_cell)       [of the states] moves (n_designs, n_transitions, n_cell)
//   rates          (n_designs, n_states, n_cell)       [of the states / s] moves (n_designs, n_transitions, n_cell)
//   value          (n_designs, n_transitions, n_cell)  [1] u_k at the step's beginning, in place
//   rate           (n_designs, n_transitions, n_cell)  [1/s] its rate there, in place
//   time           (n_designs, n_transitions, n_cell)  [s] nan until then, in place
extern "C" __global__ void __launch_bounds__(BLOCK) follow_fates(
    const long long n_cell, const int n_states, const int n_transitions, const int n_clock,
    const int* __restrict__ rows, const int* __restrict__ verdict, const double* __restrict__ clock,
    const real* __restrict__ states, const real* __restrict__ rates, double* __restrict__ value,
    double* __restrict__ rate, double* __restrict__ time
) {
    const long long c = item();
    if (c >= n_cell) return;
    if (verdict[0] == 0 || n_clock == 0) return;
    const double now = clock[0], dt = clock[1];
    for (int k = 0; k < n_transitions; ++k) {
        const long long at = row_of(n_transitions, k) * n_cell + c, from = row_of(n_states, rows[k]) * n_cell + c;
        const double before = value[at], after = double(states[from]);
        const double rise_before = dt * rate[at], rise_after = dt * double(rates[from]);
        value[at] = after;
        rate[at] = double(rates[from]);
        if (time[at] == time[at] || before >= SHARE_OF_A_CELL || !(after >= SHARE_OF_A_CELL)) continue;
        double low = 0.0, high = 1.0;
        for (int i = 0; i < BISECTIONS; ++i) {
            const double middle = 0.5 * (low + high);
            if (cubic(middle, before, after, rise_before, rise_after) < SHARE_OF_A_CELL) {
                low = middle;
            } else {
                high = middle;
            }
        }
        time[at] = now - dt + high * dt;
    }
}
