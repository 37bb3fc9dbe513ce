"""What a process keeps in memory."""

from __future__ import annotations

from pathlib import Path


def resident(pid: int) -> int:
    """Bytes of the process that are in memory. Raises OSError where the system does not tell, as other than Linux."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024
