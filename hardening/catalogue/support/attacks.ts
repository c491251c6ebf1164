// Frames of commands that cost a client little and made version 0.1 of the hub do much. Inputs alone: who sends them judges what becomes of them.

const LARGEST_FRAME = 65_000; // bytes: the hub takes 65,536

/** As many lines as a frame holds. */
export function fullFrame(line: string): string {
  return `${line}\n`.repeat(Math.floor(LARGEST_FRAME / (line.length + 1)));
}

/** Commands with ids from `from` on, a line each. */
function commands(count: number, from: number, command: (index: number) => object): string {
  return Array.from({ length: count }, (_, index) => JSON.stringify({ id: from + index, ...command(index) })).join(
    "\n",
  );
}

/** Lines that are no command: version 0.1 answered each with an error. */
export const NO_COMMANDS: Readonly<Record<string, string>> = {
  "an unknown command": '{"id":1}',
  "an unknown method": '{"id":1,"nothing":{}}',
};

/** Lines that are answered with an error, or with nothing to do. */
export const CHEAP_LINES: Readonly<Record<string, string>> = {
  "a ping": '{"id":1,"ping":{}}',
  "an answer to a ping": "{}",
  "a blank line": "",
  "an unsubscribe": '{"id":1,"unsubscribe":{"channel":"public:x"}}',
  "a call of no function": '{"id":1,"rpc":{"method":"x"}}',
};

/** A hundred times everything that a channel has: 5.7 KB. */
export const hundredHistories = (channel: string): string =>
  commands(100, 1000, () => ({ history: { channel, limit: 1000 } }));

export const hundredPresences = (channel: string): string => commands(100, 1000, () => ({ presence: { channel } }));

/** A subscription that is taken back at once, again and again. */
export const comingsAndGoings = (channel: string, pairs: number): string =>
  commands(2 * pairs, 1000, (index) => ({ [index % 2 === 0 ? "subscribe" : "unsubscribe"]: { channel } }));

/** A publication of a few bytes in a frame of many. */
export const paddedPublication = (channel: string, id: number): string =>
  JSON.stringify({ id, publish: { channel, data: "0123456789abcdef" } }).padEnd(LARGEST_FRAME);

/** A publication each to names that nobody uses again. */
export const newNames = (count: number, from: number): string =>
  commands(count, 1000, (index) => ({ publish: { channel: `public:${from + index}`, data: 1 } }));
