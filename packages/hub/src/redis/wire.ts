import type { ClientInfo, NewPublication, Position, Publication } from "../broker/broker.ts";
import type { JsonText } from "../json/json.ts";

/** The header of a publication. Absent fields are omitted. */
interface Header {
  readonly i?: ClientInfo;
  readonly t?: Readonly<Record<string, string>>;
  /** The trace context of the publisher. */
  readonly c?: Readonly<Record<string, string>>;
}

/** Header fields of a trace context. */
export type TraceContext = Readonly<Record<string, string>>;

/** Returns the stored form of a publication: length of the header in UTF-16 units, header, data. */
export function encodeBody(publication: NewPublication, trace: TraceContext | undefined): string {
  const { data, info, tags } = publication;
  if (info === undefined && tags === undefined && trace === undefined) return `0|${data}`;
  const header = JSON.stringify({ i: info, t: tags, c: trace });
  return `${header.length}|${header}${data}`;
}

interface Body {
  readonly data: JsonText;
  readonly header: Header | undefined;
}

function decodeBody(text: string, from: number): Body {
  const bar = text.indexOf("|", from);
  const length = Number(text.slice(from, bar));
  if (bar < 0 || !Number.isInteger(length)) throw new SyntaxError("not a publication of this version");
  if (length === 0) return { data: text.slice(bar + 1), header: undefined };
  const end = bar + 1 + length;
  return { data: text.slice(end), header: JSON.parse(text.slice(bar + 1, end)) as Header };
}

function publicationOf({ data, header }: Body, offset: number): Publication {
  if (header === undefined) return { data, offset };
  const { i: info, t: tags } = header;
  return {
    data,
    offset,
    ...(info === undefined ? {} : { info }),
    ...(tags === undefined ? {} : { tags }),
  };
}

/** A message in the pub/sub channel of a channel. */
export type ChannelMessage =
  | {
      readonly type: "publication";
      readonly publication: Publication;
      readonly epoch: string;
      readonly trace: TraceContext | undefined;
    }
  | { readonly type: "join"; readonly info: ClientInfo }
  | { readonly type: "leave"; readonly info: ClientInfo };

const PUBLICATION = 0x70; // p, as the script writes it
const JOIN = 0x6a; // j
const LEAVE = 0x6c; // l

export function encodeComing(type: "join" | "leave", info: ClientInfo): string {
  return `${type === "join" ? "j" : "l"}${JSON.stringify(info)}`;
}

/** Throws a SyntaxError: not a message of this version. */
export function decodeMessage(message: string): ChannelMessage {
  switch (message.charCodeAt(0)) {
    case PUBLICATION: {
      const colon = message.indexOf(":");
      const second = message.indexOf(":", colon + 1);
      const offset = Number(message.slice(1, colon));
      if (second < 0 || !Number.isSafeInteger(offset)) throw new SyntaxError("not a publication of this version");
      const body = decodeBody(message, second + 1);
      const epoch = message.slice(colon + 1, second);
      return { type: "publication", publication: publicationOf(body, offset), epoch, trace: body.header?.c };
    }
    case JOIN:
      return { type: "join", info: JSON.parse(message.slice(1)) as ClientInfo };
    case LEAVE:
      return { type: "leave", info: JSON.parse(message.slice(1)) as ClientInfo };
    default:
      throw new SyntaxError("not a message of this version");
  }
}

/** An entry of a stream: its id is `offset-0`, its one field has the body. */
export function decodeEntry(entry: unknown): Publication {
  const [id, fields] = entry as readonly [string, readonly string[]];
  return publicationOf(decodeBody(fields[1] ?? "", 0), Number.parseInt(id, 10));
}

/** Epochs and offsets, separated by blanks, newest first. */
export function decodeEarlier(text: string): Position[] {
  const words = text.split(" ");
  const earlier: Position[] = [];
  for (let i = 0; i + 1 < words.length; i += 2) {
    const [epoch = "", offset = ""] = words.slice(i, i + 2);
    if (epoch !== "" && /^\d+$/.test(offset)) earlier.push({ epoch, offset: Number(offset) });
  }
  return earlier;
}

/** A client in the presence store: the length of the user in bytes, the user, everything. */
export function encodePresent(info: ClientInfo): string {
  return `${Buffer.byteLength(info.user)}:${info.user}${JSON.stringify(info)}`;
}

export function decodePresent(value: string): ClientInfo {
  // the user may have braces and colons in it, so its length is what tells where it ends
  const bytes = Buffer.from(value);
  const colon = bytes.indexOf(":");
  const length = Number(bytes.toString("latin1", 0, colon));
  return JSON.parse(bytes.toString("utf8", colon + 1 + length)) as ClientInfo;
}
