// What every kernel shares; pasted in front of each source, because a compiler's cache does not see included headers.
//
// Defined in front of this text by whoever compiles it (backends/cuda/loader.py):
//   real   type of the state: double, or float on cards with slow doubles
//   small  type of the preconditioner: float, or double
//   BLOCK  threads in a block, a power of two; fixed for a build, since the order of the sums depends on it
//
// A batch solves several designs over one geometry: blockIdx.y is the design, and arrays that differ between designs have
// the design first. Offsets are 64-bit. Sums are in double and in an order that n and BLOCK alone decide: runs repeat bit for bit.

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

// Number of the item that this thread works on.
__device__ __forceinline__ long long item() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// Number of a row of this block's design, in an array with so many rows for each.
__device__ __forceinline__ long long row_of(const long long n_rows, const long long row) {
    return blockIdx.y * n_rows + row;
}

// The smaller, the larger of two numbers.
__device__ __forceinline__ real smaller(const real a, const real b) {
    return b < a ? b : a;
}
__device__ __forceinline__ real larger(const real a, const real b) {
    return b > a ? b : a;
}

// base^exponent; an exponent known to the compiler costs a product or two.
__device__ __forceinline__ real power(const real base, const real exponent) {
    if (exponent == real(2)) return base * base;
    if (exponent == real(3)) return base * base * base;
    if (exponent == real(-1)) return real(1) / base;
    if (exponent == real(0.5)) return sqrt(base);
    return pow(base, exponent);
}

// x^n / (K^n + x^n), and 0 for x <= 0.
__device__ __forceinline__ real hill(const real x, const real half, const real exponent) {
    return x > real(0) ? real(1) / (real(1) + pow(half / x, exponent)) : real(0);
}

// d hill / dx, taken no nearer to zero than a trillionth of K.
__device__ __forceinline__ real hill_slope(const real x, const real half, const real exponent) {
    if (x < real(0)) return real(0);
    const real ratio = larger(x / half, real(1e-12));
    const real raised = pow(ratio, exponent);
    return exponent / (half * ratio * (real(1) + raised) * (real(1) + real(1) / raised));
}

// Sum of one value of every thread of the block, for thread 0; all threads of the block must come here. No barrier is
// needed between two sums: scratch[0], all that is read after the last one, belongs to thread 0.
__device__ __forceinline__ double block_sum(const double value) {
    __shared__ double scratch[BLOCK];
    scratch[threadIdx.x] = value;
    __syncthreads();
    for (unsigned int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
        __syncthreads();
    }
    return scratch[0];
}

// Sum of one value of every thread, left in partial[block]; all threads of the block must come here.
__device__ __forceinline__ void block_partial(const double value, double* __restrict__ partial) {
    const double total = block_sum(value);
    if (threadIdx.x == 0) partial[(long long)blockIdx.y * gridDim.x + blockIdx.x] = total;
}

// Largest value of all threads of the block, for thread 0, and left in partial[block]; as block_partial.
__device__ __forceinline__ void block_largest(const double value, double* __restrict__ partial) {
    __shared__ double scratch[BLOCK];
    scratch[threadIdx.x] = value;
    __syncthreads();
    for (unsigned int half = BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half && scratch[threadIdx.x + half] > scratch[threadIdx.x]) {
            scratch[threadIdx.x] = scratch[threadIdx.x + half];
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) partial[(long long)blockIdx.y * gridDim.x + blockIdx.x] = scratch[0];
}

// sum_d g_di (u_j - u_i) over the six directions; differences first, so that fluxes cancel between neighbours.
__device__ __forceinline__ real divergence(
    const long long i, const long long n, const int* __restrict__ neighbour, const float* __restrict__ g,
    const real* __restrict__ u
) {
    const real here = u[i];
    real flux = real(0);
#pragma unroll
    for (int d = 0; d < 6; ++d) flux += real(g[d * n + i]) * (u[neighbour[d * n + i]] - here);
    return flux;
}

// sum_k g_ki x_j over a padded table of neighbours, (width, n); padding has g = 0 and j = i.
__device__ __forceinline__ small inflow(
    const long long i, const long long n, const int width, const int* __restrict__ neighbour,
    const float* __restrict__ g, const small* x
) {
    small total = small(0);
    for (int k = 0; k < width; ++k) total += small(g[k * n + i]) * x[neighbour[k * n + i]];
    return total;
}
