// What zlib alone needs to inflate the compressed fire-hose: its 16 messages are fetched once, and then inflated over
// and over, in memory, with nothing read and nothing parsed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "raw.h"

#define MARKERS 16

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
    // The tail that the sender took away (RFC 7692 §7.2.1) is put back.
    static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};
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
  uint8_t *out = malloc(size + 1);
  z_stream stream = {0};
  if (!out || inflateInit2(&stream, -15) != Z_OK) fail("inflateInit2");
  struct result result = {0};
  double start = seconds_now();
  for (uint64_t i = 0; i < count; i++) {
    stream.next_in = messages[i % MARKERS].bytes;
    stream.avail_in = (uInt)messages[i % MARKERS].size;
    stream.next_out = out;
    stream.avail_out = (uInt)size + 1;
    int status = inflate(&stream, Z_SYNC_FLUSH);
    if ((status != Z_OK && status != Z_BUF_ERROR) || stream.avail_in || stream.avail_out != 1) fail("inflate");
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

struct result run_inflate(const struct options *options) {
  struct compressed messages[MARKERS];
  fetch(options, messages);
  if (options->warmup) inflate_all(messages, options->size, options->warmup);
  struct result result = inflate_all(messages, options->size, options->count);
  for (int i = 0; i < MARKERS; i++) free(messages[i].bytes);
  return result;
}
