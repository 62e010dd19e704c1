#!/usr/bin/env python3
"""Refuse a commit whose subject is not an imperative below 72 characters: a commit-msg hook.

It is given the file of the message. What it takes for an imperative is a guess by the first word: a
capital, none of the words that a sentence about the change begins with, no ending of another form.
"""

import re
import sys
from pathlib import Path

LIMIT = 72
# made by git, and folded into other commits before they are shared
_MADE_BY_GIT = re.compile(r"(fixup|squash|amend)! |Merge |Revert ")
_SCISSORS = re.compile(r"^. -+ >8 -+")
_NOT_A_VERB = re.compile(
    "A|An|The|This|That|These|Those|It|We|I|You|There|What|When|Where|Why|How|Some|All|Both|Each|Every"
    "|No|Not|One|Two|Three|Many|More|Now|Also|And|But|For|From|In|Of|On|To|With|Without"
)
_OTHER_FORM = re.compile(r"\w+(ed|ing|[^s]s)", re.IGNORECASE)
_IMPERATIVE = re.compile(  # though it ends like another form
    "bring|embed|exceed|feed|focus|need|proceed|seed|shed|speed|string|succeed|swing", re.IGNORECASE
)


def fault(message: str) -> str | None:
    """Return what is wrong with the subject of a commit message; None when nothing is."""
    lines = []
    for line in message.splitlines():
        if _SCISSORS.match(line):
            break
        if not line.startswith("#"):
            lines.append(line.rstrip())
    subject, *rest = "\n".join(lines).strip().split("\n")
    if not subject:
        return "it has no subject"
    if _MADE_BY_GIT.match(subject):
        return None
    if len(subject) >= LIMIT:
        return (
            f"its subject has {len(subject)} characters; at most {LIMIT - 1} are shown everywhere"
        )
    if subject.endswith("."):
        return "its subject ends with a full stop"
    word = subject.split()[0]
    if not word[0].isupper() or _NOT_A_VERB.fullmatch(word) or not word.replace("-", "").isalpha():
        return f"its subject begins with {word!r}; begin with what it does: Add, Refuse, Name"
    if _OTHER_FORM.fullmatch(word) and not _IMPERATIVE.fullmatch(word):
        return f"its subject begins with {word!r}, which is no imperative: Add, not Added or Adds"
    if rest and rest[0]:
        return "its second line is not empty"
    return None


def main() -> int:
    """Check the message in the file that git names."""
    wrong = fault(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if wrong is not None:
        sys.stderr.write(f"this commit message is refused: {wrong}\n")
    return int(wrong is not None)


if __name__ == "__main__":
    sys.exit(main())
