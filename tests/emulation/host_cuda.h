// Runs CUDA kernels on the host, for their logic: g++ compiles the unchanged sources behind this header.
//
// Blocks run one after another. The threads of a block are fibres, switched at barriers only; a barrier that some
// threads have passed by, or left the kernel before, is an error. Threads and blocks run upwards or downwards
// (descending): results that differ between the two betray a missing barrier or two writers of one place.
// Shared memory is static storage; the dynamic part is filled with NaN before each block.
#pragma once
#include <cmath>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>

using std::exp; using std::fabs; using std::fma; using std::log; using std::log1p; using std::pow; using std::sqrt;

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define DYNAMIC_SHARED(type, name) type* name = (type*)host_shared.data()

struct int2 { int x, y; };
struct int4 { int x, y, z, w; };
#define __popc __builtin_popcount
#define __threadfence()
static inline int atomicAdd(int* place, int more) {
    const int before = *place;
    *place += more;
    return before;
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}

struct host_dim3 { unsigned int x = 0, y = 0, z = 0; };
static host_dim3 threadIdx, blockIdx, blockDim, gridDim;
static std::vector<char> host_shared;

// Fibres are made once and live on between blocks; switching by setjmp leaves the signal mask, and the kernel, alone.
static const size_t HOST_STACK = 64 * 1024;
enum host_status { HOST_NEW, HOST_WAITING, HOST_DONE };
struct host_fibre {
    ucontext_t context;
    jmp_buf place;
    std::vector<char> stack;
    host_status status = HOST_NEW;
};
static std::vector<host_fibre> host_fibres;
static ucontext_t host_start;
static jmp_buf host_scheduler;
static unsigned int host_current;
static void (*host_body)(void*);
static void* host_arguments;
static bool host_plain, host_surprised;  // no fibres, as the kernel was said to have no barrier; it had one all the same

// Back to the scheduler, to go on here when resumed.
static void host_yield(host_status status) {
    host_fibre& own = host_fibres[host_current];
    own.status = status;
    if (!_setjmp(own.place)) _longjmp(host_scheduler, 1);
}

static void __syncthreads() {
    if (host_plain)
        host_surprised = true;
    else
        host_yield(HOST_WAITING);
}

static void host_enter() {
    for (;;) {
        host_body(host_arguments);
        host_yield(HOST_DONE);
    }
}

static void host_resume(unsigned int thread) {
    host_fibre& fibre = host_fibres[thread];
    host_current = thread;
    threadIdx.x = thread;
    if (_setjmp(host_scheduler)) return;
    if (fibre.status != HOST_NEW) _longjmp(fibre.place, 1);
    fibre.stack.resize(HOST_STACK);
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.data();
    fibre.context.uc_stack.ss_size = HOST_STACK;
    fibre.context.uc_link = &host_start;
    makecontext(&fibre.context, host_enter, 0);
    setcontext(&fibre.context);
}

// One block from barrier to barrier; 0, or 1 if the threads disagree about a barrier.
static int host_block(int descending) {
    const unsigned int threads = blockDim.x;
    for (;;) {
        unsigned int done = 0;
        for (unsigned int k = 0; k < threads; ++k) {
            const unsigned int thread = descending ? threads - 1 - k : k;
            host_resume(thread);
            done += host_fibres[thread].status == HOST_DONE;
        }
        if (done == threads) return 0;
        if (done == 0) continue;
        host_fibres.clear();  // some are left in the middle of the kernel
        return 1;
    }
}

// A block of a kernel without barriers: plain calls.
static int host_plain_block(int descending) {
    for (unsigned int k = 0; k < blockDim.x; ++k) {
        threadIdx.x = descending ? blockDim.x - 1 - k : k;
        host_body(host_arguments);
    }
    return host_surprised;
}

// shape: blocks along x and y, threads a block, bytes of dynamic shared memory. 0, or 1 if barriers are not as they should.
static int host_launch(const long long* shape, int descending, bool has_barriers, void (*body)(void*), void* arguments) {
    gridDim.x = shape[0]; gridDim.y = shape[1]; blockDim.x = shape[2];
    host_body = body;
    host_arguments = arguments;
    host_plain = !has_barriers;
    host_surprised = false;
    host_fibres.resize(blockDim.x);
    const long long blocks = shape[0] * shape[1];
    for (long long k = 0; k < blocks; ++k) {
        const long long block = descending ? blocks - 1 - k : k;
        blockIdx.x = block % shape[0];
        blockIdx.y = block / shape[0];
        host_shared.assign(shape[3], char(0xff));
        if (host_plain ? host_plain_block(descending) : host_block(descending)) return 1;
    }
    return 0;
}
