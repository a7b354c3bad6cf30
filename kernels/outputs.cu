// What an output keeps, put aside so that the steps which follow may change the state while it travels to the host.

// out_k = u_row(k)
//
// Fields of one design, in the single precision that a snapshot has.
// over: n by n_rows
// twin: numpy.take
//   n       scalar       [1] open voxels
//   n_rows  scalar       [1] fields that are kept
//   n_all   scalar       [1] fields of all designs
//   rows    (n_rows)     [1] which of them
//   values  (n_all, n)   [nM] moves (n_rows, n)
//   out     (n_rows, n)  [nM]
extern "C" __global__ void __launch_bounds__(BLOCK) put_fields_aside(
    const long long n, const int n_rows, const int n_all, const int* __restrict__ rows,
    const real* __restrict__ values, float* __restrict__ out
) {
    const long long i = item();
    if (i >= n) return;
    if (n_rows == 0 || n_all == 0) return;
    out[row_of(n, i)] = float(values[rows[blockIdx.y] * n + i]);
}

// out_k = u_row(k)
//
// States of the cells of one design, as they are.
// over: n_cell by n_rows
// twin: numpy.take
//   n_cell  scalar            [1]
//   n_rows  scalar            [1] states that are kept
//   n_all   scalar            [1] states of all designs
//   rows    (n_rows)          [1] which of them
//   values  (n_all, n_cell)   [of the states] moves (n_rows, n_cell)
//   out     (n_rows, n_cell)  [of the states]
extern "C" __global__ void __launch_bounds__(BLOCK) put_states_aside(
    const long long n_cell, const int n_rows, const int n_all, const int* __restrict__ rows,
    const real* __restrict__ values, real* __restrict__ out
) {
    const long long c = item();
    if (c >= n_cell) return;
    if (n_rows == 0 || n_all == 0) return;
    out[row_of(n_cell, c)] = values[rows[blockIdx.y] * n_cell + c];
}
