"""The `srun ray symmetric-run` of a batch script, and the sweep that it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.batch_script import code, directives, filled, variables
from cluster.lint.finding import Finding, Level, Subject
from cluster.lint.rules.start_commands import known_options
from cluster.lint.starling_command import faults, largest_rank
from cluster.nearest import nearest

KINDS = ("slurm",)

NOT_HERE = ("--head", "--port", "--block", "--node-ip-address")
"""Options of `ray start` that symmetric-run chooses itself."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORTS = (1024, 65535)


def check(subject: Subject) -> Iterator[Finding]:
    """Ray's options first, then the sweep's."""
    plain = code(subject.text)
    joined = plain.replace("\\\n", " ")
    number = 1 + plain.count("\n", 0, max(plain.find("ray symmetric-run"), 0))
    found = re.search(r"^.*\bray symmetric-run\b.*$", joined, re.MULTILINE)

    def at(level: Level, what: str, why: str, fix: str) -> Finding:
        return subject.found_in_line(level, number, what, why, fix)

    if re.search(r"\bray start\b", plain):
        yield at(
            "error",
            "`ray start` in a batch script",
            "it ends with its step of the job, and nobody ends it when the sweep has ended",
            "let `ray symmetric-run` start it",
        )
    if found is None:
        yield at(
            "error",
            "there is no `ray symmetric-run`",
            "Ray runs on no node, or on one alone",
            "write srun ray symmetric-run --address HEAD:PORT --min-nodes N -- starling run ...",
        )
        return
    command = found[0]
    values = variables(subject.text)
    given = {one.name: one.value for one in directives(subject.text)}
    for level, what, why, fix in _faults(command, values, given, plain):
        yield at(level, what, why, fix)
    for level, what, why, fix in _rank(filled(joined, values), given):
        yield at(level, what, why, fix)
    for what, why, fix in faults(filled(joined, {**values, "command": ""})):
        line = next((n for n, text in enumerate(plain.splitlines(), 1) if what.split()[-1] in text), number)
        yield subject.found_in_line("error", line, what, why, fix)


Fault = tuple[Level, str, str, str]


def _faults(command: str, values: dict[str, str], given: dict[str, str], plain: str) -> Iterator[Fault]:
    nodes = given.get("nodes", "1")
    ray, separator, _ = command.partition(" -- ")
    srun, _, options = ray.partition("symmetric-run")
    if "srun" not in srun and nodes != "1":
        yield (
            "error",
            "`ray symmetric-run` without srun",
            "it runs on the first node alone, and waits for the others in vain",
            "put srun before it",
        )
    if not separator:
        yield (
            "error",
            "no `--` before the sweep's command",
            "ray refuses the line",
            "write it between Ray's options and `starling run`",
        )
    few = re.search(r"(?:--nodes|-N|--ntasks(?!-)|-n)[= ]?(\d+)", srun)
    several = re.search(r"--ntasks-per-node[= ]?(\d+)", srun)
    if several and several[1] != "1":
        yield (
            "error",
            f"srun starts {several[1]} tasks a node",
            "each starts a Ray on the same ports",
            f"drop {several[0]}",
        )
    if few and few[1] != nodes:
        yield "error", f"srun on {few[1]} of {nodes} nodes", "the others stay idle", f"drop {few[0].strip()}"
    if "srun" in srun and not re.search(r"--kill-on-bad-exit(?!=0)|-K(?!0)", srun):
        yield (
            "warning",
            "srun without --kill-on-bad-exit",
            "when one node is lost, the others wait until the job's time is over",
            "write srun --kill-on-bad-exit=1",
        )
    if re.search(r"&\s*$", command) and not re.search(r"^\s*wait\b", plain, re.MULTILINE):
        yield "error", "srun in the background", "the script ends, and the job with it", "drop the &"
    if "RAY_AUTH_MODE=token" not in re.sub(r"^(?!.*(export|srun|env )).*$", "", plain, flags=re.MULTILINE):
        yield (
            "error",
            "Ray asks for no token",
            "every user of the site's network runs code as you (CVE-2023-48022)",
            "export RAY_AUTH_MODE=token before it",
        )
    elif "RAY_AUTH_TOKEN_PATH=" not in plain and "RAY_AUTH_TOKEN=" not in plain:
        yield (
            "error",
            "no RAY_AUTH_TOKEN_PATH",
            "Ray looks for the token in ~/.ray, where it is not",
            "export RAY_AUTH_TOKEN_PATH, where access_token.ensure() makes it",
        )
    yield from _options(options, values, given, nodes)


def _rank(command: str, given: dict[str, str]) -> Iterator[Fault]:
    """A rank never spans nodes."""
    asked = largest_rank(command)
    for name, directives_ in (
        ("GPU", ("gpus-per-node", "gres", "gpus-per-task")),
        ("CPU", ("cpus-per-task",)),
    ):
        counts = [re.search(r"(\d+)$", given.get(one, "")) for one in directives_]
        most = max((int(count[1]) for count in counts if count), default=None)
        if most is not None and asked.get(name, 0) > most:
            yield (
                "error",
                f"a rank asks for {asked[name]:g} {name}s; a node has {most}",
                "no trial ever fits: the sweep ends at once",
                f"ask for {most} at most, and for more ranks",
            )


def _options(options: str, values: dict[str, str], given: dict[str, str], nodes: str) -> Iterator[Fault]:
    said = {
        name: value.strip("\"'") for name, value in re.findall(r"(--[\w-]+)(?:[= ](?!--)(\S+))?", options)
    }
    known = {*known_options(), "--address", "--min-nodes"} - set(NOT_HERE)
    for name in said:
        if name in NOT_HERE:
            yield (
                "error",
                f"`ray symmetric-run` takes no {name}",
                "ray refuses the line",
                "remove it: the head is the node of --address, which has the port too",
            )
        elif name not in known:
            near = nearest(name, known, shown=0)
            yield (
                "error",
                f"`ray symmetric-run` has no option {name}",
                "ray refuses the line",
                f"correct it{near}",
            )
    folder = filled(said.get("--temp-dir", ""), values)
    if re.match(r"(\$\{?(?:HOME|SCRATCH|WORK|SLURM_SUBMIT_DIR)|~|/home|\.)", folder):
        yield (
            "error",
            f"--temp-dir is {folder}, which all nodes share",
            "their sockets and logs collide, and sockets do not work on a network's disk",
            "write a folder of the machine: /tmp/ray-$SLURM_JOB_ID",
        )
    if said.get("--dashboard-host", LOOPBACK[0]) not in LOOPBACK:
        yield (
            "error",
            f"the dashboard on {said['--dashboard-host']}",
            "who reaches port 8265 runs what he likes as you",
            "write --dashboard-host=127.0.0.1",
        )
    least = filled(said.get("--min-nodes", ""), values)
    if not least and nodes != "1":
        yield (
            "error",
            "no --min-nodes",
            "the sweep starts when the first node is there, and sees the others late or never",
            'add --min-nodes "$SLURM_JOB_NUM_NODES"',
        )
    for name, directive, variable in (
        ("--min-nodes", "nodes", "SLURM_JOB_NUM_NODES"),
        ("--num-gpus", "gpus-per-node", "SLURM_GPUS_ON_NODE"),
        ("--num-cpus", "cpus-per-task", "SLURM_CPUS_PER_TASK"),
    ):
        value, asked = filled(said.get(name, ""), values), given.get(directive, "")
        count = re.search(r"(\d+)$", asked)
        if value.isdigit() and count and value != count[1]:
            yield (
                "error",
                f"{name} is {value}; --{directive} is {asked}",
                "Ray waits for what does not come, or leaves what is there",
                f'write {name}="${variable}"',
            )
    yield from _address(filled(said.get("--address", ""), values))


def _address(address: str) -> Iterator[Fault]:
    host, _, port = address.rpartition(":")
    if not address or not port or (host == "" and ":" not in address):
        yield "error", "no --address HEAD:PORT", "ray refuses the line", 'write --address "$address:$port"'
        return
    if re.search(r"NODELIST|,", host):
        yield (
            "error",
            f"{host} names all nodes",
            "no node is the head",
            "take the first: scontrol show hostnames",
        )
    if host in (*LOOPBACK, "0.0.0.0") or (re.search(r"hostname\b(?!.*srun)", host) and "$(hostname" in host):
        yield (
            "error",
            f"the head is {host}",
            "each node takes itself for it",
            "write the first node's address",
        )
    if re.fullmatch(r"\$\{?SLURM_\w+\}?", port):
        yield (
            "error",
            f"the port is {port}",
            "numbers of jobs soon exceed 65535, and small ones are root's",
            "write $((20000 + SLURM_JOB_ID % 10000))",
        )
    sum_ = re.fullmatch(r"\$\(\(\s*(\d+)\s*\+\s*\(?\$?\{?\w+\}?\s*%\s*(\d+)\)?\s*\)\)", port)
    ends = (
        (int(sum_[1]), int(sum_[1]) + int(sum_[2]) - 1)
        if sum_
        else (int(port), int(port))
        if port.isdigit()
        else PORTS
    )
    if ends[0] < PORTS[0] or ends[1] > PORTS[1]:
        yield (
            "error",
            f"ports {ends[0]} to {ends[1]}",
            "only 1024 to 65535 can be used",
            "write a smaller range",
        )
