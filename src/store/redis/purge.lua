-- Delete the records of one shard that have expired. Answers how many expiries were gone through, and, one after the other, the
-- key of each record that was deleted and what it said of its index entries.
--
-- KEYS  1 the expiries of the shard  2 the keys of the shard
-- ARGV  1 what the names of its records begin with  2 the last expiry  3 how many at most
local due = redis.call('ZRANGEBYLEX', KEYS[1], '-', ARGV[2], 'LIMIT', 0, ARGV[3])
local deleted = {}
for _, member in ipairs(due) do
    local key, expiry = string.sub(member, 9), string.sub(member, 1, 8)
    -- The record may have ended by itself, and another may be there now. It is asked for first: in a Cluster that fails while
    -- its slot moves, and then nothing is changed.
    local row = redis.call('GETRANGE', ARGV[1] .. key, 17, 113)
    if row == '' or string.sub(row, 25, 32) == expiry then
        redis.call('DEL', ARGV[1] .. key)
        redis.call('ZREM', KEYS[2], key)
        if row ~= '' then
            table.insert(deleted, key)
            table.insert(deleted, string.sub(row, 1, 33 + 16 * string.byte(row, 33)))
        end
    end
    redis.call('ZREM', KEYS[1], member)
end
return { #due, deleted }
