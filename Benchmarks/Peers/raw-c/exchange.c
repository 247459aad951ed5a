// Messages out, round trips, and connections opened and closed.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw.h"

// What is written in one system call when messages are batched.
#define WRITE_SIZE (64 * 1024)

static uint8_t *make_payload(size_t size) {
  uint8_t *payload = malloc(size ? size : 1);
  if (!payload) fail("malloc");
  memset(payload, 'x', size);
  if (size) payload[size - 1] = 'a';  // what the sink's checksum expects
  return payload;
}

// MARK: Pipelined sends

static struct result send_all(const struct options *options, uint64_t count, bool batched) {
  static struct wire wire;
  wire_open(&wire, options->port, "/sink", "");
  uint8_t *payload = make_payload(options->size);
  size_t room = (batched ? WRITE_SIZE : 0) + MAX_HEADER + options->size, used = 0;
  uint8_t *out = malloc(room);
  if (!out) fail("malloc");

  struct result result = {.messages = count};
  double start = seconds_now();
  for (uint64_t i = 0; i < count; i++) {
    used += write_frame(out + used, OPCODE_BINARY, payload, options->size);
    if (used + MAX_HEADER + options->size > room) {
      wire_write(&wire, out, used);
      used = 0;
    }
  }
  wire_write(&wire, out, used);
  wire_write(&wire, out, write_frame(out, OPCODE_TEXT, (const uint8_t *)"report", 6));
  const uint8_t *report;
  size_t size = wire_read_small(&wire, &report, true);
  result.seconds = seconds_now() - start;

  char text[160];
  unsigned long long messages, bytes;
  snprintf(text, sizeof text, "%.*s", (int)size, report);
  if (sscanf(text, "{\"messages\":%llu,\"bytes\":%llu,\"checksum\":%u}", &messages, &bytes, &result.checksum) != 3)
    fail("the sink's report");
  result.messages = messages;
  result.bytes = bytes;
  wire_close(&wire);
  free(payload);
  free(out);
  return result;
}

struct result run_send(const struct options *options) {
  bool batched = strcmp(options->api, "batched") == 0;
  if (!batched && strcmp(options->api, "direct") != 0) fail("send: --api batched or direct");
  if (options->warmup) send_all(options, options->warmup, batched);
  return send_all(options, options->count, batched);
}

// MARK: Round trips

static void check_echo(struct result *result, const uint8_t *payload, size_t size, uint64_t expected) {
  if (size != expected || payload[size - 1] != 'a') fail("the echo is not what was sent");
  result->messages++;
  result->bytes += size;
}

struct result run_echo(const struct options *options) {
  static struct wire wire;
  wire_open(&wire, options->port, "/echo", "");
  uint8_t *payload = make_payload(options->size), *out = malloc(MAX_HEADER + options->size);
  double *samples = malloc(options->count * sizeof *samples);
  if (!out || !samples) fail("malloc");
  struct result result = {0};
  double begin = 0;
  for (uint64_t i = 0; i < options->warmup + options->count; i++) {
    double start = seconds_now();
    if (i == options->warmup) begin = start, result = (struct result){0};
    wire_write(&wire, out, write_frame(out, OPCODE_BINARY, payload, options->size));
    const uint8_t *echo;
    size_t size = wire_read_small(&wire, &echo, true);
    check_echo(&result, echo, size, options->size);
    if (i >= options->warmup) samples[i - options->warmup] = seconds_now() - start;
  }
  result.seconds = seconds_now() - begin;
  fill_percentiles(&result, samples, options->count);
  wire_close(&wire);
  free(payload);
  free(out);
  free(samples);
  return result;
}

// A caller that blocks, and the thread that reads for it: what the facade of a sidecar does, without the sidecar.
struct exchange {
  struct wire wire;
  uint8_t *out;
  size_t out_size;
  bool through;  // the caller lets the I/O thread write, instead of writing itself
  int wake;
  const uint8_t *echo;
  size_t echo_size;
  struct gate answered;
  atomic_bool done;
};

static void *serve_caller(void *argument) {
  struct exchange *exchange = argument;
  int fd = exchange->wire.fd;
  for (;;) {
    struct epoll_event ready[2];
    int count = epoll_wait(exchange->wire.epoll, ready, 2, -1);
    for (int i = 0; i < count; i++) {
      if (ready[i].data.fd == fd) {
        exchange->echo_size = wire_read_small(&exchange->wire, &exchange->echo, false);
        gate_open(&exchange->answered);
      } else {
        uint64_t value;
        if (read(exchange->wake, &value, sizeof value) != sizeof value) fail("eventfd");
        if (atomic_load(&exchange->done)) return NULL;
        wire_write(&exchange->wire, exchange->out, exchange->out_size);
      }
    }
  }
}

static void wake(struct exchange *exchange) {
  uint64_t one = 1;
  if (write(exchange->wake, &one, sizeof one) != sizeof one) fail("eventfd");
}

struct result run_echo_blocking(const struct options *options) {
  static struct exchange exchange;
  exchange.through = strcmp(options->api, "handover") == 0;
  if (!exchange.through && strcmp(options->api, "direct") != 0) fail("echo-blocking: --api direct or handover");
  wire_open(&exchange.wire, options->port, "/echo", "");
  exchange.wake = eventfd(0, EFD_CLOEXEC);
  struct epoll_event socket_event = {.events = EPOLLIN, .data.fd = exchange.wire.fd};
  struct epoll_event wake_event = {.events = EPOLLIN, .data.fd = exchange.wake};
  epoll_ctl(exchange.wire.epoll, EPOLL_CTL_MOD, exchange.wire.fd, &socket_event);
  epoll_ctl(exchange.wire.epoll, EPOLL_CTL_ADD, exchange.wake, &wake_event);

  uint8_t *payload = make_payload(options->size);
  exchange.out = malloc(MAX_HEADER + options->size);
  double *samples = malloc(options->count * sizeof *samples);
  pthread_t thread;
  if (!exchange.out || !samples || pthread_create(&thread, NULL, serve_caller, &exchange) != 0) fail("pthread_create");

  struct result result = {0};
  double begin = 0;
  for (uint64_t i = 0; i < options->warmup + options->count; i++) {
    double start = seconds_now();
    if (i == options->warmup) begin = start, result = (struct result){0};
    exchange.out_size = write_frame(exchange.out, OPCODE_BINARY, payload, options->size);
    if (exchange.through) {
      wake(&exchange);
    } else if (send(exchange.wire.fd, exchange.out, exchange.out_size, MSG_NOSIGNAL) != (ssize_t)exchange.out_size) {
      fail("send");
    }
    gate_wait(&exchange.answered);
    check_echo(&result, exchange.echo, exchange.echo_size, options->size);
    if (i >= options->warmup) samples[i - options->warmup] = seconds_now() - start;
  }
  result.seconds = seconds_now() - begin;
  fill_percentiles(&result, samples, options->count);
  atomic_store(&exchange.done, true);
  wake(&exchange);
  pthread_join(thread, NULL);
  wire_drop(&exchange.wire);
  free(payload);
  free(exchange.out);
  free(samples);
  return result;
}

// MARK: Connect and close

struct result run_cycles(const struct options *options) {
  static struct wire wire;
  struct result result = {0};
  double start = 0;
  for (uint64_t i = 0; i < options->warmup + options->count; i++) {
    if (i == options->warmup) start = seconds_now();
    wire_open(&wire, options->port, "/idle", "");
    wire_close(&wire);
  }
  result.seconds = seconds_now() - start;
  result.messages = options->count;
  return result;
}
