import type { IncomingMessage } from "node:http";
import { acceptValue } from "@tungstate/protocol";
import { sha1 } from "tungstate/internal";
import { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import { type Extensions, parse } from "../handshake/extension.ts";

/** The request of the client. */
interface Wanted {
  readonly key: string;
  readonly protocols: readonly string[];
  readonly deflate: PerMessageDeflate | undefined;
}

/** The negotiated subprotocol and extension. */
interface Agreed {
  readonly protocol: string;
  readonly extension: PerMessageDeflate | undefined;
}

const INVALID_EXTENSIONS = "Invalid Sec-WebSocket-Extensions header";

/**
 * Checks the response of a server (RFC 6455 §4.1). Returns the negotiated subprotocol and
 * extension, or an error message.
 */
export function checkResponse({ headers }: IncomingMessage, wanted: Wanted): Agreed | string {
  if (headers.upgrade?.toLowerCase() !== "websocket") return "Invalid Upgrade header";
  if (headers["sec-websocket-accept"] !== acceptValue(wanted.key, sha1)) return "Invalid Sec-WebSocket-Accept header";
  const protocol = headers["sec-websocket-protocol"];
  if (protocol === undefined) {
    if (wanted.protocols.length > 0) return "Server sent no subprotocol";
  } else if (wanted.protocols.length === 0) return "Server sent a subprotocol but none was requested";
  else if (!wanted.protocols.includes(protocol)) return "Server sent an invalid subprotocol";
  const extensions = headers["sec-websocket-extensions"];
  if (extensions === undefined) return { protocol: protocol ?? "", extension: undefined };
  if (wanted.deflate === undefined) {
    return "Server sent a Sec-WebSocket-Extensions header but no extension was requested";
  }
  const fault = acceptExtensions(extensions, wanted.deflate);
  return fault ?? { protocol: protocol ?? "", extension: wanted.deflate };
}

function acceptExtensions(field: string, deflate: PerMessageDeflate): string | undefined {
  const { extensionName } = PerMessageDeflate;
  let extensions: Extensions;
  try {
    extensions = parse(field);
  } catch {
    return INVALID_EXTENSIONS;
  }
  const configurations = extensions[extensionName];
  if (configurations === undefined || Object.keys(extensions).length !== 1) {
    return "Server indicated an extension that was not requested";
  }
  try {
    deflate.accept(configurations);
  } catch {
    return INVALID_EXTENSIONS;
  }
  return undefined;
}
