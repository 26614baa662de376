"""Trust: hostile.

The demonstration: the scene, the thief and his attempts, the customers who must notice nothing, the report.
"""

from __future__ import annotations


class Failure(Exception):
    """The demonstration itself went wrong; the text says where."""
