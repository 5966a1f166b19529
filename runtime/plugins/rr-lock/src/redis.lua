-- One resource's locks and queue, in a hash: fields "h" and "w" before the tickets of those who hold and wait, with
-- {until, shared, id, token or place}. Times are microseconds of the server's clock.
-- KEYS: the hash, the counter. ARGV: channel, operation, then what it takes.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local key, counter, channel, operation = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local holders, waiters, held, latest = {}, {}, 0, 0

local function text(number)
    return string.format('%.0f', number)
end

local all = redis.call('HGETALL', key)
for at = 1, #all, 2 do
    local ticket, entry = all[at]:sub(2), cmsgpack.unpack(all[at + 1])
    latest = math.max(latest, entry[4])
    if entry[1] <= now then
        redis.call('HDEL', key, all[at])
    elseif all[at]:sub(1, 1) == 'h' then
        holders[ticket] = entry
        held = held + 1
    else
        waiters[ticket] = entry
    end
end

-- Greater than every number before, also after a restart that has lost the counter.
local function number()
    local last = tonumber(redis.call('GET', counter) or '0')
    local next = math.max(last + 1, now, latest + 1)
    redis.call('SET', counter, text(next))
    return next
end

-- Whether an id is one of the readers; the only one may become the writer.
local function reads(id)
    if id == '' then return false end
    for _, entry in pairs(holders) do
        if not entry[2] then return false end
        if entry[3] == id then return true end
    end
    return false
end

local function admits(id, shared)
    if held == 0 then return true end
    for _, entry in pairs(holders) do
        if not entry[2] then return false end
    end
    return shared or (held == 1 and reads(id))
end

-- Who is next: a reader that wants to write, else who came first.
local function first()
    local best, found
    for ticket, entry in pairs(waiters) do
        local place = entry[4]
        if not entry[2] and reads(entry[3]) then place = place - 2 ^ 52 end
        if not best or place < best then best, found = place, ticket end
    end
    return found
end

-- Whoever is next asks again, and learns until when it has to wait.
local function tell()
    local ticket = first()
    if ticket then redis.call('PUBLISH', channel, ticket) end
end

-- The hash lasts as long as anything in it.
local function keep()
    local last = 0
    for _, entry in pairs(holders) do last = math.max(last, entry[1]) end
    for _, entry in pairs(waiters) do last = math.max(last, entry[1]) end
    if last > 0 then redis.call('PEXPIRE', key, text(math.ceil((last - now) / 1000) + 1000)) end
end

-- Tickets of those who hold it, by a ticket, an id, or all; with ids the latest is last.
local function matching(mode, value)
    local found = {}
    for ticket, entry in pairs(holders) do
        if mode == 'all' or (mode == 'ticket' and ticket == value) or (mode == 'id' and entry[3] == value) then
            found[#found + 1] = ticket
        end
    end
    table.sort(found, function(a, b) return holders[a][4] < holders[b][4] end)
    return found
end

if operation == 'attempt' then
    local ticket, id, shared = ARGV[3], ARGV[4], ARGV[5] == '1'
    local ttl, stay = tonumber(ARGV[6]), tonumber(ARGV[7])
    if holders[ticket] then return { 1, text(holders[ticket][4]) } end
    local waits = waiters[ticket]
    local ahead = first()
    local may = ahead == nil or ahead == ticket or (not shared and reads(id))
    if may and admits(id, shared) then
        if not shared and held > 0 then
            for reader in pairs(holders) do redis.call('HDEL', key, 'h' .. reader) end
            holders = {}
        end
        if waits then
            redis.call('HDEL', key, 'w' .. ticket)
            waiters[ticket] = nil
        end
        holders[ticket] = { now + ttl, shared, id, number() }
        held = held + 1
        redis.call('HSET', key, 'h' .. ticket, cmsgpack.pack(holders[ticket]))
        keep()
        tell()
        return { 1, text(holders[ticket][4]) }
    end
    if stay > 0 then
        waiters[ticket] = { now + stay, shared, id, waits and waits[4] or number() }
        redis.call('HSET', key, 'w' .. ticket, cmsgpack.pack(waiters[ticket]))
        keep()
    end
    -- When the next lock expires, for who is next then.
    local soonest = -1
    if first() == ticket then
        for _, entry in pairs(holders) do
            if soonest < 0 or entry[1] - now < soonest then soonest = entry[1] - now end
        end
    end
    return { 0, text(soonest) }
end

local found = matching(ARGV[3], ARGV[4])
if operation == 'release' then
    if ARGV[3] == 'id' and #found > 1 then found = { found[#found] } end
    for _, ticket in ipairs(found) do
        redis.call('HDEL', key, 'h' .. ticket)
        holders[ticket] = nil
        held = held - 1
    end
    if ARGV[3] == 'ticket' and waiters[ARGV[4]] then
        redis.call('HDEL', key, 'w' .. ARGV[4])
        waiters[ARGV[4]] = nil
    end
    tell()
    return { #found > 0 and 1 or 0, '0' }
elseif operation == 'extend' then
    for _, ticket in ipairs(found) do
        holders[ticket][1] = now + tonumber(ARGV[5])
        redis.call('HSET', key, 'h' .. ticket, cmsgpack.pack(holders[ticket]))
    end
    keep()
    tell()
    return { #found > 0 and 1 or 0, '0' }
end
local left = 0
for _, ticket in ipairs(found) do left = math.max(left, holders[ticket][1] - now) end
return { #found > 0 and 1 or 0, text(left) }
