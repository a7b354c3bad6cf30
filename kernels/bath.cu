// A finite bath and the shifts that close the books: small systems, of every design in one block.
//
// A group is one field, or the fields of a loop. With M_p the zeroth-order terms of the fields of pocket p and their
// couplings, G_p its conductances to the bath, B the bath's own diagonal, R residuals:
//   M_p d_p - G_p e = R_p,   B e - sum_p G_p d_p = R_bath
// (solver/conservation.py). Arrays over a group have its fields first, then the design. Where its fields do not share
// their pockets (pockets.cu), a pocket here is a component, and its unknowns are slots, some of every field.

#define MOST_FIELDS 40

__device__ __forceinline__ void exchange_values(double* one, double* other) {
    const double value = *one;
    *one = *other;
    *other = value;
}

// B_ff = sg V + sum g - J_ff
__device__ __forceinline__ double bath_diagonal(
    const int field, const int n_fields, const int n_pairs, const real* sg, const real* volume, const double* g_sum,
    const int* pair_row, const real* jacobian
) {
    const int pair = pair_row[field * n_fields + field];
    const double slope = pair < 0 ? 0.0 : double(jacobian[row_of(n_pairs, pair)]);
    return double(sg[0]) * double(volume[blockIdx.y]) + g_sum[row_of(n_fields, field)] - slope;
}

// r_f + sum_g J_fg b_g over the other fields of the bath
__device__ __forceinline__ double bath_right(
    const int field, const int n_fields, const int n_pairs, const int n_small, const double* bath_rhs,
    const int* pair_row, const real* jacobian, const real* increment
) {
    double right = bath_rhs[row_of(n_fields, field)];
    for (int g = 0; g < n_fields; ++g) {
        const int pair = pair_row[field * n_fields + g];
        if (g == field || pair < 0) continue;
        right += double(jacobian[row_of(n_pairs, pair)]) * double(increment[row_of(n_small, g)]);
    }
    return right;
}

// r_f = rate_f + V sum_k c_k b_kf - inflow_f;   b_sf = 0
//
// Right-hand side of a finite bath in stage s = n_terms, and the increment to begin with.
// over: n_fields by n_designs
// twin: Stepper._evaluate_bath
//   n_fields      scalar                          [1]
//   n_small       scalar                          [1] small quantities of a design
//   n_terms       scalar                          [1] stages so far, below n_stages
//   volume        (n_designs, 1)                  [um^3]
//   rates         (n_designs, n_fields)           [nM um^3/s]
//   inflow        (n_designs, n_fields)           [nM um^3/s]
//   coefficients  (n_stages)                      [1/s]
//   terms         (n_stages, n_designs, n_small)  [nM] in place
//   bath_rhs      (n_designs, n_fields)           [nM um^3/s]
//   inner         (n_fields, n_designs)           [nM um^3/s] what the increments give to the bath, so far nothing
extern "C" __global__ void __launch_bounds__(BLOCK, 1) bath_right_side(
    const int n_fields, const int n_small, const int n_terms, const real* __restrict__ volume,
    const real* __restrict__ rates, const double* __restrict__ inflow, const real* __restrict__ coefficients,
    real* __restrict__ terms, double* __restrict__ bath_rhs, double* __restrict__ inner
) {
    const long long f = item();
    if (f >= n_fields) return;
    const long long own = row_of(n_small, f), stage = (long long)gridDim.y * n_small;
    double history = 0.0;
    for (int k = 0; k < n_terms; ++k) history += double(coefficients[k]) * double(terms[k * stage + own]);
    const long long at = row_of(n_fields, f);
    bath_rhs[at] = double(rates[at]) + double(volume[blockIdx.y]) * history - inflow[at];
    terms[n_terms * stage + own] = real(0);
    inner[f * gridDim.y + blockIdx.y] = 0.0;
}

// b = (r_f - B b_f + g.u + g.x) / (B - g.z);   b_f += b;   R_p += b R_z,p
//
// The bath's share of a field's solve: what its concentration changes by, and the residuals with that.
// over: one block by n_designs
// twin: Stepper._solve_bordered
//   n_pockets        scalar                  [1]
//   n_fields         scalar                  [1]
//   field            scalar                  [1] below n_fields
//   n_small          scalar                  [1] small quantities of a design
//   n_pairs          scalar                  [1]
//   sg               (1)                     [1/s]
//   volume           (n_designs, 1)          [um^3]
//   g_sum            (n_designs, n_fields)   [um^3/s]
//   pair_row         (n_fields, n_fields)    [1] row of a pair in the Jacobian of the bath, -1 where there is none
//   jacobian         (n_designs, n_pairs)    [um^3/s]
//   bath_rhs         (n_designs, n_fields)   [nM um^3/s]
//   solution_dot     (n_designs, 1)          [nM um^3/s] g.x
//   border_dot       (n_designs, 1)          [um^3/s] g.z
//   border_residual  (n_designs, n_pockets)  [um^3/s]
//   inner            (n_designs, 1)          [nM um^3/s] g.u of the increment so far, in place
//   increment        (n_designs, n_small)    [nM] in place
//   residual         (n_designs, n_pockets)  [nM um^3/s] in place
//   b                (n_designs)             [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) bath_step(
    const long long n_pockets, const int n_fields, const int field, const int n_small, const int n_pairs,
    const real* __restrict__ sg, const real* __restrict__ volume, const double* __restrict__ g_sum,
    const int* __restrict__ pair_row, const real* __restrict__ jacobian, const double* __restrict__ bath_rhs,
    const double* __restrict__ solution_dot, const double* __restrict__ border_dot,
    const double* __restrict__ border_residual, double* __restrict__ inner, real* __restrict__ increment,
    double* __restrict__ residual, double* __restrict__ b
) {
    __shared__ double change;
    const long long d = blockIdx.y;
    if (threadIdx.x == 0) {
        const double B = bath_diagonal(field, n_fields, n_pairs, sg, volume, g_sum, pair_row, jacobian);
        double right = bath_right(field, n_fields, n_pairs, n_small, bath_rhs, pair_row, jacobian, increment);
        right += inner[d] - B * double(increment[row_of(n_small, field)]) + solution_dot[d];
        change = right / (B - border_dot[d]);
        b[d] = change;
        increment[row_of(n_small, field)] += real(change);
        inner[d] += solution_dot[d] + change * border_dot[d];
    }
    __syncthreads();
    for (long long p = threadIdx.x; p < n_pockets; p += BLOCK) {
        residual[row_of(n_pockets, p)] += change * border_residual[row_of(n_pockets, p)];
    }
}

// N_p = M_p^-1
//
// Inverse of every pocket's matrix by Gauss and Jordan, with the largest of a column as pivot: a field that makes
// itself may leave next to nothing on the diagonal. A diagonal of zero, where a field cannot be, is taken as one.
// over: n_pockets by n_designs
// twin: PocketSystem.factor
//   n_pockets  scalar                                    [1]
//   n_group    scalar                                    [1] fields of the group, or slots, at most MOST_FIELDS
//   matrix     (n_group, n_group, n_designs, n_pockets)  [um^3/s]
//   inverse    (n_group, n_group, n_designs, n_pockets)  [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) invert_pockets(
    const long long n_pockets, const int n_group, const double* __restrict__ matrix, double* __restrict__ inverse
) {
    const long long p = item();
    if (p >= n_pockets) return;
    const long long own = row_of(n_pockets, p), step = (long long)gridDim.y * n_pockets;
    for (int k = 0; k < n_group * n_group; ++k) {
        const double value = matrix[k * step + own];
        inverse[k * step + own] = k % (n_group + 1) == 0 && value == 0.0 ? 1.0 : value;
    }
    unsigned long long a = 0, b = 0, c = 0, e = 0;  // row of each pivot, six bits each, ten in a word
    for (int k = 0; k < n_group; ++k) {
        int row = k;
        double largest = fabs(inverse[(k * n_group + k) * step + own]);
        for (int i = k + 1; i < n_group; ++i) {
            const double size = fabs(inverse[(i * n_group + k) * step + own]);
            if (size > largest) {
                largest = size;
                row = i;
            }
        }
        const unsigned long long bits = (unsigned long long)row << 6 * (k % 10);
        a |= k < 10 ? bits : 0;
        b |= k >= 10 && k < 20 ? bits : 0;
        c |= k >= 20 && k < 30 ? bits : 0;
        e |= k >= 30 ? bits : 0;
        for (int j = 0; j < n_group && row != k; ++j) {
            exchange_values(inverse + (k * n_group + j) * step + own, inverse + (row * n_group + j) * step + own);
        }
        const double pivot = 1.0 / inverse[(k * n_group + k) * step + own];
        inverse[(k * n_group + k) * step + own] = 1.0;
        for (int j = 0; j < n_group; ++j) inverse[(k * n_group + j) * step + own] *= pivot;
        for (int i = 0; i < n_group; ++i) {
            if (i == k) continue;
            const double factor = inverse[(i * n_group + k) * step + own];
            inverse[(i * n_group + k) * step + own] = 0.0;
            for (int j = 0; j < n_group; ++j) {
                inverse[(i * n_group + j) * step + own] -= factor * inverse[(k * n_group + j) * step + own];
            }
        }
    }
    for (int k = n_group - 1; k >= 0; --k) {  // rows exchanged are columns of the inverse
        const unsigned long long word = k < 10 ? a : k < 20 ? b : k < 30 ? c : e;
        const int row = int(word >> 6 * (k % 10)) & 63;
        for (int i = 0; i < n_group && row != k; ++i) {
            exchange_values(inverse + (i * n_group + k) * step + own, inverse + (i * n_group + row) * step + own);
        }
    }
}

// (B - sum_p G_p N_p G_p) e = R_bath + sum_p G_p N_p R_p;   b_f += e_f
//
// The shifts of a finite bath, by Gauss with the largest of a column as pivot.
// over: one block by n_designs
// twin: PocketSystem.solve
//   n_tied     scalar                                    [1] n_pockets, or 0 where none has a way to the bath
//   n_pockets  scalar                                    [1]
//   n_group    scalar                                    [1] fields of the group, at most MOST_FIELDS
//   n_slots    scalar                                    [1] unknowns of a pocket
//   n_fields   scalar                                    [1]
//   n_small    scalar                                    [1] small quantities of a design
//   n_pairs    scalar                                    [1]
//   members    (n_group)                                 [1] fields of the group
//   slots_of   (n_group+1)                               [1] first slot of each of them
//   inverse    (n_slots, n_slots, n_designs, n_pockets)  [s/um^3]
//   residual   (n_slots, n_designs, n_pockets)           [nM um^3/s]
//   g          (n_slots, n_designs, n_pockets)           [um^3/s]
//   sg         (1)                                       [1/s]
//   volume     (n_designs, 1)                            [um^3]
//   g_sum      (n_designs, n_fields)                     [um^3/s]
//   pair_row   (n_fields, n_fields)                      [1] row of a pair in the Jacobian of the bath, -1 where none
//   jacobian   (n_designs, n_pairs)                      [um^3/s]
//   bath_rhs   (n_designs, n_fields)                     [nM um^3/s]
//   inner      (n_group, n_designs, 1)                   [nM um^3/s] g.u of the increments
//   increment  (n_designs, n_small)                      [nM] in place
//   of_bath    (n_group, n_designs)                      [nM] e
extern "C" __global__ void __launch_bounds__(BLOCK, 1) solve_bath(
    const long long n_tied, const long long n_pockets, const int n_group, const int n_slots, const int n_fields,
    const int n_small, const int n_pairs, const int* __restrict__ members, const int* __restrict__ slots_of,
    const double* __restrict__ inverse, const double* __restrict__ residual, const double* __restrict__ g,
    const real* __restrict__ sg, const real* __restrict__ volume, const double* __restrict__ g_sum,
    const int* __restrict__ pair_row, const real* __restrict__ jacobian, const double* __restrict__ bath_rhs,
    const double* __restrict__ inner, real* __restrict__ increment, double* __restrict__ of_bath
) {
    __shared__ double S[MOST_FIELDS * MOST_FIELDS], e[MOST_FIELDS];
    const long long d = blockIdx.y, step = (long long)gridDim.y * n_pockets, own = row_of(n_pockets, 0);
    for (int k = 0; k < n_group; ++k) {
        for (int j = 0; j <= n_group; ++j) {  // the last column is the right-hand side
            double sum = 0.0;
            const int first = j < n_group ? slots_of[j] : 0, last = j < n_group ? slots_of[j + 1] : n_slots;
            const double* with = j < n_group ? g : residual;
            for (long long p = threadIdx.x; p < n_tied; p += BLOCK) {
                for (int a = slots_of[k]; a < slots_of[k + 1]; ++a) {
                    double term = 0.0;
                    for (int i = first; i < last; ++i) {
                        term += inverse[(a * n_slots + i) * step + own + p] * with[i * step + own + p];
                    }
                    sum += g[a * step + own + p] * term;
                }
            }
            sum = block_sum(sum);
            if (threadIdx.x != 0) continue;
            const int f = members[k];
            const double B = bath_diagonal(f, n_fields, n_pairs, sg, volume, g_sum, pair_row, jacobian);
            if (j == n_group) {
                double left = bath_right(f, n_fields, n_pairs, n_small, bath_rhs, pair_row, jacobian, increment);
                left -= B * double(increment[row_of(n_small, f)]);
                e[k] = left + inner[k * gridDim.y + d] + sum;
            } else {
                const int pair = pair_row[f * n_fields + members[j]];
                const double across = pair < 0 ? 0.0 : double(jacobian[row_of(n_pairs, pair)]);
                S[k * MOST_FIELDS + j] = (j == k ? B : -across) - sum;
            }
        }
    }
    if (threadIdx.x != 0) return;
    for (int k = 0; k < n_group; ++k) {
        int row = k;
        for (int i = k + 1; i < n_group; ++i) {
            if (fabs(S[i * MOST_FIELDS + k]) > fabs(S[row * MOST_FIELDS + k])) row = i;
        }
        if (row != k) {
            for (int j = k; j < n_group; ++j) exchange_values(S + k * MOST_FIELDS + j, S + row * MOST_FIELDS + j);
            exchange_values(e + k, e + row);
        }
        for (int i = k + 1; i < n_group; ++i) {
            const double factor = S[i * MOST_FIELDS + k] / S[k * MOST_FIELDS + k];
            for (int j = k; j < n_group; ++j) S[i * MOST_FIELDS + j] -= factor * S[k * MOST_FIELDS + j];
            e[i] -= factor * e[k];
        }
    }
    for (int k = n_group - 1; k >= 0; --k) {
        for (int j = k + 1; j < n_group; ++j) e[k] -= S[k * MOST_FIELDS + j] * e[j];
        e[k] /= S[k * MOST_FIELDS + k];
    }
    for (int k = 0; k < n_group; ++k) {
        increment[row_of(n_small, members[k])] += real(e[k]);
        of_bath[k * gridDim.y + d] = e[k];
    }
}

// d_p = N_p (R_p + G_p e)
//
// The shifts of the pockets of a group.
// over: n_pockets by n_designs
// twin: PocketSystem.solve
//   n_pockets  scalar                                    [1]
//   n_group    scalar                                    [1] fields of the group
//   n_slots    scalar                                    [1] unknowns of a pocket
//   slots_of   (n_group+1)                               [1] first slot of each field
//   inverse    (n_slots, n_slots, n_designs, n_pockets)  [s/um^3]
//   residual   (n_slots, n_designs, n_pockets)           [nM um^3/s]
//   g          (n_slots, n_designs, n_pockets)           [um^3/s]
//   of_bath    (n_group, n_designs)                      [nM] e; 0 of an infinite bath
//   shift      (n_slots, n_designs, n_pockets)           [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) solve_shifts(
    const long long n_pockets, const int n_group, const int n_slots, const int* __restrict__ slots_of,
    const double* __restrict__ inverse, const double* __restrict__ residual, const double* __restrict__ g,
    const double* __restrict__ of_bath, real* __restrict__ shift
) {
    const long long p = item();
    if (p >= n_pockets) return;
    const long long own = row_of(n_pockets, p), step = (long long)gridDim.y * n_pockets;
    for (int a = 0; a < n_slots; ++a) {
        double total = 0.0;
        for (int k = 0; k < n_group; ++k) {
            const double e = of_bath[k * gridDim.y + blockIdx.y];
            for (int i = slots_of[k]; i < slots_of[k + 1]; ++i) {
                const double right = residual[i * step + own] + g[i * step + own] * e;
                total += inverse[(a * n_slots + i) * step + own] * right;
            }
        }
        shift[a * step + own] = real(total);
    }
}

// u_sq = (rate_q + sum_k c_k u_kq) / sg
//
// Increments in stage s = n_terms of the losses and of the inflow from an infinite bath, which nothing depends on.
// over: n_small by n_designs
// twin: Stepper._solve_losses
//   n_small         scalar                          [1] small quantities of a design: bath, losses, inflow
//   n_fields        scalar                          [1]
//   n_accumulators  scalar                          [1]
//   is_finite       scalar                          [1] 1 for a finite bath, else 0
//   n_terms         scalar                          [1] stages so far, below n_stages
//   sg              (1)                             [1/s]
//   coefficients    (n_stages)                      [1/s]
//   losses          (n_designs, n_accumulators)     [nM um^3/s]
//   bath_losses     (n_designs, n_accumulators)     [nM um^3/s] of a finite bath
//   inflow          (n_designs, n_fields)           [nM um^3/s] of the stage's value
//   inflow_change   (n_designs, n_fields)           [nM um^3/s] of its increments
//   terms           (n_stages, n_designs, n_small)  [nM um^3] in place
extern "C" __global__ void __launch_bounds__(BLOCK) stage_losses(
    const int n_small, const int n_fields, const int n_accumulators, const int is_finite, const int n_terms,
    const real* __restrict__ sg, const real* __restrict__ coefficients, const double* __restrict__ losses,
    const double* __restrict__ bath_losses, const double* __restrict__ inflow,
    const double* __restrict__ inflow_change, real* __restrict__ terms
) {
    const long long q = item();
    if (q >= n_small) return;
    if (q < n_fields) return;  // the bath's own increment
    const long long own = row_of(n_small, q), stage = (long long)gridDim.y * n_small;
    double rate = 0.0;
    if (q - n_fields < n_accumulators) {
        const long long a = row_of(n_accumulators, q - n_fields);
        rate = losses[a] + (is_finite ? bath_losses[a] : 0.0);
    } else if (!is_finite) {
        const long long f = row_of(n_fields, q - n_fields - n_accumulators);
        rate = inflow[f] + inflow_change[f];
    }
    for (int k = 0; k < n_terms; ++k) rate += double(coefficients[k]) * double(terms[k * stage + own]);
    terms[n_terms * stage + own] = real(rate / double(sg[0]));
}

// A curve that an infinite bath follows, as a row of numbers: 1 where there is one, t0, the coefficients of a cubic,
// and the amplitude and the rate of each exponential.
#define CURVE_HEAD 6

// b = a0 + a1 s + a2 s^2 + a3 s^3 + sum_i A_i exp(-k_i s), s = t - t0, and b'
__device__ __forceinline__ void curve_at(
    const double* row, const int n_curve, const double time, double* value, double* slope
) {
    const double s = time - row[1];
    double b = row[2] + s * (row[3] + s * (row[4] + s * row[5]));
    double rise = row[3] + s * (2.0 * row[4] + s * 3.0 * row[5]);
    for (int k = CURVE_HEAD; k + 1 < n_curve; k += 2) {
        const double part = row[k] * exp(-row[k + 1] * s);
        b += part;
        rise -= row[k + 1] * part;
    }
    *value = b;
    *slope = rise;
}

// b_sf = b_f(t + alpha dt) + gamma dt b_f'(t);   u_sf = 0
//
// An infinite bath in stage s where it follows curves; where it follows none it stays what it is.
// over: n_fields by n_designs
// twin: Stepper._follow_curves
//   n_fields  scalar                          [1]
//   n_small   scalar                          [1] small quantities of a design
//   n_curve   scalar                          [1] numbers of a curve
//   n_clock   scalar                          [1]
//   stage     scalar                          [1] below n_stages
//   alpha     scalar                          [1]
//   gamma     scalar                          [1]
//   curves    (n_designs, n_fields, n_curve)  [nM, s]
//   clock     (n_clock)                       [s]
//   value     (n_designs, n_small)            [nM] in place
//   terms     (n_stages, n_designs, n_small)  [nM] in place
extern "C" __global__ void __launch_bounds__(BLOCK) bath_curves(
    const int n_fields, const int n_small, const int n_curve, const int n_clock, const int stage,
    const double alpha, const double gamma, const double* __restrict__ curves, const double* __restrict__ clock,
    real* __restrict__ value, real* __restrict__ terms
) {
    const long long f = item();
    if (f >= n_fields) return;
    const long long own = row_of(n_small, f);
    terms[stage * ((long long)gridDim.y * n_small) + own] = real(0);
    const double* row = curves + row_of(n_fields, f) * n_curve;
    if (n_clock == 0 || row[0] == 0.0) return;
    double b, slope, now, rise;
    curve_at(row, n_curve, clock[0] + alpha * clock[1], &b, &slope);
    curve_at(row, n_curve, clock[0], &now, &rise);
    value[own] = real(b + gamma * clock[1] * rise);
}

// m u_sf = b_f(t + dt) - b_f
//
// An infinite bath at the end of a step where it follows curves: the increment of the last stage s takes it there.
// over: n_fields by n_designs
// twin: Stepper.attempt
//   n_fields  scalar                          [1]
//   n_small   scalar                          [1] small quantities of a design
//   n_curve   scalar                          [1] numbers of a curve
//   n_clock   scalar                          [1]
//   stage     scalar                          [1] below n_stages
//   m         scalar                          [1] of the last stage
//   curves    (n_designs, n_fields, n_curve)  [nM, s]
//   clock     (n_clock)                       [s]
//   value     (n_designs, n_small)            [nM] at the step's beginning
//   terms     (n_stages, n_designs, n_small)  [nM] in place
extern "C" __global__ void __launch_bounds__(BLOCK) bath_curves_end(
    const int n_fields, const int n_small, const int n_curve, const int n_clock, const int stage, const double m,
    const double* __restrict__ curves, const double* __restrict__ clock, const real* __restrict__ value,
    real* __restrict__ terms
) {
    const long long f = item();
    if (f >= n_fields) return;
    const double* row = curves + row_of(n_fields, f) * n_curve;
    if (n_clock == 0 || row[0] == 0.0) return;
    double b, slope;
    curve_at(row, n_curve, clock[0] + clock[1], &b, &slope);
    const long long own = row_of(n_small, f);
    terms[stage * ((long long)gridDim.y * n_small) + own] = real((b - double(value[own])) / m);
}
