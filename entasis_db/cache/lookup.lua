-- Looks up values and leases what is missing.
-- KEYS: the token of everything, the token of the topic, then one key for each value.
-- ARGV: a new token, the lifetime of a lease in ms, the lifetime of a token in ms, and the run id of
-- this server, which the connection knows: asking for it here costs as much as all the rest.
-- Returns the stamp, and for each value one of
--   V and the value;
--   W: another caller has the lease;
--   L: the caller has it now;
--   M: there is no value and no room for a lease.
local function get(key)
    -- a key may hold something that is no string
    local found = redis.pcall('GET', key)
    return type(found) == 'string' and found
end
local function token(key, prefix)
    local found = get(key)
    if found and string.sub(found, 1, #prefix) == prefix then return found end
    found = prefix .. ARGV[1]
    local done = redis.pcall('SET', key, found, 'PX', ARGV[3])
    return not done.err and found
end
local everything, topic = token(KEYS[1], ARGV[4]), token(KEYS[2], '')
local stamp = everything and topic and everything .. topic
local answer = {stamp or ''}
for i = 3, #KEYS do
    local found = stamp and get(KEYS[i])
    local said = 'M'
    if found and string.sub(found, 2, 1 + #stamp) == stamp then
        if string.sub(found, 1, 1) == 'V' then
            said = 'V' .. string.sub(found, 2 + #stamp)
        else
            said = 'W'
        end
    elseif stamp then
        local lease = 'L' .. stamp .. ARGV[1]
        if not redis.pcall('SET', KEYS[i], lease, 'PX', ARGV[2]).err then said = 'L' end
    end
    answer[i - 1] = said
end
return answer
