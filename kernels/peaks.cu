// Peaks of what the cells are exposed to, and for how long a threshold was exceeded (solver/peaks.py).
//
// Within a step of length dt the rate c of an exposure is the parabola c0 + a theta + b theta^2, theta from 0 to 1 that
// has the rates at both ends and the mean m that the exposure gives: a = 6 m - 4 c0 - 2 c1, b = 3 c0 + 3 c1 - 6 m.

__device__ __forceinline__ double within(const double theta) {
    if (!(theta - theta == 0.0)) return 0.0;
    return theta < 0.0 ? 0.0 : theta > 1.0 ? 1.0 : theta;
}

// Length of a part of the step, where the parabola is above zero in its middle.
__device__ __forceinline__ double length_above(
    const double start, const double end, const double c, const double a, const double b
) {
    const double middle = 0.5 * (start + end);
    return c + middle * (a + b * middle) > 0.0 ? end - start : 0.0;
}

// Share of the step in which c + a theta + b theta^2 > 0.
__device__ __forceinline__ double share_above(const double c, const double a, const double b) {
    const double square = a * a - 4.0 * b * c, root = sqrt(square > 0.0 ? square : 0.0);
    const double q = -0.5 * (a + (a < 0.0 ? -root : root));  // no difference of nearly equal numbers
    const double one = within(q / b), other = within(c / q);
    const double below = one < other ? one : other, above = one < other ? other : one;
    const double inner = length_above(below, above, c, a, b);
    return length_above(0.0, below, c, a, b) + inner + length_above(above, 1.0, c, a, b);
}

// peak_r = max over the step of c_r,   peak_time_r where it is;   time_above_t += dt share of the step where c_r > t
//
// After a step that was accepted; idle otherwise.
// over: n_cell by n_designs
// twin: Peaks.follow
//   n_cell        scalar                             [1]
//   n_states      scalar                             [1]
//   n_peaks       scalar                             [1]
//   n_thresholds  scalar                             [1]
//   n_clock       scalar                             [1]
//   rows          (n_peaks)                          [1] slots of the exposures
//   of_threshold  (n_thresholds)                     [1] which of them each threshold is of
//   threshold     (n_designs, n_thresholds)          [of the exposure / s]
//   verdict       (1)                                [1] 1 for an accepted step, else 0
//   clock         (n_clock)                          [s]
//   m             (4)                                [1]
//   terms         (4, n_designs, n_states, n_cell)   [of the states] moves (4, n_designs, n_peaks, n_cell)
//   rates         (n_designs, n_states, n_cell)      [of the states / s] moves (n_designs, n_peaks, n_cell)
//   now           (n_designs, n_peaks, n_cell)       [of the exposure / s] c at the step's beginning, in place
//   peak          (n_designs, n_peaks, n_cell)       [of the exposure / s] in place
//   peak_time     (n_designs, n_peaks, n_cell)       [s] in place
//   time_above    (n_designs, n_thresholds, n_cell)  [s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) follow_peaks(
    const long long n_cell, const int n_states, const int n_peaks, const int n_thresholds, const int n_clock,
    const int* __restrict__ rows, const int* __restrict__ of_threshold, const double* __restrict__ threshold,
    const int* __restrict__ verdict, const double* __restrict__ clock, const real* __restrict__ m,
    const real* __restrict__ terms, const real* __restrict__ rates, double* __restrict__ now,
    double* __restrict__ peak, double* __restrict__ peak_time, double* __restrict__ time_above
) {
    const long long c = item();
    if (c >= n_cell) return;
    if (verdict[0] == 0 || n_clock == 0) return;
    const double time = clock[0], dt = clock[1];
    for (int k = 0; k < n_peaks; ++k) {
        const long long at = row_of(n_peaks, k) * n_cell + c, from = row_of(n_states, rows[k]) * n_cell + c;
        double change = 0.0;
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            change += double(m[s]) * double(terms[s * (gridDim.y * n_states * n_cell) + from]);
        }
        const double first = now[at], last = double(rates[from]), mean = change / dt;
        const double a = 6.0 * mean - 4.0 * first - 2.0 * last, b = 3.0 * first + 3.0 * last - 6.0 * mean;
        if (last > peak[at]) {
            peak[at] = last;
            peak_time[at] = time;
        }
        const double where = -a / (2.0 * b), top = b < 0.0 && where > 0.0 && where < 1.0 ? where : 0.0;
        const double height = first + top * (a + b * top);
        if (height > peak[at]) {
            peak[at] = height;
            peak_time[at] = time - dt + top * dt;
        }
        for (int t = 0; t < n_thresholds; ++t) {
            if (of_threshold[t] != k) continue;
            const double share = share_above(first - threshold[row_of(n_thresholds, t)], a, b);
            time_above[row_of(n_thresholds, t) * n_cell + c] += dt * share;
        }
        now[at] = last;
    }
}

// c_r = rate of r now,   peak_r = max(peak_r, c_r)
//
// Where cells may have jumped at the end of a step that was accepted; idle otherwise.
// over: n_cell by n_designs
// twin: Peaks.start
//   n_cell     scalar                         [1]
//   n_states   scalar                         [1]
//   n_peaks    scalar                         [1]
//   n_clock    scalar                         [1]
//   rows       (n_peaks)                      [1] slots of the exposures
//   verdict    (1)                            [1] 1 for an accepted step, else 0
//   clock      (n_clock)                      [s]
//   rates      (n_designs, n_states, n_cell)  [of the states / s] moves (n_designs, n_peaks, n_cell)
//   now        (n_designs, n_peaks, n_cell)   [of the exposure / s]
//   peak       (n_designs, n_peaks, n_cell)   [of the exposure / s] in place
//   peak_time  (n_designs, n_peaks, n_cell)   [s] in place
extern "C" __global__ void __launch_bounds__(BLOCK) restart_peaks(
    const long long n_cell, const int n_states, const int n_peaks, const int n_clock, const int* __restrict__ rows,
    const int* __restrict__ verdict, const double* __restrict__ clock, const real* __restrict__ rates,
    double* __restrict__ now, double* __restrict__ peak, double* __restrict__ peak_time
) {
    const long long c = item();
    if (c >= n_cell) return;
    if (verdict[0] == 0 || n_clock == 0) return;
    for (int k = 0; k < n_peaks; ++k) {
        const long long at = row_of(n_peaks, k) * n_cell + c;
        const double value = double(rates[row_of(n_states, rows[k]) * n_cell + c]);
        now[at] = value;
        if (value > peak[at]) {
            peak[at] = value;
            peak_time[at] = clock[0];
        }
    }
}
