"""What can't be true is bad, what is unlikely is suspect: the plausibility table (domain.md), live and over files alike."""

from domain.screening.memory import Memory
from domain.screening.screen import Screen, screened
from domain.screening.surroundings import Surroundings

__all__ = ["Memory", "Screen", "Surroundings", "screened"]
