// Vector pieces of preconditioned conjugate gradients; the scalars stay in device memory.
//
// With t the V-cycle of r / (|r| D): z = |r| t, rho = r.z, beta = rho / rho', p = z + beta p, step = rho / p.Ap.

// b_i = r_i / (sqrt(rr) D);   x_i = weight b_i q_i
//
// The right-hand side of the V-cycle, of norm 1 / D so that single precision holds it, and its first smoothing step.
// over: n by n_designs
// twin: ReferenceBackend._precondition
//   n        scalar          [1] open voxels
//   D        (n_designs)     [um^2/s]
//   weight   scalar          [1]
//   rr       (n_designs)     [nM^2 um^6/s^2] r.r
//   r        (n_designs, n)  [nM um^3/s]
//   inverse  (n_designs, n)  [1/um]
//   b        (n_designs, n)  [s/um^2]
//   x        (n_designs, n)  [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK) first_guess(
    const long long n, const real* __restrict__ D, const small weight, const double* __restrict__ rr,
    const real* __restrict__ r, const small* __restrict__ inverse, small* __restrict__ b, small* __restrict__ x
) {
    const long long i = item();
    if (i >= n) return;
    const double square = rr[blockIdx.y];
    const double factor = square > 0.0 ? 1.0 / (sqrt(square) * double(D[blockIdx.y])) : 0.0;
    const long long k = row_of(n, i);
    const small scaled = small(double(r[k]) * factor);
    b[k] = scaled;
    x[k] = weight * (scaled * inverse[k]);
}

// p_i = sqrt(rr) t_i + beta p_i,   beta = rho / rho'
//
// The next direction; the first one, told by rho' = 0, forgets what p held.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n        scalar          [1] open voxels
//   rr       (n_designs)     [nM^2 um^6/s^2] r.r
//   rho      (n_designs)     [nM^2 um^3/s] r.z
//   rho_old  (n_designs)     [nM^2 um^3/s] the same one iteration before; 0 before the first
//   t        (n_designs, n)  [s/um^3] V-cycle
//   p        (n_designs, n)  [nM] in place
extern "C" __global__ void __launch_bounds__(BLOCK) direction(
    const long long n, const double* __restrict__ rr, const double* __restrict__ rho,
    const double* __restrict__ rho_old, const small* __restrict__ t, real* __restrict__ p
) {
    const long long i = item();
    if (i >= n) return;
    const long long k = row_of(n, i), d = blockIdx.y;
    const double before = rho_old[d] != 0.0 ? rho[d] / rho_old[d] * double(p[k]) : 0.0;
    p[k] = real(sqrt(rr[d]) * double(t[k]) + before);
}

// x_i += step p_i;   r_i -= step (A p)_i;   partial = sum_i r_i^2,   step = rho / p.Ap
//
// One step along a direction; none where p.Ap is zero.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n        scalar                 [1] open voxels
//   rho      (n_designs)            [nM^2 um^3/s] r.z
//   p_image  (n_designs)            [nM^2 um^3/s] p.Ap
//   p        (n_designs, n)         [nM]
//   image    (n_designs, n)         [nM um^3/s] A p
//   fresh    scalar                 [1] 1 where x is still to be begun from zero, else 0
//   x        (n_designs, n)         [nM] in place
//   r        (n_designs, n)         [nM um^3/s] in place
//   partial  (n_designs, n_blocks)  [nM^2 um^6/s^2]
extern "C" __global__ void __launch_bounds__(BLOCK) advance(
    const long long n, const double* __restrict__ rho, const double* __restrict__ p_image,
    const real* __restrict__ p, const real* __restrict__ image, const int fresh, real* __restrict__ x,
    real* __restrict__ r, double* __restrict__ partial
) {
    const long long i = item();
    double square = 0.0;
    if (i < n) {
        const long long k = row_of(n, i), d = blockIdx.y;
        const real step = p_image[d] != 0.0 ? real(rho[d] / p_image[d]) : real(0);
        const real left = r[k] - step * image[k];
        x[k] = (fresh ? real(0) : x[k]) + step * p[k];
        r[k] = left;
        square = double(left) * double(left);
    }
    block_partial(square, partial);
}

// partial = sqrt(rr) sum_i r_i t_i
//
// rho = r.z from the V-cycle, whose scale is that of r.
// over: n by n_designs
// twin: ReferenceBackend.solve
//   n        scalar                 [1] open voxels
//   rr       (n_designs)            [nM^2 um^6/s^2] r.r
//   r        (n_designs, n)         [nM um^3/s]
//   t        (n_designs, n)         [s/um^3] V-cycle
//   partial  (n_designs, n_blocks)  [nM^2 um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) dot_cycle(
    const long long n, const double* __restrict__ rr, const real* __restrict__ r, const small* __restrict__ t,
    double* __restrict__ partial
) {
    const long long i = item();
    const long long k = row_of(n, i);
    block_partial(i < n ? sqrt(rr[blockIdx.y]) * double(r[k]) * double(t[k]) : 0.0, partial);
}
