/**
 * The stage of a pipeline that encodes text as UTF-8.
 *
 * @module
 */

/**
 * Whether `TextEncoderStream` is slow here: Node before 24 goes through its text character by character, which takes forty
 * times as long as encoding a whole text, and a large event would delay all readers. Those releases lack `RegExp.escape`;
 * an engine that lacks it too loses nothing.
 */
const isSlow = !("escape" in RegExp);

/** Makes a `TextEncoderStream`, or its equal for chunks that are whole characters if that one is slow here. */
export function createEncoder(): TransformStream<string, Uint8Array> {
  if (!isSlow) return new TextEncoderStream();
  const encoder = new TextEncoder();
  return new TransformStream({
    transform: (text, controller) => controller.enqueue(encoder.encode(text)),
  });
}
