"""What the end of a sweep means for programs: the exit code of `run`, `resume` and `status --watch`."""

from collections.abc import Mapping


def exit_code(why: str, states: Mapping[str, int]) -> int:
    """0 finished; 1 no trial succeeded, stopped by failures, or crashed; 130 interrupted.

    Args:
        why: why the sweep was closed, or "crashed".
        states: how many trials are in each.
    """
    if why == "interrupted":
        return 130
    succeeded = any(states.get(state) for state in ("completed", "stopped"))
    return 0 if succeeded and why not in ("failures", "metric", "crashed") else 1
