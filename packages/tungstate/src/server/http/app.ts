import { argumentError } from "@tungstate/protocol/internal";
import { createServer, type RequestListener, Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import { describe } from "../../options/describe.ts";

/**
 * An HTTP application: a request listener of node:http (an Express application is one), a server of
 * node:http or node:https, or the application of a framework: Fastify (`ready`, `server`), Koa
 * (`callback`), or one with a `fetch` function such as Hono, which needs `@hono/node-server`.
 */
export type HttpApp =
  | RequestListener
  | HttpServer
  | HttpsServer
  | {
      /** The server of the application. */
      readonly server: HttpServer | HttpsServer;
      /** Resolves when its plugins are loaded. */
      ready(): PromiseLike<unknown>;
    }
  | {
      /** Returns the request listener of the application. */
      callback(): RequestListener;
    }
  | FetchApp;

interface FetchApp {
  fetch(request: Request, env?: unknown): Response | Promise<Response>;
}

/**
 * Returns the server of an application; creates one if it has none. Rejects with INVALID_ARGUMENT
 * for any other value.
 */
export async function httpServerOf(app: HttpApp): Promise<HttpServer | HttpsServer> {
  if (app instanceof HttpServer || app instanceof HttpsServer) return app;
  if (typeof app === "function") return createServer(app);
  if (typeof app === "object" && app !== null) {
    if ("ready" in app && typeof app.ready === "function") {
      await app.ready();
      const server: unknown = app.server;
      if (server instanceof HttpServer || server instanceof HttpsServer) return server;
    } else if ("fetch" in app && typeof app.fetch === "function") return createServer(await listenerOf(app));
    else if ("callback" in app && typeof app.callback === "function") return createServer(app.callback());
  }
  const expected = "a request listener, a server of node:http, or the application of a framework";
  throw argumentError(TypeError, `http must be ${expected}, got ${describe(app)}`);
}

async function listenerOf(app: FetchApp): Promise<RequestListener> {
  // an optional peer
  const { getRequestListener } = await import("@hono/node-server").catch((cause: unknown) => {
    const message = "http: an application with a fetch function needs the npm package @hono/node-server: install it";
    throw argumentError(TypeError, message, { cause });
  });
  // the host of requests without one (HTTP/1.0)
  const options = { overrideGlobalObjects: false, hostname: "localhost" };
  const listener = getRequestListener((request, env) => app.fetch(request, env), options);
  return (request, response) => void listener(request, response).catch(() => response.destroy());
}
