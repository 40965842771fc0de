"""Several machines on one: network namespaces with an SSH daemon each, and a command that runs beside them.

    unshare --pid --fork --mount-proc --net --kill-child python ssh_hosts.py FOLDER COUNT -- COMMAND ...

Host i has the address 10.77.0.i and its own processes, host name, /tmp, /dev/shm and home; the rest of the
disk is shared. The command runs at 10.77.0.254, with FOLDER/laptop as its home; FOLDER/key opens the hosts.
All end with it, and nothing outside is touched. Needs root, `ip`, `sshd`, `unshare`; FOLDER must not lie in
/tmp.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

CONFIG = """
ListenAddress 10.77.0.{number}
HostKey {folder}/host_key
AuthorizedKeysFile {key}.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
PidFile none
LogLevel ERROR
MaxStartups 100
"""


def run(*words: str) -> None:
    """Run it, or fail."""
    subprocess.run(words, check=True)


def network(count: int) -> None:
    """A bridge with this process at one end and the hosts at the others."""
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", "/run")
    for folder in ("/run/netns", "/run/sshd"):
        os.makedirs(folder)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "hosts", "type", "bridge")
    run("ip", "addr", "add", "10.77.0.254/24", "dev", "hosts")
    run("ip", "link", "set", "hosts", "up")
    for i in range(1, count + 1):
        run("ip", "netns", "add", f"host{i}")
        run("ip", "link", "add", f"to{i}", "type", "veth", "peer", "name", "eth0", "netns", f"host{i}")
        run("ip", "link", "set", f"to{i}", "master", "hosts", "up")
        run("ip", "-n", f"host{i}", "addr", "add", f"10.77.0.{i}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            run("ip", "-n", f"host{i}", "link", "set", link, "up")


def host(folder: Path, number: int) -> subprocess.Popen[bytes]:
    """Start one."""
    mine = folder / f"host{number}"
    for name in ("tmp", "home"):
        (mine / name).mkdir(parents=True)
    users = Path("/etc/passwd").read_text().splitlines()
    changed = [f"root:x:0:0:root:{mine}/home:/bin/bash" if u.startswith("root:") else u for u in users]
    (mine / "passwd").write_text("\n".join(changed) + "\n")
    names = "".join(f"10.77.0.{i} host{i}\n" for i in range(1, 10))
    (mine / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(mine / "host_key"))
    (mine / "sshd_config").write_text(CONFIG.format(number=number, folder=mine, key=folder / "key"))
    seen = {Path(one).resolve() for one in (sys.prefix, sys.base_prefix, Path(__file__).parents[2])}
    lines = ["set -e", f"hostname host{number}"]
    for one in sorted(seen):  # what the hosts run shall be seen, wherever it lies
        if one.is_relative_to("/tmp"):
            there = mine / "tmp" / one.relative_to("/tmp")
            lines += [f"mkdir -p {there}", f"mount --bind {one} {there}"]
    lines += [
        f"mount --rbind {mine}/tmp /tmp",
        "mount -t tmpfs none /dev/shm",
        f"mount --bind {mine}/passwd /etc/passwd",
        f"mount --bind {mine}/hosts /etc/hosts",
        f"exec $(command -v sshd) -D -e -f {mine}/sshd_config",
    ]
    words = ["ip", "netns", "exec", f"host{number}", "unshare", "--pid", "--fork", "--mount-proc", "--uts"]
    return subprocess.Popen([*words, "--kill-child", "sh", "-c", "\n".join(lines)], env=clean())


def clean() -> dict[str, str]:
    """A login's environment: nothing of the test's own."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def wait_until_open(folder: Path, number: int) -> None:
    """Until SSH answers there."""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=2"
    words = ["ssh", *options.split(), "-i", str(folder / "key"), f"root@10.77.0.{number}", "true"]
    for _ in range(50):
        if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit(f"host {number} does not answer: {shlex.join(words)}")


def main() -> int:
    """Start the hosts, run the command."""
    folder, count, words = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4:]
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    (folder / "laptop").mkdir()
    network(count)
    hosts = [host(folder, i) for i in range(1, count + 1)]
    for i in range(1, count + 1):
        wait_until_open(folder, i)
    own = {"HOME": str(folder / "laptop"), "TMPDIR": str(folder / "laptop")}  # Ray keeps books there
    try:
        return subprocess.run(words, env=os.environ | own, check=False).returncode
    finally:
        for one in hosts:
            one.kill()


if __name__ == "__main__":
    sys.exit(main())
