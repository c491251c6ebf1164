import type { HttpApi } from "@tungstate/hub";
import type { FastifyInstance, FastifyReply, RawServerBase, RouteGenericInterface } from "fastify";
import type { IncomingMessage } from "node:http";

const MAX_BODY = 4 * 1024 * 1024; // bytes
const TOO_LONG = Symbol("a body that is too long");

type Reply<Server extends RawServerBase> = FastifyReply<RouteGenericInterface, Server>;

/** The hub's HTTP API as routes. It reads JSON as it came, whatever content type the request says. */
export function addApi<Server extends RawServerBase>(app: FastifyInstance<Server>, api: HttpApi): void {
  void app.register(async (part) => {
    part.removeAllContentTypeParsers();
    part.addContentTypeParser("*", (_request: unknown, payload: IncomingMessage) => bodyOf(payload));
    part.post<{ Params: { "*": string } }>("/api/*", async (request, reply) => {
      const { body } = request;
      if (body === TOO_LONG) {
        // what is left of it is not waited for
        return say(reply.header("connection", "close"), 413, `a body has at most ${MAX_BODY} bytes`);
      }
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true }).decode(body instanceof Buffer ? body : undefined);
      } catch {
        return say(reply, 400, "the body is not UTF-8");
      }
      const { status, headers, body: json } = await api(request.params["*"], text, request.headers);
      return reply.code(status).headers(headers).send(json);
    });
    part.route({
      method: ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"],
      url: "/api/*",
      handler: (_request, reply) => say(reply.header("allow", "POST"), 405, "only POST"),
    });
  });
}

async function bodyOf(payload: IncomingMessage): Promise<Buffer | typeof TOO_LONG> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of payload.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Buffer)) continue; // impossible: nobody sets an encoding
    size += chunk.length;
    if (size > MAX_BODY) return TOO_LONG;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function say<Server extends RawServerBase>(reply: Reply<Server>, status: number, text: string): Reply<Server> {
  return reply.code(status).type("text/plain; charset=utf-8").send(`${text}\n`);
}
