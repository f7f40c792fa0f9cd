"""How alike two texts are: the strsim crate."""

from __future__ import annotations


def jaro(left: str, right: str, *, least: float) -> float:
    """Return the Jaro similarity of two texts, from 0 to 1; one up to `least` may be told as 0."""
    if not left or not right:
        return 1.0 if left == right else 0.0
    shorter = min(len(left), len(right))
    # No pair can be more similar than this; it spares enormous texts the search below.
    if (shorter / len(left) + shorter / len(right) + 1.0) / 3.0 <= least:
        return 0.0
    reach = max(max(len(left), len(right)) // 2 - 1, 0)
    taken = [False] * len(right)
    matched_left: list[str] = []
    for index, letter in enumerate(left):
        for other in range(max(index - reach, 0), min(len(right), index + reach + 1)):
            if right[other] == letter and not taken[other]:
                taken[other] = True
                matched_left.append(letter)
                break
    matches = len(matched_left)
    if not matches:
        return 0.0
    matched_right = [letter for letter, is_taken in zip(right, taken, strict=True) if is_taken]
    swapped = sum(a != b for a, b in zip(matched_left, matched_right, strict=True)) // 2
    return (matches / len(left) + matches / len(right) + (matches - swapped) / matches) / 3.0
