"""What learning curves tell: findings with their evidence, a confidence, and the next thing to try.

    from sweeps import Results
    from sweeps.diagnosis import diagnose
    for finding in diagnose(Results("results/quickstart")):
        print(finding.trial, finding.label, finding.text, finding.next_step)

`examine` judges one curve by itself. What there is to find is in `labels`, one file a label.
"""

from sweeps.diagnosis.curve import Curve
from sweeps.diagnosis.examine import examine
from sweeps.diagnosis.finding import Finding
from sweeps.diagnosis.trials import diagnose

__all__ = ["Curve", "Finding", "diagnose", "examine"]
