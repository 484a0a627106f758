/*
 * The reference stream: what every subscriber has to receive, byte for byte.
 *
 * The first connection to receive a byte appends it; all others are compared with what stands there. What the
 * reference itself holds is parsed by the bench at the end. Heartbeats (between two events an empty line, in
 * SSE also a comment) are counted and belong to nobody's stream.
 */
#ifndef REFERENCE_H
#define REFERENCE_H
#include <stddef.h>
#include <stdint.h>

/* How far one connection is. */
struct reader {
  int number;
  size_t position; /* bytes of the reference it has received */
  size_t measured; /* events of it whose latency is recorded */
  int in_heartbeat;
};

/*
 * Events are lines, or with `sse` blocks that end in an empty line. With `latency` their "at" is read, in
 * microseconds.
 */
void reference_begin(int sse, int latency);

/* Body bytes of one connection, cut anywhere; returns whether any of them was not a heartbeat. */
int reference_take(struct reader *reader, const unsigned char *bytes, size_t length);

/* How many whole events the reference holds, and where the first so many of them end. */
size_t reference_events(void);
size_t reference_end(size_t events);

size_t reference_heartbeats(void);
int reference_write(const char *file);

/* Microseconds from an event's "at" to its arrival, over all connections; `latency_forget` starts anew. */
void latency_forget(void);
uint32_t latency_quantile(double share);

/* Microseconds since 1970. */
int64_t wall_clock(void);

/* Tells the bench what is wrong, and exits. */
void fault(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#endif
