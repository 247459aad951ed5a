#define _GNU_SOURCE
#include "CSidecarSystem.h"

#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

  // All signals are left to other threads. The synchronous ones stay unblocked, because a fault on a thread that blocks its
  // signal ends the process without the application's report.
  sigset_t blocked;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  sigdelset(&blocked, SIGILL);
  sigdelset(&blocked, SIGFPE);
  sigdelset(&blocked, SIGTRAP);
  sigdelset(&blocked, SIGABRT);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  int error = pthread_attr_setsigmask_np(&attributes, &blocked);
  if (error == 0) error = pthread_create(thread, &attributes, thread_main, start);
  pthread_attr_destroy(&attributes);
  if (error != 0) free(start);
  return error;
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#endif

static struct timespec from_now(clockid_t clock, int64_t nanoseconds) {
  struct timespec time;
  clock_gettime(clock, &time);
  time.tv_sec += nanoseconds / 1000000000;
  time.tv_nsec += nanoseconds % 1000000000;
  if (time.tv_nsec >= 1000000000) {
    time.tv_nsec -= 1000000000;
    time.tv_sec += 1;
  }
  return time;
}

int csidecar_thread_join(pthread_t thread, int64_t nanoseconds) {
#if IS_SANITIZED
  // The only bounded join that the sanitizers know. Its clock can be set, which would make the bound another one.
  struct timespec until = from_now(CLOCK_REALTIME, nanoseconds);
  return pthread_timedjoin_np(thread, NULL, &until);
#elif __GLIBC_PREREQ(2, 31)
  struct timespec until = from_now(CLOCK_MONOTONIC, nanoseconds);
  return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
#else
  return pthread_tryjoin_np(thread, NULL);
#endif
}

// What a descriptor is ready for is passed on from either.
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLRDHUP == POLLRDHUP && EPOLLHUP == POLLHUP && EPOLLERR == POLLERR,
               "poll and epoll have the same bits");

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
  // The GNU variant may return a pointer of its own instead of filling the buffer.
  const char *text = strerror_r(error, buffer, capacity);
  if (text != buffer) {
    strncpy(buffer, text, capacity - 1);
    buffer[capacity - 1] = '\0';
  }
}

struct csidecar_alarm {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int is_woken;
};

struct csidecar_alarm *csidecar_alarm_create(void) {
  struct csidecar_alarm *alarm = malloc(sizeof *alarm);
  if (alarm == NULL) abort();
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&alarm->lock, NULL);
  pthread_cond_init(&alarm->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  alarm->is_woken = 0;
  return alarm;
}

void csidecar_alarm_sleep(struct csidecar_alarm *alarm, int64_t nanoseconds) {
  struct timespec until = from_now(CLOCK_MONOTONIC, nanoseconds);
  pthread_mutex_lock(&alarm->lock);
  int error = 0;
  while (!alarm->is_woken && error == 0) {
    if (nanoseconds < 0) {
      error = pthread_cond_wait(&alarm->changed, &alarm->lock);
    } else {
      error = pthread_cond_timedwait(&alarm->changed, &alarm->lock, &until);
    }
  }
  alarm->is_woken = 0;
  pthread_mutex_unlock(&alarm->lock);
}

void csidecar_alarm_wake(struct csidecar_alarm *alarm) {
  pthread_mutex_lock(&alarm->lock);
  alarm->is_woken = 1;
  pthread_cond_signal(&alarm->changed);
  pthread_mutex_unlock(&alarm->lock);
}

struct csidecar_semaphore {
  sem_t count;
};

struct csidecar_semaphore *csidecar_semaphore_create(void) {
  struct csidecar_semaphore *semaphore = malloc(sizeof *semaphore);
  if (semaphore == NULL || sem_init(&semaphore->count, 0, 0) != 0) abort();
  return semaphore;
}

void csidecar_semaphore_destroy(struct csidecar_semaphore *semaphore) {
  sem_destroy(&semaphore->count);
  free(semaphore);
}

void csidecar_semaphore_signal(struct csidecar_semaphore *semaphore) { sem_post(&semaphore->count); }

static int semaphore_wait_until(struct csidecar_semaphore *semaphore, int64_t nanoseconds) {
#if !IS_SANITIZED && __GLIBC_PREREQ(2, 30)
  struct timespec until = from_now(CLOCK_MONOTONIC, nanoseconds);
  int error;
  while ((error = sem_clockwait(&semaphore->count, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR) continue;
  return error;
#else
  // The only bounded wait that the sanitizers know. Its clock can be set.
  struct timespec until = from_now(CLOCK_REALTIME, nanoseconds);
  int error;
  while ((error = sem_timedwait(&semaphore->count, &until)) != 0 && errno == EINTR) continue;
  return error;
#endif
}

int csidecar_semaphore_wait(struct csidecar_semaphore *semaphore, int64_t nanoseconds) {
  if (nanoseconds >= 0) return semaphore_wait_until(semaphore, nanoseconds) == 0;
  while (sem_wait(&semaphore->count) != 0) continue;
  return 1;
}

static inline __attribute__((always_inline)) size_t ascii_blocks(const char *bytes, size_t count) {
  static const size_t block = 256;
  size_t index = 0;
  for (; count - index >= block; index += block) {
    uint64_t seen = 0;
    for (size_t offset = 0; offset < block; offset += sizeof seen) {
      uint64_t word;
      memcpy(&word, bytes + index + offset, sizeof word);
      seen |= word;
    }
    if (seen & 0x8080808080808080) break;
  }
  return index;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static size_t ascii_blocks_avx2(const char *bytes, size_t count) {
  return ascii_blocks(bytes, count);
}
#endif

size_t csidecar_ascii_blocks(const void *bytes, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return ascii_blocks_avx2(bytes, count);
#endif
  return ascii_blocks(bytes, count);
}
