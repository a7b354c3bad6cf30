// Vector pieces of preconditioned conjugate gradients; the scalars stay in device memory.
//
// With t the V-cycle of b = r / (|r| D): z = |r| t, rho = r.z = |r|^2 D b.t, and directions |r| p have p = t + beta p',
// beta = (rho / rho') (|r'| / |r|), so that single precision holds p; the step along p is rho / (|r| p.Ap). Rounding p
// costs nothing: what is left stays r = rhs - A x to the rounding of r.

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

// partial = rr D sum_i b_i t_i
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
extern "C" __global__ void __launch_bounds__(BLOCK) dot_cycle(
    const long long n, const real* __restrict__ D, const double* __restrict__ rr, const small* __restrict__ b,
    const small* __restrict__ t, double* __restrict__ partial
) {
    const long long i = item(), k = row_of(n, i);
    const double factor = rr[blockIdx.y] * double(D[blockIdx.y]);
    block_partial(i < n ? factor * double(b[k]) * double(t[k]) : 0.0, partial);
}

// out_i = A p = z_i p_i - D sum_d g_di (p_j - p_i);   partial = sum_i p_i out_i
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
extern "C" __global__ void __launch_bounds__(BLOCK, 1) apply_dot(
    const long long n, const real* __restrict__ D, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const real* __restrict__ zeroth, const small* __restrict__ p,
    real* __restrict__ out, double* __restrict__ partial
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
    block_partial(product, partial);
}

// p_i = t_i + beta p'_i;   out_i = A p;   partial = sum_i p_i out_i,   beta = (rho / rho') sqrt(rr' / rr)
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
extern "C" __global__ void __launch_bounds__(BLOCK, 1) apply_next(
    const long long n, const real* __restrict__ D, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, const real* __restrict__ zeroth, const double* __restrict__ rr,
    const double* __restrict__ rr_old, const double* __restrict__ rho, const double* __restrict__ rho_old,
    const small* __restrict__ t, const small* __restrict__ p_old, small* __restrict__ p, real* __restrict__ out,
    double* __restrict__ partial
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
    block_partial(product, partial);
}

// x_i += step p_i;   r_i -= step (A p)_i;   partial = sum_i r_i^2,   step = rho / (sqrt(rr) p.Ap)
//
// One step along a direction; none where p.Ap is zero.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n        scalar                 [1] open voxels
//   rr       (n_designs)            [nM^2 um^6/s^2] r.r before the step
//   rho      (n_designs)            [nM^2 um^3/s] r.z
//   p_image  (n_designs)            [s/um^3] p.Ap
//   p        (n_designs, n)         [s/um^3]
//   image    (n_designs, n)         [1] A p
//   fresh    scalar                 [1] 1 where x is still to be begun from zero, else 0
//   x        (n_designs, n)         [nM] in place
//   r        (n_designs, n)         [nM um^3/s] in place
//   partial  (n_designs, n_blocks)  [nM^2 um^6/s^2]
extern "C" __global__ void __launch_bounds__(BLOCK) advance(
    const long long n, const double* __restrict__ rr, const double* __restrict__ rho,
    const double* __restrict__ p_image, const small* __restrict__ p, const real* __restrict__ image, const int fresh,
    real* __restrict__ x, real* __restrict__ r, double* __restrict__ partial
) {
    const long long i = item();
    double square = 0.0;
    if (i < n) {
        const long long k = row_of(n, i), d = blockIdx.y;
        const bool is_left = p_image[d] != 0.0 && rr[d] > 0.0;
        const real step = is_left ? real(rho[d] / (sqrt(rr[d]) * p_image[d])) : real(0);
        const real left = r[k] - step * image[k];
        x[k] = (fresh ? real(0) : x[k]) + step * real(p[k]);
        r[k] = left;
        square = double(left) * double(left);
    }
    block_partial(square, partial);
}
