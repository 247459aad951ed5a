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

/// What the calling thread is executing for: the pointer last given to `csystem_set_current_executor` on this thread,
/// or null.
///
/// Opaque on purpose. `pthread_self()` is declared const, so an optimiser may merge two calls across a suspension
/// point although the second one runs on another thread; a call to a function in another object file may not be merged.
void *_Nullable csystem_current_executor(void);

/// Sets what the calling thread is executing for, and returns what it was before.
void *_Nullable csystem_exchange_current_executor(const void *_Nullable executor);

/// Starts a joinable thread with every signal blocked that another thread could handle, so that a handler of the
/// application never runs on it. Returns 0 or an errno value. `name` is cut to the 15 bytes that the kernel keeps.
int csystem_thread_start(pthread_t *_Nonnull thread, const char *_Nonnull name, void (*_Nonnull entry)(void *_Nonnull),
                         void *_Nonnull context);

/// Joins a thread within `nanoseconds`, by CLOCK_MONOTONIC. Returns 0, or an errno value if it was not joined: in time, or
/// because this system can't wait so.
int csystem_thread_join(pthread_t thread, int64_t nanoseconds);

/// `epoll_wait` entries without the packed union that Swift reads slowly.
struct csystem_event {
  uint64_t token;
  uint32_t events;
};

/// Adds, changes or removes (`EPOLL_CTL_*`) a descriptor. Returns 0 or an errno value.
int csystem_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint64_t token);

/// Waits for events. Returns their number, or the negative of an errno value. A negative timeout waits for ever.
int csystem_epoll_wait(int epoll, struct epoll_event *_Nonnull events, int capacity, int timeout_milliseconds);

/// Reads one entry that `csystem_epoll_wait` wrote.
struct csystem_event csystem_event_at(const struct epoll_event *_Nonnull events, int index);

/// The system's text for an errno value, written into `buffer`; never fails, always terminated.
void csystem_error_text(int error, char *_Nonnull buffer, size_t capacity);

/// A place where one thread sleeps until a time has passed or it is woken. Never freed.
struct csystem_alarm;

struct csystem_alarm *_Nonnull csystem_alarm_create(void);

/// Sleeps until the alarm is woken, also if it was before the call; for `nanoseconds` at most, or for ever if negative. The
/// time is that of CLOCK_MONOTONIC: setting the clock changes nothing.
void csystem_alarm_sleep(struct csystem_alarm *_Nonnull alarm, int64_t nanoseconds);

void csystem_alarm_wake(struct csystem_alarm *_Nonnull alarm);

/// A counting semaphore whose waits go by CLOCK_MONOTONIC; Dispatch's go by a clock that can be set.
struct csystem_semaphore;

struct csystem_semaphore *_Nonnull csystem_semaphore_create(void);

/// Not while anybody waits.
void csystem_semaphore_destroy(struct csystem_semaphore *_Nonnull semaphore);

void csystem_semaphore_signal(struct csystem_semaphore *_Nonnull semaphore);

/// Waits for a signal, for `nanoseconds` at most, or for ever if negative. Returns 0 if the time was over.
int csystem_semaphore_wait(struct csystem_semaphore *_Nonnull semaphore, int64_t nanoseconds);

/// Asks for `count` bytes to be brought into the cache, without waiting for them. Any address will do.
static inline void csystem_prefetch(const void *_Nullable memory, size_t count) {
  static const size_t cache_line = 64;
  for (size_t offset = 0; offset < count; offset += cache_line) __builtin_prefetch((const char *)memory + offset);
}

/// Returns how many bytes at the start of `bytes` are ASCII, in whole blocks of 256.
///
/// In C because only C can be compiled for registers that not every processor has, and choose while it runs.
size_t csystem_ascii_blocks(const void *_Nonnull bytes, size_t count);
