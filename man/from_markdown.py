"""Markdown to roff: the pages of section 7 are written in Markdown, in this folder, and read in man(1).

What these pages use is understood: headings, paragraphs, lists, tables, indented and fenced code, emphasis, code spans
and links. Anything else is an error, so that nothing is lost without notice.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Of a page of 78 columns, less the indentation of a section and of a display in it.
TABLE_WIDTH = 78 - 7
_FONTS = {"strong_open": r"\fB", "strong_close": r"\fR", "em_open": r"\fI", "em_close": r"\fR"}
_REFERENCE = re.compile(r"\b(taltool[\w-]*)\((\d)\)")
_TITLE = re.compile(r"(taltool[\w-]*)\((\d)\): (.+)")


def escaped(text: str) -> str:
    """Text as roff prints it, literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def to_roff(markdown: str, version: str) -> str:
    """The manual page of a text whose first line is `# NAME(SECTION): SUMMARY`; a paragraph must follow.

    Raises ValueError for Markdown that has no counterpart here.
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    title = _TITLE.fullmatch(tokens[1].content)
    if title is None:
        raise ValueError(f"expected '# taltool-NAME(7): SUMMARY' in the first line, found '{tokens[1].content}'")
    name, section, summary = title.groups()
    head = (
        f'.TH {name.upper()} {section} "" "taltool {version}" "taltool manual"\n'
        f".SH NAME\n{escaped(name)} \\- {escaped(summary)}\n.SH DESCRIPTION\n"
    )
    body = "\n".join(_blocks(tokens[3:]))
    # Behind a heading there is no paragraph to separate.
    return re.sub(r"(?m)^(\.S[HS] .*)\n\.PP\n", r"\1\n", f"{head}{body}\n")


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """The blocks of a page, in order, as roff."""
    position = 0
    markers: list[str] = []  # Of the lists that are open, outermost first: a bullet, or the number of the next item.
    is_item_open = False
    while position < len(tokens):
        token = tokens[position]
        if token.type == "heading_open":
            words = tokens[position + 1]
            yield f'.SH "{_quoted(_plain(words).upper())}"' if token.tag == "h2" else f'.SS "{_inline(words)}"'
            position += 2
        elif token.type == "paragraph_open":
            text = _filled(_inline(tokens[position + 1]))
            yield text if is_item_open else f".PP\n{text}"
            is_item_open = False
            position += 2
        elif token.type in ("code_block", "fence"):
            yield f".PP\n.nf\n.RS 4\n{escaped(token.content.rstrip())}\n.RE\n.fi"
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            markers.append(r"\(bu" if token.type.startswith("bullet") else "1")
            if len(markers) > 1:
                yield ".RS 4"
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            markers.pop()
            if markers:
                yield ".RE"
        elif token.type == "list_item_open":
            yield f".IP {markers[-1] + ('.' if markers[-1].isdigit() else '')} 4"
            markers[-1] = str(int(markers[-1]) + 1) if markers[-1].isdigit() else markers[-1]
            is_item_open = True
        elif token.type == "table_open":
            end = next(at for at in range(position, len(tokens)) if tokens[at].type == "table_close")
            yield f".PP\n.nf\n{_table(tokens[position:end])}\n.fi"
            position = end
        elif token.type not in ("list_item_close", "html_block"):
            raise ValueError(f"{token.type}: Markdown that the manual pages do not use; see man/from_markdown.py")
        position += 1


def _inline(token: Token) -> str:
    """Words with their fonts as roff, on one line; links are their text, and references to pages are bold."""
    parts = []
    for each in token.children or []:
        if each.type in _FONTS:
            parts.append(_FONTS[each.type])
        elif each.type == "code_inline":
            parts.append(rf"\fB{_unbroken(each.content)}\fR")
        elif each.type == "text":
            words = _REFERENCE.split(each.content)  # Text, name, section, text, ...
            for text, name, section in zip(words[::3], [*words[1::3], ""], [*words[2::3], ""], strict=True):
                parts.append(_quoted(text) + (rf"\fB{_unbroken(name)}\fR({section})" if name else ""))
        elif each.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif each.type == "link_open" and each.info == "auto":
            parts.append(r"\fI")
        elif each.type == "link_close" and each.info == "auto":
            parts.append(r"\fR")
        elif each.type not in ("link_open", "link_close", "html_inline"):
            raise ValueError(f"{each.type}: Markdown that the manual pages do not use; see man/from_markdown.py")
    return "".join(parts)


def _unbroken(text: str) -> str:
    """Words as roff prints them within a line, also as an argument; no line ends at their hyphens."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace('"', r"\(dq")


def _quoted(text: str) -> str:
    """The same of prose, where a line may end at the hyphen of a compound."""
    return re.sub(r"(?<=[a-z])\\-(?=[a-z])", "-", _unbroken(text))


def _filled(text: str) -> str:
    """Lines of a readable length; none begins as a request of roff does."""
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(re.sub(r"^([.'])", r"\\&\1", line) for line in lines)


def _table(tokens: Sequence[Token]) -> str:
    """A table, laid out here as neither man(7) nor tbl(1) fits columns into a page."""
    rows: list[list[str]] = []
    aligned_right: list[bool] = []
    for position, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            if len(rows) == 1:
                aligned_right.append("right" in str(token.attrs.get("style", "")))
            rows[-1].append(_plain(tokens[position + 1]))
    widths = _widths(rows)
    cells = [[textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)] for row in rows]
    has_tall_rows = any(len(cell) > 1 for row in cells[1:] for cell in row)
    lines: list[str] = []
    for number, row in enumerate(cells):
        for level in range(max(map(len, row))):
            words = [cell[level] if level < len(cell) else "" for cell in row]
            line = "  ".join(
                word.rjust(width) if right else word.ljust(width)
                for word, width, right in zip(words, widths, aligned_right, strict=True)
            )
            line = escaped(line.rstrip())
            lines.append(line if number else rf"\fB{line}\fR")
        if has_tall_rows and number < len(cells) - 1:
            lines.append("")
    # An empty line in a display is a warning of mandoc's.
    return "\n".join(line or ".sp" for line in lines)


def _plain(token: Token) -> str:
    """The words of a cell without fonts."""
    return "".join(" " if each.type == "softbreak" else each.content for each in token.children or [])


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Columns as wide as their cells, where these fit; else the widest are narrowed, to their longest word at least."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    least = [max(len(word) for cell in column for word in (cell.split() or [""])) for column in columns]
    while sum(widths) + 2 * (len(widths) - 1) > TABLE_WIDTH:
        wide = [at for at in range(len(widths)) if widths[at] > least[at]]
        if not wide:
            raise ValueError(f"a table of {sum(widths)} columns does not fit the page: {rows[0]}")
        widths[max(wide, key=lambda at: widths[at])] -= 1
    return widths
