// bench-server: a neutral WebSocket server to measure clients against. One thread, one epoll, frames encoded
// beforehand: it is never what limits a run. The request's path chooses what a connection does:
//
//   /hose?size=N&count=M&kind=binary|text   sends M messages of N bytes as fast as it can, and then waits for a Close.
//                                           count=0 (or none) never ends; &close=1 sends a Close after the last
//                                           message. What is in them: payload.h.
//   /hose?…&deflate=1                       the same, compressed (permessage-deflate, server_no_context_takeover)
//   /sink                                   reads everything, checks the framing, and answers the text message
//   "report",
//                                           and a Close, with {"messages":…,"bytes":…,"checksum":…}
//   /echo                                   sends every message back
//   /idle                                   answers Ping and Close, and says nothing of its own
//   /tick?every=MS&size=N                   sends a message every MS milliseconds
//   /stall                                  answers the handshake and then nothing any more: it does not even read
//   /stats                                  (plain HTTP) how many connections are open, were opened, closed cleanly
//
// Usage: bench-server [--port N]      Prints the port and runs until it is terminated. Listens on 127.0.0.1 only.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "modes.h"

#define MAX_EVENTS 512

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int listen_on(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (fd < 0) fail("socket");
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) fail("setsockopt");
  // Linux's own default, whatever this machine prefers. One that paces (BBR) sends from a timer, and on whichever core the last
  // acknowledgement came from: the client's, which would pay for it.
  static const char congestion[] = "cubic";
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, sizeof congestion - 1) < 0) perror("TCP_CONGESTION");
  if (bind(fd, (struct sockaddr *)&address, size) < 0) fail("bind");
  if (listen(fd, 4096) < 0) fail("listen");
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) fail("getsockname");
  printf("%u\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

static void accept_all(int epoll, int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
      // No descriptors left, say: the client's connection waits in the backlog. Said once, not at every turn.
      static bool said;
      if (!said) perror("accept");
      said = true;
      return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!connection_open(epoll, fd)) close(fd);
  }
}

int main(int argc, char **argv) {
  uint16_t port = 0;
  if (argc == 3 && strcmp(argv[1], "--port") == 0) {
    port = (uint16_t)atoi(argv[2]);
  } else if (argc != 1) {
    fprintf(stderr, "usage: bench-server [--port N]\n");
    return 2;
  }

  // A descriptor a connection: take as many as may be had.
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }

  int listener = listen_on(port);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting) < 0) fail("epoll");

  for (;;) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(epoll, events, MAX_EVENTS, ticks_run(epoll));
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      if (!connection) {
        accept_all(epoll, listener);
      } else if (!connection_ready(epoll, connection, events[i].events)) {
        connection_close(connection);
      }
    }
  }
}
