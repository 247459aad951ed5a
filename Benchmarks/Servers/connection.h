// One connection of the server: its socket, what of the input is not read yet, and what of the output is not written
// yet.
//
// An idle connection holds this struct and nothing else: buffers are shared by all connections or freed when they are
// empty.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "payload.h"

enum mode {
  MODE_HANDSHAKE,  // the request has not come whole yet
  MODE_HOSE,
  MODE_SINK,
  MODE_ECHO,
  MODE_IDLE,
  MODE_TICK,
  MODE_STALL,
};

// Input that must be kept for the next read: at most an incomplete header, or an incomplete small frame.
#define MAX_CARRY (MAX_CLIENT_HEADER + MAX_CONTROL_PAYLOAD)

struct connection {
  int fd;
  uint32_t events;  // what epoll is asked for
  enum mode mode;
  bool close_sent;
  bool ending;  // close when the output is written

  // The request, while it is incomplete.
  char *request;
  size_t request_size;

  // Where the reader is within the client's frames.
  uint8_t carry[MAX_CARRY];
  uint8_t carry_size;
  struct frame_header frame;
  uint64_t frame_left;  // payload bytes of `frame` that are still to come
  bool in_message;      // a fragmented message is open

  // Output that the socket has not taken yet.
  uint8_t *out;
  size_t out_size, out_room, out_sent;

  union {
    struct {
      struct ring *ring;
      uint64_t sent, total;  // bytes of the ring's stream
      bool close_at_end;
    } hose;
    struct {
      uint64_t messages, bytes;
      uint32_t checksum;
      bool reporting;  // the frame that is being read is the command "report"
    } sink;
    struct {
      uint64_t interval, due;  // nanoseconds of the monotonic clock
      struct ring *ring;
      uint64_t index;
      struct connection *next;
    } tick;
  };
};

// What the server has seen since it started, for `/stats`.
struct statistics {
  uint64_t open;        // WebSocket connections that are open now
  uint64_t opened;      // and that ever were
  uint64_t closed;      // ended by a Close from the client that was answered
  uint64_t violations;  // ended because the client broke the protocol
};
extern struct statistics statistics;

// Made with the socket's descriptor, which it owns from here on. NULL if memory or epoll says no.
struct connection *connection_open(int epoll, int fd);
void connection_close(struct connection *connection);

// Does what epoll reported. Returns false if the connection is over and must be closed.
bool connection_ready(int epoll, struct connection *connection, uint32_t events);

// Queues bytes, or a control or small data frame, behind what is queued. Returns false if there is no memory.
bool queue_bytes(struct connection *connection, const void *bytes, size_t size);
bool queue_frame(struct connection *connection, uint8_t opcode, const void *payload, size_t size);

bool queue_close(struct connection *connection, enum close_code code);

// Writes as much as the socket takes and asks epoll for what is missing. Returns false if the connection is over.
bool connection_flush(int epoll, struct connection *connection);
