#define _GNU_SOURCE
#include "CSystem.h"

#include <stdlib.h>
#include <string.h>

static __thread void *current_executor = NULL;

void *csystem_current_executor(void) { return current_executor; }

void *csystem_exchange_current_executor(const void *executor) {
  void *previous = current_executor;
  current_executor = (void *)executor;
  return previous;
}

struct thread_start {
  void (*entry)(void *);
  void *context;
  char name[16];
};

static void *thread_main(void *argument) {
  struct thread_start start = *(struct thread_start *)argument;
  free(argument);
  pthread_setname_np(pthread_self(), start.name);
  start.entry(start.context);
  return NULL;
}

int csystem_thread_start(pthread_t *thread, const char *name, void (*entry)(void *), void *context) {
  struct thread_start *start = malloc(sizeof *start);
  if (start == NULL) return ENOMEM;
  start->entry = entry;
  start->context = context;
  strncpy(start->name, name, sizeof start->name - 1);
  start->name[sizeof start->name - 1] = '\0';

  // A thread inherits its creator's mask: block everything for the moment of creation. The synchronous ones stay
  // unblocked, because a fault on a thread that blocks its signal ends the process without the application's report.
  sigset_t blocked, previous;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  sigdelset(&blocked, SIGILL);
  sigdelset(&blocked, SIGFPE);
  sigdelset(&blocked, SIGTRAP);
  sigdelset(&blocked, SIGABRT);
  pthread_sigmask(SIG_SETMASK, &blocked, &previous);
  int error = pthread_create(thread, NULL, thread_main, start);
  pthread_sigmask(SIG_SETMASK, &previous, NULL);
  if (error != 0) free(start);
  return error;
}

int csystem_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(epoll, operation, descriptor, &event) == 0 ? 0 : errno;
}

int csystem_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout_milliseconds) {
  int count = epoll_wait(epoll, events, capacity, timeout_milliseconds);
  return count >= 0 ? count : -errno;
}

struct csystem_event csystem_event_at(const struct epoll_event *events, int index) {
  return (struct csystem_event){.token = events[index].data.u64, .events = events[index].events};
}

void csystem_error_text(int error, char *buffer, size_t capacity) {
  // The GNU variant may return a pointer of its own instead of filling the buffer.
  const char *text = strerror_r(error, buffer, capacity);
  if (text != buffer) {
    strncpy(buffer, text, capacity - 1);
    buffer[capacity - 1] = '\0';
  }
}
