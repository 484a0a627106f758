#define _GNU_SOURCE
#include "reference.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const size_t REFERENCE_LIMIT = 512u << 20, SAMPLES_LIMIT = 8u << 20;

static int sse, latency;
static unsigned char *reference;
static size_t reference_length, reference_room;
static size_t *event_end; /* where each event of the reference ends */
static int64_t *event_at; /* and when it was published */
static size_t events, events_room, heartbeats;
static uint32_t *samples;
static size_t sample_count, sample_room;

int64_t wall_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *grown(void *memory, size_t bytes) {
  void *more = realloc(memory, bytes);
  if (!more) fault("out of memory");
  return more;
}

void reference_begin(int with_sse, int with_latency) {
  sse = with_sse, latency = with_latency;
  reference = grown(NULL, reference_room = 1 << 20);
}

size_t reference_events(void) { return events; }

size_t reference_end(size_t count) { return count ? event_end[count - 1] : 0; }

size_t reference_heartbeats(void) { return heartbeats; }

int reference_write(const char *name) {
  FILE *file = fopen(name, "wb");
  if (!file) return 0;
  size_t written = fwrite(reference, 1, reference_length, file);
  return fclose(file) == 0 && written == reference_length;
}

/* Whether an event has just ended at this position. */
static int at_boundary(size_t position) {
  if (position == 0) return 1;
  if (reference[position - 1] != '\n') return 0;
  return !sse || (position > 1 && reference[position - 2] == '\n');
}

static int starts_heartbeat(unsigned char byte) { return byte == '\n' || (sse && byte == ':'); }

/* How many bytes there are up to the end of the line, or to the end. */
static size_t line_length(const unsigned char *bytes, size_t length) {
  const unsigned char *end = memchr(bytes, '\n', length);
  return end ? (size_t)(end - bytes) + 1 : length;
}

static void event_ended(void) {
  if (events == events_room) {
    events_room = events_room ? events_room * 2 : 4096;
    event_end = grown(event_end, events_room * sizeof *event_end);
    event_at = grown(event_at, events_room * sizeof *event_at);
  }
  size_t from = reference_end(events);
  unsigned char *at = latency ? memmem(reference + from, reference_length - from, "\"at\":", 5) : NULL;
  event_at[events] = at ? strtoll((char *)at + 5, NULL, 10) : 0;
  event_end[events++] = reference_length;
}

static void append(const unsigned char *bytes, size_t length) {
  if (reference_length + length + 1 > reference_room) {
    reference_room = (reference_length + length + 1) * 2;
    if (reference_room > REFERENCE_LIMIT) fault("more than %zu bytes in one stream", REFERENCE_LIMIT);
    reference = grown(reference, reference_room);
  }
  memcpy(reference + reference_length, bytes, length);
  reference_length += length;
  reference[reference_length] = 0; /* where strtoll ends at the latest */
  if (at_boundary(reference_length)) event_ended();
}

/* A piece of a stream that fits inside a JSON string. */
static const char *shown(const unsigned char *from, size_t length, char into[64]) {
  size_t i;
  for (i = 0; i < length && i < 60; i++) {
    unsigned char byte = from[i];
    into[i] = byte < 32 || byte > 126 ? '.' : byte == '"' || byte == '\\' ? '\'' : byte;
  }
  into[i] = 0;
  return into;
}

/* How many bytes are the same before a heartbeat begins; what differs and is none is a fault. */
static size_t same_until_heartbeat(const struct reader *reader, const unsigned char *bytes, size_t length) {
  size_t same = 0;
  while (bytes[same] == reference[reader->position + same]) same++;
  size_t at = reader->position + same;
  if (!starts_heartbeat(bytes[same]) || !at_boundary(at)) {
    char want[64], got[64];
    fault("connection %d differs at byte %zu: got %s where others got %s", reader->number, at,
          shown(bytes + same, length - same, got), shown(reference + at, reference_length - at, want));
  }
  return same;
}

static void measure(struct reader *reader) {
  int64_t now = wall_clock();
  while (reader->measured < events && event_end[reader->measured] <= reader->position) {
    if (sample_count == sample_room) {
      sample_room = sample_room ? sample_room * 2 : 65536;
      if (sample_room > SAMPLES_LIMIT) fault("more than %zu latencies", SAMPLES_LIMIT);
      samples = grown(samples, sample_room * sizeof *samples);
    }
    int64_t took = now - event_at[reader->measured++];
    samples[sample_count++] = took < 0 ? 0 : (uint32_t)took;
  }
}

int reference_take(struct reader *reader, const unsigned char *bytes, size_t length) {
  size_t before = reader->position;
  while (length) {
    size_t used;
    size_t known = reference_length - reader->position;
    if (reader->in_heartbeat) { /* up to the end of its line */
      used = line_length(bytes, length);
      if (bytes[used - 1] == '\n') reader->in_heartbeat = 0, heartbeats++;
    } else if (known == 0 && starts_heartbeat(*bytes) && at_boundary(reader->position)) {
      reader->in_heartbeat = 1;
      used = 0;
    } else if (known == 0) { /* the first to get here */
      used = line_length(bytes, length);
      append(bytes, used);
      reader->position += used;
    } else {
      used = known < length ? known : length;
      if (memcmp(bytes, reference + reader->position, used) != 0) {
        used = same_until_heartbeat(reader, bytes, length);
        reader->in_heartbeat = 1;
      }
      reader->position += used;
    }
    bytes += used, length -= used;
  }
  if (latency && reader->position != before) measure(reader);
  return reader->position != before;
}

void latency_forget(void) { sample_count = 0; }

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

uint32_t latency_quantile(double share) {
  if (!sample_count) return 0;
  qsort(samples, sample_count, sizeof *samples, ascending);
  return samples[(size_t)(share * (double)(sample_count - 1))];
}
