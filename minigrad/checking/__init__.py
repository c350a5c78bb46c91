"""Whether a gradient is right: the analytic one of the engine against numeric differences.

`gradcheck` checks functions and modules and tells for each input and parameter what is wrong and,
where the numbers show it, why.
"""

from minigrad.checking.check import gradcheck
from minigrad.checking.report import GradcheckReport, Result, Verdict

__all__ = ["GradcheckReport", "Result", "Verdict", "gradcheck"]
