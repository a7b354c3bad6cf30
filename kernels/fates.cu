// Fates of the cells: when each transition came to each cell and, where they are drawn, the moves (solver/fates.py).
//
// Expected, a transition has come once its moves reach half of one starting cell; sampled, once its cumulative hazard
// has reached a threshold that was drawn for it. Within a step its slot is the cubic through its values and rates at
// both ends (Hermite); where that passes a level is found by bisection.

#define SHARE_OF_A_CELL 0.5
#define BISECTIONS 50
#define LINES 11  // of the clock, as in control.cu

__device__ __forceinline__ double cubic(
    const double s, const double before, const double after, const double rise_before, const double rise_after
) {
    const double left = 1.0 - s;
    return before * (1.0 + 2.0 * s) * left * left + after * (3.0 - 2.0 * s) * s * s + rise_before * s * left * left
        - rise_after * s * s * left;
}

// Share of the step, after `low`, at which the cubic rises through a level.
__device__ __forceinline__ double crossing(
    const double level, double low, const double before, const double after, const double rise_before,
    const double rise_after
) {
    double high = 1.0;
    for (int i = 0; i < BISECTIONS; ++i) {
        const double middle = 0.5 * (low + high);
        if (cubic(middle, before, after, rise_before, rise_after) < level) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

// A number of the exponential distribution of mean 1, decided by seed, purpose, who and how many were drawn for this
// before (solver/draws.py): the first word of Philox4x64-10 (Salmon et al. 2011).
__device__ __forceinline__ double waiting_hazard(
    const long long seed, const long long purpose, const long long who, const long long count
) {
    unsigned long long a = who, b = count, c = 0, d = 0, first = seed, second = purpose;
    for (int round = 0; round < 10; ++round) {
        const unsigned long long high_a = __umul64hi(a, 0xD2E7470EE14C6C93ull), low_a = a * 0xD2E7470EE14C6C93ull;
        const unsigned long long high_c = __umul64hi(c, 0xCA5A826395121157ull), low_c = c * 0xCA5A826395121157ull;
        a = high_c ^ b ^ first;
        b = low_c;
        c = high_a ^ d ^ second;
        d = low_a;
        first += 0x9E3779B97F4A7C15ull;
        second += 0xBB67AE8584CAA73Bull;
    }
    return -log1p(-(double(a >> 11) / 9007199254740992.0));  // 53 bits, in [0, 1)
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
        const double share = crossing(SHARE_OF_A_CELL, 0.0, before, after, rise_before, rise_after);
        time[at] = now - dt + share * dt;
    }
}

// u_k(s) = H_k first:  n_to += n_from, n_from = 0;   time_k = t + s dt;   H_j = u_j(s) + E for what leads on, else inf
//
// Drawn fates, after a step that was accepted; idle otherwise. u_k are cumulative hazards, H_k the thresholds of what
// leads out of the cell's fate, E exponential. Moves within a step follow each other; slots of fates change at its end.
// over: n_cell by n_designs
// twin: SampledFates.follow
//   n_cell         scalar                              [1]
//   n_states       scalar                              [1]
//   n_fates        scalar                              [1]
//   n_transitions  scalar                              [1]
//   n_clock        scalar                              [1]
//   rows           (n_transitions)                     [1] slots of the transitions
//   fate_rows      (n_fates)                           [1] slots of the fates
//   before         (n_transitions)                     [1] fate that each leads from
//   after          (n_transitions)                     [1] ... and to
//   purpose        (n_transitions)                     [1] what it is for the generator
//   seed           (n_designs)                         [1]
//   who            (n_designs, n_cell)                 [1] what each cell is for the generator
//   verdict        (1)                                 [1] 1 for an accepted step, else 0
//   clock          (n_clock)                           [s]
//   rates          (n_designs, n_states, n_cell)       [of the states / s] moves (n_designs, n_transitions, n_cell)
//   value          (n_designs, n_transitions, n_cell)  [1] u_k at the step's beginning
//   rate           (n_designs, n_transitions, n_cell)  [1/s] its rate there
//   states         (n_designs, n_states, n_cell)       [any] in place, moves (n_designs, n_transitions, n_cell)
//   time           (n_designs, n_transitions, n_cell)  [s] when each came first, nan until then, in place
//   threshold      (n_designs, n_transitions, n_cell)  [1] in place
//   draws          (n_designs, n_transitions, n_cell)  [1] thresholds drawn so far, in place
//   moved          (n_designs, n_transitions, n_cell)  [1] how often the cell took each in this step
extern "C" __global__ void __launch_bounds__(BLOCK) move_fates(
    const long long n_cell, const int n_states, const int n_fates, const int n_transitions, const int n_clock,
    const int* __restrict__ rows, const int* __restrict__ fate_rows, const int* __restrict__ before,
    const int* __restrict__ after, const long long* __restrict__ purpose, const long long* __restrict__ seed,
    const long long* __restrict__ who, const int* __restrict__ verdict, const double* __restrict__ clock,
    const real* __restrict__ rates, const double* __restrict__ value, const double* __restrict__ rate,
    real* __restrict__ states, double* __restrict__ time, double* __restrict__ threshold,
    long long* __restrict__ draws, int* __restrict__ moved
) {
    const long long c = item();
    if (c >= n_cell) return;
    if (verdict[0] == 0 || n_clock == 0 || n_fates == 0) return;
    const double now = clock[0], dt = clock[1], never = -log(0.0);
    const long long own = row_of(n_transitions, 0) * n_cell + c, slots = row_of(n_states, 0) * n_cell + c;
    for (int k = 0; k < n_transitions; ++k) moved[own + k * n_cell] = 0;
    double since = 0.0;
    for (;;) {
        int first = -1;
        double share = 0.0;
        for (int k = 0; k < n_transitions; ++k) {
            const long long at = own + k * n_cell, slot = slots + rows[k] * n_cell;
            const double u = double(states[slot]);
            if (!(u >= threshold[at])) continue;
            const double when = crossing(threshold[at], since, value[at], u, dt * rate[at], dt * double(rates[slot]));
            if (first < 0 || when < share) {
                first = k;
                share = when;
            }
        }
        if (first < 0) return;
        const long long from = slots + fate_rows[before[first]] * n_cell, to = slots + fate_rows[after[first]] * n_cell;
        states[to] += states[from];
        states[from] = real(0);
        const long long at = own + first * n_cell;
        if (time[at] != time[at]) time[at] = now - dt + share * dt;
        moved[at] += 1;
        since = share;
        for (int k = 0; k < n_transitions; ++k) {
            const long long next = own + k * n_cell, slot = slots + rows[k] * n_cell;
            threshold[next] = never;
            if (before[k] != after[first]) continue;
            const double u = cubic(share, value[next], double(states[slot]), dt * rate[next], dt * double(rates[slot]));
            const long long count = draws[next];
            threshold[next] = u + waiting_hazard(seed[blockIdx.y], purpose[k], who[row_of(n_cell, c)], count);
            draws[next] = count + 1;
        }
    }
}

// moves_k = sum over the cells of moved_k
//
// Into the line of the log that the step has just written; idle after a step that was not accepted.
// over: blocks of n_transitions by n_designs
// twin: numpy.sum
//   n_transitions  scalar                               [1]
//   n_cell         scalar                               [1]
//   n_lines        scalar                               [1] of the log
//   n_clock        scalar                               [1]
//   verdict        (1)                                  [1] 1 for an accepted step, else 0
//   clock          (n_clock)                            [s]
//   moved          (n_designs, n_transitions, n_cell)   [1]
//   moves          (n_lines, n_designs, n_transitions)  [1] moves (n_designs, n_transitions)
extern "C" __global__ void __launch_bounds__(BLOCK) count_moves(
    const int n_transitions, const long long n_cell, const int n_lines, const int n_clock,
    const int* __restrict__ verdict, const double* __restrict__ clock, const int* __restrict__ moved,
    int* __restrict__ moves
) {
    const int k = blockIdx.x;
    if (k >= n_transitions) return;
    if (verdict[0] == 0 || n_clock == 0 || n_lines == 0) return;
    const int* own = moved + row_of(n_transitions, k) * n_cell;
    double total = 0.0;
    for (long long c = threadIdx.x; c < n_cell; c += BLOCK) total += double(own[c]);
    total = block_sum(total);
    const long long line = (long long)(clock[LINES] - 1.0) % n_lines;
    if (threadIdx.x == 0) moves[line * gridDim.y * n_transitions + row_of(n_transitions, k)] = int(total);
}

// value_k = u_k,   rate_k = du_k/dt
//
// Where the next step of drawn fates begins, once its cells have moved; the same again where nothing was accepted.
// over: n_cell by n_designs
// twin: Course
//   n_cell         scalar                              [1]
//   n_states       scalar                              [1]
//   n_transitions  scalar                              [1]
//   rows           (n_transitions)                     [1] slots of the transitions
//   states         (n_designs, n_states, n_cell)       [of the states] moves (n_designs, n_transitions, n_cell)
//   rates          (n_designs, n_states, n_cell)       [of the states / s] moves (n_designs, n_transitions, n_cell)
//   value          (n_designs, n_transitions, n_cell)  [1]
//   rate           (n_designs, n_transitions, n_cell)  [1/s]
extern "C" __global__ void __launch_bounds__(BLOCK) keep_fates(
    const long long n_cell, const int n_states, const int n_transitions, const int* __restrict__ rows,
    const real* __restrict__ states, const real* __restrict__ rates, double* __restrict__ value,
    double* __restrict__ rate
) {
    const long long c = item();
    if (c >= n_cell) return;
    for (int k = 0; k < n_transitions; ++k) {
        const long long at = row_of(n_transitions, k) * n_cell + c, from = row_of(n_states, rows[k]) * n_cell + c;
        value[at] = double(states[from]);
        rate[at] = double(rates[from]);
    }
}
