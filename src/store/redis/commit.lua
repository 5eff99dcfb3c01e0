-- Compare and swap. The record, its place among the keys and its expiry are in one slot, so they change in one step.
--
-- KEYS  1 the record  2 the keys of the shard  3 the expiries of the shard
-- ARGV  1 this write: version and number, 16 bytes  2 the version it replaces, 8 bytes; empty for none
--       3 until when the record is kept, 8 bytes  4 the same in milliseconds  5 the least of it that will do, in seconds
--       6 expiry, index keys, payload  7 whether the index entries are written
--
-- Answers 0 for a conflict, 1 for done. If index entries have to be written first, 8 bytes: until when those of now are kept.
-- If some are out of date now that it is done, more: what the record said of them.
local write, body = ARGV[1], ARGV[6]
local old = redis.call('GETRANGE', KEYS[1], 0, 113)
if string.sub(old, 1, 8) ~= ARGV[2] then
    return 0
end

local key = string.sub(KEYS[1], -16)
local function expire()
    local expiry, before = string.sub(body, 1, 8), string.sub(old, 42, 49)
    if expiry ~= before then
        redis.call('ZREM', KEYS[3], before .. key)
        redis.call('ZADD', KEYS[3], 0, expiry .. key)
    end
end

-- No replica is known to have it yet.
write = write .. '\0'
local names = 16 * string.byte(body, 9)
local listing = string.sub(old, 18, 41)
if names > 0 and string.sub(old, 50, 50 + names) == string.sub(body, 9, 9 + names)
    and struct.unpack('>I8', listing) >= tonumber(ARGV[5]) then
    redis.call('SET', KEYS[1], write .. listing .. body, 'KEEPTTL')
    expire()
    return 1
end
if ARGV[7] == '0' then
    return string.sub(listing, 1, 8)
end
redis.call('SET', KEYS[1], write .. ARGV[3] .. ARGV[1] .. body)
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
expire()
if old ~= '' then
    return string.sub(old, 18, 50 + 16 * string.byte(old, 50))
end
redis.call('ZADD', KEYS[2], 0, key)

-- The first two whose records have ended by themselves, if there are any, make room for the one that comes. Two more anywhere:
-- the records of the first may be kept for long.
local now = redis.call('TIME')
local before = '(' .. struct.pack('>I8', now[1])
local anywhere = now[2] % math.min(1000, math.max(1, redis.call('ZLEXCOUNT', KEYS[3], '-', before) - 1))
for _, from in ipairs({ anywhere, 0 }) do
    for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '-', before, 'LIMIT', from, 2)) do
        local other = string.sub(member, 9)
        if redis.call('EXISTS', string.sub(KEYS[1], 1, -17) .. other) == 0 then
            redis.call('ZREM', KEYS[2], other)
            redis.call('ZREM', KEYS[3], member)
        end
    end
end
return 1
