"""Bounds of shares."""

import math


def wilson_interval(count: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of count / n; 95 % for z = 1.96 (Wilson 1927)."""
    share = count / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
