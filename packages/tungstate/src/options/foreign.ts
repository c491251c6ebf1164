/**
 * Options of other libraries, and what does the same here: the name of an option, and the text for
 * it.
 */
const FOREIGN: Readonly<Record<string, readonly (readonly [option: string, hint: string])[]>> = {
  // ws
  perMessageDeflate: [["compression", "use compression"]],
  maxPayload: [["maxMessageSize", "use maxMessageSize"]],
  verifyClient: [["authorize", "use authorize"]],
  handleProtocols: [["protocols", "use protocols, which may be a function"]],
  clientTracking: [["maxConnections", "connections of a server are always tracked: see its connections"]],
  noServer: [["maxConnections", "leave it out, and call handleUpgrade, attach or listen"]],
  followRedirects: [["maxRedirects", "use maxRedirects"]],
  agent: [["proxy", "use proxy, interface or localAddress"]],
  finishRequest: [["headers", "use headers"]],
  port: [["maxConnections", "give it to listen"]],
  host: [["maxConnections", "give it to listen"]],
  server: [["maxConnections", "use attach(server)"]],
  // Socket.IO, reconnecting-websocket
  pingInterval: [["heartbeat", "use heartbeat.interval"]],
  pingTimeout: [["heartbeat", "use heartbeat.timeout"]],
  maxHttpBufferSize: [["maxMessageSize", "use maxMessageSize"]],
  reconnectionDelay: [["backoff", "use backoff.initialDelay"]],
  reconnectionDelayMax: [["backoff", "use backoff.maxDelay"]],
  minReconnectionDelay: [["backoff", "use backoff.initialDelay"]],
  maxReconnectionDelay: [["backoff", "use backoff.maxDelay"]],
  connectionTimeout: [["handshakeTimeout", "use timeout for all steps, or connectTimeout and handshakeTimeout"]],
  maxEnqueuedMessages: [["outbox", "use outbox.size, in bytes"]],
  // node:tls, and the name that others give our option
  ...Object.fromEntries(
    [
      "rejectUnauthorized",
      "ca",
      "cert",
      "key",
      "pfx",
      "passphrase",
      "servername",
      "checkServerIdentity",
      "ciphers",
    ].map((name) => [name, [["tls", `use tls.${name}`]]] as const),
  ),
};

/**
 * Returns a hint for a well-known option of another library, where there is an option of ours for
 * it.
 */
export function foreignOption(name: string, ours: object): string | undefined {
  if (!Object.hasOwn(FOREIGN, name)) return undefined;
  return FOREIGN[name]?.find(([option]) => Object.hasOwn(ours, option))?.[1];
}
