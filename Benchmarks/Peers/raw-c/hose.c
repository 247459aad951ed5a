// The fire-hose: `count` looks at each header and the last byte and no further, `copy` makes each message its own
// allocation, `handover` gives them to a second thread by the batch.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raw.h"

enum api { COUNT, COPY, HANDOVER };

// Unhandled bytes of batches past which the reading thread waits for the other.
#define WATERMARK (4 * 1024 * 1024)

// MARK: Handing over

// What came of one read: the payloads one behind another, and where each of them ends.
struct batch {
  uint8_t *bytes;
  size_t size, room;
  uint64_t *ends;
  size_t messages, ends_room;
  struct batch *next;
};

struct queue {
  pthread_mutex_t lock;
  struct batch *first, **last;
  struct batch *spare;
  size_t bytes;
  struct gate filled, emptied;
  uint64_t count, total_bytes;  // what the consumer is to see, and has seen
  uint32_t checksum;
};

static void *grow(void *old, size_t *room, size_t needed, size_t item) {
  if (needed <= *room) return old;
  *room = needed * 2;
  void *bytes = realloc(old, *room * item);
  if (!bytes) fail("realloc");
  return bytes;
}

static void batch_append(struct batch *batch, const uint8_t *bytes, size_t size, bool ends) {
  batch->bytes = grow(batch->bytes, &batch->room, batch->size + size, 1);
  memcpy(batch->bytes + batch->size, bytes, size);
  batch->size += size;
  if (!ends) return;
  batch->ends = grow(batch->ends, &batch->ends_room, batch->messages + 1, sizeof *batch->ends);
  batch->ends[batch->messages++] = batch->size;
}

// Queues the batch if there is a whole message in it, and returns the one to fill next; the start of a message that has
// not come whole moves on into it.
static struct batch *hand_over(struct queue *queue, struct batch *batch) {
  if (!batch->messages) return batch;
  size_t whole = batch->ends[batch->messages - 1], rest = batch->size - whole;
  pthread_mutex_lock(&queue->lock);
  while (queue->bytes > WATERMARK) {
    pthread_mutex_unlock(&queue->lock);
    gate_wait(&queue->emptied);
    pthread_mutex_lock(&queue->lock);
  }
  struct batch *next = queue->spare;
  if (next) queue->spare = next->next;
  pthread_mutex_unlock(&queue->lock);
  if (!next && !(next = calloc(1, sizeof *next))) fail("calloc");
  next->size = next->messages = 0;
  next->next = NULL;
  if (rest) batch_append(next, batch->bytes + whole, rest, false);

  pthread_mutex_lock(&queue->lock);
  *queue->last = batch;
  queue->last = &batch->next;
  queue->bytes += whole;
  pthread_mutex_unlock(&queue->lock);
  gate_open(&queue->filled);
  return next;
}

static void *consume(void *argument) {
  struct queue *queue = argument;
  uint64_t seen = 0;
  while (seen < queue->count) {
    pthread_mutex_lock(&queue->lock);
    struct batch *batch = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    queue->bytes = 0;
    pthread_mutex_unlock(&queue->lock);
    if (!batch) {
      gate_wait(&queue->filled);
      continue;
    }
    gate_open(&queue->emptied);
    while (batch) {
      uint64_t start = 0;
      for (size_t i = 0; i < batch->messages; i++) {
        uint64_t end = batch->ends[i];
        queue->checksum = queue->checksum * 31 + (end > start ? batch->bytes[end - 1] : 0);
        queue->total_bytes += end - start;
        start = end;
      }
      seen += batch->messages;
      struct batch *next = batch->next;
      pthread_mutex_lock(&queue->lock);
      batch->next = queue->spare;
      queue->spare = batch;
      pthread_mutex_unlock(&queue->lock);
      batch = next;
    }
  }
  return NULL;
}

static void free_batches(struct batch *batch) {
  while (batch) {
    struct batch *next = batch->next;
    free(batch->bytes);
    free(batch->ends);
    free(batch);
    batch = next;
  }
}

// MARK: Reading

struct reader {
  uint64_t left;  // payload bytes of the current message that are still to come
  uint64_t length;
  uint8_t *copy;  // the current message, if it is copied
  struct batch *batch;
  struct result *result;
};

// Takes payload bytes of the current message: `api` is a constant wherever this is called, so each gets a loop of its
// own.
static inline __attribute__((always_inline)) void take(struct reader *reader, const uint8_t *bytes, size_t size,
                                                       enum api api) {
  uint64_t offset = reader->length - reader->left;
  reader->left -= size;
  bool ends = reader->left == 0;
  if (api == COPY) {
    if (offset == 0 && !(reader->copy = malloc(reader->length ? reader->length : 1))) fail("malloc");
    memcpy(reader->copy + offset, bytes, size);
  } else if (api == HANDOVER) {
    batch_append(reader->batch, bytes, size, ends);
  }
  if (!ends) return;
  struct result *result = reader->result;
  result->messages++;
  if (api == HANDOVER) return;
  result->bytes += reader->length;
  result->checksum = result->checksum * 31 + (size ? bytes[size - 1] : 0);
  if (api == COPY) {
    free(reader->copy);
    reader->copy = NULL;
  }
}

static inline __attribute__((always_inline)) void read_messages(struct wire *wire, uint64_t count, struct queue *queue,
                                                                struct reader *reader, enum api api) {
  struct result *result = reader->result;
  for (;;) {
    const uint8_t *at = wire->input, *end = at + wire->size;
    for (;;) {
      if (reader->left) {
        size_t part = reader->left < (size_t)(end - at) ? reader->left : (size_t)(end - at);
        if (part) take(reader, at, part, api);
        at += part;
        if (reader->left) break;
      }
      size_t header = read_header(at, (size_t)(end - at), &reader->length);
      if (!header) break;
      at += header;
      reader->left = reader->length;
      if (reader->length == 0) take(reader, at, 0, api);
    }
    wire->size = (size_t)(end - at);
    if (wire->size) memmove(wire->input, at, wire->size);
    if (api == HANDOVER) reader->batch = hand_over(queue, reader->batch);
    if (result->messages >= count) return;
    if (!wire_read(wire, false)) fail("the server ended the stream");
  }
}

static struct result read_hose(const struct options *options, uint64_t count) {
  static struct wire wire;
  char target[160];
  snprintf(target, sizeof target, "/hose?size=%llu&count=%llu&kind=%s", (unsigned long long)options->size,
           (unsigned long long)count, options->kind);
  wire_open(&wire, options->port, target, "");

  struct result result = {0};
  struct queue queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &queue.first, .count = count};
  struct reader reader = {.result = &result};
  double start = seconds_now();
  if (strcmp(options->api, "count") == 0) {
    read_messages(&wire, count, &queue, &reader, COUNT);
  } else if (strcmp(options->api, "copy") == 0) {
    read_messages(&wire, count, &queue, &reader, COPY);
  } else if (strcmp(options->api, "handover") == 0) {
    pthread_t consumer;
    reader.batch = calloc(1, sizeof *reader.batch);
    if (!reader.batch || pthread_create(&consumer, NULL, consume, &queue) != 0) fail("pthread_create");
    read_messages(&wire, count, &queue, &reader, HANDOVER);
    pthread_join(consumer, NULL);
    result.checksum = queue.checksum;
    result.bytes = queue.total_bytes;
    result.seconds = seconds_now() - start;
    free_batches(queue.spare);
    free_batches(reader.batch);
  } else {
    fail("hose: --api count, copy or handover");
  }
  if (result.seconds == 0) result.seconds = seconds_now() - start;
  wire_close(&wire);
  return result;
}

struct result run_hose(const struct options *options) {
  if (options->warmup) read_hose(options, options->warmup);
  return read_hose(options, options->count);
}
