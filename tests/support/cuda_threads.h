// The threads of a GPU on the processor, as a kernel sees them.
#pragma once

struct Index {
  int x, y;
};
// What the threads of a warp bring to a product.
struct Warp {
  unsigned a[32][4], b[32][2];
};

// Of this thread.
extern __thread Index threadIdx, blockIdx;
extern __thread Warp *warp;
extern __thread float *shared;

void wait_for_cta();
void wait_for_warp();
void let_others_run();
void be_late();
// Run a kernel in threads: `down` rows of `across` CTAs, each with so many threads and bytes of shared memory.
void run_all(void (*kernel)(const void *), const void *pointers, int across, int down, int threads, int shared);
