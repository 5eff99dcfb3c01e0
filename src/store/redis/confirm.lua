-- Note how many replicas have a record, unless it has been replaced.
--
-- KEYS  1 the record
-- ARGV  1 the write, 16 bytes  2 how many replicas have it, 1 byte
if redis.call('GETRANGE', KEYS[1], 0, 15) == ARGV[1] then
    redis.call('SETRANGE', KEYS[1], 16, ARGV[2])
end
return 1
