/** Returns the same pseudo-random numbers in each run, so that runs use the same data. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff);
}

/**
 * Returns JSON as sent by applications, truncated to `size` bytes: records of a few fields that are
 * similar but not equal.
 */
function json(size: number, seed: number): Buffer {
  const next = numbers(seed);
  let text = '{"channel":"market","items":[';
  while (text.length < size) {
    text += JSON.stringify({
      id: next() % 100_000,
      type: ["update", "insert", "delete"][next() % 3],
      user: `user-${next() % 1000}`,
      price: (next() % 100_000) / 100,
      ok: (next() & 4096) !== 0,
      ts: 1_760_000_000_000 + (next() % 1_000_000_000),
      tags: [`a${next() % 10}`, `b${next() % 10}`],
    });
    text += ",";
  }
  return Buffer.from(text.slice(0, size));
}

const WORDS =
  "the a to of and in is it you that for on are with as this have but not be at we they will what there can all when so if me my".split(
    " ",
  );

/** Returns a chat message: words in a JSON envelope. */
function chat(size: number, seed: number): Buffer {
  const next = numbers(seed);
  let text = `{"from":"user-${next() % 1000}","text":"`;
  while (text.length < size - 2) text += `${WORDS[next() % WORDS.length]} `;
  return Buffer.from(`${text.slice(0, Math.max(0, size - 2))}"}`);
}

/** Returns different chat messages. */
export function chats(size: number, count = 64): readonly Buffer[] {
  return Array.from({ length: count }, (_, index) => chat(size, 77 * index + 5));
}

/**
 * Returns different messages of one size. Repeating one message would train the branch predictor.
 */
export function payloads(size: number, count = size <= 4096 ? 64 : size <= 65_536 ? 8 : 2): readonly Buffer[] {
  return Array.from({ length: count }, (_, index) => json(size, 77 * index + 5));
}
