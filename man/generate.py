"""Writes man/man1 from the commands, man/man7 from the Markdown beside this file, and settings.md from the settings.

`--check` writes nothing and exits 1 where a file is not current. A command's file may add to its page: `MAN` (roff,
whole sections, placed after the options) and `EXAMPLES` (command lines; a line that begins with # explains the next
one). The pages of section 5 are written by hand, in roff.
"""

import importlib
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "man"
sys.path[:0] = [str(PROJECT), str(FOLDER)]

from from_markdown import escaped, to_roff  # noqa: E402
from settings_page import settings_page  # noqa: E402

from taltool.cli.help_page import default_in_words, meaning, operands, value_name, without_names  # noqa: E402

EXIT_STATUSES = (
    (0, "Done. A reader that closes the pipe early is not an error."),
    (1, "Some videos failed (they are named; the rest was written), or a threshold of --fail-under was missed."),
    (2, "The command line is wrong."),
    (3, "A file is broken, incomplete, or does not fit the others."),
    (4, "Unexpected: a mistake in taltool, or a library that failed; -v shows where."),
    (130, "Interrupted."),
    (143, "Terminated."),
)
COMMON = ("quiet", "verbose", "progress")
COMMON_NOTE = """
.PP
.BR \\-q ,
.BR \\-v ,
.B \\-\\-progress
and
.B \\-\\-help
are the same for all commands; see
.BR taltool (1).
"""
SHARED_SECTIONS = r"""
.SH "FILES AND STREAMS"
Where a command reads proposals, a missing file name or
.B \-
means standard input; it writes to standard output unless
.B \-o
names a file.
A file appears only when it is whole.
Compressed input (gzip) is recognised.
Data go to standard output, everything else to standard error.
A stream that was cut short is refused: the command that reads it exits with status 3.
.PP
Proposals travel as JSON Lines, see
.BR taltool\-proposals (5),
features as HDF5, see
.BR taltool\-features (5);
ground truth as ActivityNet JSON, see
.BR taltool\-annotations (5),
which has splits and class scores too; checkpoints are safetensors.
.BR taltool\-convert (1)
turns other formats into these.
.SH PLUG\-INS
Where a model, backbone, format or metric is named, the path of a Python file that registers one will do; the file is
run, and nothing has to be installed:
.PP
.nf
.RS
taltool train \-\-model ./my_model.py feats.h5 gt.json
taltool predict \-\-model ./my_model.py \-\-model my\-model.safetensors feats.h5
.RE
.fi
.PP
What is recorded is the name under which the file registers it.
An installed package adds names through the entry points
.IR taltool.models ,
.IR taltool.backbones ,
.I taltool.formats
and
.IR taltool.metrics .
Examples of each are in
.I .github/CONTRIBUTING.md
of the source.
"""
ENVIRONMENT = r"""
.SH ENVIRONMENT
.TP
.B NO_COLOR
If set, nothing is coloured.
.TP
.B TALTOOL_JOBS
Default of
.BR \-\-jobs .
.TP
.B TALTOOL_MODELS
Folders, separated by colons, in which
.B taltool predict \-\-model
.I NAME
looks for
.IR NAME .safetensors
after the current one.
.SH "SHELL COMPLETION"
.B taltool \-\-install\-completion
installs completion of commands, options and file names for the shell that runs it (bash, zsh, fish, PowerShell);
.B taltool \-\-show\-completion
prints the script instead, for example
.PP
.nf
.RS
taltool \-\-show\-completion bash > ~/.local/share/bash\-completion/completions/taltool
.RE
.fi
.SH "MANUAL PAGES"
.B taltool help
.I TOPIC
shows any page, of a command, a guide or a file format, where
.BR man (1)
is missing, too.
A wheel puts these pages under
.IR PREFIX /share/man.
Where
.BR man (1)
does not look there, name the folder:
.PP
.nf
.RS
man \-M "$(python \-c 'import sys; print(sys.prefix)')/share/man" taltool
.RE
.fi
"""
EXAMPLES = """
# From videos to numbers
taltool extract videos/ -o feats.h5
taltool train --model afsd feats.h5 gt.json
taltool predict --model afsd feats.h5 | taltool nms | taltool evaluate gt.json
# Look at a stream on its way
taltool predict --model afsd feats.h5 | tee raw.jsonl | taltool nms | taltool info
# Any other program may stand in the pipe
taltool predict --model afsd feats.h5 | taltool nms | jq -c 'select(.video_id)' | head -1
"""


def prose(text: str) -> str:
    """Paragraphs of help as roff, in short lines; hyphens within words stay hyphens."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.replace("\f", "\n").strip())]
    return "\n.PP\n".join(map(_paragraph, paragraphs))


def _paragraph(paragraph: str) -> str:
    """One paragraph; one that is a command line is set in bold."""
    if paragraph.startswith("taltool "):
        return f"\\fB{escaped(paragraph)}\\fR"
    lines = textwrap.wrap(paragraph, 76, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"(?<=\w)\\-(?=\w)", "-", escaped("\n".join(lines)))


def heading(title: str, version: str) -> str:
    """The first line of a page."""
    return f'.TH {title.upper()} 1 "" "taltool {version}" "taltool manual"\n'


def examples(text: str) -> str:
    """The section of examples: explained command lines."""
    blocks = [
        f"{prose(line[1:])}:" if line.startswith("#") else f".nf\n.RS\n{escaped(line)}\n.RE\n.fi"
        for line in text.strip().splitlines()
    ]
    return ".SH EXAMPLES\n" + "\n.PP\n".join(blocks) + "\n"


def option(parameter: Any) -> str:
    """One entry of the section of options."""
    names = sorted(parameter.opts, key=lambda name: name.startswith("--"))
    words = ", ".join(f"\\fB{escaped(name)}\\fR" for name in [*names, *parameter.secondary_opts])
    takes_value = not (parameter.is_flag or parameter.count)
    value = f" \\fI{escaped(value_name(parameter))}\\fR" if takes_value else ""
    notes = [prose(without_names(meaning(parameter)))]
    if default := default_in_words(parameter):
        notes.append(f"Default: \\fB{escaped(default)}\\fR.")
    if parameter.multiple:
        notes.append("May be given several times.")
    if parameter.envvar:
        notes.append(f"Environment: \\fB{parameter.envvar}\\fR.")
    return f".TP\n{words}{value}\n" + "\n".join(notes) + "\n"


def argument(parameter: Any) -> str:
    """One entry of the list of operands."""
    name = (parameter.metavar or parameter.name.upper()).strip("[].")
    default = parameter.default if isinstance(parameter.default, str) else None
    return f".TP\n\\fI{escaped(name)}\\fR\n{prose(parameter.help or '')}\n" + (
        f"Default: \\fB{escaped(default)}\\fR.\n" if default else ""
    )


def synopsis(name: str, command: Any) -> str:
    """The command with its operands; optional ones in brackets."""
    words = " ".join(operands(command))
    shown = f" \\fI{escaped(words)}\\fR" if words else ""
    return f".SH SYNOPSIS\n\\fBtaltool {name}\\fR [\\fIOPTION\\fR]...{shown}\n"


def exit_statuses() -> str:
    """The section of exit statuses."""
    return '.SH "EXIT STATUS"\n' + "".join(f".TP\n.B {status}\n{prose(text)}\n" for status, text in EXIT_STATUSES)


def see_also(commands: Sequence[str], text: str) -> str:
    """References to the pages of these commands, and to those of the files that a page's text tells of."""
    pages = [("taltool" if name == "taltool" else f"taltool-{name}", 1) for name in commands]
    pages += [(f"taltool-{name}s", 5) for name in ("feature", "proposal") if name in text.lower()]
    lines = [f".BR {escaped(name)} ({section})" for name, section in pages]
    return '.SH "SEE ALSO"\n' + ",\n".join(lines) + "\n"


def summary(command: Any) -> str:
    """The first sentence of a command's help, as a phrase."""
    first = re.split(r"(?<=[.:])\s|\n\s*\n", command.help.strip())[0]
    phrase = " ".join(first.split()).rstrip(".:")
    return phrase[0].lower() + phrase[1:]


def command_page(name: str, command: Any, version: str, others: list[str]) -> str:
    """The page of one command; of the `others` it refers to those that it tells of."""
    module = importlib.import_module(f"taltool.cli.commands.{name}")
    arguments = [p for p in command.params if p.__class__.__name__.endswith("Argument")]
    options = [p for p in command.params if p not in arguments and not p.hidden and p.name not in COMMON]
    parts = [
        heading(f"taltool-{name}", version),
        f".SH NAME\ntaltool\\-{name} \\- {escaped(summary(command))}\n",
        synopsis(name, command),
        f".SH DESCRIPTION\n{prose(command.help)}\n",
        ".SS Operands\n" + "".join(map(argument, arguments)) if arguments else "",
        ".SH OPTIONS\n" + ("".join(map(option, options)) + COMMON_NOTE.strip()).removeprefix(".PP\n") + "\n",
        getattr(module, "MAN", "").strip() + "\n" if hasattr(module, "MAN") else "",
        exit_statuses(),
        examples(module.EXAMPLES) if hasattr(module, "EXAMPLES") else "",
    ]
    text = "".join(parts)
    # Not every other one: a page of an old command is current although a new one came. taltool(1) lists them all.
    told = set(re.findall(r"taltool(?: |\\-)(\w+)", text)) - {name}
    return text + see_also(["taltool", *(other for other in others if other in told)], text)


def guide_list() -> str:
    """The pages of section 7 and what they are about."""
    firsts = [file.read_text(encoding="utf-8").partition("\n")[0] for file in sorted((PROJECT / "man").glob("*.md"))]
    titles = [re.fullmatch(r"# (taltool-[\w-]+)\(7\): (.+)", first) for first in firsts]
    return "".join(f".TP\n.BR {escaped(each[1])} (7)\n{prose(each[2])}\n" for each in titles if each)


def main_page(group: Any, version: str) -> str:
    """The page of the whole program."""
    any_command = next(iter(group.commands.values()))
    common = [p for p in any_command.params if p.name in COMMON]
    listed = "".join(f".TP\n.BR taltool\\-{n} (1)\n{prose(summary(c))}\n" for n, c in group.commands.items())
    parts = [
        heading("taltool", version),
        ".SH NAME\ntaltool \\- temporal action localization in composable commands\n",
        ".SH SYNOPSIS\n\\fBtaltool\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIFILE\\fR]...\n",
        f".SH DESCRIPTION\n{prose(group.help)}\n",
        f".SH COMMANDS\n{listed}",
        f".SH GUIDES\n{guide_list()}",
        ".SH OPTIONS\nEvery command takes these:\n" + "".join(map(option, common)),
        ".TP\n\\fB\\-\\-help\\fR\nShow the options of the command and exit.\n",
        ".PP\nAlone,\n.B taltool\ntakes:\n" + "".join(map(option, group.params)),
        SHARED_SECTIONS.strip() + "\n",
        exit_statuses(),
        ENVIRONMENT.strip() + "\n",
        examples(EXAMPLES),
    ]
    text = "".join(parts)
    return text + see_also(list(group.commands), text)


def pages() -> dict[str, str]:
    """The text of every page of section 1, by file name."""
    import typer

    from taltool import __version__
    from taltool.cli.main import build

    group: Any = typer.main.get_command(build())
    names = list(group.commands)
    made = {f"taltool-{n}.1": command_page(n, c, __version__, names) for n, c in group.commands.items()}
    return {"taltool.1": main_page(group, __version__), **made}


def guides() -> dict[str, str]:
    """The text of every page of section 7, by file name, and settings.md, from which one of them is made."""
    from taltool import __version__

    settings = settings_page()
    texts = {file.stem: file.read_text(encoding="utf-8") for file in (PROJECT / "man").glob("*.md")}
    made = {f"taltool-{n}.7": to_roff(text, __version__) for n, text in {**texts, "settings": settings}.items()}
    return {"settings.md": settings, **made}


def main(words: list[str]) -> int:
    """Write the files, or with --check name those that are not current."""
    wanted = {f"man1/{name}": text for name, text in pages().items()}
    wanted |= {name if name == "settings.md" else f"man7/{name}": text for name, text in guides().items()}
    files = [*FOLDER.glob("man1/*"), *FOLDER.glob("man7/*"), *FOLDER.glob("settings.md")]
    there = {file.relative_to(FOLDER).as_posix(): file.read_text(encoding="utf-8") for file in files}
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    if "--check" in words:
        for name in stale:
            print(f"man/{name} is not current: run python man/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        if name in wanted:
            (FOLDER / name).parent.mkdir(exist_ok=True)
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
        print(f"man/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
