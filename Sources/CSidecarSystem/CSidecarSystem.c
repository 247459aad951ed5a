#define _GNU_SOURCE
#include "CSidecarSystem.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#else
#define IS_SANITIZED 0
#endif

// musl has no wait that takes a clock, and the sanitizers do not intercept those of glibc.
#if defined(__GLIBC__) && !IS_SANITIZED
#define HAS_CLOCK_WAITS 1
#define WAIT_CLOCK CLOCK_MONOTONIC
#else
#define HAS_CLOCK_WAITS 0
#define WAIT_CLOCK CLOCK_REALTIME
#endif

// The values of Swift's `Readiness`, which is passed to either without a translation.
_Static_assert(EPOLLIN == 0x1 && EPOLLOUT == 0x4 && EPOLLERR == 0x8 && EPOLLHUP == 0x10 && EPOLLRDHUP == 0x2000,
               "epoll's bits");
_Static_assert(POLLIN == 0x1 && POLLOUT == 0x4 && POLLERR == 0x8 && POLLHUP == 0x10 && POLLRDHUP == 0x2000,
               "poll's bits");

static __thread void *current_executor = NULL;

void *csidecar_current_executor(void) { return current_executor; }

void *csidecar_exchange_current_executor(const void *executor) {
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

int csidecar_thread_start(pthread_t *thread, const char *name, void (*entry)(void *), void *context) {
  struct thread_start *start = malloc(sizeof *start);
  if (start == NULL) return ENOMEM;
  start->entry = entry;
  start->context = context;
  strncpy(start->name, name, sizeof start->name - 1);
  start->name[sizeof start->name - 1] = '\0';

  // A thread that blocks the signal of a fault ends the process without the application's report: those stay open.
  sigset_t blocked, previous;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  sigdelset(&blocked, SIGILL);
  sigdelset(&blocked, SIGFPE);
  sigdelset(&blocked, SIGTRAP);
  sigdelset(&blocked, SIGABRT);
  // The new thread inherits the mask.
  pthread_sigmask(SIG_SETMASK, &blocked, &previous);
  int error = pthread_create(thread, NULL, thread_main, start);
  pthread_sigmask(SIG_SETMASK, &previous, NULL);
  if (error != 0) free(start);
  return error;
}

static struct timespec wait_end(int64_t nanoseconds) {
  struct timespec time;
  clock_gettime(WAIT_CLOCK, &time);
  time.tv_sec += nanoseconds / 1000000000;
  time.tv_nsec += nanoseconds % 1000000000;
  if (time.tv_nsec >= 1000000000) {
    time.tv_nsec -= 1000000000;
    time.tv_sec += 1;
  }
  return time;
}

int csidecar_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(epoll, operation, descriptor, &event) == 0 ? 0 : errno;
}

int csidecar_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout_milliseconds) {
  int count = epoll_wait(epoll, events, capacity, timeout_milliseconds);
  return count >= 0 ? count : -errno;
}

struct csidecar_event csidecar_event_at(const struct epoll_event *events, int index) {
  return (struct csidecar_event){.token = events[index].data.u64, .events = events[index].events};
}

void csidecar_error_text(int error, char *buffer, size_t capacity) {
#if defined(__GLIBC__)
  // The GNU variant may return a text of its own instead of filling the buffer.
  const char *text = strerror_r(error, buffer, capacity);
  if (text != buffer) {
    strncpy(buffer, text, capacity - 1);
    buffer[capacity - 1] = '\0';
  }
#else
  if (strerror_r(error, buffer, capacity) != 0) buffer[capacity - 1] = '\0';
#endif
}

int csidecar_accept(int listener) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return descriptor >= 0 ? descriptor : -errno;
}

int csidecar_semaphore_wait(sem_t *semaphore, int64_t nanoseconds) {
  struct timespec end = {0};
  if (nanoseconds >= 0) end = wait_end(nanoseconds);
  int error;
  do {
    if (nanoseconds < 0) {
      error = sem_wait(semaphore);
    } else {
#if HAS_CLOCK_WAITS
      error = sem_clockwait(semaphore, WAIT_CLOCK, &end);
#else
      error = sem_timedwait(semaphore, &end);
#endif
    }
  } while (error != 0 && errno == EINTR);
  return error == 0;
}
