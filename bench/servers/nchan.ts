/**
 * nginx with nchan: this process publishes, one POST per event over a keep-alive connection; nginx is what is
 * measured. One connection, because the order of events on several is nobody's; pipelined, so that nginx
 * never waits for us.
 */
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { NCHAN_MODULE } from "../machine.ts";
import { takePlans } from "./control.ts";
import { dictionary, type Tick } from "./event.ts";
import { freePort, startNginx } from "./nginx.ts";

const POSTS_IN_FLIGHT = 8;
const folder = mkdtempSync(join(tmpdir(), "bench-nchan-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function configuration(port: number): string {
  return `
    keepalive_requests 1000000000; tcp_nodelay on; nchan_shared_memory_size 512M;
    server {
      listen 127.0.0.1:${port};
      location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 50000; }
      location = /events {
        nchan_subscriber http-chunked; nchan_channel_id bench; nchan_subscriber_first_message newest;
        default_type application/x-ndjson;
      }
      location = /resume {
        nchan_subscriber http-chunked; nchan_channel_id bench; nchan_subscriber_last_message_id $arg_id;
        default_type application/x-ndjson;
      }
      location = /all {
        nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message oldest;
      }
    }`;
}

/** Calls `accepted` for each whole 2xx response on the publisher's connection. */
function readResponses(socket: Socket, accepted: () => void): void {
  let text = "";
  socket.setEncoding("latin1").on("data", (more: string) => {
    text += more;
    for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
      const head = text.slice(0, end);
      if (!head.startsWith("HTTP/1.1 20")) throw new Error(`nchan: ${head}`);
      const size = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (text.length < size) return;
      text = text.slice(size);
      accepted();
    }
  });
}

const port = await freePort();
const worker = await startNginx(folder, `load_module ${NCHAN_MODULE};`, configuration(port));
const socket = connect({ host: "127.0.0.1", port, noDelay: true });
let inFlight = 0;
let room: (() => void) | undefined;
readResponses(socket, () => {
  inFlight--;
  room?.();
});

function publish(tick: Tick): void | Promise<void> {
  const line = dictionary(tick) + "\n";
  const length = Buffer.byteLength(line);
  socket.write(`POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${length}\r\n\r\n${line}`);
  if (++inFlight < POSTS_IN_FLIGHT) return;
  return new Promise((resolve) => {
    room = resolve;
  });
}

takePlans(port, publish, { pid: worker });
