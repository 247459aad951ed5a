// WebSocket frames as a server reads and writes them (RFC 6455 §5.2).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opcode {
  OPCODE_CONTINUATION = 0,
  OPCODE_TEXT = 1,
  OPCODE_BINARY = 2,
  OPCODE_CLOSE = 8,
  OPCODE_PING = 9,
  OPCODE_PONG = 10,
};

// Flags of a frame's first byte.
#define FIN 0x80
#define RSV1 0x40  // permessage-deflate: this message is compressed (RFC 7692 §6)

// Close codes that the server sends (§7.4.1).
enum close_code {
  CLOSE_NORMAL = 1000,
  CLOSE_PROTOCOL_ERROR = 1002,
};

// The longest header of a frame from a server (no mask key), and from a client (with one).
#define MAX_SERVER_HEADER 10
#define MAX_CLIENT_HEADER 14

// The longest payload of a control frame (§5.5).
#define MAX_CONTROL_PAYLOAD 125

struct frame_header {
  bool fin;
  uint8_t opcode;
  uint8_t mask[4];
  uint64_t length;
};

static inline bool is_control(uint8_t opcode) {
  return opcode & 8;
}

// Reads the header of a client's frame. Returns its length in bytes, 0 if `size` bytes do not hold the whole header,
// and -1 if the frame breaks a rule of RFC 6455 (no extension is ever used by the client here, so RSV1 is illegal too).
int read_client_header(const uint8_t *bytes, size_t size, struct frame_header *header);

// Writes the header of a server's frame and returns its length. `first` is its first byte: FIN, RSV1 and the opcode.
size_t write_server_header(uint8_t *out, uint8_t first, uint64_t length);

// Unmasks `size` bytes from `in` to `out` (which may be the same), the first of which is at `offset` in its payload.
void unmask(uint8_t *out, const uint8_t *in, size_t size, const uint8_t mask[4], uint64_t offset);
