"""Whether tomorrow's nodes are today's: images, Ray, and what pip installs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping
from cluster.yaml_lines import Where

KINDS = ("launcher", "kuberay")

IMAGES = ("image", "head_image", "worker_image")
PIP = re.compile(r"pip3? install (.+?)(?:&&|\|\||;|\||$)", re.MULTILINE)

MOVING = (
    (r"pip3? install[^;&|]*\s(?:-U|--upgrade|--pre)\b[^;&|]*", "the newest there is", "pin it"),
    (
        r"git\+(?:https|ssh)://(?![^\s\"']+@[0-9a-f]{7,40}\b|[^\s\"']+@v?\d)[^\s\"']+",
        "no commit is named",
        "write @COMMIT",
    ),
    (r"git clone (?!.*(?:checkout|--branch v?\d))[^;&|]+", "no commit is named", "add git checkout COMMIT"),
    (r"\b(?:conda|mamba) install (?![^;&|]*=)[^;&|]+", "no version is named", "write NAME=VERSION"),
)
"""What fetches another thing tomorrow; what it is; what to write."""


def check(subject: Subject) -> Iterator[Finding]:
    """Container images, machine images, wheels and requirements."""
    for where, key, value in _texts((), subject.content):
        if key in IMAGES and (
            "docker" in where
            or "containers" in where
            or "initContainers" in where
            or "autoscalerOptions" in where
        ):
            yield from _image(subject, where, value)
        if re.search(r"ray-wheels|ray-\d+\.\d+\.\d+\.dev", value):
            yield subject.found(
                "error",
                where,
                "a nightly wheel of Ray",
                "every node may get another Ray",
                f'write "ray[default,tune]=={version("ray")}"',
            )
        for pattern, what, fix in MOVING:
            if found := re.search(pattern, value):
                yield subject.found(
                    "warning",
                    where,
                    f"{found[0][:60]}: {what}",
                    "nodes that come later may run other code",
                    fix,
                )
        for install in PIP.finditer(value):
            yield from _requirements(subject, where, install[1])
    cluster = subject.cluster
    if cluster is not None and subject.kind == "launcher":
        for one in (cluster.head, *cluster.workers):
            yield from _machine_image(subject, (*one.where, "node_config"), one.config, cluster.provider)


def _texts(where: Where, value: Any) -> Iterator[tuple[Where, str | int, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts((*where, key), inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts((*where, i), inner)
    elif isinstance(value, str):
        yield where, where[-1], value


def _image(subject: Subject, where: Where, image: str) -> Iterator[Finding]:
    if "REPLACE" in image or re.search(r"@sha256:[0-9a-f]{64}$", image):
        return
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
    moving = not tag or re.search(r"latest|nightly|^master$|^main$", tag)
    yield subject.found(
        "error" if moving else "warning",
        where,
        f"the image {image} is not pinned",
        "nodes that come later may run other code" if moving else "a tag can be moved to other code",
        "write the digest: NAME:TAG@sha256:...",
    )


def _requirements(subject: Subject, where: Where, arguments: str) -> Iterator[Finding]:
    try:
        words = shlex.split(arguments)
    except ValueError:
        words = arguments.split()
    listed = any(word in ("-c", "-r", "--constraint", "--requirement", "--require-hashes") for word in words)
    for word in words:
        name = re.match(r"[A-Za-z0-9_.-]+", word)
        if word.startswith("-"):
            continue
        package = name[0].lower() if name else ""
        rest = re.sub(r"\[.*?\]", "", word[len(package) :])
        if package == "ray" and rest.startswith("==") and rest[2:] != version("ray"):
            yield subject.found(
                "error",
                where,
                f"{word}: another Ray than here, {version('ray')}",
                "head, nodes and this machine must have the same",
                f'write "ray[default,tune]=={version("ray")}"',
            )
        elif (package == "ray" and "[" not in word) or (package == "ray" and "default" not in word):
            yield subject.found(
                "error",
                where,
                f"{word}: Ray without what its dashboard and autoscaler need",
                "the head starts no worker, and takes no job",
                f'write "ray[default,tune]=={version("ray")}"',
            )
        elif package == "ray" and not rest.startswith(("==", " @", "@")):
            yield subject.found(
                "error",
                where,
                f"{word}: Ray without a version",
                "nodes that come after the next release do not join",
                f'write "ray[default,tune]=={version("ray")}"',
            )
        elif not listed and re.match(r"(~|\$HOME|\.{1,2})?/", word) and not word.endswith(".whl"):
            yield subject.found(
                "warning",
                where,
                f"pip installs what {word} needs in whatever versions there are",
                "nodes that come later may run other code",
                "add -c ~/starling/constraints.txt",
            )
        elif not listed and "/" not in word and not rest.startswith(("==", " @", "@")) and package != "ray":
            yield subject.found(
                "warning",
                where,
                f"pip installs {word} in whatever version there is",
                "nodes that come later may run other code",
                "pin it, or add -c ~/starling/constraints.txt",
            )


def _machine_image(
    subject: Subject, where: Where, config: Mapping[str, Any], provider: str
) -> Iterator[Finding]:
    why = "nodes that come later may get another driver or Python"
    if provider == "aws" and str(config.get("ImageId", "")).lower() in ("", "latest_dlami"):
        yield subject.found(
            "error",
            (*where, "ImageId"),
            "no machine image is named",
            "Ray takes one of 2023: Ubuntu 18.04 with CUDA 11.2",
            "write ImageId; `cluster/access/aws.sh image` finds it",
        )
    if provider == "aws" and "resolve:ssm" in str(config.get("ImageId", "")):
        yield subject.found(
            "warning", (*where, "ImageId"), "the machine image is the latest", why, "write ImageId: ami-..."
        )
    disks = config.get("disks")
    for i, disk in enumerate(disks if isinstance(disks, list) else []):
        source = str(mapping(mapping(disk).get("initializeParams")).get("sourceImage", ""))
        if "/family/" in source:
            yield subject.found(
                "warning",
                (*where, "disks", i, "initializeParams", "sourceImage"),
                f"the machine image is the latest of a family, {source.rpartition('/')[2]}",
                why,
                "write the image's own name; `cluster/access/gcp.sh image` finds it",
            )
    azure = mapping(config.get("azure_arm_parameters"))
    if azure.get("imageVersion") == "latest":
        yield subject.found(
            "warning",
            (*where, "azure_arm_parameters", "imageVersion"),
            "the machine image is the latest",
            why,
            "write a version; `cluster/access/azure.sh image` finds it",
        )
