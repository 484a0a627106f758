/**
 * Why a request failed without a response, as far as the runtimes say: some failures would be the same at every attempt.
 *
 * @module
 */
import { EventsError } from "../events/errors.ts";

/** The codes of OpenSSL and Node for a certificate that is not accepted: Node has them in the cause, Bun in the error. */
const CERTIFICATE_CODE =
  /CERT|^UNABLE_TO_(?:GET|VERIFY|DEC)|^(?:INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH_EXCEEDED)$/;
/** Deno has no code for it. */
const CERTIFICATE_MESSAGE = /invalid peer certificate/;
/** What answers a TLS handshake and is no TLS, most often plain HTTP: Node, Deno and Bun. */
const NO_TLS =
  /ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)|corrupt message of type InvalidContentType|Does the server speak TLS/;
/** Node, and Deno. */
const PORT_MESSAGE = /^bad port$|Requests to port \d+ are blocked/;
/** What Chromium, Firefox and Safari say of every failure. */
const BROWSER_MESSAGE = /^(?:Failed to fetch|NetworkError when attempting to fetch resource\.|Load failed)$/;
/** The ports that browsers refuse (Fetch, port blocking). */
const BAD_PORTS: readonly number[] = [
  ...[0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103],
  ...[104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513],
  ...[514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720],
  ...[1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080],
];
const QUERY = /(?<=https?:\/\/[^\s?]*)\?[^\s)"']*/g;

/** The parts of an error that runtimes give a reason in. */
interface Failure {
  readonly message?: string;
  readonly code?: unknown;
  readonly cause?: { readonly code?: unknown; readonly message?: string };
}

/**
 * Makes the error of a request that got no response.
 *
 * @param place the address as it may be shown, without its query
 * @param error what `fetch` threw
 * @returns `InvalidParameter` for a port that `fetch` refuses and for `https` where there is no TLS, `CertificateRejected`, or else `ConnectionFailed`
 */
export function failureOf(place: string, error: unknown): EventsError {
  const { message = "", code, cause } = (error ?? {}) as Failure;
  const messages = [message, cause?.message ?? ""];
  const { port } = new URL(place);
  const isBadPort = BROWSER_MESSAGE.test(message) && port !== "" && BAD_PORTS.includes(Number(port));
  if (isBadPort || messages.some((text) => PORT_MESSAGE.test(text))) {
    const text = `cannot connect to ${place}: fetch refuses port ${port}: serve the events on another one`;
    return new EventsError("InvalidParameter", text, { cause: error });
  }
  const codes = [code, cause?.code].map(String);
  if ([...messages, ...codes].some((text) => NO_TLS.test(text))) {
    const text = `cannot connect to ${place}: what answers there does not speak TLS: is it http?`;
    return new EventsError("InvalidParameter", text, { cause: error });
  }
  const reason = reasonOf(error);
  const isCertificate = [code, cause?.code].some((code) =>
    typeof code === "string" && CERTIFICATE_CODE.test(code)
  );
  if (isCertificate || messages.some((text) => CERTIFICATE_MESSAGE.test(text))) {
    const text = `the certificate of ${place} is not accepted: ${reason}`;
    return new EventsError("CertificateRejected", text, { cause: error });
  }
  return new EventsError("ConnectionFailed", `no response from ${place}: ${reason}`, { cause: error });
}

/** Returns why a request or a response failed, as the runtime reports it, without the queries of addresses: they may hold a key. */
export function reasonOf(error: unknown): string {
  const { message, cause } = (error ?? {}) as {
    message?: string;
    cause?: { code?: string; message?: string };
  };
  const behind = cause?.message || cause?.code;
  return [message ?? String(error), behind].filter(Boolean).join(": ").replaceAll(QUERY, "");
}
