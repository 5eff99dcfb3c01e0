-- Write an index entry, and let go of a few that have ended.
--
-- KEYS  1 the entries of an index key
-- ARGV  1 the entry; its first 8 bytes say until when it is kept
redis.call('ZADD', KEYS[1], 0, ARGV[1])
local now = struct.pack('>I8', redis.call('TIME')[1])
local ended = redis.call('ZRANGEBYLEX', KEYS[1], '-', '(' .. now, 'LIMIT', 0, 16)
if #ended > 0 then
    redis.call('ZREM', KEYS[1], unpack(ended))
end
local last = redis.call('ZREVRANGEBYLEX', KEYS[1], '+', '-', 'LIMIT', 0, 1)[1]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', 1000 * struct.unpack('>I8', last)))
return 1
