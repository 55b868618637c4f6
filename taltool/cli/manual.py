"""The manual pages without man(1): where they are, and how they look as text.

The pages use a small part of man(7), and this is all that is understood here: sections, paragraphs, tagged and
indented ones, displays, and two fonts. Text with fonts is overstruck, as `man` gives it to a pager.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from taltool.errors import DataError

# A character and its font: B(old), I(talic, underlined) or R(oman).
_Glyph = tuple[str, str]
_Word = list[_Glyph]
_INDENT, _TAG_INDENT = 7, 8
_LEAST_WIDTH = 20
_CHARACTERS = {"(bu": "•", "(dq": '"', "(aq": "'", "(<-": "←", "(>=": "≥", "(<=": "≤", "(ca": "∩", "(cu": "∪"}
_INLINE = re.compile(r"\\f(?P<font>[BIRP])|\\(?P<name>\([^\s]{2}|[e&~ -])|(?P<text>.)", re.DOTALL)
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
# Requests that set their arguments in one font, or in two by turns.
_FONTS = ("B", "I", "BR", "RB", "IR", "RI", "BI", "IB")


def pages() -> dict[str, Path]:
    """The pages by topic, `nms` for taltool-nms(1), in the order of their sections (1, 7, 5).

    They lie in `man` of a checkout, or in PREFIX/share/man. Raises DataError where neither is there.
    """
    for folder in Path(__file__).resolve().parents:
        for place in (folder / "man", folder / "share/man"):
            if (place / "man1/taltool.1").exists():
                files = [file for section in "175" for file in sorted((place / f"man{section}").glob("taltool*.?"))]
                return {file.stem.removeprefix("taltool-"): file for file in files}
    raise DataError(f"no manual pages: neither beside {Path(__file__).parents[1]} nor in a share/man above it")


def summary(page: Path) -> str:
    """What the section NAME says that a page is about."""
    text = page.read_text(encoding="utf-8").partition(".SH NAME\n")[2].partition("\n.SH")[0]
    return _text(_glyphs(" ".join(text.split()))).partition(" - ")[2]


def overstruck(roff: str, width: int) -> str:
    """A page as text of `width` columns; bold is `b\\bb`, underlined `_\\bu`, which pagers show and pydoc removes."""
    kept: list[_Word] = []
    page = _Page(width)
    for line in roff.splitlines():
        page.add(line)
    page.finish()
    for row in page.lines:
        # No empty line above all, below another one, or below a heading, which begins left of the text.
        is_heading = bool(kept) and _margin(kept[-1]) < _INDENT
        if row or (kept and kept[-1] and not is_heading):
            kept.append(row)
    return "".join("".join(map(_struck, row)).rstrip() + "\n" for row in kept)


def _margin(line: _Word) -> int:
    return len(line) - len(_text(line).lstrip())


def _struck(glyph: _Glyph) -> str:
    character, font = glyph
    over = {"B": f"{character}\b", "I": "_\b", "R": ""}[font]
    return character if character.isspace() else over + character


def _text(word: _Word) -> str:
    return "".join(character for character, _ in word)


def _glyphs(text: str, font: str = "R") -> _Word:
    """The characters of a line of roff, each with its font; `\\fR` goes back to the font that it began with."""
    found, current = [], font
    for match in _INLINE.finditer(text):
        if match["font"]:
            current = match["font"] if match["font"] in "BI" else font
        elif match["name"]:
            character = {"e": "\\", "&": "", "~": "\xa0", " ": "\xa0", "-": "-"}.get(match["name"])
            found += [(each, current) for each in (_CHARACTERS[match["name"]] if character is None else character)]
        else:
            found.append((match["text"], current))
    return found


def _arguments(line: str) -> list[str]:
    """The words of a request; quotes hold one that has spaces."""
    return [quoted.replace('""', '"') or plain for quoted, plain in _ARGUMENT.findall(line)]


def _words(glyphs: _Word) -> Iterator[_Word]:
    """The words of a line of text."""
    word: _Word = []
    for glyph in [*glyphs, (" ", "R")]:
        if glyph[0] != " ":
            word.append((glyph[0].replace("\xa0", " "), glyph[1]))
        elif word:
            yield word
            word = []


def _filled(words: Sequence[_Word], width: int) -> list[_Word]:
    """Words in lines of at most `width` columns; a longer word has a line of its own."""
    lines: list[_Word] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += [(" ", "R"), *word]
        else:
            lines.append(list(word))
    return lines


class _Page:
    """A page while it is laid out; `lines` are those that are finished, empty ones may follow each other."""

    def __init__(self, width: int) -> None:
        self.width, self.lines = width, list[_Word]()
        self._margins = [_INDENT]  # Of the enclosing displays, the innermost last.
        self._hanging = 0  # What a tagged or indented paragraph adds to that.
        self._words: list[_Word] = []  # Of the paragraph at hand.
        self._tag: _Word | None = None  # What stands left of it.
        self._tag_follows, self._is_filled = False, True

    def add(self, line: str) -> None:
        """The next line of the source."""
        request, *arguments = _arguments(line[1:]) if line.startswith(".") else [""]
        if request in _FONTS or not request:
            self._text(_in_fonts(request, arguments) if request else _glyphs(line))
        else:
            self.finish()
            self._request(request, arguments)

    def finish(self) -> None:
        """Put the paragraph at hand into lines."""
        indent = self._margins[-1] + self._hanging
        lines = _filled(self._words, max(self.width - indent, _LEAST_WIDTH))
        if self._tag is not None:
            beside = lines.pop(0) if lines and len(self._tag) < self._hanging else []
            gap = _space(self._hanging - len(self._tag)) if beside else []
            self.lines.append([*_space(self._margins[-1]), *self._tag, *gap, *beside])
        self.lines += [[*_space(indent), *line] for line in lines]
        self._words, self._tag = [], None

    def _text(self, glyphs: _Word) -> None:
        if self._tag_follows:
            self._tag, self._tag_follows = [(each.replace("\xa0", " "), font) for each, font in glyphs], False
        elif self._is_filled:
            self._words += _words(glyphs)
        else:
            self.lines.append([*_space(self._margins[-1] + self._hanging), *glyphs])

    def _request(self, name: str, arguments: Sequence[str]) -> None:
        if name in ("SH", "SS"):
            self._hanging, self._margins = 0, [_INDENT]
            self.lines += [[], [*_space(_INDENT // 2 if name == "SS" else 0), *_glyphs(" ".join(arguments), "B")]]
        elif name in ("TP", "IP", "PP"):
            self.lines.append([])
            self._hanging = {"TP": _TAG_INDENT, "PP": 0}.get(name) or int([*arguments, "0"][1 if arguments else 0])
            self._tag_follows = name == "TP"
            self._tag = _glyphs(arguments[0]) if name == "IP" else None
        elif name in ("nf", "fi"):
            self._is_filled = name == "fi"
        elif name == "RS":
            self._margins.append(self._margins[-1] + self._hanging + int([*arguments, "4"][0]))
            self._hanging = 0
        elif name == "RE":
            self._margins.pop()
        elif name == "sp":
            self.lines.append([])
        elif name != "TH":
            raise DataError(f"a manual page has the request .{name}, which is not understood here; read it with man")


def _space(columns: int) -> _Word:
    return [(" ", "R")] * columns


def _in_fonts(request: str, arguments: Sequence[str]) -> _Word:
    """The arguments of a request for fonts: in one, with spaces between, or in two by turns, joined."""
    if len(request) == 1:
        return _glyphs(" ".join(arguments), request)
    return [glyph for at, part in enumerate(arguments) for glyph in _glyphs(part, request[at % 2])]
