#include "frame.h"

#include <string.h>

#define RSV 0x70
#define MASKED 0x80

int read_client_header(const uint8_t *bytes, size_t size, struct frame_header *header) {
  if (size < 2) return 0;
  header->fin = bytes[0] & FIN;
  header->opcode = bytes[0] & 0x0f;
  if (bytes[0] & RSV) return -1;
  if (header->opcode > OPCODE_PONG || (header->opcode > OPCODE_BINARY && header->opcode < OPCODE_CLOSE)) return -1;
  if (!(bytes[1] & MASKED)) return -1;  // §5.1: a client masks every frame

  uint64_t length = bytes[1] & 0x7f;
  size_t at = 2;
  if (is_control(header->opcode) && (length > MAX_CONTROL_PAYLOAD || !header->fin)) return -1;
  if (length >= 126) {
    size_t wide = length == 126 ? 2 : 8;
    if (size < 2 + wide) return 0;
    length = 0;
    for (size_t i = 0; i < wide; i++) length = length << 8 | bytes[2 + i];
    // §5.2: the minimal number of bytes, and the most significant bit clear
    if (wide == 2 ? length < 126 : (length < 65536 || length >> 63)) return -1;
    at += wide;
  }
  if (size < at + 4) return 0;
  memcpy(header->mask, bytes + at, 4);
  header->length = length;
  return (int)at + 4;
}

size_t write_server_header(uint8_t *out, uint8_t first, uint64_t length) {
  out[0] = first;
  if (length < 126) {
    out[1] = (uint8_t)length;
    return 2;
  }
  size_t wide = length < 65536 ? 2 : 8;
  out[1] = wide == 2 ? 126 : 127;
  for (size_t i = 0; i < wide; i++) out[2 + i] = (uint8_t)(length >> (8 * (wide - 1 - i)));
  return 2 + wide;
}

void unmask(uint8_t *out, const uint8_t *in, size_t size, const uint8_t mask[4], uint64_t offset) {
  uint8_t turned[8];
  for (int i = 0; i < 8; i++) turned[i] = mask[(offset + i) & 3];
  uint64_t wide;
  memcpy(&wide, turned, 8);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    memcpy(&word, in + i, 8);
    word ^= wide;
    memcpy(out + i, &word, 8);
  }
  for (; i < size; i++) out[i] = in[i] ^ turned[i & 7];
}
