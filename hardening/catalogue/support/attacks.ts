// Frames of commands that are cheap for a client and made version 0.1 of the hub do much work.
// Inputs only: the tests check the results.

const LARGEST_FRAME = 65_000; // bytes; the hub accepts 65,536

/** As many lines as fit into a frame. */
export function fullFrame(line: string): string {
  return `${line}\n`.repeat(Math.floor(LARGEST_FRAME / (line.length + 1)));
}

/** Returns commands with ids from `from`, one on each line. */
function commands(count: number, from: number, command: (index: number) => object): string {
  return Array.from({ length: count }, (_, index) => JSON.stringify({ id: from + index, ...command(index) })).join(
    "\n",
  );
}

/** Lines that are not commands: version 0.1 answered each with an error. */
export const NO_COMMANDS: Readonly<Record<string, string>> = {
  "an unknown command": '{"id":1}',
  "an unknown method": '{"id":1,"nothing":{}}',
};

/** Lines that are answered with an error, or require no work. */
export const CHEAP_LINES: Readonly<Record<string, string>> = {
  "a ping": '{"id":1,"ping":{}}',
  "an answer to a ping": "{}",
  "a blank line": "",
  "an unsubscribe": '{"id":1,"unsubscribe":{"channel":"public:x"}}',
  "a call of no function": '{"id":1,"rpc":{"method":"x"}}',
};

/** Requests everything of a channel a hundred times: 5.7 KB. */
export const hundredHistories = (channel: string): string =>
  commands(100, 1000, () => ({ history: { channel, limit: 1000 } }));

export const hundredPresences = (channel: string): string => commands(100, 1000, () => ({ presence: { channel } }));

/** Subscriptions that are withdrawn immediately, repeatedly. */
export const comingsAndGoings = (channel: string, pairs: number): string =>
  commands(2 * pairs, 1000, (index) => ({ [index % 2 === 0 ? "subscribe" : "unsubscribe"]: { channel } }));

/** A small publication in a large frame. */
export const paddedPublication = (channel: string, id: number): string =>
  JSON.stringify({ id, publish: { channel, data: "0123456789abcdef" } }).padEnd(LARGEST_FRAME);

/** Publications to names that are used once. */
export const newNames = (count: number, from: number): string =>
  commands(count, 1000, (index) => ({ publish: { channel: `public:${from + index}`, data: 1 } }));
