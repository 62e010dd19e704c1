"""What keys are called in Redis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class KeyNames:
    """Names of one namespace: those of one database's entries."""

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

    def acknowledgement(self, greeting: str) -> str:
        """Name where a process acknowledges the greeting of one that has begun to listen."""
        return f"{self.namespace}:ack:{greeting}"


@lru_cache(4096)
def _joined(parts: object) -> str:
    # each part follows its length, so that no two different lists have one name
    if isinstance(parts, tuple):
        return "".join(f"({_joined(part)})" for part in parts)
    text = str(parts)
    return f"{len(text)}:{text}"
