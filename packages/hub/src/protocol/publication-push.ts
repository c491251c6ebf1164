import type { Publication } from "../broker/broker.ts";
import { SharedMessage, type WhenFull } from "../output/connection.ts";
import type { JsonText } from "../json/json.ts";
import { channelPush, publicationJson } from "./encode.ts";
import { createDelta } from "./fossil-delta.ts";

/** How the publications of a channel leave. */
export interface PushOptions {
  /** The channel's name, serialised. */
  readonly channel: JsonText;
  readonly whenFull: WhenFull;
  /** Start of the keys of this channel's messages where they are conflated. */
  readonly keyPrefix: string;
  /** The tag whose value tells which publications replace each other. */
  readonly conflateBy: string;
}

/** What a delta is the difference to. */
export class DeltaBase {
  readonly offset: number;
  readonly data: JsonText;
  private encoded: Uint8Array | undefined;

  constructor(publication: Publication) {
    this.offset = publication.offset;
    this.data = publication.data;
  }

  get bytes(): Uint8Array {
    return (this.encoded ??= Buffer.from(this.data));
  }
}

/**
 * One publication for the subscribers of a node. Each variant is serialised when a subscriber needs
 * it.
 */
export class PublicationPush {
  readonly publication: Publication;
  private readonly options: PushOptions;
  private readonly base: DeltaBase | undefined;
  private plainMessage: SharedMessage | undefined;
  private fullMessage: SharedMessage | undefined;
  private deltaMessage: SharedMessage | undefined;

  /** `base`: the publication before this one, where deltas to it are wanted. */
  constructor(publication: Publication, options: PushOptions, base: DeltaBase | undefined) {
    this.publication = publication;
    this.options = options;
    this.base = base;
  }

  /** For subscribers without deltas. */
  get plain(): SharedMessage {
    return (this.plainMessage ??= this.message(publicationJson(this.publication)));
  }

  /** For those with deltas, at the start of a chain: all of the data, as a string. */
  get full(): SharedMessage {
    return (this.fullMessage ??= this.message(wholeJson(this.publication)));
  }

  /** For those with deltas who have the publication with the offset `has`. */
  deltaTo(has: number): SharedMessage {
    if (this.base === undefined || this.base.offset !== has) return this.full;
    return (this.deltaMessage ??= this.makeDelta(this.base));
  }

  private makeDelta(base: DeltaBase): SharedMessage {
    const { publication } = this;
    const data = Buffer.from(publication.data);
    const delta = createDelta(base.bytes, data);
    if (Buffer.byteLength(delta) >= data.length) return this.full;
    return this.message(publicationJson(publication, JSON.stringify(delta), true));
  }

  private message(publication: JsonText): SharedMessage {
    const { channel, whenFull, keyPrefix, conflateBy } = this.options;
    const key = whenFull === "conflate" ? keyPrefix + (this.publication.tags?.[conflateBy] ?? "") : "";
    return new SharedMessage(channelPush(channel, "pub", publication), whenFull, key);
  }
}

/** A publication for a subscriber with deltas, all of its data in a string. */
export function wholeJson(publication: Publication): JsonText {
  return publicationJson(publication, JSON.stringify(publication.data));
}
