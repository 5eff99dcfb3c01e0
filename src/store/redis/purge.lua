-- Delete the records of one shard that have expired. Answers how many expiries were gone through and how many of them had
-- a record still.
--
-- KEYS  1 the expiries of the shard  2 the keys of the shard
-- ARGV  1 what the names of its records begin with  2 the last expiry  3 how many at most
local due = redis.call('ZRANGEBYLEX', KEYS[1], '-', ARGV[2], 'LIMIT', 0, ARGV[3])
local deleted = 0
for _, member in ipairs(due) do
    local key = string.sub(member, 9)
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[2], key)
    deleted = deleted + redis.call('DEL', ARGV[1] .. key)
end
return { #due, deleted }
