// Compiled once for all kernels: what it needs of the standard library takes longer than any of them.

#include "cuda_threads.h"

#include <barrier>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

struct Meeting : Warp {
  std::barrier<> together{32};
};
struct Cta {
  std::vector<float> shared;
  std::unique_ptr<Meeting[]> warps;
  std::barrier<> together;
  Cta(int threads, int bytes)
      : shared(bytes / 4, __builtin_nanf("")), warps(new Meeting[threads / 32]), together(threads) {}
};

__thread Index threadIdx, blockIdx;
__thread Warp *warp;
__thread float *shared;
static thread_local Cta *cta_here;
static thread_local Meeting *warp_here;

void wait_for_cta() { cta_here->together.arrive_and_wait(); }
void wait_for_warp() { warp_here->together.arrive_and_wait(); }
void let_others_run() { std::this_thread::yield(); }
void be_late() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

void run_all(void (*kernel)(const void *), const void *pointers, int across, int down, int threads, int shared) {
  std::vector<std::unique_ptr<Cta>> ctas;
  std::vector<std::thread> all;
  for (int y = 0; y < down; ++y)
    for (int x = 0; x < across; ++x) {
      Cta *cta = ctas.emplace_back(new Cta(threads, shared)).get();
      for (int number = 0; number < threads; ++number)
        all.emplace_back([=] {
          cta_here = cta, warp = warp_here = &cta->warps[number / 32], ::shared = cta->shared.data();
          threadIdx = {number, 0}, blockIdx = {x, y};
          kernel(pointers);
          // Others may still wait for it.
          cta->together.arrive_and_drop();
          warp_here->together.arrive_and_drop();
        });
    }
  for (auto &thread : all) thread.join();
}
