"""Docker on the nodes: the container's name, its GPUs, its memory, and what it may do to the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.lint.finding import Finding, Subject
from cluster.pods import mapping

KINDS = ("launcher",)

OPTIONS = ("run_options", "head_run_options", "worker_run_options")
IMAGES = ("image", "head_image", "worker_image")
GPU = re.compile(r"--gpus|--runtime[= ]nvidia|--device[= ]nvidia")
DANGEROUS = {
    r"--privileged": "code of a trial owns the machine",
    r"docker\.sock": "code of a trial starts containers as root of the machine",
    r"--cap-add[= ](?:ALL|SYS_ADMIN)": "code of a trial owns the machine",
    r"(?:-v|--volume)[= ]/:": "code of a trial writes every file of the machine",
}
IN_VAIN = {
    r"(?:^|\s)(?:-p|--publish)[= ]": "Ray starts it in the machine's own network: nothing is published",
    r"--net(?:work)?[= ](?!host)": "Ray starts it with --net=host, and other nodes must reach it",
    r"--rm\b|(?:^|\s)-it?\b": "Ray starts it with its own -d -it --rm",
}


def check(subject: Subject) -> Iterator[Finding]:
    """Only where the file asks for Docker."""
    docker = mapping(subject.content.get("docker"))
    named = [key for key in IMAGES if docker.get(key)]
    if not docker:
        return
    if not named:
        yield subject.found(
            "warning",
            ("docker",),
            "docker names no image",
            "Ray ignores the rest of it",
            "write image, or drop docker",
        )
        return
    if not docker.get("container_name"):
        yield subject.found(
            "error",
            ("docker", "container_name"),
            "the container has no name",
            "Ray stops there",
            "write container_name: ray",
        )
    elif not re.fullmatch(r"[A-Za-z0-9][\w.-]*", str(docker["container_name"])):
        yield subject.found(
            "error",
            ("docker", "container_name"),
            f"the container is called {docker['container_name']!r}",
            "Docker refuses it",
            "write letters, digits, - and _",
        )
    options = {key: str(docker.get(key, "")) for key in OPTIONS}
    said = " ".join(options.values())
    cluster = subject.cluster
    gpus = cluster is not None and any(one.resources.get("GPU") for one in cluster.workers)
    if gpus and docker.get("disable_automatic_runtime_detection") is True and not GPU.search(said):
        yield subject.found(
            "error",
            ("docker", "disable_automatic_runtime_detection"),
            "the container is given no GPU",
            "trials find none, on machines that have them",
            "drop disable_automatic_runtime_detection, or write run_options: [--gpus all]",
        )
    for key in named:
        image = str(docker[key])
        if gpus and key != "head_image" and re.search(r"rayproject/ray(-ml)?:", image):
            tag = image.partition("@")[0].rpartition(":")[2]
            if not re.search(r"-(gpu|cu\d+)", tag):
                yield subject.found(
                    "error",
                    ("docker", key),
                    f"{tag} is an image without CUDA",
                    "trials find no GPU, on machines that have them",
                    f"write {tag}-gpu or {tag}-cu128, with its digest",
                )
    shared = re.search(r"--shm-size[= ](\d+)([bkmg]?)", said)
    if shared and int(shared[1]) * 1024 ** "bkmg".index(shared[2] or "b") < 2**30:
        yield subject.found(
            "warning",
            ("docker", "run_options"),
            f"{shared[0]}",
            "Ray's object store is there: it falls back to the disk, and everything is slow",
            "drop it; Ray sizes it by the machine's memory",
        )
    elif docker.get("disable_shm_size_detection") is True and not shared:
        yield subject.found(
            "warning",
            ("docker", "disable_shm_size_detection"),
            "the container's shared memory is Docker's default, 64 MB",
            "Ray's object store is there: it falls back to the disk, and everything is slow",
            "drop it",
        )
    for key, text in options.items():
        for pattern, why in (DANGEROUS | IN_VAIN).items():
            if found := re.search(pattern, re.sub(r"[\[\]',]", " ", text)):
                level = "error" if pattern in DANGEROUS else "warning"
                yield subject.found(
                    "error" if level == "error" else "warning",
                    ("docker", key),
                    found[0].strip(),
                    why,
                    "remove it",
                )
