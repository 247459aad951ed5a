// raw-c WORKLOAD --url ws://127.0.0.1:PORT --api NAME [--size N] [--count M] [--kind binary|text] [--warmup W]
//
//   hose           --api count | copy | handover
//   deflate        --api inflate (zlib alone, on the same messages) | read | copy
//   send           --api batched | direct (one system call a message)
//   echo           --api loop
//   echo-blocking  --api direct | handover (who writes: the caller, or the I/O thread)
//   cycles         --api loop
//
// Prints one line of JSON, as Peers/README.md describes.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raw.h"

void fail(const char *what) {
  fprintf(stderr, "raw-c: %s: %s\n", what, strerror(errno));
  exit(1);
}

double seconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

// Percentiles by the nearest rank, in microseconds.
static double percentile(const double *sorted, size_t count, unsigned thousandths) {
  size_t rank = (count * thousandths + 999) / 1000;
  return sorted[rank ? rank - 1 : 0] * 1e6;
}

void fill_percentiles(struct result *result, double *samples, size_t count) {
  if (!count) return;
  qsort(samples, count, sizeof *samples, compare);
  result->p50 = percentile(samples, count, 500);
  result->p99 = percentile(samples, count, 990);
  result->p999 = percentile(samples, count, 999);
}

// A number that /proc/self/status gives, such as VmRSS in KiB.
static long status_number(const char *name) {
  char line[256];
  long value = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status)) {
    if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name) + 1);
  }
  if (status) fclose(status);
  return value;
}

static struct options read_options(int argc, char **argv) {
  struct options options = {
      .workload = argc > 1 ? argv[1] : "", .api = "loop", .kind = "binary", .size = 16, .count = 1000};
  for (int i = 2; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (strcmp(name, "--url") == 0) {
      const char *port = strrchr(value, ':');
      options.port = port ? (uint16_t)atoi(port + 1) : 0;
    } else if (strcmp(name, "--api") == 0) {
      options.api = value;
    } else if (strcmp(name, "--kind") == 0) {
      options.kind = value;
    } else if (strcmp(name, "--size") == 0) {
      options.size = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--count") == 0) {
      options.count = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--warmup") == 0) {
      options.warmup = strtoull(value, NULL, 10);
    } else {
      fail(name);
    }
  }
  return options;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    struct result (*run)(const struct options *);
  } workloads[] = {
      {"hose", run_hose},
      {"deflate", run_inflate},
      {"send", run_send},
      {"echo", run_echo},
      {"echo-blocking", run_echo_blocking},
      {"cycles", run_cycles},
  };
  struct options options = read_options(argc, argv);
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
    if (strcmp(workloads[i].name, options.workload) != 0) continue;
    struct result result = workloads[i].run(&options);
    printf(
        "{\"peer\":\"raw-c\",\"api\":\"%s\",\"workload\":\"%s\",\"version\":\"%s\",\"messages\":%llu,\"bytes\":%llu,"
        "\"seconds\":%.6f,",
        options.api, options.workload, "C11, " __VERSION__, (unsigned long long)result.messages,
        (unsigned long long)result.bytes, result.seconds);
    if (result.checksum) printf("\"checksum\":%u,", result.checksum);
    if (result.p50 > 0)
      printf("\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,", result.p50, result.p99, result.p999);
    printf("\"resident_kib\":%ld,\"threads\":%ld}\n", status_number("VmRSS"), status_number("Threads"));
    return 0;
  }
  fail("unknown workload");
}
