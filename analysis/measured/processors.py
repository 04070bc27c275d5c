"""Which processor this is, as Linux and macOS say. What they do not say is "" or None."""

import platform
import re
import subprocess
from functools import cache
from pathlib import Path

# The names in /proc/cpuinfo on x86 and on Arm, and of macOS.
FACTS = {
    "vendor": ("vendor_id", "CPU implementer", "machdep.cpu.vendor"),
    "family": ("cpu family", "CPU architecture", "machdep.cpu.family"),
    "model": ("model", "CPU part", "machdep.cpu.model"),
    "stepping": ("stepping", "CPU revision", "machdep.cpu.stepping"),
}
NAME = ("model name", "machdep.cpu.brand_string")


def processor() -> dict[str, str | int | None]:
    """vendor, as the processor says itself, and the numbers family, model and stepping."""
    said = {fact: next(filter(None, map(_said, names)), "") for fact, names in FACTS.items()}
    numbers = {fact: _number(said[fact]) for fact in ("family", "model", "stepping")}
    return {"vendor": said["vendor"], **numbers}


def processor_name() -> str:
    """The marketing name, where the system gives it, or else what it calls the processor."""
    found = next(filter(None, map(_said, NAME)), "")
    return found or platform.processor() or platform.machine()


def instructions() -> set[str]:
    """The processor's instructions, as Linux names them; none where it does not say."""
    return {*_said("flags").split(), *_said("Features").split()}


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _said(name: str) -> str:
    """What the system says of the first processor, "" if nothing."""
    if name.startswith("machdep"):
        return sysctl(name) if platform.system() == "Darwin" else ""
    found = re.search(rf"^{name}\s*:\s*(.+)$", _cpuinfo(), re.M)
    return found[1].strip() if found else ""


@cache
def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return ""


def sysctl(name: str) -> str:
    """What macOS says of itself by that name, "" if nothing."""
    command = ["/usr/sbin/sysctl", "-n", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip()
