#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "raw.h"

static uint32_t random_word(void) {
  static _Thread_local uint32_t block[1024];
  static _Thread_local size_t left;
  if (left == 0) {
    if (getrandom(block, sizeof block, 0) != sizeof block) fail("getrandom");
    left = sizeof block / sizeof *block;
  }
  return block[--left];
}

// MARK: Waiting

static void wait_for(struct wire *wire, uint32_t events) {
  struct epoll_event event = {.events = events};
  if (events != EPOLLIN && epoll_ctl(wire->epoll, EPOLL_CTL_MOD, wire->fd, &event) < 0) fail("epoll_ctl");
  struct epoll_event ready;
  while (epoll_wait(wire->epoll, &ready, 1, -1) < 0) {
    if (errno != EINTR) fail("epoll_wait");
  }
  event.events = EPOLLIN;
  if (events != EPOLLIN && epoll_ctl(wire->epoll, EPOLL_CTL_MOD, wire->fd, &event) < 0) fail("epoll_ctl");
}

bool wire_read(struct wire *wire, bool wait_first) {
  if (wait_first) wait_for(wire, EPOLLIN);
  for (;;) {
    ssize_t size = recv(wire->fd, wire->input + wire->size, sizeof wire->input - SPARE - wire->size, 0);
    if (size > 0) {
      wire->size += (size_t)size;
      return true;
    }
    if (size == 0) return false;
    if (errno == EAGAIN) {
      wait_for(wire, EPOLLIN);
    } else if (errno != EINTR) {
      fail("recv");
    }
  }
}

void wire_write(struct wire *wire, const uint8_t *bytes, size_t size) {
  while (size) {
    ssize_t sent = send(wire->fd, bytes, size, MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes += sent;
      size -= (size_t)sent;
    } else if (errno == EAGAIN) {
      wait_for(wire, EPOLLOUT);
    } else if (errno != EINTR) {
      fail("send");
    }
  }
}

size_t wire_read_small(struct wire *wire, const uint8_t **payload, bool wait_first) {
  // The message that was handed out last is dropped from the input only now.
  static _Thread_local struct {
    uint8_t bytes[READ_SIZE];
  } last;
  for (;;) {
    uint64_t length;
    size_t header = read_header(wire->input, wire->size, &length);
    if (header && wire->size >= header + length) {
      memcpy(last.bytes, wire->input + header, length);
      wire->size -= header + length;
      if (wire->size) memmove(wire->input, wire->input + header + length, wire->size);
      *payload = last.bytes;
      return length;
    }
    if (!wire_read(wire, wait_first)) fail("the server ended the stream");
  }
}

// MARK: Frames

size_t write_frame(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t size) {
  size_t at = 2;
  out[0] = FIN | opcode;
  if (size < 126) {
    out[1] = 0x80 | (uint8_t)size;
  } else {
    size_t wide = size < 65536 ? 2 : 8;
    out[1] = 0x80 | (wide == 2 ? 126 : 127);
    for (size_t i = 0; i < wide; i++) out[2 + i] = (uint8_t)(size >> (8 * (wide - 1 - i)));
    at += wide;
  }
  uint32_t key = random_word();
  memcpy(out + at, &key, 4);
  at += 4;
  uint64_t wide = (uint64_t)key << 32 | key;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    memcpy(&word, payload + i, 8);
    word ^= wide;
    memcpy(out + at + i, &word, 8);
  }
  for (; i < size; i++) out[at + i] = payload[i] ^ (uint8_t)(wide >> (8 * (i & 7)));
  return at + size;
}

// MARK: Opening and closing

static void connect_to(struct wire *wire, uint16_t port) {
  wire->size = 0;
  wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  static int epoll = -1;  // one for the process, as a loop has it; a closed socket leaves it by itself
  if (epoll < 0) epoll = epoll_create1(EPOLL_CLOEXEC);
  wire->epoll = epoll;
  struct epoll_event event = {.events = EPOLLIN};
  if (wire->fd < 0 || wire->epoll < 0 || epoll_ctl(wire->epoll, EPOLL_CTL_ADD, wire->fd, &event) < 0) fail("socket");
  int on = 1;
  setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(wire->fd, (struct sockaddr *)&address, sizeof address) == 0) return;
  if (errno != EINPROGRESS) fail("connect");
  wait_for(wire, EPOLLOUT);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) errno = error, fail("connect");
}

void wire_open(struct wire *wire, uint16_t port, const char *target, const char *extra) {
  connect_to(wire, port);
  uint32_t nonce[4] = {random_word(), random_word(), random_word(), random_word()};
  unsigned char key[32], digest[SHA_DIGEST_LENGTH], accept[32];
  char joined[80], request[1024];
  EVP_EncodeBlock(key, (const unsigned char *)nonce, sizeof nonce);
  int size = snprintf(request, sizeof request,
                      "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                      target, port, key, extra);
  wire_write(wire, (const uint8_t *)request, (size_t)size);
  int joined_size = snprintf(joined, sizeof joined, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  SHA1((const unsigned char *)joined, (size_t)joined_size, digest);
  EVP_EncodeBlock(accept, digest, sizeof digest);

  const uint8_t *end;
  do {
    if (!wire_read(wire, true)) fail("the server ended the handshake");
  } while (!(end = memmem(wire->input, wire->size, "\r\n\r\n", 4)));
  size_t response = (size_t)(end - wire->input) + 4;
  if (memcmp(wire->input, "HTTP/1.1 101", 12) != 0 || !memmem(wire->input, response, accept, 28))
    fail("the server refused");
  wire->size -= response;
  memmove(wire->input, wire->input + response, wire->size);
}

void wire_close(struct wire *wire) {
  uint8_t frame[MAX_HEADER + 2];
  const uint8_t normal[2] = {1000 >> 8, 1000 & 0xff}, *answer;
  wire_write(wire, frame, write_frame(frame, OPCODE_CLOSE, normal, sizeof normal));
  if (wire_read_small(wire, &answer, true) < 2 || memcmp(answer, normal, 2) != 0) fail("the server's Close");
  if (wire_read(wire, false)) fail("there is more behind the server's Close");
  wire_drop(wire);
}

void wire_drop(struct wire *wire) {
  close(wire->fd);
}

// MARK: Gates

enum { GATE_SHUT, GATE_OPEN, GATE_AWAITED };

void gate_open(struct gate *gate) {
  if (atomic_exchange(&gate->state, GATE_OPEN) == GATE_AWAITED)
    syscall(SYS_futex, &gate->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void gate_wait(struct gate *gate) {
  for (;;) {
    uint32_t seen = GATE_OPEN;
    if (atomic_compare_exchange_strong(&gate->state, &seen, GATE_SHUT)) return;
    uint32_t shut = GATE_SHUT;
    if (seen == GATE_AWAITED || atomic_compare_exchange_strong(&gate->state, &shut, GATE_AWAITED))
      syscall(SYS_futex, &gate->state, FUTEX_WAIT_PRIVATE, GATE_AWAITED, NULL, NULL, 0);
  }
}
