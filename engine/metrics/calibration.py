"""Calibration: whether predictions of 80% confidence are correct 80% of the time."""

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from engine.metrics.counting import sum_by_group
from engine.metrics.shapes import Floats, Ints, MulticlassPredictions

CALIBRATION_BINS = 15
ECE_METHOD = f"expected calibration error, {CALIBRATION_BINS} equal-width bins (Guo et al. 2017)"


class CalibrationBin(TypedDict):
    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def calibration_error(correct: npt.NDArray[np.bool_], confidence: Floats) -> float:
    """Expected calibration error over equal-width bins (Guo et al. 2017)."""
    return float(calibration_errors(correct, confidence, np.ones((1, len(confidence))))[0])


def calibration_errors(
    correct: npt.NDArray[np.bool_], confidence: Floats, weights: Floats
) -> Floats:
    """The same for each of several resamples: weights (samples, rows)."""
    gaps = sum_by_group(assign_bins(confidence), CALIBRATION_BINS, weights * (correct - confidence))
    errors: Floats = np.abs(gaps).sum(axis=1) / len(confidence)
    return errors


def assign_bins(confidence: Floats) -> Ints:
    """Bins are open below and closed above: (0, 1/15], (1/15, 2/15] …"""
    bins = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    return np.clip(bins, 0, CALIBRATION_BINS - 1)


def calibration_bins(predictions: MulticlassPredictions) -> list[CalibrationBin]:
    correct = predictions.true == predictions.predicted
    return reliability_bins(correct, predictions.confidence)


def reliability_bins(correct: npt.NDArray[np.bool_], confidence: Floats) -> list[CalibrationBin]:
    """The bins that hold rows, for the reliability diagram."""
    bins = assign_bins(confidence)
    return [
        {
            "low": number / CALIBRATION_BINS,
            "high": (number + 1) / CALIBRATION_BINS,
            "count": int((bins == number).sum()),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(correct[bins == number].mean()),
        }
        for number in np.unique(bins).tolist()
    ]
