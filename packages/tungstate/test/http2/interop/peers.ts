import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { type CloseInfo, type ServerListenOptions, WebSocketServer } from "../../../src/index.ts";
import { CLIENT_CODE, type Exchange, exchange, type ExchangeOptions, respond, SERVER_CODE } from "./exchange.ts";
import { freePort, startProgram, type Workspace } from "./servers.ts";

/** A program between client and server. `"2"` is HTTP/2 with TLS in front, and without TLS behind. */
export interface Proxy {
  readonly command: string;
  readonly front: "1.1" | "2";
  readonly behind: "1.1" | "2";
  /** Returns the arguments of a proxy from `port` to `to`. */
  arguments(workspace: Workspace, port: number, to: number): readonly string[];
}

function haproxy(front: "1.1" | "2", behind: "1.1" | "2"): Proxy {
  return {
    command: "haproxy",
    front,
    behind,
    arguments: (workspace, port, to) => {
      const text = `
global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend front
  bind 127.0.0.1:${port} ssl crt ${workspace.path("both.pem")} alpn ${front === "2" ? "h2" : "http/1.1"}
  default_backend behind
backend behind
  server one 127.0.0.1:${to} ${behind === "2" ? "proto h2" : ""}
`;
      return ["-db", "-f", workspace.write("haproxy.cfg", text)];
    },
  };
}

function nghttpx(behind: "1.1" | "2"): Proxy {
  return {
    command: "nghttpx",
    front: "2",
    behind,
    arguments: (workspace, port, to) => [
      `--conf=${workspace.write("nghttpx.conf", "")}`,
      `--frontend=127.0.0.1,${port}`,
      `--backend=127.0.0.1,${to};;${behind === "2" ? "proto=h2" : "proto=http/1.1"}`,
      "--workers=1",
      "--single-process",
      workspace.path("key.pem"),
      workspace.path("cert.pem"),
    ],
  };
}

/** Each WebSocket occupies a worker of HTTP/2 in Apache; its default has fewer than 50. */
const apache: Proxy = {
  command: "apache2",
  front: "2",
  behind: "1.1",
  arguments: (workspace, port, to) => {
    const modules = ["mpm_event", "authz_core", "ssl", "http2", "proxy", "proxy_http", "proxy_wstunnel"];
    const text = `
ServerName localhost
ServerRoot ${workspace.folder}
ThreadLimit 200
ThreadsPerChild 200
MaxRequestWorkers 200
H2MinWorkers 150
H2MaxWorkers 150
PidFile ${workspace.path("apache.pid")}
ErrorLog ${workspace.path("apache.log")}
DefaultRuntimeDir ${workspace.folder}
Listen 127.0.0.1:${port}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join("\n")}
Protocols h2 http/1.1
H2WebSockets on
SSLEngine on
SSLCertificateFile ${workspace.path("cert.pem")}
SSLCertificateKeyFile ${workspace.path("key.pem")}
ProxyPass / http://127.0.0.1:${to}/ upgrade=websocket
`;
    return ["-X", "-f", workspace.write("apache.conf", text)];
  },
};

export const PROXIES: Readonly<Record<string, Proxy>> = {
  "HAProxy 2 to 1.1": haproxy("2", "1.1"),
  "HAProxy 1.1 to 2": haproxy("1.1", "2"),
  "HAProxy 2 to 2": haproxy("2", "2"),
  "Apache 2 to 1.1": apache,
  "nghttpx 2 to 1.1": nghttpx("1.1"),
  "nghttpx 2 to 2": nghttpx("2"),
};

/** Our server with `respond`, and the ends of its connections. */
class Peer {
  readonly server = new WebSocketServer({ compression: true });
  private readonly http2 = createServer();
  readonly versions = new Set<string>();
  private readonly closed: Promise<CloseInfo>[] = [];

  constructor() {
    this.server.attach(this.http2);
    this.server.on("connection", (connection) => {
      this.versions.add(connection.route?.httpVersion ?? "1.1");
      this.closed.push(connection.closed);
      respond(connection);
    });
  }

  /** Checks the codes that the server got from the client: all but two are the client's own. */
  async checkCodes(sockets: number): Promise<void> {
    const infos = await Promise.all(this.closed);
    const unclean = infos.filter(({ clean }) => !clean);
    assert.deepEqual(unclean, []);
    const codes = infos.map(({ code, reason }) => `${code} ${reason}`.trim()).toSorted();
    const own = Array.from({ length: sockets - 1 }, () => `${CLIENT_CODE} from the client`);
    assert.deepEqual(codes, [`${SERVER_CODE}`, `${SERVER_CODE}`, ...own]);
  }

  /** Listens with HTTP/2 and without TLS. */
  async listenHttp2(): Promise<number> {
    this.http2.listen(0, "127.0.0.1");
    await once(this.http2, "listening");
    return (this.http2.address() as AddressInfo).port;
  }

  async listen(options: ServerListenOptions): Promise<number> {
    const address = await this.server.listen({ host: "127.0.0.1", ...options });
    return typeof address === "object" ? address.port : 0;
  }

  async close(): Promise<void> {
    await this.server.close();
    this.http2.close();
  }
}

function summaryOf({ version, compression }: Exchange): string {
  assert.ok(compression, "permessage-deflate was not negotiated");
  return `HTTP/${version}: messages, compression, close codes, messages before a Close`;
}

/** Our client to our server, without anything between. */
export async function direct(workspace: Workspace, sockets: number): Promise<string> {
  const peer = new Peer();
  const port = await peer.listen({ tls: workspace.certificate, http2: true });
  try {
    const result = await exchange(`wss://localhost:${port}/`, optionsOf(workspace, "2", sockets));
    await peer.checkCodes(sockets);
    assert.deepEqual([...peer.versions], ["2"]);
    return summaryOf(result);
  } finally {
    await peer.close();
  }
}

/** Our client to our server through a proxy. */
export async function through(proxy: Proxy, workspace: Workspace, sockets: number): Promise<string> {
  const peer = new Peer();
  const to = await (proxy.behind === "2" ? peer.listenHttp2() : peer.listen({}));
  try {
    const port = await freePort();
    await using _proxy = await startProgram(
      proxy.command,
      proxy.arguments(workspace, port, to),
      port,
      workspace.folder,
    );
    const result = await exchange(`wss://localhost:${port}/`, optionsOf(workspace, proxy.front, sockets));
    await peer.checkCodes(sockets);
    assert.deepEqual([...peer.versions], [proxy.behind]);
    return summaryOf(result);
  } finally {
    await peer.close();
  }
}

function optionsOf(workspace: Workspace, version: "1.1" | "2", sockets: number): ExchangeOptions {
  return { httpVersion: version, tls: { ca: workspace.certificate.cert }, sockets };
}
