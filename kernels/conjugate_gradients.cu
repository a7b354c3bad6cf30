// Vector pieces of preconditioned conjugate gradients; the scalars stay in device memory.
//
// With t the V-cycle of b = r / (|r| D): z = |r| t, rho = r.z = |r|^2 D b.t, and directions |r| p have p = t + beta p',
// beta = (rho / rho') (|r'| / |r|), so that single precision holds p; the step along p is rho / (|r| p.Ap). Rounding p
// costs nothing: what is left stays r = rhs - A x to the rounding of r.

// Length of the step along a direction of norm 1 / |r|.
__device__ __forceinline__ double step_of(const double rr, const double rho, const double p_image) {
    return p_image != 0.0 && rr > 0.0 ? rho / (sqrt(rr) * p_image) : 0.0;
}

// b_i = r_i / (sqrt(rr) D)
//
// The right-hand side of the V-cycle, of norm 1 / D so that single precision holds it, where one block does all of it.
// over: n by n_designs
// twin: ReferenceBackend._precondition
//   n   scalar          [1] open voxels
//   D   (n_designs)     [um^2/s]
//   rr  (n_designs)     [nM^2 um^6/s^2] r.r
//   r   (n_designs, n)  [nM um^3/s]
//   b   (n_designs, n)  [s/um^2]
extern "C" __global__ void __launch_bounds__(BLOCK) scale(
    const long long n, const real* __restrict__ D, const double* __restrict__ rr, const real* __restrict__ r,
    small* __restrict__ b
) {
    const long long i = item();
    if (i >= n) return;
    const long long k = row_of(n, i);
    b[k] = small(double(r[k]) * scale_of(rr[blockIdx.y], D[blockIdx.y]));
}

// rho = rr D sum_i b_i t_i
//
// rho = r.z of that V-cycle.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n        scalar                 [1] open voxels
//   D        (n_designs)            [um^2/s]
//   rr       (n_designs)            [nM^2 um^6/s^2] r.r
//   b        (n_designs, n)         [s/um^2]
//   t        (n_designs, n)         [s/um^3] V-cycle
//   partial  (n_designs, n_blocks)  [nM^2 um^3/s]
//   done     (n_designs)            [1] blocks that are done, in place
//   rho      (n_designs)            [nM^2 um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) dot_cycle(
    const long long n, const real* __restrict__ D, const double* __restrict__ rr, const small* __restrict__ b,
    const small* __restrict__ t, double* __restrict__ partial, int* __restrict__ done, double* __restrict__ rho
) {
    const long long i = item(), k = row_of(n, i);
    const double factor = rr[blockIdx.y] * double(D[blockIdx.y]);
    block_total(i < n ? factor * double(b[k]) * double(t[k]) : 0.0, partial, done, rho);
}

// out_i = A p = z_i p_i - D sum_d g_di (p_j - p_i);   p_image = sum_i p_i out_i
//
// The elliptic operator of a field on the first direction, p = t, and the product that a step along it needs.
// over: 32 n_words by n_designs
// twin: ReferenceBackend._apply
//   n        scalar                 [1] open voxels
//   D        (n_designs)            [um^2/s]
//   n_words  scalar                 [1]
//   words    (n_words, 8)           [1] see common.cuh
//   faces    (3, n)                 [um] conductances, on the lower side
//   zeroth   (n_designs, n)         [um^3/s]
//   p        (n_designs, n)         [s/um^3]
//   out      (n_designs, n)         [1]
//   partial  (n_designs, n_blocks)  [s/um^3]
//   done     (n_designs)            [1] blocks that are done, in place
//   p_image  (n_designs)            [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) apply_dot(
    const long long n, const real* __restrict__ D, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const real* __restrict__ zeroth, const small* __restrict__ p,
    real* __restrict__ out, double* __restrict__ partial, int* __restrict__ done, double* __restrict__ p_image
) {
    Around at;
    double product = 0.0;
    if (look_around(item(), n, n_words, words, faces, at)) {
        const small* own = p + row_of(n, 0);
        const real here = real(own[at.i]);
        real flux = real(0);
#pragma unroll
        for (int d = 0; d < 6; ++d) flux += real(at.g[d]) * (real(own[at.j[d]]) - here);
        const long long k = row_of(n, at.i);
        const real image = zeroth[k] * here - D[blockIdx.y] * flux;
        out[k] = image;
        product = double(here) * double(image);
    }
    block_total(product, partial, done, p_image);
}

// p_i = t_i + beta p'_i;   out_i = A p;   p_image = sum_i p_i out_i,   beta = (rho / rho') sqrt(rr' / rr)
//
// The same on a later direction, made on the way; every thread makes those of its neighbours too.
// over: 32 n_words by n_designs
// twin: ReferenceBackend.solve
//   n        scalar                 [1] open voxels
//   D        (n_designs)            [um^2/s]
//   n_words  scalar                 [1]
//   words    (n_words, 8)           [1] see common.cuh
//   faces    (3, n)                 [um] conductances, on the lower side
//   zeroth   (n_designs, n)         [um^3/s]
//   rr       (n_designs)            [nM^2 um^6/s^2] r.r
//   rr_old   (n_designs)            [nM^2 um^6/s^2] the same one iteration before
//   rho      (n_designs)            [nM^2 um^3/s] r.z
//   rho_old  (n_designs)            [nM^2 um^3/s] the same one iteration before
//   t        (n_designs, n)         [s/um^3] V-cycle
//   p_old    (n_designs, n)         [s/um^3]
//   p        (n_designs, n)         [s/um^3]
//   out      (n_designs, n)         [1]
//   partial  (n_designs, n_blocks)  [s/um^3]
//   done     (n_designs)            [1] blocks that are done, in place
//   p_image  (n_designs)            [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK, 1) apply_next(
    const long long n, const real* __restrict__ D, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const real* __restrict__ zeroth, const double* __restrict__ rr,
    const double* __restrict__ rr_old, const double* __restrict__ rho, const double* __restrict__ rho_old,
    const small* __restrict__ t, const small* __restrict__ p_old, small* __restrict__ p, real* __restrict__ out,
    double* __restrict__ partial, int* __restrict__ done, double* __restrict__ p_image
) {
    Around at;
    double product = 0.0;
    if (look_around(item(), n, n_words, words, faces, at)) {
        const int d = blockIdx.y;
        const bool is_left = rr[d] > 0.0 && rho_old[d] != 0.0;
        const small beta = is_left ? small(rho[d] / rho_old[d] * sqrt(rr_old[d] / rr[d])) : small(0);
        const small *own = t + row_of(n, 0), *before = p_old + row_of(n, 0);
        const small kept = fma(beta, before[at.i], own[at.i]);  // rounded once: the same number in every thread
        const real here = real(kept);
        real flux = real(0);
#pragma unroll
        for (int f = 0; f < 6; ++f) {
            const int j = at.j[f];
            flux += real(at.g[f]) * (real(fma(beta, before[j], own[j])) - here);
        }
        const long long k = row_of(n, at.i);
        const real image = zeroth[k] * here - D[d] * flux;
        p[k] = kept;
        out[k] = image;
        product = double(here) * double(image);
    }
    block_total(product, partial, done, p_image);
}

// r_i -= step (A p)_i;   left = sum_i r_i^2,   step = rho / (sqrt(rr) p.Ap)
//
// What a step along a direction leaves; none is taken where p.Ap is zero. The solution follows with the next direction.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n        scalar                 [1] open voxels
//   rr       (n_designs)            [nM^2 um^6/s^2] r.r before the step
//   rho      (n_designs)            [nM^2 um^3/s] r.z
//   p_image  (n_designs)            [s/um^3] p.Ap
//   image    (n_designs, n)         [1] A p
//   r        (n_designs, n)         [nM um^3/s] in place
//   partial  (n_designs, n_blocks)  [nM^2 um^6/s^2]
//   done     (n_designs)            [1] blocks that are done, in place
//   left     (n_designs)            [nM^2 um^6/s^2]
extern "C" __global__ void __launch_bounds__(BLOCK) step_residual(
    const long long n, const double* __restrict__ rr, const double* __restrict__ rho,
    const double* __restrict__ p_image, const real* __restrict__ image, real* __restrict__ r,
    double* __restrict__ partial, int* __restrict__ done, double* __restrict__ left
) {
    const long long i = item();
    double square = 0.0;
    if (i < n) {
        const long long k = row_of(n, i), d = blockIdx.y;
        const real rest = r[k] - real(step_of(rr[d], rho[d], p_image[d])) * image[k];
        r[k] = rest;
        square = double(rest) * double(rest);
    }
    block_total(square, partial, done, left);
}

// x_fi += step' p'_i + step p_i;   r_i -= step (A p)_i;   left = sum_i r_i^2
//
// The same, and the solution along this direction and the one before.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n            scalar                    [1] open voxels
//   n_fields     scalar                    [1]
//   field        scalar                    [1] below n_fields
//   rr_old       (n_designs)               [nM^2 um^6/s^2] r.r one iteration before
//   rho_old      (n_designs)               [nM^2 um^3/s] r.z then
//   p_image_old  (n_designs)               [s/um^3] p.Ap then, 0 where there is no direction before
//   rr           (n_designs)               [nM^2 um^6/s^2] r.r before the step
//   rho          (n_designs)               [nM^2 um^3/s] r.z
//   p_image      (n_designs)               [s/um^3] p.Ap
//   p_old        (n_designs, n)            [s/um^3]
//   p            (n_designs, n)            [s/um^3]
//   image        (n_designs, n)            [1] A p
//   fresh        scalar                    [1] 1 where x is still to be begun from zero, else 0
//   x            (n_designs, n_fields, n)  [nM] in place, moves (n_designs, n)
//   r            (n_designs, n)            [nM um^3/s] in place
//   partial      (n_designs, n_blocks)     [nM^2 um^6/s^2]
//   done         (n_designs)               [1] blocks that are done, in place
//   left         (n_designs)               [nM^2 um^6/s^2]
extern "C" __global__ void __launch_bounds__(BLOCK) advance(
    const long long n, const int n_fields, const int field, const double* __restrict__ rr_old,
    const double* __restrict__ rho_old, const double* __restrict__ p_image_old, const double* __restrict__ rr,
    const double* __restrict__ rho, const double* __restrict__ p_image, const small* __restrict__ p_old,
    const small* __restrict__ p, const real* __restrict__ image, const int fresh, real* __restrict__ x,
    real* __restrict__ r, double* __restrict__ partial, int* __restrict__ done, double* __restrict__ left
) {
    const long long i = item();
    double square = 0.0;
    if (i < n) {
        const long long k = row_of(n, i), own = row_of(n_fields, field) * n + i, d = blockIdx.y;
        const real step = real(step_of(rr[d], rho[d], p_image[d]));
        const real before = real(step_of(rr_old[d], rho_old[d], p_image_old[d])) * real(p_old[k]);
        const real rest = r[k] - step * image[k];
        x[own] = (fresh ? real(0) : x[own]) + before + step * real(p[k]);
        r[k] = rest;
        square = double(rest) * double(rest);
    }
    block_total(square, partial, done, left);
}

// x_fi += step' p'_i + step p_i;   left = sum_i (r - step A p)_i^2;   residual = sum_i (r - step A p)_i
//
// The end of a solve with one pocket: what is left is added up, not stored.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n            scalar                    [1] open voxels
//   n_fields     scalar                    [1]
//   field        scalar                    [1] below n_fields
//   rr_old       (n_designs)               [nM^2 um^6/s^2] r.r one iteration before
//   rho_old      (n_designs)               [nM^2 um^3/s] r.z then
//   p_image_old  (n_designs)               [s/um^3] p.Ap then, 0 where there is no direction before
//   rr           (n_designs)               [nM^2 um^6/s^2] r.r before the step
//   rho          (n_designs)               [nM^2 um^3/s] r.z
//   p_image      (n_designs)               [s/um^3] p.Ap
//   p_old        (n_designs, n)            [s/um^3]
//   p            (n_designs, n)            [s/um^3]
//   image        (n_designs, n)            [1] A p
//   fresh        scalar                    [1] 1 where x is still to be begun from zero, else 0
//   x            (n_designs, n_fields, n)  [nM] in place, moves (n_designs, n)
//   r            (n_designs, n)            [nM um^3/s]
//   partial      (n_designs, n_blocks)     [nM^2 um^6/s^2]
//   done         (n_designs)               [1] blocks that are done, in place
//   left         (n_designs)               [nM^2 um^6/s^2]
//   more         (n_designs, n_blocks)     [nM um^3/s] partial sums of the residual
//   more_done    (n_designs)               [1] blocks that are done, in place
//   residual     (n_designs)               [nM um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) advance_last(
    const long long n, const int n_fields, const int field, const double* __restrict__ rr_old,
    const double* __restrict__ rho_old, const double* __restrict__ p_image_old, const double* __restrict__ rr,
    const double* __restrict__ rho, const double* __restrict__ p_image, const small* __restrict__ p_old,
    const small* __restrict__ p, const real* __restrict__ image, const int fresh, real* __restrict__ x,
    const real* __restrict__ r, double* __restrict__ partial, int* __restrict__ done, double* __restrict__ left,
    double* __restrict__ more, int* __restrict__ more_done, double* __restrict__ residual
) {
    const long long i = item();
    double rest = 0.0;
    if (i < n) {
        const long long k = row_of(n, i), own = row_of(n_fields, field) * n + i, d = blockIdx.y;
        const real step = real(step_of(rr[d], rho[d], p_image[d]));
        const real before = real(step_of(rr_old[d], rho_old[d], p_image_old[d])) * real(p_old[k]);
        x[own] = (fresh ? real(0) : x[own]) + before + step * real(p[k]);
        rest = double(r[k] - step * image[k]);
    }
    block_total(rest * rest, partial, done, left);
    block_total(rest, more, more_done, residual);
}
