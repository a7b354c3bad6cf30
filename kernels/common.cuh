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

// base^exponent; the commonest exponents cost a product or two.
__device__ __forceinline__ real power(const real base, const real exponent) {
    if (exponent == real(1)) return base;
    if (exponent == real(2)) return base * base;
    if (exponent == real(3)) return base * base * base;
    if (exponent == real(-1)) return real(1) / base;
    if (exponent == real(0.5)) return sqrt(base);
    return pow(base, exponent);
}

// x^n / (K^n + x^n), and 0 for x <= 0.
__device__ __forceinline__ real hill(const real x, const real half, const real exponent) {
    return x > real(0) ? real(1) / (real(1) + power(half / x, exponent)) : real(0);
}

// d hill / dx, taken no nearer to zero than a trillionth of K.
__device__ __forceinline__ real hill_slope(const real x, const real half, const real exponent) {
    if (x < real(0)) return real(0);
    const real ratio = larger(x / half, real(1e-12));
    const real raised = power(ratio, exponent);
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

// Sum of one value of every thread of a row of blocks, in out[row]; all threads must come here. Each block leaves its sum
// in partial; the last one to be done, told by the count done[row], 0 before and after, adds them up in their order:
// other blocks wait for it, so every thread has READS of them on their way at once.
#define READS 8
__device__ __forceinline__ void block_total(
    const double value, double* __restrict__ partial, int* __restrict__ done, double* __restrict__ out
) {
    __shared__ bool is_last;
    volatile double* own = partial + (long long)blockIdx.y * gridDim.x;
    double total = block_sum(value);
    if (threadIdx.x == 0) {
        own[blockIdx.x] = total;
        __threadfence();  // seen by all before this block counts as done
        is_last = atomicAdd(done + blockIdx.y, 1) == int(gridDim.x) - 1;
        __threadfence();
    }
    __syncthreads();
    if (!is_last) return;
    total = 0.0;
    for (unsigned int k = threadIdx.x; k < gridDim.x; k += READS * BLOCK) {
        double part[READS];
#pragma unroll
        for (int m = 0; m < READS; ++m) part[m] = k + m * BLOCK < gridDim.x ? own[k + m * BLOCK] : 0.0;
#pragma unroll
        for (int m = 0; m < READS; ++m) total += part[m];
    }
    total = block_sum(total);
    if (threadIdx.x == 0) {
        out[blockIdx.y] = total;
        done[blockIdx.y] = 0;
    }
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

// An open voxel, its neighbours by direction, itself where there is none, and the conductances towards them.
struct Around {
    int i, j[6];
    float g[6];
};

// Open voxel at a place of the table of words, -1 where it is closed. Place 32 w + l is cell l of word w, 32 cells along
// x: its open cells as bits, its first open voxel, the voxels beyond its low and its high end, and the words beside it
// along -y, +y, -z and +z, -1 where there is none. Voxels are numbered along x. Rows of 32 bytes are read in two pieces,
// by all threads of a warp at once.
__device__ __forceinline__ int voxel_at(const long long place, const int* __restrict__ words) {
    const int2 word = ((const int2*)words)[place / 32 * 4];
    const unsigned int open = word.x, own = 1u << (place & 31);
    return open & own ? word.y + __popc(open & (own - 1)) : -1;
}

// What is around the open voxel at a place; false where it is closed, or beyond all words. A face stands with the voxel
// on its lower side, faces[d n + i] along x, y, z: the same number for both sides.
__device__ __forceinline__ bool look_around(
    const long long place, const long long n, const long long n_words, const int* __restrict__ words,
    const float* __restrict__ faces, Around& at
) {
    if (place >= 32 * n_words) return false;
    const int4 *row = (const int4*)words + place / 32 * 2, word = row[0], beside = row[1];
    const int lane = place & 31;
    const unsigned int open = word.x, own = 1u << lane;
    if (!(open & own)) return false;
    const int i = word.y + __popc(open & (own - 1));
    at.i = i;
    at.j[0] = lane == 0 ? word.z : open & own >> 1 ? i - 1 : -1;
    at.j[1] = open & own << 1 ? i + 1 : open >> lane == 1 ? word.w : -1;  // beyond the word for its last cell alone
    at.j[2] = beside.x < 0 ? -1 : voxel_at(32LL * beside.x + lane, words);
    at.j[3] = beside.y < 0 ? -1 : voxel_at(32LL * beside.y + lane, words);
    at.j[4] = beside.z < 0 ? -1 : voxel_at(32LL * beside.z + lane, words);
    at.j[5] = beside.w < 0 ? -1 : voxel_at(32LL * beside.w + lane, words);
#pragma unroll
    for (int d = 0; d < 6; ++d) {
        const int j = at.j[d];
        at.g[d] = j < 0 ? 0.0f : faces[d / 2 * n + (d % 2 ? i : j)];
        at.j[d] = j < 0 ? i : j;
    }
    return true;
}

// sum_d g_di (u_j - u_i); differences first, so that fluxes cancel between neighbours.
__device__ __forceinline__ real divergence(const Around& at, const real* __restrict__ u) {
    const real here = u[at.i];
    real flux = real(0);
#pragma unroll
    for (int d = 0; d < 6; ++d) flux += real(at.g[d]) * (u[at.j[d]] - here);
    return flux;
}

// sum_d g_di x_j.
__device__ __forceinline__ small inflow(const Around& at, const small* __restrict__ x) {
    small total = small(0);
#pragma unroll
    for (int d = 0; d < 6; ++d) total += small(at.g[d]) * x[at.j[d]];
    return total;
}

// What a right-hand side of a squared norm is multiplied with for a V-cycle: 1 / (sqrt(rr) D); 0 where it is zero.
__device__ __forceinline__ double scale_of(const double rr, const real D) {
    return rr > 0.0 ? 1.0 / (sqrt(rr) * double(D)) : 0.0;
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
