// What each mode does with what the client sends, and the `/tick` mode's clock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

// A data frame begins: its header is in `connection->frame`, and `bytes` stands at its payload, all of which is there
// if `whole` is set. Here as below, false means that the connection cannot go on.
bool mode_frame(struct connection *connection, const uint8_t *bytes, bool whole);

// Some of the payload, still masked: `size` bytes from `offset` on. `connection->frame_left` says what is still to
// come.
bool mode_payload(struct connection *connection, uint8_t *bytes, size_t size, uint64_t offset);

// A whole control frame, unmasked.
bool mode_control(struct connection *connection, const uint8_t *payload, size_t size);

// Starts and stops the messages of a `/tick` connection.
void tick_start(struct connection *connection, unsigned milliseconds);
void tick_stop(struct connection *connection);

// Queues every message that is due and returns the milliseconds until the next is, or -1 if there is none.
int ticks_run(int epoll);
