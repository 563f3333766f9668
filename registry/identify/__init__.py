"""What a file of weights is: kind, base model, adapter, rank and layout, judged by names and shapes.

Facts live in the tables (`names`, `rules` and `rules_*`); the engine only applies them.
"""

from __future__ import annotations

from registry.identify.engine import identify, identify_surveyed
from registry.identify.survey import Survey
from registry.views import Identification, TensorInfo

__all__ = ["Identification", "Survey", "TensorInfo", "identify", "identify_surveyed"]
