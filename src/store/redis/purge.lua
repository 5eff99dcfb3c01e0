-- Delete the records of one shard that have expired. Answers how many expiries were gone through and how many of them had
-- a record still.
--
-- KEYS  1 the expiries of the shard  2 the keys of the shard
-- ARGV  1 what the names of its records begin with  2 the last expiry  3 how many at most
local due = redis.call('ZRANGEBYLEX', KEYS[1], '-', ARGV[2], 'LIMIT', 0, ARGV[3])
local deleted = 0
for _, member in ipairs(due) do
    local key, expiry = string.sub(member, 9), string.sub(member, 1, 8)
    -- The record may have ended by itself, and another may be there now. It is asked for first: in a Cluster that fails while
    -- its slot moves, and then nothing is changed.
    local now = redis.call('GETRANGE', ARGV[1] .. key, 41, 48)
    if now == '' or now == expiry then
        deleted = deleted + redis.call('DEL', ARGV[1] .. key)
        redis.call('ZREM', KEYS[2], key)
    end
    redis.call('ZREM', KEYS[1], member)
end
return { #due, deleted }
