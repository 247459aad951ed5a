// The limit that clients are measured against: WebSocket over epoll with nothing in the way. It trusts its server: no
// UTF-8 validation, no fragments, no rule checked that the parsing itself does not need.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
  const char *workload, *api, *kind;
  uint16_t port;
  uint64_t size, count, warmup;
};

// What a run found; what stays 0 is left out of the result.
struct result {
  uint64_t messages, bytes;
  double seconds;
  uint32_t checksum;
  double p50, p99, p999;  // microseconds
};

// Each measures one workload and stops the process with a message if anything goes wrong.
struct result run_hose(const struct options *options);
struct result run_inflate(const struct options *options);
struct result run_send(const struct options *options);
struct result run_echo(const struct options *options);
struct result run_echo_blocking(const struct options *options);
struct result run_cycles(const struct options *options);

_Noreturn void fail(const char *what);
double seconds_now(void);
void fill_percentiles(struct result *result, double *samples, size_t count);

// MARK: The wire

#define READ_SIZE (64 * 1024)
#define MAX_HEADER 14
#define SPARE 4  // never read into: room behind the last payload
#define FIN 0x80
#define OPCODE_TEXT 1
#define OPCODE_BINARY 2
#define OPCODE_CLOSE 8

// A connection, its socket in the process's epoll, and the input that has come but is not parsed yet.
struct wire {
  int fd, epoll;
  size_t size;
  uint8_t input[MAX_HEADER + READ_SIZE + SPARE];
};

// Connects and shakes hands; what came behind the 101 stands in `input`. `extra` is more header fields, or "".
void wire_open(struct wire *wire, uint16_t port, const char *target, const char *extra);

// Sends Close, waits for the server's and for the end of the stream, and frees what there is.
void wire_close(struct wire *wire);

// Just closes the socket.
void wire_drop(struct wire *wire);

// Reads behind what `input` holds. Waits for it in epoll if nothing is there; `wait_first` says that nothing will be.
// Returns false at the end of the stream.
bool wire_read(struct wire *wire, bool wait_first);

void wire_write(struct wire *wire, const uint8_t *bytes, size_t size);

// Reads the server's next whole message, which must be smaller than a read, and returns its payload's size.
size_t wire_read_small(struct wire *wire, const uint8_t **payload, bool wait_first);

// Writes one masked frame to `out` and returns its length. The key comes from a block of kernel randomness.
size_t write_frame(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t size);

// Reads a server's header. Returns its length, or 0 if it is not all there.
static inline size_t read_header(const uint8_t *bytes, size_t size, uint64_t *length) {
  if (size < 2) return 0;
  uint64_t value = bytes[1];
  if (value < 126) {
    *length = value;
    return 2;
  }
  size_t wide = value == 126 ? 2 : 8;
  if (size < 2 + wide) return 0;
  value = 0;
  for (size_t i = 0; i < wide; i++) value = value << 8 | bytes[2 + i];
  *length = value;
  return 2 + wide;
}

// MARK: Between two threads

// A gate that one thread waits at and another opens: a futex, with no system call if nobody waits.
struct gate {
  _Atomic uint32_t state;
};
void gate_open(struct gate *gate);
void gate_wait(struct gate *gate);  // and shuts it again behind itself
