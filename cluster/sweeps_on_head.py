"""What `starling cluster status` runs on the head: the submitted sweeps that run or failed, each with its own
`starling status`.

    python -m cluster.sweeps_on_head
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ray.job_submission import JobStatus, JobSubmissionClient

from cluster.submit import FOLDER, SCRIPT

ENDED = {JobStatus.STOPPED, JobStatus.SUCCEEDED}
"""A failed one is shown: somebody has to look at it."""


def main() -> None:
    """Print them."""
    jobs = {job.submission_id: job for job in JobSubmissionClient().list_jobs() if job.submission_id}
    shown = {name: job for name, job in jobs.items() if job.status not in ENDED}
    print(f"\n{len(shown)} of {len(jobs)} submitted jobs run or failed")
    for name, job in sorted(shown.items()):
        print(f"\n{name}: {job.status.value.lower()}", flush=True)
        script = Path(FOLDER).expanduser() / (job.metadata or {}).get("sweep", name) / SCRIPT
        if job.status == JobStatus.FAILED and job.message:
            print(job.message.strip().splitlines()[-1], flush=True)
        elif script.is_file():
            subprocess.run(["bash", str(script), "status"], check=False)


if __name__ == "__main__":
    main()
