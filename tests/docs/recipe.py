"""Following a recipe of the documentation: its blocks of Python, typed where they belong."""

import re
from pathlib import Path
from typing import Final

TARGET: Final = re.compile(r"# (?P<path>[\w/.]+)(?: \((?P<change>.+)\))?\n")


def type_block(code: str, project: Path) -> None:
    """What a reader does with a block: a new file, or lines of an existing one."""
    target = TARGET.match(code)
    assert target, f"a block does not say where it belongs:\n{code}"
    path, lines = project / target["path"], code[target.end() :]
    if target["change"] is None:
        assert not path.exists(), f"{path} is there already"
        path.write_text(lines)
    elif target["change"].startswith("add to "):
        path.write_text(_with_rows(path.read_text(), target["change"].split()[-1], lines))
    elif target["change"] == "add":
        exported = lines.split()[-1]
        text = path.read_text().replace("\nfrom", f"\n{lines}from", 1)
        path.write_text(text.replace("__all__ = [", f'__all__ = [\n    "{exported}",', 1))
    else:
        path.write_text(_changed(path.read_text(), lines))


def replace_file(code: str, project: Path) -> Path:
    """What a reader does with a block that is the whole of a file, there already or not."""
    target = TARGET.match(code)
    assert target, f"a block does not say where it belongs:\n{code}"
    path = project / target["path"]
    path.write_text(code[target.end() :])
    return path


def _with_rows(text: str, table: str, rows: str) -> str:
    opening = rf"^( *{table}\b.* = \{{)(\}}?)\n"

    def add(line: re.Match[str]) -> str:
        return f"{line[1]}\n{rows}" + (f"{line[2]}\n" if line[2] else "")

    text, found = re.subn(opening, add, text, flags=re.MULTILINE)
    assert found == 1, f"no table to add to: {table}"
    return text


def _changed(text: str, lines: str) -> str:
    # The line that begins alike is the one that is meant.
    for line in lines.splitlines():
        beginning = re.escape(line.split(" import ")[0].split(" in (")[0])
        text, replaced = re.subn(rf"^{beginning} (import|in) .*$", line, text, flags=re.MULTILINE)
        assert replaced == 1, f"no line to change for: {line}"
    return text
