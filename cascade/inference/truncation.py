"""What of a query and a passage is read when both together are too long: pure arithmetic."""

from __future__ import annotations


def shares(query: int, passage: int, room: int) -> tuple[int, int]:
    """How many of their tokens fit into `room`: the longer is cut first, as tokenizers do with `longest_first`.

    An odd token goes to the longer one, and to the passage when both are equally long.
    """
    if query + passage <= room:
        return query, passage
    half = room // 2
    if query <= half:
        kept = room - query
    elif passage <= half:
        kept = passage
    else:
        kept = half if query > passage else room - half
    return room - kept, kept
