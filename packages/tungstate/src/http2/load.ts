import type * as Http2 from "node:http2";
import { connectError } from "../errors.ts";
import { platform } from "../native/platform.ts";

/**
 * Returns node:http2, which is loaded when it is needed for the first time. Throws NOT_SUPPORTED on
 * a runtime whose client has no extended CONNECT.
 */
export async function loadHttp2(): Promise<typeof Http2> {
  if (platform.name !== "Node.js") {
    const { name, version } = platform;
    const here = version === "" ? name : `${name} ${version}`;
    throw connectError(
      "NOT_SUPPORTED",
      `WebSocket over HTTP/2 needs extended CONNECT in node:http2, which ${here} lacks`,
    );
  }
  return await import("node:http2");
}
