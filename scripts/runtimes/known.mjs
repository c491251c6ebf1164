// Tests that fail in a runtime, each with the reason. The tests run all the same.

/** `files`: how their paths end. `name`: a pattern of the name of a test; without it, every test of the files. */
const KNOWN = [
  {
    runtimes: ["bun"],
    files: [
      "bytes/mask.test.ts",
      "endpoint/protocol-shared.test.ts",
      "messages/message.test.ts",
      "runtime/chain.test.ts",
      "connection/receive-queue.test.ts",
      "connection/memory.test.ts",
    ],
    name: /memory|keeps nothing/,
    reason: "These tests measure the heap of V8. JavaScriptCore collects garbage conservatively and later.",
  },
  {
    runtimes: ["deno"],
    files: ["connection/memory.test.ts"],
    reason: "This test measures memory that only bare handles save.",
  },
  {
    runtimes: ["bun", "deno"],
    files: ["dial/namespaces.test.ts"],
    reason: "The tests with two networks use `bindToDevice` and programs for Node.js.",
  },
  {
    runtimes: ["bun", "deno"],
    files: ["dial/dial.test.ts", "dial/proxies.test.ts"],
    name: /does not answer|does not end|answers wins|abort at any step|took too long|does not exist/,
    reason: "Bun and Deno ignore the `backlog` of a listener, so the test has no port that does not answer.",
  },
  {
    runtimes: ["bun", "deno"],
    files: ["connection/vanished-host.test.ts"],
    reason: "The handle of a socket has no file descriptor, so Linux's table of sockets cannot be asked.",
  },
  {
    runtimes: ["deno"],
    files: ["deflate/codec.test.ts", "deflate/server-context.test.ts"],
    name: /with context takeover|reference earlier ones with contextTakeover/,
    reason: "Deno's `node:zlib` ignores `dictionary`: messages are compressed without reference to earlier ones.",
  },
  {
    runtimes: ["deno"],
    files: ["tls/resumption.test.ts", "tls/secure.test.ts", "tls/server.test.ts", "tls/peers.test.ts"],
    name: /resume|session|ticket/i,
    reason: "Deno's `node:tls` does not resume sessions.",
  },
  {
    runtimes: ["deno"],
    files: ["tls/client-certificate.test.ts"],
    name: /reports TLS_CLIENT_CERTIFICATE/,
    reason: "Deno's TLS (rustls) does not say why a certificate or a handshake fails, and has other protocols.",
  },
  {
    runtimes: ["deno"],
    files: ["tls/secure.test.ts"],
    name: /invalid options/,
    reason: "Deno's `node:tls` ignores invalid options that OpenSSL rejects.",
  },
  {
    runtimes: ["deno"],
    files: ["dial/proxies.test.ts"],
    name: /is verified: its failures/,
    reason: "Deno's TLS (rustls) does not say why a certificate or a handshake fails, and has other protocols.",
  },
  {
    runtimes: ["deno"],
    files: ["connection/relaying.test.ts"],
    name: /relaying\.md/,
    reason: "Deno does not load the packages that programs of the documentation import: Loading unprepared module.",
  },
  {
    runtimes: ["deno"],
    files: ["tls/secure.test.ts"],
    name: /reasons to reject|verified, and not sent|TLS 1\.1|no cipher suite|other pins|destruction with an error/,
    reason: "Deno's TLS (rustls) does not say why a certificate or a handshake fails, and has other protocols.",
  },
  {
    runtimes: ["deno"],
    files: ["tls/server.test.ts"],
    name: /only other protocols/,
    reason: "The test expects the words of OpenSSL for an alert; Deno's TLS has others.",
  },
  {
    runtimes: ["bun"],
    files: ["tls/resumption.test.ts", "tls/server.test.ts"],
    name: /session|ticket|setTls/i,
    reason: "Bun's `node:tls` has no ticket keys, and cannot change the certificate of an open port.",
  },
  {
    runtimes: ["bun"],
    files: ["tls/secure.test.ts"],
    name: /TLS 1\.1|renegotiation/,
    reason: "BoringSSL has no OpenSSL security levels and ignores requests for renegotiation.",
  },
  {
    runtimes: ["bun"],
    files: ["frameworks/frameworks.test.ts"],
    name: /^Hono/,
    reason: "Bun's `node:http` sends these bodies in chunks; the test reads a body with a Content-Length.",
  },
  {
    runtimes: ["bun"],
    files: ["server/attach.test.ts"],
    name: /behind node:https/,
    reason: "Bun's HTTP server parses the request itself, so `request.raw` is its request.",
  },
  {
    runtimes: ["bun"],
    files: ["connection/channels.test.ts"],
    name: /^a subscriber that throws/,
    reason: "Bun's test runner fails a test in which an exception is uncaught.",
  },
  {
    runtimes: ["bun"],
    files: ["server/http-port.test.ts"],
    name: /keeps its own timeouts/,
    reason: "Bun's `node:http` applies its timeouts only to connections of a port on which it listens itself.",
  },
  {
    runtimes: ["bun"],
    files: ["server/tls-socket.test.ts"],
    name: /^attach to node:https/,
    reason: "A connection of Bun's HTTP server has no TLS socket that knows the client's certificate.",
  },
  {
    runtimes: ["bun"],
    files: [
      "server/front-door.test.ts",
      "server/limits-on-routes.test.ts",
      "server/ordinary-requests.test.ts",
      "server/pipelined.test.ts",
    ],
    reason: "Bun's HTTP parser answers invalid, silent and pipelined requests differently from that of Node.js.",
  },
  {
    runtimes: ["deno"],
    files: ["server/incomplete-requests.test.ts"],
    name: /^by (?:handleUpgrade|Fastify|Express|Hono),/,
    reason: "Deno's `node:http` closes without a response when a client ends its half within the head.",
  },
  {
    runtimes: ["bun"],
    files: ["server/stream.test.ts"],
    name: /invalid generator/,
    reason: "The test expects the words of V8 for a value that is not iterable.",
  },
  {
    runtimes: ["bun"],
    files: ["tls/client-certificate.test.ts"],
    reason: "Bun drops the alert of TLS 1.3 that says why: the error is HANDSHAKE_CLOSED.",
  },
  {
    runtimes: ["bun"],
    files: ["tls/aborts.test.ts"],
    reason: "The test needs the function `gc` of V8.",
  },
  {
    runtimes: ["deno"],
    files: ["http2/routes.test.ts"],
    name: /ws: work under simulated|keep the process alive|resume TLS/,
    reason:
      "Deno's `node:http2` needs a socket without TLS, its `node:tls` resumes no sessions, and it lacks a flag of Node.js.",
  },
  {
    runtimes: ["deno"],
    files: ["http2/session-pool.test.ts"],
    name: /until the server raises it/,
    reason: "Deno's server does not send other settings later, which the test needs.",
  },
  {
    runtimes: ["deno"],
    files: ["dial/race.test.ts"],
    reason: "Deno's `node:test` does not reset mocked timers after a test.",
  },
];

/** Returns why a test fails in this runtime; undefined if it should pass. */
export function reasonFor(runtime, file, test) {
  return KNOWN.find(
    ({ runtimes, files, name }) =>
      runtimes.includes(runtime) &&
      files.some((path) => file.endsWith(path)) &&
      (name === undefined || name.test(test)),
  )?.reason;
}
