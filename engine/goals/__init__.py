"""What a network's outputs mean: one label, several labels, or a number.

A goal holds the truth of every row and says how outputs are trained, scored, baselined and turned
into answers. It knows no text, picture or table: any task that ends in a linear layer can use it.
"""

from engine.goals.number import Number
from engine.goals.one_label import OneLabel
from engine.goals.outline import Goal
from engine.goals.several_labels import SeveralLabels

__all__ = ["Goal", "Number", "OneLabel", "SeveralLabels"]
