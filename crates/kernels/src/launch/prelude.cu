#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define SHARED __shared__
#define BLOCK blockIdx.x
#define BLOCKS gridDim.x
#define THREADS blockDim.x
#define PHASE { const unsigned thread = threadIdx.x;
#define NEXT } __syncthreads();
