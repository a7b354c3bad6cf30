// Vector pieces of preconditioned conjugate gradients; the scalars stay in device memory.
//
// With t the V-cycle of r / (|r| D): z = |r| t, rho = r.z, beta = rho / rho', p = z + beta p, step = rho / p.Ap.

// b_i = r_i / (sqrt(rr) D);   x_i = weight b_i q_i
//
// The right-hand side of the V-cycle, of norm 1 / D so that single precision holds it, and its first smoothing step.
// over: n
// twin: ReferenceBackend._precondition
//   n        scalar  [1] open voxels
//   D        scalar  [um^2/s]
//   weight   scalar  [1]
//   rr       (1)     [nM^2 um^6/s^2] r.r
//   r        (n)     [nM um^3/s]
//   inverse  (n)     [1/um]
//   b        (n)     [s/um^2]
//   x        (n)     [s/um^3]
extern "C" __global__ void __launch_bounds__(BLOCK) first_guess(
    const long long n, const real D, const small weight, const double* __restrict__ rr, const real* __restrict__ r,
    const small* __restrict__ inverse, small* __restrict__ b, small* __restrict__ x
) {
    const long long i = item();
    if (i >= n) return;
    const double factor = rr[0] > 0.0 ? 1.0 / (sqrt(rr[0]) * double(D)) : 0.0;
    const small scaled = small(double(r[i]) * factor);
    b[i] = scaled;
    x[i] = weight * (scaled * inverse[i]);
}

// p_i = sqrt(rr) t_i + beta p_i,   beta = rho / rho'
//
// The next direction; the first one, told by rho' = 0, forgets what p held.
// over: n
// twin: ReferenceBackend.solve
//   n        scalar  [1] open voxels
//   rr       (1)     [nM^2 um^6/s^2] r.r
//   rho      (1)     [nM^2 um^3/s] r.z
//   rho_old  (1)     [nM^2 um^3/s] the same one iteration before; 0 before the first
//   t        (n)     [s/um^3] V-cycle
//   p        (n)     [nM] in place
extern "C" __global__ void __launch_bounds__(BLOCK) direction(
    const long long n, const double* __restrict__ rr, const double* __restrict__ rho,
    const double* __restrict__ rho_old, const small* __restrict__ t, real* __restrict__ p
) {
    const long long i = item();
    if (i >= n) return;
    const double before = rho_old[0] != 0.0 ? rho[0] / rho_old[0] * double(p[i]) : 0.0;
    p[i] = real(sqrt(rr[0]) * double(t[i]) + before);
}

// x_i += step p_i;   r_i -= step (A p)_i;   partial = sum_i r_i^2,   step = rho / p.Ap
//
// One step along a direction; none where p.Ap is zero.
// over: n
// twin: ReferenceBackend.solve
//   n        scalar      [1] open voxels
//   rho      (1)         [nM^2 um^3/s] r.z
//   p_image  (1)         [nM^2 um^3/s] p.Ap
//   p        (n)         [nM]
//   image    (n)         [nM um^3/s] A p
//   x        (n)         [nM] in place
//   r        (n)         [nM um^3/s] in place
//   partial  (n_blocks)  [nM^2 um^6/s^2]
extern "C" __global__ void __launch_bounds__(BLOCK) advance(
    const long long n, const double* __restrict__ rho, const double* __restrict__ p_image,
    const real* __restrict__ p, const real* __restrict__ image, real* __restrict__ x, real* __restrict__ r,
    double* __restrict__ partial
) {
    const long long i = item();
    double square = 0.0;
    if (i < n) {
        const real step = p_image[0] != 0.0 ? real(rho[0] / p_image[0]) : real(0);
        const real left = r[i] - step * image[i];
        x[i] += step * p[i];
        r[i] = left;
        square = double(left) * double(left);
    }
    block_partial(square, partial);
}

// partial = sqrt(rr) sum_i r_i t_i
//
// rho = r.z from the V-cycle, whose scale is that of r.
// over: n
// twin: ReferenceBackend.solve
//   n        scalar      [1] open voxels
//   rr       (1)         [nM^2 um^6/s^2] r.r
//   r        (n)         [nM um^3/s]
//   t        (n)         [s/um^3] V-cycle
//   partial  (n_blocks)  [nM^2 um^3/s]
extern "C" __global__ void __launch_bounds__(BLOCK) dot_cycle(
    const long long n, const double* __restrict__ rr, const real* __restrict__ r, const small* __restrict__ t,
    double* __restrict__ partial
) {
    const long long i = item();
    block_partial(i < n ? sqrt(rr[0]) * double(r[i]) * double(t[i]) : 0.0, partial);
}
