// Wrappers for the parts of the system that Swift's Glibc module does not expose, and the few functions that cannot be
// Swift.
#pragma once

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

// With musl, pthread_t is a pointer that would have to say whether it can be null.
#pragma clang diagnostic ignored "-Wnullability-completeness"

/// Returns the marker that the calling thread last set with `csidecar_exchange_current_executor`, or null.
///
/// `pthread_self()` cannot do this. It is declared const, so the optimiser may merge two calls across a suspension
/// point although the second one runs on another thread. It may not merge calls to a function of another object file.
void *_Nullable csidecar_current_executor(void);

/// Sets the calling thread's marker, and returns the previous one.
void *_Nullable csidecar_exchange_current_executor(const void *_Nullable executor);

/// Starts a joinable thread on which no signal handler of the application runs. Returns 0 or an errno value.
///
/// `name` is cut to the 15 bytes that the kernel keeps.
int csidecar_thread_start(pthread_t *_Nonnull thread, const char *_Nonnull name, void (*_Nonnull entry)(void *_Nonnull),
                          void *_Nonnull context);

/// An `epoll_wait` entry without the packed union, which Swift reads slowly.
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

/// Writes the system's text for an errno value into `buffer`. Never fails; the text is always terminated.
void csidecar_error_text(int error, char *_Nonnull buffer, size_t capacity);

/// Accepts a connection that neither blocks nor is inherited. Returns its descriptor, or the negative of an errno
/// value.
int csidecar_accept(int listener);

/// Waits for a semaphore, at most for `nanoseconds`, or without end if negative. Returns 0 if the time ran out.
///
/// The bound is measured by CLOCK_MONOTONIC. With musl or a sanitizer it is measured by CLOCK_REALTIME, which can be
/// set.
int csidecar_semaphore_wait(sem_t *_Nonnull semaphore, int64_t nanoseconds);
