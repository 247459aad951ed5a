#include "modes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "connection.h"

// MARK: Data

static int describe_sink(const struct connection *connection, char *out, size_t room) {
  return snprintf(out, room, "{\"messages\":%llu,\"bytes\":%llu,\"checksum\":%u}",
                  (unsigned long long)connection->sink.messages, (unsigned long long)connection->sink.bytes,
                  connection->sink.checksum);
}

static bool sink_frame(struct connection *connection, const uint8_t *bytes, bool whole) {
  static const char command[] = "report";
  uint8_t text[sizeof command - 1];
  connection->sink.reporting = false;
  if (!whole || connection->frame.length != sizeof text) return true;
  unmask(text, bytes, sizeof text, connection->frame.mask, 0);
  if (memcmp(text, command, sizeof text) != 0) return true;
  connection->sink.reporting = true;
  char report[MAX_CONTROL_PAYLOAD];
  return queue_frame(connection, OPCODE_TEXT, report, describe_sink(connection, report, sizeof report));
}

// The one byte of a message that is unmasked is its last, for the checksum.
static void sink_payload(struct connection *connection, const uint8_t *bytes, size_t size) {
  if (connection->sink.reporting) return;
  connection->sink.bytes += size;
  if (connection->frame_left || !connection->frame.fin) return;
  uint8_t last = size ? bytes[size - 1] ^ connection->frame.mask[(connection->frame.length - 1) & 3] : 0;
  connection->sink.messages++;
  connection->sink.checksum = connection->sink.checksum * 31 + last;
}

bool mode_frame(struct connection *connection, const uint8_t *bytes, bool whole) {
  if (connection->mode == MODE_SINK) return sink_frame(connection, bytes, whole);
  if (connection->mode != MODE_ECHO) return true;
  uint8_t header[MAX_SERVER_HEADER];
  uint8_t first = (connection->frame.fin ? FIN : 0) | connection->frame.opcode;
  return queue_bytes(connection, header, write_server_header(header, first, connection->frame.length));
}

bool mode_payload(struct connection *connection, uint8_t *bytes, size_t size, uint64_t offset) {
  if (connection->mode == MODE_SINK) sink_payload(connection, bytes, size);
  if (connection->mode != MODE_ECHO) return true;
  unmask(bytes, bytes, size, connection->frame.mask, offset);
  return queue_bytes(connection, bytes, size);
}

// MARK: Control frames

bool mode_control(struct connection *connection, const uint8_t *payload, size_t size) {
  switch (connection->frame.opcode) {
    case OPCODE_PING:
      return queue_frame(connection, OPCODE_PONG, payload, size);
    case OPCODE_CLOSE:
      connection->ending = true;
      statistics.closed++;
      if (connection->close_sent) return true;
      if (connection->mode == MODE_SINK) {
        char answer[MAX_CONTROL_PAYLOAD] = {CLOSE_NORMAL >> 8, (char)(CLOSE_NORMAL & 0xff)};
        int length = describe_sink(connection, answer + 2, sizeof answer - 2);
        return queue_frame(connection, OPCODE_CLOSE, answer, 2 + length);
      }
      return queue_frame(connection, OPCODE_CLOSE, payload, size >= 2 ? 2 : 0);
    default:
      return true;
  }
}

// MARK: Tick

static struct connection *ticking;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void tick_start(struct connection *connection, unsigned milliseconds) {
  connection->tick.interval = (uint64_t)(milliseconds ? milliseconds : 1) * 1000000;
  connection->tick.due = now() + connection->tick.interval;
  connection->tick.next = ticking;
  ticking = connection;
}

void tick_stop(struct connection *connection) {
  struct connection **link = &ticking;
  while (*link != connection) link = &(*link)->tick.next;
  *link = connection->tick.next;
}

// A client that does not read misses the messages that its connection has no room for.
static bool tick(struct connection *connection) {
  struct ring *ring = connection->tick.ring;
  if (connection->out_size || connection->ending) return true;
  const uint8_t *frame;
  uint64_t offset = ring_offset(ring, connection->tick.index);
  size_t size = ring_chunk(ring, offset, ring_offset(ring, connection->tick.index + 1) - offset, &frame);
  connection->tick.index++;
  return queue_bytes(connection, frame, size);
}

int ticks_run(int epoll) {
  uint64_t time = now(), next = UINT64_MAX;
  for (struct connection *connection = ticking, *following; connection; connection = following) {
    following = connection->tick.next;
    if (connection->tick.due <= time) {
      connection->tick.due = time + connection->tick.interval;
      if (!tick(connection) || !connection_flush(epoll, connection)) {
        connection_close(connection);
        continue;
      }
    }
    if (connection->tick.due < next) next = connection->tick.due;
  }
  return next == UINT64_MAX ? -1 : (int)((next - time) / 1000000 + 1);
}
