/**
 * Events as shell commands.
 *
 * @module
 */

/**
 * Makes the command that publishes an event again.
 *
 * @param json the dictionary as it was received
 * @param url the address to publish to
 * @param withKey whether the server requires a key; the command reads it from the environment, and never contains it
 */
export function curlCommand(json: string, url: string, withKey: boolean): string {
  const { type, subject, event } = JSON.parse(json);
  const key = withKey ? ' -H "X-Api-Key: $EVENTS_API_KEY"' : "";
  // Not --json: it needs curl 7.82, and Debian 11 and Ubuntu 20.04 have older ones.
  const body = quoted(JSON.stringify({ type, subject, event }));
  return `curl${key} -H 'Content-Type: application/json' -d ${body} ${quoted(url)}`;
}

/** Quotes the text as one word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
