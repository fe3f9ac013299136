// Every thread writes the sum of its own elements, each one grid behind the last. None waits for another.

#define THREAD (blockIdx.x * (size_t) blockDim.x + threadIdx.x)
#define THREADS (gridDim.x * (size_t) blockDim.x)

template <typename T>
__device__ void add_products(size_t count, const T *x, const T *y, double *sums) {
    double sum = 0;
    for (size_t i = THREAD; i < count; i += THREADS) {
        sum = fma((double) x[i], (double) y[i], sum);
    }
    sums[THREAD] = sum;
}

extern "C" __global__ void products_f32(size_t count, const float *x, const float *y, double *sums) {
    add_products(count, x, y, sums);
}

extern "C" __global__ void products_f64(size_t count, const double *x, const double *y, double *sums) {
    add_products(count, x, y, sums);
}

extern "C" __global__ void sums(size_t count, const double *x, double *sums) {
    double sum = 0;
    for (size_t i = THREAD; i < count; i += THREADS) {
        sum += x[i];
    }
    sums[THREAD] = sum;
}
