"""Certificates: a sweep's best configurations raced on fresh seeds, and what may be said of the winner.

    from sweeps.certify import certify, read
    print(certify("results/quickstart", top=5, budget=15).text())

`race` says who gets the next trial, `posterior` and `intervals` what the trials mean, `statement` puts it
down; they know of losses alone. `searcher` and `running` spend real trials.
"""

from typing import TYPE_CHECKING, Any

from sweeps.certify.certificate import Certificate, read

if TYPE_CHECKING:
    from sweeps.certify.running import certify

__all__ = ["Certificate", "certify", "read"]


def __getattr__(name: str) -> Any:
    """`certify` needs Ray; reading a certificate does not wait for it."""
    if name != "certify":
        known = ", ".join(__all__)
        raise AttributeError(f"module 'sweeps.certify' has no attribute {name!r}; it has {known}")
    from importlib import import_module

    return import_module("sweeps.certify.running").certify
