// The parts of the system that Swift's Glibc module does not expose, and the few functions that must not be Swift.
#pragma once

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/// What the calling thread is executing for: the pointer last given to `csidecar_set_current_executor` on this thread,
/// or null.
///
/// Opaque on purpose. `pthread_self()` is declared const, so an optimiser may merge two calls across a suspension
/// point although the second one runs on another thread; a call to a function in another object file may not be merged.
void *_Nullable csidecar_current_executor(void);

/// Sets what the calling thread is executing for, and returns what it was before.
void *_Nullable csidecar_exchange_current_executor(const void *_Nullable executor);

/// Starts a joinable thread with every signal blocked that another thread could handle, so that a handler of the
/// application never runs on it. Returns 0 or an errno value. `name` is cut to the 15 bytes that the kernel keeps.
int csidecar_thread_start(pthread_t *_Nonnull thread, const char *_Nonnull name, void (*_Nonnull entry)(void *_Nonnull),
                         void *_Nonnull context);

/// Joins a thread within `nanoseconds`, by CLOCK_MONOTONIC. Returns 0, or an errno value if it was not joined: in time, or
/// because this system can't wait so.
int csidecar_thread_join(pthread_t thread, int64_t nanoseconds);

/// `epoll_wait` entries without the packed union that Swift reads slowly.
struct csidecar_event {
  uint64_t token;
  uint32_t events;
};

/// Adds, changes or removes (`EPOLL_CTL_*`) a descriptor. Returns 0 or an errno value.
int csidecar_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint64_t token);

/// Waits for events. Returns their number, or the negative of an errno value. A negative timeout waits for ever.
int csidecar_epoll_wait(int epoll, struct epoll_event *_Nonnull events, int capacity, int timeout_milliseconds);

/// Reads one entry that `csidecar_epoll_wait` wrote.
struct csidecar_event csidecar_event_at(const struct epoll_event *_Nonnull events, int index);

/// The system's text for an errno value, written into `buffer`; never fails, always terminated.
void csidecar_error_text(int error, char *_Nonnull buffer, size_t capacity);

/// A place where one thread sleeps until a time has passed or it is woken. Never freed.
struct csidecar_alarm;

struct csidecar_alarm *_Nonnull csidecar_alarm_create(void);

/// Sleeps until the alarm is woken, also if it was before the call; for `nanoseconds` at most, or for ever if negative. The
/// time is that of CLOCK_MONOTONIC: setting the clock changes nothing.
void csidecar_alarm_sleep(struct csidecar_alarm *_Nonnull alarm, int64_t nanoseconds);

void csidecar_alarm_wake(struct csidecar_alarm *_Nonnull alarm);

/// A counting semaphore whose waits go by CLOCK_MONOTONIC; Dispatch's go by a clock that can be set.
struct csidecar_semaphore;

struct csidecar_semaphore *_Nonnull csidecar_semaphore_create(void);

/// Not while anybody waits.
void csidecar_semaphore_destroy(struct csidecar_semaphore *_Nonnull semaphore);

void csidecar_semaphore_signal(struct csidecar_semaphore *_Nonnull semaphore);

/// Waits for a signal, for `nanoseconds` at most, or for ever if negative. Returns 0 if the time was over.
int csidecar_semaphore_wait(struct csidecar_semaphore *_Nonnull semaphore, int64_t nanoseconds);

/// Asks for `count` bytes to be brought into the cache, without waiting for them. Any address will do.
static inline void csidecar_prefetch(const void *_Nullable memory, size_t count) {
  static const size_t cache_line = 64;
  for (size_t offset = 0; offset < count; offset += cache_line) __builtin_prefetch((const char *)memory + offset);
}

/// Returns how many bytes at the start of `bytes` are ASCII, in whole blocks of 256.
///
/// In C because only C can be compiled for registers that not every processor has, and choose while it runs.
size_t csidecar_ascii_blocks(const void *_Nonnull bytes, size_t count);
