// The step's control on the device: its size, the verdict over its error, and a line of the log for every attempt.
//
// The clock holds what solver/controller.py and solver/simulation.py hold on the host, in seconds.

#define TIME 0
#define DT 1
#define PROPOSAL 2
#define ACCEPTED_DT 3
#define ACCEPTED_ERROR 4
#define JUST_REJECTED 5
#define TARGET 6
#define CUT_SHORT 7
#define ACTIVE 8
#define LONGEST 9
#define ROUNDING 10
#define LINES 11
#define RTOL 12
#define FIRST_STEP 13
#define STOPPED 14
#define SHARE 15
#define RESIDUAL_LIMIT 16

#define SAFETY 0.8
#define LARGEST_GROWTH 6.0
#define LARGEST_SHRINKAGE 5.0
#define NON_FINITE_SHRINKAGE 10.0
#define SMALLEST_REMEMBERED_ERROR 1e-2
#define FLOOR_FRACTION 0.1
#define LINE_HEAD 9
#define DESIGN_HEAD 3

__device__ __forceinline__ bool is_number(const double value) {
    return value - value == 0.0;
}

// A step's divisor between the largest growth and the largest shrinkage.
__device__ __forceinline__ double bounded(const double factor) {
    const double most = factor < LARGEST_SHRINKAGE ? factor : LARGEST_SHRINKAGE;
    return most > 1.0 / LARGEST_GROWTH ? most : 1.0 / LARGEST_GROWTH;
}

// dt = proposal, shortened or slightly stretched so that steps land on the target;   sg = 1 / (gamma dt);   c_sk / dt
//
// Begins an attempt; once the target is reached it is idle, and changes nothing.
// over: one block
// twin: Simulation.choose_step
//   n_clock    scalar       [1]
//   n_history  scalar       [1]
//   gamma      scalar       [1]
//   c          (n_history)  [1] of the method, row by row
//   clock      (n_clock)    [s] in place
//   sg         (1)          [1/s]
//   history    (n_history)  [1/s]
extern "C" __global__ void __launch_bounds__(BLOCK) begin_step(
    const int n_clock, const int n_history, const double gamma, const double* __restrict__ c,
    double* __restrict__ clock, real* __restrict__ sg, real* __restrict__ history
) {
    __shared__ double size;
    if (threadIdx.x == 0 && n_clock > 0) {
        const double left = clock[TARGET] - clock[TIME];
        const bool active = clock[TIME] < clock[TARGET] - clock[ROUNDING] && clock[STOPPED] == 0.0;
        double dt = clock[PROPOSAL], cut = 0.0;
        if (active && dt >= 0.9 * left && left <= clock[LONGEST]) {
            dt = left;
            cut = 1.0;
        } else if (active && dt > 0.5 * left) {
            dt = 0.5 * left;
            cut = 1.0;
        }
        clock[DT] = dt;
        clock[CUT_SHORT] = cut;
        clock[ACTIVE] = active ? 1.0 : 0.0;
        sg[0] = real(1.0 / (gamma * dt));
        size = dt;
    }
    __syncthreads();
    for (int k = threadIdx.x; k < n_history; k += BLOCK) history[k] = real(c[k] / size);
}

// out = out in an attempt, 0 where it is idle
//
// What is carried from step to step must not be moved by attempts beyond the target: a step of zero length does not.
// over: n by n_designs
// twin: none
//   n        scalar          [1]
//   n_clock  scalar          [1]
//   clock    (n_clock)       [s]
//   out      (n_designs, n)  [any] in place
extern "C" __global__ void __launch_bounds__(BLOCK) hold(
    const long long n, const int n_clock, const double* __restrict__ clock, double* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    if (n_clock > 0 && clock[ACTIVE] == 0.0) out[row_of(n, i)] = 0.0;
}

// floor_r = 0.1 size_r;   size_r as given, else max(seen, |bath|, growth largest), growth = max(1, first step / dt)
//
// Sizes below which errors count less; rows are the quantities of every design in turn.
// over: blocks of n_rows
// twin: ErrorNorm._floors
//   n_rows        scalar             [1] quantities of all designs
//   n_parts       scalar             [1] partial values of each
//   n_kinds       scalar             [1] quantities of a design
//   n_small       scalar             [1] small quantities of a design
//   n_all_small   scalar             [1] those of all designs
//   has_bath      scalar             [1] 1 for fields, whose bath counts, 0 for states
//   n_clock       scalar             [1]
//   clock         (n_clock)          [s]
//   parts         (n_rows, n_parts)  [nM or molecules] largest value of each block
//   typical       (n_rows)           [as parts] nan where it is to be found
//   seen          (n_rows)           [as parts]
//   coefficients  (4)                [1]
//   small_value   (n_all_small)      [nM]
//   small_terms   (4, n_all_small)   [nM]
//   largest       (n_rows)           [as parts]
//   floor         (n_rows)           [as parts]
extern "C" __global__ void __launch_bounds__(BLOCK) set_floors(
    const long long n_rows, const long long n_parts, const int n_kinds, const int n_small,
    const long long n_all_small, const int has_bath, const int n_clock, const double* __restrict__ clock,
    const double* __restrict__ parts, const double* __restrict__ typical, const double* __restrict__ seen,
    const real* __restrict__ coefficients, const real* __restrict__ small_value, const real* __restrict__ small_terms,
    double* __restrict__ largest, double* __restrict__ floor
) {
    const long long row = blockIdx.x;
    if (row >= n_rows) return;
    double most = 0.0;
    for (long long k = threadIdx.x; k < n_parts; k += BLOCK) {
        if (parts[row * n_parts + k] > most) most = parts[row * n_parts + k];
    }
    block_largest(most, largest);
    if (threadIdx.x != 0 || n_clock == 0) return;
    const double growth = clock[FIRST_STEP] > clock[DT] ? clock[FIRST_STEP] / clock[DT] : 1.0;
    double size = typical[row];
    if (!is_number(size)) {
        size = seen[row];
        if (has_bath) {
            const long long at = row / n_kinds * n_small + row % n_kinds;
            double bath = double(small_value[at]);
            for (int s = 0; s < 4; ++s) bath += double(coefficients[s]) * double(small_terms[s * n_all_small + at]);
            if (fabs(bath) > size) size = fabs(bath);
        }
        if (growth * largest[row] > size) size = growth * largest[row];
    }
    floor[row] = FLOOR_FRACTION * (size > 0.0 ? size : 1.0);
}

// error_q = sqrt(sum / weight) / rtol, the worst quantity of the worst design decides;   dt_new of Gustafsson
//
// Ends an attempt: the verdict, the clock, the small quantities, and a line of the log. A residual left by the solves
// that is more than the limit times what would be enough rejects the step too and stops the clock, for the host to ask
// for more iterations.
// over: one block
// twin: Controller.accept
//   n_designs      scalar                          [1]
//   n_fields       scalar                          [1]
//   n_states       scalar                          [1] 0 without cells
//   n_small        scalar                          [1] small quantities of a design
//   n_all_small    scalar                          [1] those of all designs
//   n_slots        scalar                          [1] solves of each field
//   n_columns      scalar                          [1] of the log
//   n_lines        scalar                          [1] of the log
//   n_cell         scalar                          [1]
//   is_finite      scalar                          [1] 1 for a finite bath, else 0
//   n_clock        scalar                          [1]
//   field_weight   (n_fields)                      [um^3] sum of the accessible volumes
//   steers         (n_states)                      [1] 1 where the error of a state counts
//   negligible     (n_designs, n_fields)           [nM um^3] residual over sg that is small enough in any case
//   haste          (n_designs)                     [1] error of a step too long for the exchange between cells
//   field_sum      (n_designs, n_fields)           [um^3]
//   state_sum      (n_designs, n_states)           [1]
//   field_floor    (n_designs, n_fields)           [nM]
//   field_largest  (n_designs, n_fields)           [nM]
//   state_largest  (n_designs, n_states)           [molecules]
//   field_total    (n_designs, n_fields)           [nM um^3]
//   state_total    (n_designs, n_states)           [molecules]
//   first          (n_fields, n_slots, n_designs)  [nM^2 um^6/s^2] squared norm of every right-hand side
//   last           (n_fields, n_slots, n_designs)  [nM^2 um^6/s^2] ... and of what is left of it
//   sg             (1)                             [1/s]
//   coefficients   (4)                             [1] m
//   error          (4)                             [1] c
//   small_terms    (4, n_all_small)                [nM, or nM um^3]
//   small_value    (n_all_small)                   [nM, or nM um^3] in place
//   seen_fields    (n_designs, n_fields)           [nM] in place
//   seen_states    (n_designs, n_states)           [molecules] in place
//   clock          (n_clock)                       [s] in place
//   verdict        (1)                             [1] 1 for an accepted step, else 0
//   log            (n_lines, n_columns)            [of each column] in place
extern "C" __global__ void __launch_bounds__(BLOCK, 1) end_step(
    const int n_designs, const int n_fields, const int n_states, const int n_small, const long long n_all_small,
    const int n_slots, const int n_columns, const int n_lines, const long long n_cell, const int is_finite,
    const int n_clock, const double* __restrict__ field_weight, const int* __restrict__ steers,
    const double* __restrict__ negligible, const double* __restrict__ haste, const double* __restrict__ field_sum,
    const double* __restrict__ state_sum,
    const double* __restrict__ field_floor, const double* __restrict__ field_largest,
    const double* __restrict__ state_largest, const double* __restrict__ field_total,
    const double* __restrict__ state_total, const double* __restrict__ first, const double* __restrict__ last,
    const real* __restrict__ sg, const real* __restrict__ coefficients, const real* __restrict__ error,
    const real* __restrict__ small_terms, real* __restrict__ small_value, double* __restrict__ seen_fields,
    double* __restrict__ seen_states, double* __restrict__ clock, int* __restrict__ verdict, double* __restrict__ log
) {
    if (clock[ACTIVE] == 0.0 || n_clock == 0) {
        if (threadIdx.x == 0) verdict[0] = 0;
        return;
    }
    const int line = int(clock[LINES]) % n_lines, width = (n_columns - LINE_HEAD) / n_designs;
    double* head = log + (long long)line * n_columns;
    for (int d = threadIdx.x; d < n_designs; d += BLOCK) {
        double* own = head + LINE_HEAD + (long long)d * width;
        double worst = -1.0, ratio = 0.0;
        int which = 0;
        bool broken = false;
        for (int f = 0; f < n_fields; ++f) {
            const double value = sqrt(field_sum[d * n_fields + f] / field_weight[f]);
            if (!broken && (!is_number(value) || value > worst)) {
                worst = value;
                which = f;
                broken = !is_number(value);
            }
            double right = 0.0, left = 0.0;
            for (int s = 0; s < n_slots; ++s) {
                const int at = (f * n_slots + s) * n_designs + d;
                if (first[at] > right) right = first[at];
                if (last[at] > left) left = last[at];
            }
            const double hidden = negligible[d * n_fields + f] * double(sg[0]), share = clock[SHARE] * sqrt(right);
            const double enough = hidden > share ? hidden : share;
            if (enough > 0.0 && sqrt(left) / enough > ratio) ratio = sqrt(left) / enough;
        }
        for (int q = 0; q < n_small; ++q) {
            const long long at = (long long)d * n_small + q;
            double after = double(small_value[at]), change = 0.0;
            for (int s = 0; s < 4; ++s) {
                const double term = double(small_terms[s * n_all_small + at]);
                after += double(coefficients[s]) * term;
                change += double(error[s]) * term;
            }
            own[DESIGN_HEAD + n_fields + n_states + q] = after;
            if (q >= n_fields || !is_finite) continue;
            const double before = fabs(double(small_value[at])), now = fabs(after);
            const double value = fabs(change) / (field_floor[d * n_fields + q] + (now > before ? now : before));
            if (!broken && (!is_number(value) || value > worst)) {
                worst = value;
                which = n_fields + q;
                broken = !is_number(value);
            }
        }
        for (int s = 0; s < n_states; ++s) {
            const double value = sqrt(state_sum[d * n_states + s] / double(n_cell));
            if (is_number(value) && !steers[s]) continue;
            if (!broken && (!is_number(value) || value > worst)) {
                worst = value;
                which = (is_finite ? 2 : 1) * n_fields + s;
                broken = !is_number(value);
            }
        }
        own[0] = worst / clock[RTOL];
        if (haste[d] > own[0]) {
            own[0] = haste[d];
            which = (is_finite ? 2 : 1) * n_fields + n_states;
        }
        own[1] = double(which);
        own[2] = ratio;
        for (int f = 0; f < n_fields; ++f) own[DESIGN_HEAD + f] = field_total[d * n_fields + f];
        for (int s = 0; s < n_states; ++s) own[DESIGN_HEAD + n_fields + s] = state_total[d * n_states + s];
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        double worst = -1.0, ratio = 0.0;
        int which = 0;
        for (int d = 0; d < n_designs; ++d) {
            const double* own = head + LINE_HEAD + (long long)d * width;
            if (is_number(worst) && (!is_number(own[0]) || own[0] > worst)) {
                worst = own[0];
                which = d;
            }
            if (own[2] > ratio) ratio = own[2];
        }
        const double dt = clock[DT];
        const bool is_left = is_number(worst) && worst <= 1.0 && ratio > clock[RESIDUAL_LIMIT];
        const bool is_accepted = is_number(worst) && worst <= 1.0 && !is_left;
        if (is_accepted) {
            double factor = bounded(pow(worst > 1e-12 ? worst : 1e-12, 1.0 / 3.0) / SAFETY);
            if (clock[ACCEPTED_DT] > 0.0) {
                const double growth = pow(worst * worst / clock[ACCEPTED_ERROR], 1.0 / 3.0) / SAFETY;
                const double other = bounded(clock[ACCEPTED_DT] / dt * growth);
                if (other > factor) factor = other;
            }
            double next = dt / factor;
            if (clock[JUST_REJECTED] != 0.0 && next > dt) next = dt;
            if (clock[CUT_SHORT] != 0.0) {
                if (next < clock[PROPOSAL]) next = clock[PROPOSAL];
            } else {
                clock[ACCEPTED_DT] = dt;
                clock[ACCEPTED_ERROR] = worst > SMALLEST_REMEMBERED_ERROR ? worst : SMALLEST_REMEMBERED_ERROR;
            }
            clock[PROPOSAL] = next < clock[LONGEST] ? next : clock[LONGEST];
            clock[JUST_REJECTED] = 0.0;
            const double now = clock[TIME] + dt;
            clock[TIME] = clock[CUT_SHORT] != 0.0 && !(now < clock[TARGET] - clock[ROUNDING]) ? clock[TARGET] : now;
        } else if (is_left) {
            clock[STOPPED] = 1.0;
        } else {
            const double shrunk = dt / bounded(pow(worst, 1.0 / 3.0) / SAFETY);
            clock[PROPOSAL] = is_number(worst) ? shrunk : dt / NON_FINITE_SHRINKAGE;
            clock[JUST_REJECTED] = 1.0;
        }
        verdict[0] = is_accepted ? 1 : 0;
        head[0] = clock[LINES];
        head[1] = is_accepted ? 1.0 : 0.0;
        head[2] = clock[TIME];
        head[3] = dt;
        head[4] = worst;
        head[5] = double(which);
        head[6] = clock[CUT_SHORT];
        head[7] = ratio;
        head[8] = is_left ? 1.0 : 0.0;
        clock[LINES] += 1.0;
    }
    __syncthreads();
    if (verdict[0] == 0) return;
    for (int d = threadIdx.x; d < n_designs; d += BLOCK) {
        const double* own = head + LINE_HEAD + (long long)d * width;
        for (int q = 0; q < n_small; ++q) {
            small_value[(long long)d * n_small + q] = real(own[DESIGN_HEAD + n_fields + n_states + q]);
        }
        for (int f = 0; f < n_fields; ++f) {
            const int at = d * n_fields + f;
            if (field_largest[at] > seen_fields[at]) seen_fields[at] = field_largest[at];
        }
        for (int s = 0; s < n_states; ++s) {
            const int at = d * n_states + s;
            if (state_largest[at] > seen_states[at]) seen_states[at] = state_largest[at];
        }
    }
}
