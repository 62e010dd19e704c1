"""What all processes share: values in one Redis or Valkey, under leases and stamps.

Every value carries a stamp: the current token of everything, and that of its topic (a market, an
underlying). Deleting a token makes every value under it worthless at once; so do losing one to
eviction, and a restart of the server, whose run id is part of the first, also when it comes back
with values of yesterday. Deleting is all that an invalidation does, so that it works on a full
server too.

Whoever finds nothing gets a lease on the key, and may store what it then reads from the database
only while the lease stands. An invalidation deletes it, with whatever stands under the key: what
was read before a correction can never be stored after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from secrets import token_hex
from typing import Any

_LEASE = 5_000  # ms: longer than a query should take
_TOKEN_LIFE = 8 * 24 * 3600 * 1000  # ms: longer than any value lives

# KEYS: everything, topic, key, ...; ARGV: a new token, life of a lease, life of a token, the run id
# of the server, which the connection knows: asking for it here costs as much as all the rest.
# Answers the stamp, and for each key V and the value, W (another one has the lease), L (a lease for
# you) or M (nothing, and no room for a lease).
READ = """
local function token(key, prefix)
    local found = redis.call('GET', key)
    if found and string.sub(found, 1, #prefix) == prefix then return found end
    found = prefix .. ARGV[1]
    local done = redis.pcall('SET', key, found, 'PX', ARGV[3])
    return not done.err and found
end
local everything, topic = token(KEYS[1], ARGV[4]), token(KEYS[2], '')
local stamp = everything and topic and everything .. topic
local answer = {stamp or ''}
for i = 3, #KEYS do
    local found = stamp and redis.call('GET', KEYS[i])
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
"""

# KEYS: everything, topic, key, ...; ARGV: stamp, token, then life and value for each key; a life of
# 0 gives the lease back. Answers an error where there was no room.
STORE = """
local standing = (redis.call('GET', KEYS[1]) or '') .. (redis.call('GET', KEYS[2]) or '') == ARGV[1]
local full = false
for i = 3, #KEYS do
    if redis.call('GET', KEYS[i]) == 'L' .. ARGV[1] .. ARGV[2] then
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
"""


@dataclass(frozen=True, slots=True)
class Names:
    """How keys are called in Redis."""

    namespace: str

    @property
    def everything(self) -> str:
        """Name the token of all values."""
        return f"{self.namespace}:all"

    def topic(self, topic: Sequence[str]) -> str:
        """Name the token of a topic."""
        return f"{self.namespace}:t:{_joined(topic)}"

    def value(self, key: Sequence[object]) -> str:
        """Name a value."""
        return f"{self.namespace}:v:{_joined(key)}"

    def acknowledgement(self, nonce: str) -> str:
        """Name where a process says that it has heard another one begin to listen."""
        return f"{self.namespace}:ack:{nonce}"


@lru_cache(4096)
def _joined(parts: object) -> str:
    # with its length before each part, two different lists can never read the same
    if isinstance(parts, tuple):
        return "".join(f"({_joined(part)})" for part in parts)
    text = str(parts)
    return f"{len(text)}:{text}"


@dataclass(frozen=True, slots=True)
class Read:
    """Ask for values, with a lease on what is missing."""

    topic: str
    keys: tuple[str, ...]
    token: str

    @classmethod
    def of(cls, topic: str, keys: Sequence[str]) -> "Read":
        """Make one with a token of its own."""
        return cls(topic, tuple(keys), token_hex(16))

    def call(self, everything: str, run_id: bytes) -> tuple[list[str], list[Any]]:
        """Return the script's keys and arguments."""
        return [everything, self.topic, *self.keys], [self.token, _LEASE, _TOKEN_LIFE, run_id]


@dataclass(frozen=True, slots=True)
class Store:
    """Store values under leases; with None for a value, give its lease back."""

    read: Read
    stamp: bytes
    values: Mapping[str, tuple[int, bytes] | None]
    """Milliseconds to live, and the value."""

    def call(self, everything: str) -> tuple[list[str], list[Any]]:
        """Return the script's keys and arguments."""
        arguments: list[Any] = [self.stamp, self.read.token]
        for value in self.values.values():
            arguments += value if value is not None else (0, b"")
        return [everything, self.read.topic, *self.values], arguments
