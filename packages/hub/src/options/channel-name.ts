/**
 * Control characters, and halves of surrogate pairs, which have no UTF-8 and so no place in a
 * store.
 */
const UNFIT = /[\p{Cc}\p{Cs}]/u;

/** What is wrong with the name of a channel; undefined: nothing. `maxLength` in bytes of UTF-8. */
export function channelNameFault(name: string, maxLength: number): string | undefined {
  if (name === "") return "the channel is missing";
  if (name.length > maxLength || Buffer.byteLength(name) > maxLength) {
    return `the channel's name has more than ${maxLength} bytes`;
  }
  if (UNFIT.test(name)) return "the channel's name has a control character or half a surrogate pair in it";
  return undefined;
}

/** The namespace of a channel: what stands before the first colon; "" if there is none. */
export function namespaceOf(channel: string): string {
  const colon = channel.indexOf(":");
  return colon < 0 ? "" : channel.slice(0, colon);
}
