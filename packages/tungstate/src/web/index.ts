export { type BinaryType, WebSocket, type WebSocketEventMap } from "./websocket.ts";
export { WebSocketStream, type WebSocketOpenInfo, type WebSocketStreamOptions } from "./websocket-stream.ts";
export { type WebSocketCloseInfo, WebSocketError } from "./websocket-error.ts";
export { CloseEvent, type CloseEventInit, MessageEvent, type MessageEventInit } from "./events.ts";
export { type ReadyState } from "./link.ts";
export { type WebConnectOptions } from "./options.ts";
