#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define SHARED __shared__
#define BLOCK blockIdx.x
#define BLOCKS gridDim.x
#define THREADS blockDim.x
#define PHASE { const unsigned thread = threadIdx.x;
#define NEXT } __syncthreads();
#define LAST(arrived, all) last_of(arrived, all)
#define OTHERS(parts) ((const volatile double *) (parts))
// Whether all other blocks have arrived, whose writes before that are then seen.
__device__ static inline bool last_of(unsigned &arrived, unsigned all) {
    __threadfence();
    const bool last = atomicAdd(&arrived, 1) == all - 1;
    __threadfence();
    return last;
}
