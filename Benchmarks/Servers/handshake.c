#include "handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connection.h"
#include "modes.h"

#define MAX_REQUEST (16 * 1024)

// The largest message that a URL may ask for: what it takes is memory of ours.
#define MAX_MESSAGE (64 * 1024 * 1024)

// MARK: Reading the request

// Copies the value of a header field, or what comes of joining its values with commas (RFC 9110 §5.3), into `out`.
// Returns false if there is no such field, or no room for it.
static bool field(const char *request, const char *name, char *out, size_t room) {
  size_t at = 0, name_size = strlen(name);
  for (const char *line = strstr(request, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
    const char *start = line + 2;
    if (strncasecmp(start, name, name_size) != 0 || start[name_size] != ':') continue;
    start += name_size + 1;
    start += strspn(start, " \t");
    size_t size = strcspn(start, "\r");
    while (size && (start[size - 1] == ' ' || start[size - 1] == '\t')) size--;
    if (at + size + 2 > room) return false;
    if (at) out[at++] = ',';
    memcpy(out + at, start, size);
    at += size;
  }
  out[at] = 0;
  return at > 0;
}

// A number in the path's query, such as `size` in `/hose?size=16`.
static uint64_t query_number(const char *query, const char *name, uint64_t otherwise) {
  size_t name_size = strlen(name);
  for (const char *at = query; at && *at; at = strchr(at, '&')) {
    at += *at == '&' || *at == '?';
    if (strncmp(at, name, name_size) == 0 && at[name_size] == '=') return strtoull(at + name_size + 1, NULL, 10);
  }
  return otherwise;
}

// MARK: Answering

// A plain answer without an upgrade, after which the connection ends.
static bool answer_plain(struct connection *connection, const char *status, const char *body) {
  char answer[1024];
  int size = snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                      status, strlen(body), body);
  connection->ending = true;
  return queue_bytes(connection, answer, (size_t)size);
}

static bool answer_statistics(struct connection *connection) {
  char body[256];
  snprintf(body, sizeof body, "{\"open\":%llu,\"opened\":%llu,\"closed\":%llu,\"violations\":%llu}\n",
           (unsigned long long)statistics.open, (unsigned long long)statistics.opened,
           (unsigned long long)statistics.closed, (unsigned long long)statistics.violations);
  return answer_plain(connection, "200 OK", body);
}

// Whether an offer of permessage-deflate can be taken, and with what window (RFC 7692 §7.1). The parameters that ask
// something of this server are server_max_window_bits and server_no_context_takeover; it does the latter in any case.
static bool accept_deflate(const char *request, int *window_bits, bool *answer_window) {
  char offers[1024];
  if (!field(request, "Sec-WebSocket-Extensions", offers, sizeof offers) || !strstr(offers, "permessage-deflate"))
    return false;
  const char *offer = strstr(offers, "permessage-deflate");
  const char *end = strchr(offer, ',');  // the first offer is the client's favourite
  const char *bits = strstr(offer, "server_max_window_bits=");
  *answer_window = bits && (!end || bits < end);
  *window_bits = 15;
  if (*answer_window) {
    bits += strlen("server_max_window_bits=");
    *window_bits = atoi(bits + (*bits == '"'));
  }
  return *window_bits >= 9 && *window_bits <= 15;  // zlib cannot make a raw stream with a window of 8
}

static bool choose_mode(struct connection *connection, const char *target, struct payload_kind kind,
                        const char **error) {
  const char *query = target + strcspn(target, "?");
  size_t path_size = (size_t)(query - target);
  kind.size = query_number(query, "size", 16);
  kind.text = strstr(query, "kind=text") != NULL;
#define PATH(name) (path_size == strlen(name) && memcmp(target, name, path_size) == 0)
  if (PATH("/hose")) {
    if (kind.size > MAX_MESSAGE || !(connection->hose.ring = ring_for(kind)))
      return *error = "size is too large\n", false;
    uint64_t count = query_number(query, "count", 0);
    connection->hose.total = count ? ring_offset(connection->hose.ring, count) : UINT64_MAX;
    connection->hose.close_at_end = query_number(query, "close", 0) == 1;
    connection->mode = MODE_HOSE;
  } else if (PATH("/tick")) {
    if (kind.size > MAX_MESSAGE || !(connection->tick.ring = ring_for(kind)))
      return *error = "size is too large\n", false;
    tick_start(connection, (unsigned)query_number(query, "every", 100));
    connection->mode = MODE_TICK;
  } else if (PATH("/sink")) {
    connection->mode = MODE_SINK;
  } else if (PATH("/echo")) {
    connection->mode = MODE_ECHO;
  } else if (PATH("/idle")) {
    connection->mode = MODE_IDLE;
  } else if (PATH("/stall")) {
    connection->mode = MODE_STALL;
  } else {
    return *error = "paths: /hose /tick /sink /echo /idle /stall /stats\n", false;
  }
#undef PATH
  return true;
}

static bool answer(struct connection *connection, const char *request) {
  char target[1024];
  if (sscanf(request, "GET %1023s HTTP/1.1\r", target) != 1) return answer_plain(connection, "400 Bad Request", "");
  if (strcmp(target, "/stats") == 0) return answer_statistics(connection);

  char key[64], upgrade[64], version[16];
  if (!field(request, "Sec-WebSocket-Key", key, sizeof key) || !field(request, "Upgrade", upgrade, sizeof upgrade) ||
      strcasecmp(upgrade, "websocket") != 0 || !field(request, "Sec-WebSocket-Version", version, sizeof version) ||
      strcmp(version, "13") != 0)
    return answer_plain(connection, "400 Bad Request", "not an opening handshake of RFC 6455\n");

  struct payload_kind kind = {0};
  char extension[160] = "";
  if (query_number(strchr(target, '?'), "deflate", 0) == 1) {
    // Refused rather than left out: a run that was meant to decompress must not be fast because it does not.
    bool answer_window = false;
    kind.compressed = accept_deflate(request, &kind.window_bits, &answer_window);
    if (!kind.compressed) return answer_plain(connection, "400 Bad Request", "permessage-deflate was not offered\n");
    int size = snprintf(
        extension, sizeof extension,
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (answer_window)
      size += snprintf(extension + size, sizeof extension - size, "; server_max_window_bits=%d", kind.window_bits);
    snprintf(extension + size, sizeof extension - size, "\r\n");
  }

  // §4.2.2: the key and the protocol's GUID, hashed
  char joined[128];
  int joined_size = snprintf(joined, sizeof joined, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  unsigned char digest[SHA_DIGEST_LENGTH], accept[32];
  SHA1((const unsigned char *)joined, (size_t)joined_size, digest);
  EVP_EncodeBlock(accept, digest, sizeof digest);

  const char *error = "";
  if (!choose_mode(connection, target, kind, &error)) return answer_plain(connection, "404 Not Found", error);
  statistics.open++;
  statistics.opened++;
  char response[512];
  int size = snprintf(response, sizeof response,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                      "Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                      accept, extension);
  return queue_bytes(connection, response, (size_t)size);
}

bool handshake_read(struct connection *connection, const char *bytes, size_t size) {
  if (connection->ending) return true;
  char *request = realloc(connection->request, connection->request_size + size + 1);
  if (!request || connection->request_size + size > MAX_REQUEST) return false;
  connection->request = request;
  memcpy(request + connection->request_size, bytes, size);
  connection->request_size += size;
  request[connection->request_size] = 0;
  if (!strstr(request, "\r\n\r\n")) return true;
  bool answered = answer(connection, request);
  free(connection->request);
  connection->request = NULL;
  connection->request_size = 0;
  return answered;
}
