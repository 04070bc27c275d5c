"""What a process may use: by faked systems, and in real control groups where they can be made."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.measured import allowed

GB = 10**9
V1 = "33 31 0:30 {top} {at} rw,relatime - cgroup cgroup rw,{name}\n"
V2 = "41 31 0:38 {top} {at} rw,relatime - cgroup2 cgroup2 rw\n"
NO_LIMIT = 9223372036854771712  # as version 1 says it


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """A machine with 8 processors and 64 GB, of which 48 are free."""
    memory = type("", (), {"total": 64 * GB, "available": 48 * GB})
    monkeypatch.setattr(allowed.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(allowed.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def system(root: Path, own: str, mounts: str, files: dict[str, object]) -> allowed.Allowed:
    """What may be used where these are the process's groups, mounts and files in /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    (root / "proc/self/mountinfo").write_text(f"23 1 8:1 / / rw - ext4 /dev/vda1 rw\n{mounts}")
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return allowed.may_use(root)


def v1(*names: str, top: str = "/") -> str:
    return "".join(V1.format(top=top, at=f"/sys/fs/cgroup/{n}", name=n) for n in names)


def v2(top: str = "/", at: str = "/sys/fs/cgroup") -> str:
    return V2.format(top=top, at=at)


def test_without_groups_the_machine_is_what_may_be_used(tmp_path):
    assert allowed.may_use(tmp_path) == allowed.Allowed(8, None, 64 * GB, 48 * GB)


def test_version_2_limits_cores_and_memory(tmp_path):
    files = {"cpu.max": "150000 100000", "memory.max": 4 * GB, "memory.current": 3 * GB,
             "memory.stat": f"anon 5\ninactive_file {GB}\n", "memory.high": "max"}  # fmt: skip
    found = system(tmp_path, "0::/\n", v2(), files)
    assert found == allowed.Allowed(2, 1.5, 4 * GB, 2 * GB)


def test_a_quarter_of_a_core_is_one_thread(tmp_path):
    found = system(tmp_path, "0::/\n", v2(), {"cpu.max": "25000 100000"})
    assert (found.cores, found.quota) == (1, 0.25)


def test_max_and_minus_one_are_no_limits(tmp_path):
    files = {"cpu.max": "max 100000", "memory.max": "max", "memory.high": "max"}
    assert system(tmp_path / "2", "0::/\n", v2(), files).cores == 8
    files = {"cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000,
             "memory/memory.limit_in_bytes": NO_LIMIT}  # fmt: skip
    own, mounts = "2:cpu:/\n3:memory:/\n", v1("cpu", "memory")
    found = system(tmp_path / "1", own, mounts, files)
    assert found == allowed.Allowed(8, None, 64 * GB, 48 * GB)


@pytest.mark.parametrize("tight", ["", "pod/", "pod/container/"])
def test_the_tightest_of_nested_groups_counts(tight, tmp_path):
    files = {f"{at}{name}": text for at in ("", "pod/", "pod/container/")
             for name, text in (("cpu.max", "max 100000"), ("memory.max", 9 * GB))}  # fmt: skip
    files |= {f"{tight}cpu.max": "300000 100000", f"{tight}memory.max": 2 * GB}
    files |= {f"{tight}memory.current": GB}
    found = system(tmp_path, "0::/pod/container\n", v2(), files)
    assert found == allowed.Allowed(3, 3.0, 2 * GB, GB)


def test_a_limit_above_which_a_process_is_slowed_counts(tmp_path):
    files = {"memory.max": 4 * GB, "memory.high": 3 * GB, "memory.current": GB}
    found = system(tmp_path, "0::/\n", v2(), files)
    assert (found.memory_bytes, found.free_bytes) == (3 * GB, 2 * GB)


def test_version_1_has_a_group_for_each_controller(tmp_path):
    own = "4:memory:/a/b\n3:cpuset:/other\n2:cpu,cpuacct:/c\n0::/\n"
    mounts = v1("memory", "cpuset") + v1("cpu").replace("rw,cpu\n", "rw,cpu,cpuacct\n")
    files = {
        "cpu/cpu.cfs_quota_us": -1,
        "cpu/c/cpu.cfs_quota_us": 200000,
        "cpu/c/cpu.cfs_period_us": 50000,
        "memory/memory.limit_in_bytes": NO_LIMIT,
        "memory/a/memory.limit_in_bytes": 5 * GB,
        "memory/a/memory.usage_in_bytes": 4 * GB,
        "memory/a/memory.stat": f"inactive_file 7\ntotal_inactive_file {GB}\n",
        "memory/a/b/memory.limit_in_bytes": 6 * GB,
    }
    found = system(tmp_path, own, mounts, files)
    assert found == allowed.Allowed(4, 4.0, 5 * GB, 2 * GB)


@pytest.mark.parametrize(
    "own, top", [("/docker/1", "/docker/1"), ("/../other", "/"), ("/elsewhere", "/docker/1")]
)
def test_a_container_sees_its_group_as_the_highest(own, top, tmp_path):
    files = {"memory/memory.limit_in_bytes": 3 * GB, "memory/memory.usage_in_bytes": GB}
    found = system(tmp_path, f"4:memory:{own}\n", v1("memory", top=top), files)
    assert (found.memory_bytes, found.free_bytes) == (3 * GB, 2 * GB)


def test_names_with_blanks_and_colons_are_found(tmp_path):
    own, at = "0::/a:b c\n", "/sys/fs/cgroup/my\\040groups"
    found = system(tmp_path, own, v2(at=at), {"my groups/a:b c/memory.max": GB})
    assert found.memory_bytes == GB


def test_more_than_the_limit_in_use_leaves_nothing_free(tmp_path):
    found = system(tmp_path, "0::/\n", v2(), {"memory.max": GB, "memory.current": 2 * GB})
    assert found.free_bytes == 0


def test_affinity_and_threads_that_share_a_core_count(tmp_path, monkeypatch):
    for cpu in range(8):  # 4 cores of 2 threads
        file = tmp_path / allowed.SIBLINGS.format(cpu)
        file.parent.mkdir(parents=True)
        file.write_text(f"{cpu % 4},{cpu % 4 + 4}\n")
    assert allowed.may_use(tmp_path).cores == 4 and allowed.threads_per_core(tmp_path) == 2
    monkeypatch.setattr(allowed.os, "sched_getaffinity", lambda pid: {1, 2, 5})
    assert allowed.may_use(tmp_path).cores == 2
    (tmp_path / allowed.SIBLINGS.format(1)).write_text("0-3\n")
    assert allowed.threads_per_core(tmp_path) == 4


def test_systems_without_affinity_have_their_cores(tmp_path, monkeypatch):
    monkeypatch.delattr(allowed.os, "sched_getaffinity")
    monkeypatch.setattr(allowed.psutil, "cpu_count", lambda logical: 6)
    assert allowed.may_use(tmp_path).cores == 6 and allowed.threads_per_core(tmp_path) == 1


@given(quota=st.integers(1, 10**9), period=st.integers(1000, 10**6))
def test_cores_pay_for_the_quota_and_not_for_one_more(quota, period, tmp_path_factory):
    text = {"cpu.max": f"{quota} {period}"}
    cores = system(tmp_path_factory.mktemp("root"), "0::/\n", v2(), text).cores
    assert cores == min(8, -(-quota // period)) >= 1


@contextmanager
def group(controller: str, limits: dict[str, dict[str, int | str]]):
    """The folder of the inner of two real control groups, where they can be made."""
    top = Path("/sys/fs/cgroup") / controller
    one = (top / "cgroup.procs").exists()
    outer = (top if one else top.parent) / f"test-{os.getpid()}"
    made = [outer, outer / "inner"]
    try:
        try:
            for folder, values in zip(made, limits[1 if one else 2], strict=True):
                folder.mkdir()
                for name, value in values.items():
                    (folder / name).write_text(str(value))
        except OSError as error:
            pytest.skip(f"no control groups can be made here: {error}")
        yield made[1]
    finally:
        for folder in reversed(made):
            if folder.exists():
                folder.rmdir()


def within(folder: Path) -> str:
    """What a process in that group says that it may use."""
    program = f"""
open({str(folder / "cgroup.procs")!r}, "w").write("0")
from analysis.measured import allowed
found = allowed.may_use()
print(found.cores, found.quota, found.memory_bytes, 0 < found.free_bytes < found.memory_bytes)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not done.stderr
    return done.stdout.strip()


def test_a_real_quota_counts():
    one = {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": 25000}
    two = {"cpu.max": "25000 100000"}
    with group("cpu", {1: [one, {}], 2: [two | {"cgroup.subtree_control": "+cpu"}, {}]}) as folder:
        assert within(folder).startswith("1 0.25 ")


def test_a_real_limit_of_memory_counts():
    one, two = {"memory.limit_in_bytes": 2**29}, {"memory.max": 2**29}
    more = {"cgroup.subtree_control": "+memory"}
    with group("memory", {1: [one, {}], 2: [two | more, {}]}) as folder:
        assert within(folder).endswith(f" {2**29} True")
