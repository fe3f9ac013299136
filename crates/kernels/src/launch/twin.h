#include <cmath>
using namespace std;
static unsigned BLOCK, BLOCKS, THREADS;
#define KERNEL(threads) static void
#define SHARED static
#define PHASE for (unsigned thread = 0; thread < THREADS; thread++) {
#define NEXT }
#define LAST(arrived, all) ((arrived)++ == (all) - 1)
#define OTHERS(parts) (parts)
