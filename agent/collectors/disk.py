"""Space on each mounted file system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import Sample, matches_any, raise_if_partial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wire.point import Value

#: File systems without space of their own, or whose space says nothing.
IGNORED_FILE_SYSTEMS: Final = (
    "aufs", "autofs", "binfmt_misc", "bpf", "cgroup*", "configfs", "debugfs", "devfs", "devpts", "devtmpfs", "efivarfs",
    "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fusectl", "hugetlbfs", "iso9660", "mqueue",
    "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs",
)  # fmt: skip
#: Mounts that containers and packages make for themselves.
IGNORED_MOUNTS: Final = (
    "/dev/*", "/proc/*", "/run/*", "/snap/*", "/sys/*", "/var/lib/containers/*", "/var/lib/docker/*",
    "/var/lib/kubelet/*", "/var/snap/*",
)  # fmt: skip


class DiskCollector:
    """``disk``: space and inodes, one series a file system (tags ``mount``, ``device``, ``fstype``).

    A file system mounted several times counts once, where its path is shortest. Asking a network file system whose
    server is away blocks; that holds up nothing but this collector.
    """

    name = "disk"
    interval_s = 60.0

    def __init__(
        self,
        ignored_file_systems: Iterable[str] = IGNORED_FILE_SYSTEMS,
        ignored_mounts: Iterable[str] = IGNORED_MOUNTS,
        read_mounts: Callable[[], Sequence[Any]] = lambda: psutil.disk_partitions(all=True),
        read_usage: Callable[[str], Any] = psutil.disk_usage,
        read_inodes: Callable[[str], tuple[int, int]] | None = None,
    ) -> None:
        self._ignored_file_systems = tuple(ignored_file_systems)
        self._ignored_mounts = tuple(ignored_mounts)
        self._read_mounts = read_mounts
        self._read_usage = read_usage
        self._read_inodes = read_inodes or inodes

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  no rates here
        samples: list[Sample] = []
        problems: list[str] = []
        for mount in self._mounts():
            try:
                usage = self._read_usage(mount.mountpoint)
                total_inodes, free_inodes = self._read_inodes(mount.mountpoint)
            except OSError as error:
                problems.append(f"{mount.mountpoint}: {error.strerror or error}")
                continue
            if usage.total == 0:
                continue
            values: dict[str, Value] = {
                "total_bytes": usage.total,
                "used_bytes": usage.used,
                "free_bytes": usage.free,
                "used_percent": usage.percent,
            }
            if total_inodes:
                values["inodes_used_percent"] = 100 * (total_inodes - free_inodes) / total_inodes
            tags = {"mount": mount.mountpoint, "device": mount.device, "fstype": mount.fstype}
            samples.append(Sample("disk", values, tags))
        return raise_if_partial(samples, problems)

    def _mounts(self) -> list[Any]:
        """Mounts to look at: the last mounted at a path hides others there; one for each device."""
        by_path = {mount.mountpoint: mount for mount in self._read_mounts()}
        by_device: dict[str, Any] = {}
        for mount in sorted(by_path.values(), key=lambda mount: len(mount.mountpoint)):
            if matches_any(mount.fstype, self._ignored_file_systems) or not mount.fstype:
                continue
            if matches_any(mount.mountpoint, self._ignored_mounts):
                continue
            # A device without a path ("overlay", "tmpfs") names a kind, not one of them.
            by_device.setdefault(mount.device if "/" in mount.device else mount.mountpoint, mount)
        return sorted(by_device.values(), key=lambda mount: str(mount.mountpoint))


def inodes(path: str) -> tuple[int, int]:
    """All and free inodes of the file system at ``path``; zeros where it has no fixed number of them."""
    if not hasattr(os, "statvfs"):  # Windows
        return 0, 0
    status = os.statvfs(path)
    return status.f_files, status.f_ffree
