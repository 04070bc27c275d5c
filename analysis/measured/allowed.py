"""What this process may use of its machine: cores by affinity and quota, memory by every limit.

A container limits its processes through control groups, of either version and nested: a group
is bound by its own limits and by those of all above it.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import psutil

SIBLINGS = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
QUOTA = ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # version 2; version 1
# (the limit, what is used, what of that can be taken back)
MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.high", "memory.current", "inactive_file"),  # above which a process hardly goes on
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True)
class Allowed:
    """What a process may use: physical `cores` that it may run on, as many as its quota pays for
    and at least one; `quota`, how many processors' time it gets, None without limit; memory in
    bytes, in all and what is free now."""

    cores: int
    quota: float | None
    memory_bytes: int
    free_bytes: int


def may_use(root: Path = Path("/")) -> Allowed:
    """What this process may use, by the files of a Linux system under `root`; elsewhere, and where
    files are missing, by what the operating system says of the machine."""
    memory, bounds, quota = psutil.virtual_memory(), list(_memory(root)), _quota(root)
    cores = len({siblings(cpu, root) for cpu in processors()})
    return Allowed(
        cores=max(1, min(cores, ceil(quota or cores))),
        quota=quota,
        memory_bytes=min([memory.total, *(limit for limit, _ in bounds)]),
        free_bytes=max(0, min([memory.available, *(free for _, free in bounds)])),
    )


def processors() -> set[int]:
    """The logical processors that this process may run on; where the system does not say, one of
    each core."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(psutil.cpu_count(logical=False) or 1))


def siblings(cpu: int, root: Path = Path("/")) -> str:
    """The logical processors of one's core, as Linux lists them: "0-1", "0,64"; it alone where
    nothing says so."""
    return content(root / SIBLINGS.format(cpu)) or str(cpu)


def threads_per_core(root: Path = Path("/")) -> int:
    """Simultaneous multithreading: logical processors of a core, 1 where there is none."""
    spans = [each.split("-") for each in siblings(min(processors()), root).split(",")]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)


def _quota(root: Path) -> float | None:
    """The least of the quotas of time, in processors."""
    found = []
    for group in _groups(root, "cpu"):
        for names in QUOTA:
            words = " ".join(content(group / name) for name in names).split()
            if len(words) == 2 and all(map(str.isdecimal, words)):  # neither "max" nor -1
                found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def _memory(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, what of it is free) of each group that limits memory, in bytes."""
    for group in _groups(root, "memory"):
        for limit, used, cached in MEMORY:
            if (most := content(group / limit)).isdecimal():
                back = re.search(rf"^{cached} (\d+)$", content(group / "memory.stat"), re.M)
                there = int(content(group / used) or 0) - int(back[1] if back else 0)
                yield int(most), int(most) - there


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups, of version 2 and of version 1 with that controller,
    from the highest that can be seen down to its own. One has the files of its version only."""
    own = [line.split(":", 2) for line in content(root / "proc/self/cgroup").splitlines()]
    for line in content(root / "proc/self/mountinfo").splitlines():
        place, system = (part.split() for part in line.split(" - ", 1))
        top, mount = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), p) for p in place[3:5])
        for _, controllers, path in own:
            version = {"cgroup": 1, "cgroup2": 2}.get(system[0])
            has = controller in controllers.split(",") and controller in system[-1].split(",")
            if version == 1 and not has or version == 2 and controllers or not version:
                continue
            group = root / mount.lstrip("/")
            yield group
            # A container may see its own group as the highest, or not see where it is.
            if Path(path).is_relative_to(top) and ".." not in path:
                for part in Path(path).relative_to(top).parts:
                    group = group / part
                    yield group


def content(file: Path) -> str:
    """What a file says, "" where it cannot be read."""
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
