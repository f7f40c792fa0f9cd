"""Takes terminal escapes out of a text, as clap's output stream (anstream 1.0) does off a tty."""

from __future__ import annotations

_GROUND, _ESCAPE, _ESCAPE_MORE = "ground", "escape", "escape, intermediate"
_CSI, _CSI_MORE, _CSI_PARAM, _CSI_IGNORE = "csi", "csi, intermediate", "csi, param", "csi, ignore"
_DCS, _DCS_MORE, _DCS_PARAM, _DCS_IGNORE = "dcs", "dcs, intermediate", "dcs, param", "dcs, ignore"
_DCS_DATA, _OSC, _STRING = "dcs, data", "osc", "sos, pm or apc"

# state -> ((first character, last character, next state), ...)
_TRANSITIONS = {
    _ESCAPE: (
        (" ", "/", _ESCAPE_MORE),
        ("P", "P", _DCS),
        ("X", "X", _STRING),
        ("[", "[", _CSI),
        ("]", "]", _OSC),
        ("^", "_", _STRING),
        ("0", "~", _GROUND),
    ),
    _ESCAPE_MORE: (("0", "~", _GROUND),),
    _CSI: ((" ", "/", _CSI_MORE), ("0", "?", _CSI_PARAM), ("@", "~", _GROUND)),
    _CSI_MORE: (("0", "?", _CSI_IGNORE), ("@", "~", _GROUND)),
    _CSI_PARAM: ((" ", "/", _CSI_MORE), ("<", "?", _CSI_IGNORE), ("@", "~", _GROUND)),
    _CSI_IGNORE: (("@", "~", _GROUND),),
    _DCS: ((" ", "/", _DCS_MORE), ("0", "?", _DCS_PARAM), ("@", "~", _DCS_DATA)),
    _DCS_MORE: (("0", "?", _DCS_IGNORE), ("@", "~", _DCS_DATA)),
    _DCS_PARAM: ((" ", "/", _DCS_MORE), ("<", "?", _DCS_IGNORE), ("@", "~", _DCS_DATA)),
    _OSC: (("\x07", "\x07", _GROUND),),
}
_FROM_ANYWHERE = {"\x18": _GROUND, "\x1a": _GROUND, "\x1b": _ESCAPE}
_ENDED_BY_9C = (_DCS_IGNORE, _DCS_DATA, _STRING)
_SPACES_SHOWN = (_GROUND, _ESCAPE, _ESCAPE_MORE, _CSI, _CSI_MORE, _CSI_PARAM, _CSI_IGNORE)


def stripped(text: str) -> str:
    """Return `text` without escapes and without control characters other than spaces."""
    shown: list[str] = []
    state = _GROUND
    at = 0
    while at < len(text):
        while at < len(text):
            state, is_shown = _step(state, text[at])
            if is_shown:
                break
            at += 1
        # From here on everything is read as if no escape were open, yet the one that is stays so.
        while at < len(text):
            letter = text[at]
            if letter > "\x7f":
                state = _GROUND
            elif not (" " <= letter <= "~" or letter in "\t\n\f\r"):
                break
            shown.append(letter)
            at += 1
    return "".join(shown)


def _step(state: str, letter: str) -> tuple[str, bool]:
    """Return the next state, and whether the letter is shown."""
    if letter in _FROM_ANYWHERE:
        return _FROM_ANYWHERE[letter], False
    if letter > "\x7f" and state != _GROUND:
        ends = state in _ENDED_BY_9C and b"\x9c" in letter.encode()
        return (_GROUND if ends else state), False
    if letter in "\t\n\f\r":
        return state, state in _SPACES_SHOWN
    for first, last, following in _TRANSITIONS.get(state, ()):
        if first <= letter <= last:
            return following, False
    return state, state == _GROUND and letter >= " " and letter != "\x7f"
