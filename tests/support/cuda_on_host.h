// A GPU on the processor: every thread of every CTA is a thread, and a warp's product is computed from what its threads
// bring, by the layouts of PTX ISA, "Matrix fragments for mma.m16n8k16" and "mma.m16n8k8". cuda_on_host.py includes
// what it needs of the standard library.

#define ON_HOST
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(threads, ctas)
#define SHARED_PARTS float *parts = now.cta->shared.data()
struct uint4 {
  unsigned x, y, z, w;
};
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
struct Index {
  int x, y;
};

struct Warp {
  unsigned a[32][4], b[32][2];
  std::barrier<> together{32};
};
struct Cta {
  std::vector<float> shared;
  std::unique_ptr<Warp[]> warps;
  std::barrier<> together;
  Cta(int threads, int bytes) : shared(bytes / 4, NAN), warps(new Warp[threads / 32]), together(threads) {}
};
struct Now {
  Cta *cta;
  Warp *warp;
};
static thread_local Now now;
static thread_local Index threadIdx, blockIdx;

static void __syncthreads() { now.cta->together.arrive_and_wait(); }
static float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
static float exp_of(float x) { return std::exp(x); }
#define __expf exp_of
static float __fdividef(float x, float y) { return x / y; }
static float rsqrtf(float x) { return 1 / std::sqrt(x); }
template <class T> static T min(T x, T y) { return x < y ? x : y; }
static void arrive_at(unsigned *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELEASE); }
static unsigned count_at(const unsigned *counter) {
  std::this_thread::yield();
  return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}
static uint4 load_16(const void *at) {
#ifdef SLOW
  // One CTA is late with all that it reads.
  if (blockIdx.x == SLOW && threadIdx.x == 0) std::this_thread::sleep_for(std::chrono::milliseconds(3));
#endif
  uint4 value;
  std::memcpy(&value, at, 16);
  return value;
}

static float number(unsigned bits) { return __int_as_float((int)bits); }
static unsigned bits_of(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, 4);
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
  Warp &warp = *now.warp;
  int lane = threadIdx.x % 32;
  unsigned a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};
  std::memcpy(warp.a[lane], a, 16);
  std::memcpy(warp.b[lane], b, 8);
  warp.together.arrive_and_wait();
  auto left = [&](int row, int k) {
    int place = row / 8 + (k >= DEEP / 2 ? 2 : 0), in = k % (DEEP / 2);
#if BF16
    return number(warp.a[row % 8 * 4 + in / 2][place] >> (in % 2 * 16) << 16);
#else
    return number(warp.a[row % 8 * 4 + in][place]);
#endif
  };
  auto right = [&](int k, int column) {
    int place = k >= DEEP / 2, in = k % (DEEP / 2);
#if BF16
    return number(warp.b[column * 4 + in / 2][place] >> (in % 2 * 16) << 16);
#else
    return number(warp.b[column * 4 + in][place]);
#endif
  };
  for (int n = 0; n < 4; ++n)
    for (int k = 0; k < DEEP; ++k) c[n] += left(lane / 4 + n / 2 * 8, k) * right(k, lane % 4 * 2 + n % 2);
  warp.together.arrive_and_wait();
}

template <class Kernel, class Pointers>
static void run_all(Kernel kernel, const Pointers &pointers, int across, int down, int threads, int shared) {
  std::vector<std::unique_ptr<Cta>> ctas;
  std::vector<std::thread> all;
  for (int y = 0; y < down; ++y)
    for (int x = 0; x < across; ++x) {
      Cta *cta = ctas.emplace_back(new Cta(threads, shared)).get();
      for (int thread = 0; thread < threads; ++thread)
        all.emplace_back([=, &pointers] {
          now = {cta, &cta->warps[thread / 32]};
          threadIdx = {thread, 0};
          blockIdx = {x, y};
          kernel(pointers);
          // Others may still wait for it.
          cta->together.arrive_and_drop();
          now.warp->together.arrive_and_drop();
        });
    }
  for (auto &thread : all) thread.join();
}
