#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handshake.h"
#include "modes.h"

// Reads of 64 KiB beat larger ones: what was read is still in the cache when it is looked at.
#define READ_SIZE (64 * 1024)

// Past this much unsent output a connection is not read, so that a client that only writes cannot grow our memory.
#define OUT_WATERMARK (1024 * 1024)

// How much of the fire-hose one turn of the loop writes to one connection before the others have theirs.
#define HOSE_TURN (1024 * 1024)
#define HOSE_WRITE (256 * 1024)

struct statistics statistics;

struct connection *connection_open(int epoll, int fd) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (!connection) return NULL;
  connection->fd = fd;
  connection->events = EPOLLIN;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    free(connection);
    return NULL;
  }
  return connection;
}

void connection_close(struct connection *connection) {
  if (connection->mode != MODE_HANDSHAKE) statistics.open--;
  if (connection->mode == MODE_TICK) tick_stop(connection);
  close(connection->fd);  // epoll forgets a descriptor that is closed
  free(connection->request);
  free(connection->out);
  free(connection);
}

bool queue_bytes(struct connection *connection, const void *bytes, size_t size) {
  if (connection->out_size + size > connection->out_room) {
    size_t room = connection->out_room ? connection->out_room : 512;
    while (room < connection->out_size + size) room *= 2;
    uint8_t *out = realloc(connection->out, room);
    if (!out) return false;
    connection->out = out;
    connection->out_room = room;
  }
  memcpy(connection->out + connection->out_size, bytes, size);
  connection->out_size += size;
  return true;
}

bool queue_frame(struct connection *connection, uint8_t opcode, const void *payload, size_t size) {
  uint8_t header[MAX_SERVER_HEADER];
  size_t header_size = write_server_header(header, FIN | opcode, size);
  return queue_bytes(connection, header, header_size) && queue_bytes(connection, payload, size);
}

bool queue_close(struct connection *connection, enum close_code code) {
  const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  connection->close_sent = true;
  return queue_frame(connection, OPCODE_CLOSE, payload, sizeof payload);
}

static bool flush_queue(struct connection *connection) {
  while (connection->out_sent < connection->out_size) {
    ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
                        connection->out_size - connection->out_sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection->out_sent += sent;
  }
  // An echo will need its buffer again at once; the others answer now and then, and cost nothing in between.
  if (connection->mode != MODE_ECHO || connection->out_room > OUT_WATERMARK) {
    free(connection->out);
    connection->out = NULL;
    connection->out_room = 0;
  }
  connection->out_size = connection->out_sent = 0;
  return true;
}

// Writes the fire-hose up to `end` in its stream, a turn's worth at most.
static bool flush_hose(struct connection *connection, uint64_t end) {
  uint64_t turn_end = connection->hose.sent + HOSE_TURN;
  if (end > turn_end) end = turn_end;
  while (connection->hose.sent < end) {
    const uint8_t *chunk;
    size_t limit = end - connection->hose.sent < HOSE_WRITE ? end - connection->hose.sent : HOSE_WRITE;
    size_t size = ring_chunk(connection->hose.ring, connection->hose.sent, limit, &chunk);
    ssize_t sent = send(connection->fd, chunk, size, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection->hose.sent += sent;
    if ((size_t)sent < size) return true;
  }
  return true;
}

static bool hose_is_running(const struct connection *connection) {
  return connection->mode == MODE_HOSE && !connection->ending && connection->hose.sent < connection->hose.total;
}

bool connection_flush(int epoll, struct connection *connection) {
  bool between_frames = true;
  if (connection->mode == MODE_HOSE && connection->out_size) {
    // An answer waits for the end of the frame that is being sent, and then goes ahead of the next.
    uint64_t boundary = ring_boundary(connection->hose.ring, connection->hose.sent);
    if (!connection->out_sent && !flush_hose(connection, boundary)) return false;
    between_frames = connection->out_sent || connection->hose.sent == boundary;
  }
  if (between_frames && connection->out_size && !flush_queue(connection)) return false;
  if (!connection->out_size && hose_is_running(connection)) {
    if (!flush_hose(connection, connection->hose.total)) return false;
    if (connection->hose.close_at_end && connection->hose.sent == connection->hose.total) {
      connection->hose.close_at_end = false;
      if (!queue_close(connection, CLOSE_NORMAL) || !flush_queue(connection)) return false;
    }
  }
  if (!connection->out_size && connection->ending) return false;

  uint32_t events = connection->mode == MODE_STALL ? EPOLLRDHUP : 0;
  if (connection->mode != MODE_STALL && !connection->ending &&
      connection->out_size - connection->out_sent < OUT_WATERMARK)
    events |= EPOLLIN;
  if (connection->out_size || hose_is_running(connection)) events |= EPOLLOUT;
  if (events != connection->events) {
    connection->events = events;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0) return false;
  }
  return true;
}

static bool close_with_violation(struct connection *connection) {
  statistics.violations++;
  connection->ending = true;
  return queue_close(connection, CLOSE_PROTOCOL_ERROR);
}

// Reads the frames in `bytes`. What is left at the end is less than a header or a small frame, and is kept in the
// carry.
static bool read_frames(struct connection *connection, uint8_t *bytes, size_t size) {
  while (size && !connection->ending) {
    if (connection->frame_left) {
      size_t part = connection->frame_left < size ? connection->frame_left : size;
      uint64_t offset = connection->frame.length - connection->frame_left;
      connection->frame_left -= part;
      if (!mode_payload(connection, bytes, part, offset)) return false;
      bytes += part, size -= part;
      continue;
    }
    struct frame_header header;
    int header_size = read_client_header(bytes, size, &header);
    if (header_size < 0) return close_with_violation(connection);
    bool whole = is_control(header.opcode) || (header.opcode == OPCODE_TEXT && header.length <= MAX_CONTROL_PAYLOAD);
    if (header_size == 0 || (whole && size < header_size + header.length)) {
      memcpy(connection->carry, bytes, size);
      connection->carry_size = (uint8_t)size;
      return true;
    }
    if (!is_control(header.opcode)) {
      // §5.4: a continuation belongs to an open message, and no other data frame comes before its end
      if (connection->in_message != (header.opcode == OPCODE_CONTINUATION)) return close_with_violation(connection);
      connection->in_message = !header.fin;
    }
    bytes += header_size, size -= header_size;
    connection->frame = header;
    if (is_control(header.opcode)) {
      unmask(bytes, bytes, header.length, header.mask, 0);
      if (!mode_control(connection, bytes, header.length)) return false;
      bytes += header.length, size -= header.length;
    } else {
      connection->frame_left = header.length;
      // A whole small frame is handed over at once; its mode may want to look into it.
      if (!mode_frame(connection, bytes, whole)) return false;
      if (header.length == 0 && !mode_payload(connection, bytes, 0, 0)) return false;
    }
  }
  return true;
}

static bool connection_read(struct connection *connection) {
  static uint8_t scratch[MAX_CARRY + READ_SIZE];
  size_t kept = connection->carry_size;
  memcpy(scratch, connection->carry, kept);
  ssize_t size = recv(connection->fd, scratch + kept, READ_SIZE, 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  if (connection->mode == MODE_HANDSHAKE) return handshake_read(connection, (const char *)scratch, size);
  connection->carry_size = 0;
  return read_frames(connection, scratch, kept + size);
}

bool connection_ready(int epoll, struct connection *connection, uint32_t events) {
  if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
    // A reset, or both directions ended. Ordinary ends of stream are read as such below.
    if (!(events & EPOLLIN)) return false;
  }
  if (events & EPOLLIN && !connection_read(connection)) return false;
  return connection_flush(epoll, connection);
}
