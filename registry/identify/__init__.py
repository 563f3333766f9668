"""What a file of weights is: kind, base model, adapter, rank and layout, judged by names and shapes.

Facts live in the tables (`names`, `rules` and `rules_*`); the engine only applies them.
"""

from __future__ import annotations

from registry.identify.engine import identify
from registry.views import Identification, TensorInfo

__all__ = ["Identification", "TensorInfo", "identify"]
