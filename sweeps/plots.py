"""`Results.plot`: the report's figures one by one, for notebooks and scripts.

results.plot.history()
results.plot.parallel(n=30).write_html("parallel.html")
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sweeps.report.material import Material
    from sweeps.results import Results


class Plots:
    """Figures of one sweep, each a plotly Figure: shown by a notebook, or by its `show()`.

    They are of the results as they stood when the first was made; new `Results` read them anew. Where all
    trials would be too many, the best are drawn and an even sample of the rest; docs/report.md has the rules.
    """

    def __init__(self, results: Results) -> None:
        self._results = results

    def __repr__(self) -> str:
        names = ", ".join(f"{name}()" for name in vars(Plots) if not name.startswith("_"))
        return f"<Plots of {self._results.path}: {names}>"

    def history(self) -> go.Figure:
        """Each trial's value reported last, in the order of suggestion, and the best so far."""
        return self._figure("history")

    def parallel(self, n: int = 50) -> go.Figure:
        """Parallel coordinates of the n best trials."""
        return self._figure("parallel", n)

    def importances(self) -> go.Figure:
        """How much each hyperparameter matters: fANOVA up to 300 trials, PED-ANOVA beyond."""
        return self._figure("importances")

    def slices(self) -> go.Figure:
        """The value over each hyperparameter alone."""
        return self._figure("slices")

    def contour(self) -> go.Figure:
        """The value over the two most important hyperparameters together."""
        return self._figure("contour")

    def curves(self) -> go.Figure:
        """Learning curves, coloured by how far each trial came."""
        return self._figure("curves")

    def pareto(self) -> go.Figure:
        """Of a sweep with several metrics: its trials over the first two, the Pareto front marked."""
        return self._figure("pareto")

    def timeline(self) -> go.Figure:
        """Which trial was on which machine, and when."""
        return self._figure("timeline")

    def costs(self) -> go.Figure:
        """What was spent on what, and the best value so far over what had been spent."""
        return self._figure("costs")

    def certificate(self) -> go.Figure:
        """What `starling certify` found: each trial on a fresh seed, the expected values, the interval."""
        return self._figure("certificate")

    @cached_property
    def _material(self) -> Material:
        from sweeps.report.material import Material

        return Material(self._results)

    def _figure(self, name: str, *arguments: Any) -> go.Figure:
        made = import_module(f"sweeps.report.sections.{name}").figure(self._material, *arguments)
        made.update_layout(template="plotly_white", paper_bgcolor="white", plot_bgcolor="white")
        return made
