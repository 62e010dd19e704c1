-- Stores values whose leases still stand, and gives leases back.
-- KEYS: the token of everything, the token of the topic, then one key for each value.
-- ARGV: the stamp and the token of the lookup, then a lifetime in ms and a value for each key; a
-- lifetime of 0 gives the lease back.
-- Returns OK, or an error where there was no room.
local function get(key)
    local found = redis.pcall('GET', key)
    return type(found) == 'string' and found or ''
end
local standing = get(KEYS[1]) .. get(KEYS[2]) == ARGV[1]
local full = false
for i = 3, #KEYS do
    if get(KEYS[i]) == 'L' .. ARGV[1] .. ARGV[2] then
        local life, value = ARGV[2 * i - 3], ARGV[2 * i - 2]
        local done = {}
        if standing and life ~= '0' then
            done = redis.pcall('SET', KEYS[i], 'V' .. ARGV[1] .. value, 'PX', life)
        end
        if done.err or not standing or life == '0' then redis.call('DEL', KEYS[i]) end
        full = full or done.err
    end
end
return full or 'OK'
