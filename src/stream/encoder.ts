/**
 * Encoding: the stage of a pipeline that makes bytes of text.
 *
 * @module
 */

/**
 * Node before 24 goes through the text of a stream character by character, and takes forty times as long for it as for a
 * text at once: a large event would hold up everybody. Its engine lacks this, and where another one does, nothing is lost.
 */
const isSlow = !("escape" in RegExp);

/** A `TextEncoderStream`, or where that is slow what does the same with chunks that are whole characters. */
export function createEncoder(): TransformStream<string, Uint8Array> {
  if (!isSlow) return new TextEncoderStream();
  const encoder = new TextEncoder();
  return new TransformStream({
    transform: (text, controller) => controller.enqueue(encoder.encode(text)),
  });
}
