-- Read a record, and write a byte of it as it is, so that a WAIT behind it has something to wait for.
--
-- KEYS  1 the record
local row = redis.call('GET', KEYS[1])
if row then
    redis.call('SETRANGE', KEYS[1], 16, string.sub(row, 17, 17))
end
return row
