import { createHash } from "node:crypto";
import { FRAMING_BYTES } from "../broker/broker.ts";

/**
 * Returns the id of the dataset from `INFO replication`. It changes after a restart and after the
 * promotion of a replica, when the newest writes may be lost. "" if INFO is not allowed.
 */
const DATASET = `
local info = redis.pcall('INFO', 'replication')
local dataset = type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
`;

/**
 * Publishes a batch. Each publication is numbered, stored and published atomically.
 *
 * KEYS of each: meta, stream, idempotency key (or meta again). ARGV: PUBLISH or SPUBLISH, a new
 * epoch, then of each: channel, body, history size ("0": not kept), history TTL, meta TTL,
 * idempotency TTL ("": no key). Times in ms. Replies with three values for each: offset, epoch, 1
 * for a duplicate; or 0, the error, -1. An error of one does not affect the others, and a
 * publication that its stream refuses takes no number.
 *
 * The meta hash contains the epoch (e), the newest offset (o), the dataset of the last write (r),
 * and earlier epochs with the offset up to which their positions are valid (l). If the dataset has
 * changed, publications that a client has received may be missing, and their offsets would be used
 * again. The epoch then changes, and positions up to the newest offset remain valid. Without
 * permission for INFO (''), the epoch and the dataset do not change.
 */
const PUBLISH = `${DATASET}
local verb, candidate = ARGV[1], ARGV[2]
local function publish(i)
  local meta, stream, idempotency = KEYS[3 * i + 1], KEYS[3 * i + 2], KEYS[3 * i + 3]
  local a = 6 * i + 2
  local channel, body, size, ttl, metaTtl, idempotencyTtl =
    ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5], ARGV[a + 6]
  local offset, epoch = 0, ''
  local known = idempotencyTtl ~= '' and redis.call('GET', idempotency)
  if known then
    local first, rest = string.match(known, '^(%d+):(.*)$')
    return tonumber(first), rest, 1
  end
  if size ~= '0' then
    local is = redis.call('HMGET', meta, 'e', 'r')
    epoch = is[1]
    if not epoch then
      epoch = candidate
      redis.call('HSET', meta, 'e', epoch, 'r', dataset)
      redis.call('DEL', stream)
    elseif dataset ~= '' and is[2] ~= dataset then
      local was = redis.call('HMGET', meta, 'o', 'l')
      local earlier = epoch .. ' ' .. (was[1] or '0') .. (was[2] and ' ' .. was[2] or '')
      epoch = candidate
      redis.call('HSET', meta, 'e', epoch, 'r', dataset, 'l', string.sub(earlier, 1, 400))
    end
    offset = redis.call('HINCRBY', meta, 'o', 1)
    local added = redis.pcall('XADD', stream, 'MAXLEN', size, offset, 'p', body)
    if type(added) == 'table' then
      redis.pcall('HINCRBY', meta, 'o', -1) -- its number is the next one's
      error(added)
    end
    redis.call('PEXPIRE', stream, ttl)
    redis.call('PEXPIRE', meta, metaTtl)
  end
  if idempotencyTtl ~= '' then
    redis.call('SET', idempotency, offset .. ':' .. epoch, 'PX', idempotencyTtl)
  end
  redis.call(verb, channel, 'p' .. offset .. ':' .. epoch .. ':' .. body)
  return offset, epoch, 0
end
local reply = {}
for i = 0, #KEYS / 3 - 1 do
  local done, offset, epoch, duplicate = pcall(publish, i)
  if not done then
    -- an error is a table from Redis 7 on, before it is text
    offset, epoch, duplicate = 0, type(offset) == 'table' and tostring(offset.err) or tostring(offset), -1
  end
  reply[3 * i + 1], reply[3 * i + 2], reply[3 * i + 3] = offset, epoch, duplicate
end
return reply
`;

/** Publications that a script reads from a stream at a time. */
const ENTRIES_AT_ONCE = 16;

/**
 * Reads a stream. KEYS: meta, stream. ARGV: a new epoch, first id, last id, limit ("0": none, "-1":
 * all), XRANGE or XREVRANGE, TTL of the meta and its TTL where there was never a publication, ms,
 * the most bytes. Replies with epoch, top, earlier epochs, entries.
 *
 * The script reads a few entries at a time, so that it does not read much more than a page.
 */
const HISTORY = `
local meta, stream = KEYS[1], KEYS[2]
local candidate, from, to, limit, verb, ttl, emptyTtl, most = unpack(ARGV)
local is = redis.call('HMGET', meta, 'e', 'o', 'l')
local epoch, top, earlier = is[1], tonumber(is[2] or 0), is[3] or ''
if not epoch then
  ${DATASET}
  epoch, top, earlier = candidate, 0, ''
  redis.call('DEL', meta, stream)
  redis.call('HSET', meta, 'e', epoch, 'o', 0, 'r', dataset)
end
ttl = tonumber(ttl)
if top == 0 then ttl = math.min(ttl, tonumber(emptyTtl)) end
if redis.call('PTTL', meta) < ttl then redis.call('PEXPIRE', meta, ttl) end
local entries, bytes = {}, 0
limit, most = tonumber(limit), tonumber(most)
while limit ~= 0 do
  local count = ${ENTRIES_AT_ONCE}
  if limit > 0 and limit < count then count = limit end
  local part = redis.call(verb, stream, from, to, 'COUNT', count)
  for _, entry in ipairs(part) do
    bytes = bytes + #entry[2][2] + ${FRAMING_BYTES}
    if bytes > most and #entries > 0 then return {epoch, top, earlier, entries} end
    entries[#entries + 1] = entry
  end
  if #part < count then break end
  if limit > 0 then limit = limit - count end
  local last = tonumber(string.match(part[count][1], '^%d+'))
  if verb == 'XRANGE' then
    from = string.format('%.0f', last + 1)
  else
    if last <= 1 then break end
    from = string.format('%.0f', last - 1)
  end
end
return {epoch, top, earlier, entries}
`;

/**
 * KEYS: the sorted set of expiries, the hash of values, the hash of users' counts. Values begin
 * with the length of the user in bytes.
 */
const PRESENCE = `
local expiries, values, users = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function userOf(value)
  local length, from = string.match(value, '^(%d+):()')
  return string.sub(value, from, from + length - 1)
end
local function drop(client)
  local value = redis.call('HGET', values, client)
  redis.call('ZREM', expiries, client)
  if not value then return end
  redis.call('HDEL', values, client)
  local user = userOf(value)
  if redis.call('HINCRBY', users, user, -1) <= 0 then redis.call('HDEL', users, user) end
end
for _, client in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now)) do drop(client) end
`;

/**
 * Writes presence. ARGV: TTL in ms, then for each client its id and its value; "" removes it. One
 * script for all writes keeps their order, even if a server has to load the script first.
 */
const PRESENCE_WRITE = `${PRESENCE}
local ttl = tonumber(ARGV[1])
local added = false
for i = 2, #ARGV, 2 do
  local client, value = ARGV[i], ARGV[i + 1]
  if value == '' then
    drop(client)
  else
    added = true
    local was = redis.call('HGET', values, client)
    if was ~= value then
      if was then drop(client) end
      redis.call('HSET', values, client, value)
      redis.call('HINCRBY', users, userOf(value), 1)
    end
    redis.call('ZADD', expiries, now + ttl, client)
  end
end
if added then
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ttl + 1000) end
end
return 1
`;

/**
 * Reads presence. ARGV: "clients", a cursor of HSCAN and how many, for some clients with their
 * values; or "stats" for how many clients and users.
 */
const PRESENCE_READ = `${PRESENCE}
if ARGV[1] == 'clients' then return redis.call('HSCAN', values, ARGV[2], 'COUNT', ARGV[3]) end
return {redis.call('HLEN', values), redis.call('HLEN', users)}
`;

/**
 * Updates the last use of channels. KEYS: the sorted set of a namespace's channels, by time. ARGV:
 * the maximum number of channels, the TTL of the set in ms, channels. Removes channels above the
 * maximum from the set, those used longest ago first and about two for each update, and replies
 * with them. If Redis is full, it updates nothing, and still removes channels.
 */
const NOTE_CHANNELS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local watched = tonumber(ARGV[3])
for i = 5, #ARGV, 2 do
  local kind, score = ARGV[i - 1], now
  if kind == 'watched' then score = watched + now end
  if kind == 'used' then
    local known = redis.pcall('ZSCORE', KEYS[1], ARGV[i])
    if type(known) == 'string' and tonumber(known) >= watched then score = watched + now end
  end
  redis.pcall('ZADD', KEYS[1], score, ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local unsure = redis.call('ZRANGEBYSCORE', KEYS[1], watched, watched + now - 3600000, 'LIMIT', 0, 2)
for i = 1, #unsure do redis.call('ZADD', KEYS[1], watched + now, unsure[i]) end
local oldest = {}
local excess = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3]) - tonumber(ARGV[1])
if excess > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[1], math.min(excess, 2 * #ARGV))
  for i = 1, #popped, 2 do oldest[#oldest + 1] = popped[i] end
end
return {oldest, unsure}
`;

/** A Lua script, called by its hash. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

export const SCRIPTS = {
  publish: script(PUBLISH),
  history: script(HISTORY),
  presenceWrite: script(PRESENCE_WRITE),
  presenceRead: script(PRESENCE_READ),
  noteChannels: script(NOTE_CHANNELS),
} as const satisfies Record<string, Script>;
