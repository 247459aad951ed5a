// The opening handshake (RFC 6455 §4.2), and what the request's path chooses.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct connection;

// Takes more bytes of the request. When it is whole, queues the answer and sets the connection's mode.
// Returns false if the connection must be dropped without an answer.
bool handshake_read(struct connection *connection, const char *bytes, size_t size);
