"""A phone to test with: Debian's real adbd in a small root of its own, in a network of its own, whose programs for aarch64 run
under qemu-user. It shows that everything works; its times are those of no phone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

QEMU = "/usr/bin/qemu-aarch64-static"
ADBD = "usr/lib/android-sdk/platform-tools/adbd"
PORT = 22555
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# an ELF file of 64 bits, little endian, for machine 183; F: the interpreter is opened now, so it works in the small root too
RULE = (
    rb":nas-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
    rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:" + QEMU.encode() + b":F"
)


def missing() -> str | None:
    """Why there can be no such phone here, or None."""
    if os.geteuid() != 0:
        return "needs root: it makes a root file system and a network of its own"
    programs = {"adb": "adb", "debootstrap": "debootstrap", "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu"}
    programs |= {QEMU: "qemu-user-static", "ip": "iproute2", "nsenter": "util-linux"}
    absent = [package for program, package in programs.items() if shutil.which(program) is None]
    return f"needs Debian packages: {' '.join(absent)}" if absent else None


def make_root(folder: Path) -> None:
    """The files of Debian 13 and adbd in ``folder``, unpacked and not set up, which takes much longer; it calls itself aarch64,
    as a phone does."""
    words = ["debootstrap", "--foreign", "--variant=minbase", "--include=adbd", "trixie", str(folder)]
    subprocess.run(words, check=True, capture_output=True)
    archives = folder / "var/cache/apt/archives"
    for name in (folder / "debootstrap" / "base").read_text().split():  # all that the first stage only downloads
        for package in archives.glob(f"{name}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True, capture_output=True)
    if (folder / "proc").is_symlink():  # to this machine's, until it is set up
        (folder / "proc").unlink()
        (folder / "proc").mkdir()
    stub = folder / "usr/local/bin/uname"
    stub.parent.mkdir(parents=True, exist_ok=True)
    stub.write_text('#!/bin/sh\ncase "$1" in -m) echo aarch64 ;; *) exec /usr/bin/uname "$@" ;; esac\n')
    stub.chmod(0o755)


@contextmanager
def phone(root: Path, bin_folder: Path) -> Iterator[str]:
    """Starts the phone; its serial. ``adb`` in ``bin_folder`` is the real one, inside the phone's network: put it on PATH."""
    with ExitStack() as stack:
        for source, kind in (("proc", "proc"), ("/sys", ""), ("/dev", "")):
            target = root / source.strip("/")
            words = ["mount", "-t", kind, source, str(target)] if kind else ["mount", "--bind", source, str(target)]
            subprocess.run(words, check=True)
            stack.callback(subprocess.run, ["umount", "-l", str(target)], check=False)
        _register(stack)
        start = f"ip link set lo up && ADBD_PORT={PORT} exec chroot {root} /{ADBD}"
        daemon = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", start], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(daemon.wait)
        stack.callback(daemon.kill)
        adb = bin_folder / "adb"
        adb.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{daemon.pid}/ns/net {shutil.which("adb")} -P 22556 "$@"\n')
        adb.chmod(0o755)
        serial = f"127.0.0.1:{PORT}"
        stack.callback(subprocess.run, [str(adb), "kill-server"], check=False, capture_output=True)
        for _ in range(100):
            found = subprocess.run([str(adb), "connect", serial], capture_output=True, text=True, check=False)
            if "connected to" in found.stdout:
                break
            time.sleep(0.1)
        yield serial


def _register(stack: ExitStack) -> None:
    """Lets the kernel start aarch64 programs by qemu, if it does not already."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "none", str(BINFMT)], check=True)
    if any("aarch64" in entry.name for entry in BINFMT.iterdir()):
        return
    (BINFMT / "register").write_bytes(RULE)
    stack.callback((BINFMT / "nas-aarch64").write_text, "-1")
