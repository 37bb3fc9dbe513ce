"""Reads the order that a language model wrote, in any of the ways that models write one, and makes it whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_CUT_OFF = re.compile(r"\[\s*\d*\s*\Z")
# A model under a document's influence may write anything: bounded repeats keep the search linear in what it wrote.
_LONG = re.compile(r"(?P<number>\d{10,})|(?P<gap>\s{2,})")
_WORD = r"(?:(?:passage|document|doc|text|item|id|number|no\.?)\s?)?"
_ITEM = rf"{_WORD}[\[({{*_`'\"#]{{0,4}}\s?{_WORD}\d{{1,9}}\s?[\])}}*_`'\"]{{0,4}}"
_ABOVE = r"\s?(?:>|&gt;|≻|›|→|=){1,3}\s?"
_CHAIN = re.compile(rf"{_ITEM}(?:{_ABOVE}{_ITEM})+", re.IGNORECASE)
_BRACKETED = re.compile(r"\[\s?\d+(?:\s?,\s?\d+)*\s?\]")
_LISTED = re.compile(rf"^[ \t]?(\d+)[.):][ \t]({_ITEM})", re.IGNORECASE | re.MULTILINE)
_REFERENCE = re.compile(r"\[\s?(\d+)\s?\]")
_WHOLE_NUMBER = re.compile(r"(?<![\d.])\d+(?!\d|\.\d)")


@dataclass(frozen=True, slots=True)
class Repairs:
    """What was wrong with an output: documents it left out, named again, or that do not exist."""

    missing: int = 0
    repeated: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.missing + self.repeated + self.unknown

    def __add__(self, other: Repairs) -> Repairs:
        return Repairs(self.missing + other.missing, self.repeated + other.repeated, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class Order:
    """`positions` is a permutation of 0..n-1, best first; `repairs` says what had to be done to make it one."""

    positions: tuple[int, ...]
    repairs: Repairs = Repairs()

    def scores(self) -> list[float]:
        """For each position a number of its own, the higher the better."""
        found = [0.0] * len(self.positions)
        for place, position in enumerate(self.positions):
            found[position] = float(len(self.positions) - place)
        return found


def parse(text: str, count: int) -> Order:
    """The order of `count` documents that `text` names by the numbers 1 to `count`, made whole by `repair`."""
    return repair((number - 1 for number in numbers(text)), count)


def repair(named: Iterable[int], count: int) -> Order:
    """A permutation of 0..count-1 from positions that may be incomplete, repeated or out of range.

    The first mention counts; what is not named comes last, in the order it came in.
    """
    kept: dict[int, None] = {}
    repeated = unknown = 0
    for position in named:
        if not 0 <= position < count:
            unknown += 1
        elif position in kept:
            repeated += 1
        else:
            kept[position] = None
    left_out = [position for position in range(count) if position not in kept]
    return Order((*kept, *left_out), Repairs(len(left_out), repeated, unknown))


def write(positions: Iterable[int]) -> str:
    """The form that prompts ask for: `[2] > [1] > [3]`."""
    return " > ".join(f"[{position + 1}]" for position in positions)


def unmistakable(text: str) -> str:
    """A document's text in which no number stands in brackets, as our identifiers do: `[3]` becomes `(3)`."""
    return _REFERENCE.sub(r"(\1)", text)


def numbers(text: str) -> list[int]:
    """The numbers that `text` names as its order, as they stand.

    Of the longest chain such as `[2] > [1]` (the first, among equals), else of a numbered list, else those in
    brackets, else every whole number. Thoughts between think tags and an identifier that is cut off do not count.
    """
    text = _CUT_OFF.sub("", _LONG.sub(_shortened, _THOUGHT.sub("", text)))
    if chains := [_digits(chain) for chain in _CHAIN.findall(text)]:
        return max(chains, key=len)
    lines: list[tuple[str, str]] = _LISTED.findall(text)
    if lines and [int(place) for place, _ in lines] == list(range(1, len(lines) + 1)):
        return [_digits(item)[-1] for _, item in lines]
    return _digits(" ".join(_BRACKETED.findall(text)) or text)


def _digits(text: str) -> list[int]:
    return [int(digits) for digits in _WHOLE_NUMBER.findall(text)]


def _shortened(match: re.Match[str]) -> str:
    """A number too long to be a document's becomes 0, which is no document's either; a gap keeps its line's end."""
    if match["number"]:
        return "0"
    return "\n" if "\n" in match["gap"] else " "
