"""The risk core: arrays and dataclasses in, dataclasses out. No clock, no input or output, no logging.

The public face is what stands in `__all__`; docs/risk-methods.md has the conventions and formulas.
"""

from tailwatch.risk.body import to_json_dict
from tailwatch.risk.report import measure
from tailwatch.risk.results import RiskReport
from tailwatch.risk.returns import align
from tailwatch.risk.types import (
    CONFIDENCES,
    DEFAULT_WINDOW,
    AlignedInstrument,
    CovarianceEstimator,
    Method,
    PriceSeries,
    RiskInputs,
    RiskSettings,
    Sample,
    Status,
    UnmodelledPosition,
)

__all__ = [
    "CONFIDENCES",
    "DEFAULT_WINDOW",
    "AlignedInstrument",
    "CovarianceEstimator",
    "Method",
    "PriceSeries",
    "RiskInputs",
    "RiskReport",
    "RiskSettings",
    "Sample",
    "Status",
    "UnmodelledPosition",
    "align",
    "measure",
    "to_json_dict",
]
