// The compressed fire-hose: `inflate` is what zlib alone needs, whose 16 messages are fetched once, and then inflated over
// and over, in memory, with nothing read and nothing parsed. `read` reads them from the socket, and `copy` makes each message
// its own allocation, too.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "raw.h"

#define MARKERS 16

// How much more room than a message needs there is: with less than that left, zlib goes on at a third of its speed.
#define HURRY 258

// What the sender takes away from the end of each message (RFC 7692 §7.2.1).
static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};

struct compressed {
  uint8_t *bytes;
  size_t size;
};

static void fetch(const struct options *options, struct compressed messages[MARKERS]) {
  static struct wire wire;
  char target[160];
  snprintf(target, sizeof target, "/hose?size=%llu&count=%d&kind=text&deflate=1", (unsigned long long)options->size,
           MARKERS);
  wire_open(&wire, options->port, target, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  for (int i = 0; i < MARKERS; i++) {
    uint64_t length;
    size_t header;
    while (!(header = read_header(wire.input, wire.size, &length))) wire_read(&wire, false);
    messages[i].size = length + sizeof tail;
    messages[i].bytes = malloc(messages[i].size);
    if (!messages[i].bytes) fail("malloc");
    size_t have = 0;
    while (have < length) {
      size_t part = wire.size - header < length - have ? wire.size - header : length - have;
      memcpy(messages[i].bytes + have, wire.input + header, part);
      have += part;
      wire.size -= header + part;
      memmove(wire.input, wire.input + header + part, wire.size);
      header = 0;
      if (have < length && !wire_read(&wire, false)) fail("the server ended the stream");
    }
    memcpy(messages[i].bytes + length, tail, sizeof tail);
  }
  wire_close(&wire);
}

static struct result inflate_all(const struct compressed messages[MARKERS], size_t size, uint64_t count) {
  uint8_t *out = malloc(size + HURRY);
  z_stream stream = {0};
  if (!out || inflateInit2(&stream, -15) != Z_OK) fail("inflateInit2");
  struct result result = {0};
  double start = seconds_now();
  for (uint64_t i = 0; i < count; i++) {
    stream.next_in = messages[i % MARKERS].bytes;
    stream.avail_in = (uInt)messages[i % MARKERS].size;
    stream.next_out = out;
    stream.avail_out = (uInt)size + HURRY;
    int status = inflate(&stream, Z_SYNC_FLUSH);
    if ((status != Z_OK && status != Z_BUF_ERROR) || stream.avail_in || stream.avail_out != HURRY) fail("inflate");
    result.checksum = result.checksum * 31 + out[size - 1];
    inflateReset(&stream);  // no context takeover
  }
  result.seconds = seconds_now() - start;
  result.messages = count;
  result.bytes = count * size;
  inflateEnd(&stream);
  free(out);
  return result;
}

// MARK: From the socket

struct inflater {
  z_stream stream;
  uint8_t *out;
  size_t room;
  bool copies;
  struct result result;
};

// Takes a message. The tail is put behind its payload, and what stands there is put back.
static void take_message(struct inflater *inflater, uint8_t *payload, size_t size) {
  _Static_assert(sizeof tail <= SPARE, "the last payload has room for the tail behind it");
  uint8_t behind[sizeof tail];
  memcpy(behind, payload + size, sizeof tail);
  memcpy(payload + size, tail, sizeof tail);
  z_stream *stream = &inflater->stream;
  stream->next_in = payload;
  stream->avail_in = (uInt)(size + sizeof tail);
  stream->next_out = inflater->out;
  stream->avail_out = (uInt)inflater->room;
  int status = inflate(stream, Z_SYNC_FLUSH);
  if ((status != Z_OK && status != Z_BUF_ERROR) || stream->avail_in || !stream->avail_out) fail("inflate");
  inflateReset(stream);  // no context takeover
  memcpy(payload + size, behind, sizeof tail);

  size_t length = inflater->room - stream->avail_out;
  uint8_t *message = inflater->out;
  if (inflater->copies) {
    message = malloc(length ? length : 1);
    if (!message) fail("malloc");
    memcpy(message, inflater->out, length);
  }
  inflater->result.messages++;
  inflater->result.bytes += length;
  inflater->result.checksum = inflater->result.checksum * 31 + (length ? message[length - 1] : 0);
  if (inflater->copies) free(message);
}

static struct result read_and_inflate(const struct options *options, uint64_t count) {
  static struct wire wire;
  char target[160];
  snprintf(target, sizeof target, "/hose?size=%llu&count=%llu&kind=text&deflate=1", (unsigned long long)options->size,
           (unsigned long long)count);
  wire_open(&wire, options->port, target, "Sec-WebSocket-Extensions: permessage-deflate\r\n");

  struct inflater inflater = {.room = options->size + HURRY, .copies = strcmp(options->api, "copy") == 0};
  inflater.out = malloc(inflater.room);
  if (!inflater.out || inflateInit2(&inflater.stream, -15) != Z_OK) fail("inflateInit2");
  double start = seconds_now();
  for (;;) {
    uint8_t *at = wire.input, *end = at + wire.size;
    uint64_t length;
    size_t header;
    while ((header = read_header(at, (size_t)(end - at), &length)) && length <= (size_t)(end - at) - header) {
      take_message(&inflater, at + header, length);
      at += header + length;
    }
    wire.size = (size_t)(end - at);
    if (wire.size) memmove(wire.input, at, wire.size);
    if (inflater.result.messages >= count) break;
    if (!wire_read(&wire, false)) fail("the server ended the stream");
  }
  inflater.result.seconds = seconds_now() - start;
  inflateEnd(&inflater.stream);
  free(inflater.out);
  wire_close(&wire);
  return inflater.result;
}

// MARK: The workload

struct result run_inflate(const struct options *options) {
  if (strcmp(options->api, "read") == 0 || strcmp(options->api, "copy") == 0) {
    if (options->warmup) read_and_inflate(options, options->warmup);
    return read_and_inflate(options, options->count);
  }
  if (strcmp(options->api, "inflate") != 0) fail("deflate: --api inflate, read or copy");
  struct compressed messages[MARKERS];
  fetch(options, messages);
  if (options->warmup) inflate_all(messages, options->size, options->warmup);
  struct result result = inflate_all(messages, options->size, options->count);
  for (int i = 0; i < MARKERS; i++) free(messages[i].bytes);
  return result;
}
