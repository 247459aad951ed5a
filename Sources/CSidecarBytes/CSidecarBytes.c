#include "CSidecarBytes.h"

#include <stdint.h>
#include <string.h>

// Written so that the compiler turns the inner loop into vector instructions of whatever width it may use.
static inline __attribute__((always_inline)) size_t ascii_blocks(const char *bytes, size_t count) {
  static const size_t block = 256;
  size_t index = 0;
  for (; count - index >= block; index += block) {
    uint64_t seen = 0;
    for (size_t offset = 0; offset < block; offset += sizeof seen) {
      uint64_t word;
      memcpy(&word, bytes + index + offset, sizeof word);
      seen |= word;
    }
    if (seen & 0x8080808080808080) break;
  }
  return index;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static size_t ascii_blocks_avx2(const char *bytes, size_t count) {
  return ascii_blocks(bytes, count);
}
#endif

size_t csidecar_ascii_blocks(const void *bytes, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return ascii_blocks_avx2(bytes, count);
#endif
  return ascii_blocks(bytes, count);
}
