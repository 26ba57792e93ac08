// What the kernels of source.py are made from. NVRTC compiles it, without any header file.
// CTA: a group of threads on one multiprocessor. The macros UNITS, SLICE, ROWS and others are defined before this.

#define EACH _Pragma("unroll") for (int e = 0; e < ELEMENTS; ++e)

#ifndef ON_HOST
#define SHARED_PARTS extern __shared__ float parts[]
__device__ __forceinline__ void arrive_at(unsigned *counter) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}
__device__ __forceinline__ unsigned count_at(const unsigned *counter) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}
// What others have written before they arrived. (`count_at` has emptied the cache of this multiprocessor.)
__device__ __forceinline__ uint4 load_16(const void *at) {
  uint4 value;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(at)
               : "memory");
  return value;
}
#if BF16
__device__ __forceinline__ unsigned packed(float low, float high) {
  unsigned value;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(value) : "f"(high), "f"(low));
  return value;
}
#define SHAPE "m16n8k16.row.col.f32.bf16.bf16.f32"
#else
__device__ __forceinline__ unsigned rounded(float x) {
  unsigned value;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(value) : "f"(x));
  return value;
}
#define SHAPE "m16n8k8.row.col.f32.tf32.tf32.f32"
#endif
// c += a b on the tensor cores, for a warp.
__device__ __forceinline__ void multiply(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                                         unsigned b1) {
  asm("mma.sync.aligned." SHAPE " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
#endif

// An operand of a product in memory: bfloat16, or float32 rounded to TF32.
#if BF16
typedef unsigned short Operand;
__device__ __forceinline__ Operand operand_of(float x) { return (Operand)packed(x, 0.0f); }
#else
typedef unsigned Operand;
__device__ __forceinline__ Operand operand_of(float x) { return rounded(x); }
#endif
// 16 bytes hold so many, and a chunk has those of four threads.
constexpr int PIECE = 16 / sizeof(Operand), CHUNK = 4 * PIECE;

// The exponential function and the division of the hardware. NVIDIA's guide gives their errors: 2 + 1.2 |x| and 2 units in
// the last place; so the sigmoid is right to a few ten-millionths.
__device__ __forceinline__ float f_sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }
__device__ __forceinline__ float f_tanh(float x) { return 2.0f * f_sigmoid(2.0f * x) - 1.0f; }
__device__ __forceinline__ float f_log_sigmoid(float x) {
  return x != x ? x : fminf(x, 0.0f) - log1pf(expf(-fabsf(x)));
}
// fmaxf would lose a NaN.
__device__ __forceinline__ float f_maximum(float x, float y) { return x > y || x != x ? x : y; }

// Let the other CTAs of the same rows know that this one has written its part of an operand.
__device__ __forceinline__ void arrive(unsigned *counter) {
  __syncthreads();
  if (threadIdx.x == 0) arrive_at(counter);
}
__device__ __forceinline__ void wait_for(const unsigned *counter, unsigned count) {
  if (threadIdx.x == 0)
    while (count_at(counter) < count) {
    }
  __syncthreads();
}

// The product of an operand, (rows, K), with this CTA's columns of a matrix, (K, BLOCKS * UNITS): SLICE columns of each
// block. The columns are divided among WN warps and K among WK; each keeps its part of the matrix in registers.
template <int K, int BLOCKS, int WN, int WK, bool TRANSPOSED>
struct Product {
  static constexpr int COLUMNS = BLOCKS * SLICE, STRIDE = COLUMNS + 8, TILES = COLUMNS / 8 / WN;
  static constexpr int CHUNKS = (K + CHUNK * WK - 1) / (CHUNK * WK);
  static_assert(TILES * 8 * WN == COLUMNS && WN * WK * 32 == THREADS, "every column and every warp has its part");
  unsigned matrix[CHUNKS][TILES][4];

  // The first of the numbers of K that this thread has in a chunk.
  __device__ static int first(int chunk) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    return (warp / WN * CHUNKS + chunk) * CHUNK + lane % 4 * PIECE;
  }

  __device__ void load(const float *from, int slice) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; ++chunk)
#pragma unroll
      for (int tile = 0; tile < TILES; ++tile) {
        int local = (warp % WN * TILES + tile) * 8 + lane / 4;
        int column = local / SLICE * UNITS + slice * SLICE + local % SLICE, k = first(chunk);
        float x[PIECE];
#pragma unroll
        for (int n = 0; n < PIECE; ++n)
          x[n] = k < K ? from[TRANSPOSED ? (size_t)column * K + k + n : (size_t)(k + n) * (BLOCKS * UNITS) + column] : 0;
#pragma unroll
        for (int n = 0; n < 4; ++n)
#if BF16
          matrix[chunk][tile][n] = packed(x[2 * n], x[2 * n + 1]);
#else
          matrix[chunk][tile][n] = rounded(x[n]);
#endif
      }
  }

  // Leave the parts of the product in `parts`, WK times PASS rows of STRIDE numbers.
  __device__ void run(const Operand *operand, float *parts) const {
    constexpr int TURNS = PASS / 16 * CHUNKS, AHEAD = TURNS < DEPTH ? TURNS : DEPTH;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    uint4 low[AHEAD], high[AHEAD];
    float sum[TILES][4];
    auto fetch = [&](int turn) {
      int k = first(turn % CHUNKS);
      const Operand *at = operand + (size_t)(turn / CHUNKS * 16 + lane / 4) * K + k;
      low[turn % AHEAD] = k < K ? load_16(at) : make_uint4(0, 0, 0, 0);
      high[turn % AHEAD] = k < K ? load_16(at + 8 * K) : make_uint4(0, 0, 0, 0);
    };
#pragma unroll
    for (int turn = 0; turn < AHEAD; ++turn) fetch(turn);
#pragma unroll
    for (int turn = 0; turn < TURNS; ++turn) {
      int chunk = turn % CHUNKS;
      uint4 a = low[turn % AHEAD], b = high[turn % AHEAD];
#pragma unroll
      for (int tile = 0; tile < TILES; ++tile) {
        if (chunk == 0) sum[tile][0] = sum[tile][1] = sum[tile][2] = sum[tile][3] = 0;
        const unsigned *m = matrix[chunk][tile];
        multiply(sum[tile], a.x, b.x, a.y, b.y, m[0], m[1]);
        multiply(sum[tile], a.z, b.z, a.w, b.w, m[2], m[3]);
      }
      if (turn + AHEAD < TURNS) fetch(turn + AHEAD);
      if (chunk < CHUNKS - 1) continue;
      int row = turn / CHUNKS * 16 + lane / 4;
#pragma unroll
      for (int tile = 0; tile < TILES; ++tile) {
        float *to = parts + (warp / WN * PASS + row) * STRIDE + (warp % WN * TILES + tile) * 8 + lane % 4 * 2;
        to[0] = sum[tile][0];
        to[1] = sum[tile][1];
        to[8 * STRIDE] = sum[tile][2];
        to[8 * STRIDE + 1] = sum[tile][3];
      }
    }
  }

  // Return the sum of the parts in a row of the pass, at a column of a block.
  __device__ static float total(const float *parts, int row, int block, int column) {
    float sum = 0;
#pragma unroll
    for (int part = 0; part < WK; ++part) sum += parts[(part * PASS + row) * STRIDE + block * SLICE + column];
    return sum;
  }
};
