// A GPU on the processor: every thread of every CTA is a thread, and a warp's product is computed from what its threads
// bring, by the layouts of PTX ISA, "Matrix fragments for mma.m16n8k16" and "mma.m16n8k8".

#include "cuda_threads.h"

// Of the standard library only what kernels call: its headers take longer to compile than a kernel.
typedef decltype(sizeof 0) size_t;
extern "C" float expf(float), log1pf(float), sqrtf(float), fabsf(float), fminf(float, float);

#define ON_HOST
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(threads, ctas)
#define SHARED_PARTS float *parts = shared
struct uint4 {
  unsigned x, y, z, w;
};
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static void __syncthreads() { wait_for_cta(); }
static float __int_as_float(int bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}
static float exp_of(float x) { return expf(x); }
#define __expf exp_of
static float __fdividef(float x, float y) { return x / y; }
static float rsqrtf(float x) { return 1 / sqrtf(x); }
template <class T> static T min(T x, T y) { return x < y ? x : y; }
static void arrive_at(unsigned *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELEASE); }
static unsigned count_at(const unsigned *counter) {
  let_others_run();
  return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}
static uint4 load_16(const void *at) {
#ifdef SLOW
  // One CTA is late with all that it reads.
  if (blockIdx.x == SLOW && threadIdx.x == 0) be_late();
#endif
  uint4 value;
  __builtin_memcpy(&value, at, 16);
  return value;
}

static float number(unsigned bits) { return __int_as_float((int)bits); }
static unsigned bits_of(float x) {
  unsigned bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}
#if BF16
static unsigned upper(float x) {
  unsigned bits = bits_of(x);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
static unsigned packed(float low, float high) { return upper(high) << 16 | upper(low); }
constexpr int DEEP = 16;
#else
// As exact as float32: only the order of the sums differs from another computation.
static unsigned rounded(float x) { return bits_of(x); }
constexpr int DEEP = 8;
#endif

static void multiply(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  int lane = threadIdx.x % 32;
  unsigned a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};
  __builtin_memcpy(warp->a[lane], a, 16);
  __builtin_memcpy(warp->b[lane], b, 8);
  wait_for_warp();
  auto left = [&](int row, int k) {
    int place = row / 8 + (k >= DEEP / 2 ? 2 : 0), in = k % (DEEP / 2);
#if BF16
    return number(warp->a[row % 8 * 4 + in / 2][place] >> (in % 2 * 16) << 16);
#else
    return number(warp->a[row % 8 * 4 + in][place]);
#endif
  };
  auto right = [&](int k, int column) {
    int place = k >= DEEP / 2, in = k % (DEEP / 2);
#if BF16
    return number(warp->b[column * 4 + in / 2][place] >> (in % 2 * 16) << 16);
#else
    return number(warp->b[column * 4 + in][place]);
#endif
  };
  for (int n = 0; n < 4; ++n)
    for (int k = 0; k < DEEP; ++k) c[n] += left(lane / 4 + n / 2 * 8, k) * right(k, lane % 4 * 2 + n % 2);
  wait_for_warp();
}
