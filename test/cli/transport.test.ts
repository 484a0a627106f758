import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { makeCertificate } from "../support/certificate.ts";
import { type ChildOptions, running, startCli, startCliOn } from "../support/children.ts";
import { runtimeUnderTest } from "../support/runtimes.ts";
import { suite } from "../support/suite.ts";

const test = suite("transport");

const runtime = runtimeUnderTest();

async function listening(server: Server, use: (port: number) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Accepts one event. */
const accept: RequestListener = (request, response) => {
  request.resume();
  response.writeHead(202, { "Content-Type": "application/json" }).end('{"accepted":1}');
};

/** The exit code and the lines of a command. */
async function outcome(args: readonly string[], options?: ChildOptions, on?: "node26") {
  const child = on === undefined ? startCli(args, options) : startCliOn(on, args, options);
  return await running(child, async () => {
    const { code } = await child.exit();
    return [code, ...child.stdout.lines, ...child.stderr.lines];
  });
}

test("tail and emit end with one line at a certificate that is not accepted and a port without TLS, and --cacert and --insecure accept one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "transport-"));
  try {
    const { key, cert } = await makeCertificate();
    const file = join(folder, "ca.pem");
    await writeFile(file, cert);
    const permissions = [`--allow-read=${folder}`];
    await listening(createSecureServer({ key, cert }, accept) as unknown as Server, async (port) => {
      const url = `https://localhost:${port}/events`;
      const [code, line, ...more] = await outcome(["tail", url]);
      assert.equal([code, more], [1, []]);
      assert.match(
        String(line),
        /: the certificate of \S+ is not accepted: .*: --cacert FILE or --insecure /,
      );
      assert.equal(await outcome(["emit", url, "note", "--cacert", file], { permissions }), [
        0,
        "1 accepted",
      ]);
      const insecure = await outcome(["emit", url, "note", "--insecure"]);
      if (runtime !== "deno") assert.equal(insecure, [0, "1 accepted"]);
      else assert.match(insecure.join(), /^2,.*--unsafely-ignore-certificate-errors/);
      assert.match(
        (await outcome(["emit", url, "note", "--cacert", join(folder, "none")])).join(),
        /^2,.*cannot read/,
      );
    });
    await listening(createServer(accept), async (port) => {
      const url = `https://127.0.0.1:${port}/events`;
      assert.equal(await outcome(["tail", url]), [
        1,
        `events-endpoint: cannot connect to ${url}: what answers there does not speak TLS: is it http?`,
      ]);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** A proxy that connects to one port, whatever it is asked for, and records that. */
function createProxy(port: number, asked: string[]): Server {
  const proxy = createServer((incoming: IncomingMessage, response) => {
    asked.push(new URL(incoming.url!).host);
    const { method, headers } = incoming;
    const outgoing = request({ port, path: new URL(incoming.url!).pathname, method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(outgoing);
  });
  return proxy.on("connect", ({ url }, socket, head) => {
    asked.push(url!.replace(/:80$/, ""));
    const target = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      target.write(head);
      target.pipe(socket).pipe(target);
    });
    for (const one of [target, socket]) one.on("error", () => {});
  });
}

test("emit goes through HTTP_PROXY on each runtime, but for NO_PROXY; Node before 24 says what it needs", async () => {
  const asked: string[] = [];
  await listening(createServer(accept), (port) =>
    listening(createProxy(port, asked), async (proxyPort) => {
      const env = { HTTP_PROXY: `http://127.0.0.1:${proxyPort}`, NO_PROXY: "127.0.0.1" };
      const args = ["emit", "http://events.test/events", "note", "--max-attempts", "1"];
      const isNode = runtime.startsWith("node");
      assert.equal(await outcome(args, { env }, isNode ? "node26" : undefined), [0, "1 accepted"]);
      assert.equal(asked, ["events.test"]);
      const direct = ["emit", `http://127.0.0.1:${port}/events`, "note"];
      const note = "events-endpoint: HTTP_PROXY is not used: Node can from 22.21 on";
      assert.equal(await outcome(direct, { env }), [0, "1 accepted", ...runtime === "node" ? [note] : []]);
      assert.is(asked.length, 1);
    }));
});

test.run();
