"""Follow a recipe of the docs: write its blocks of Python into the files that they name."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import CodeBlock

TARGET: Final = re.compile(r"# (?P<path>[\w/.]+)(?: \((?P<change>.+)\))?\n")


def skip_if_taken(blocks: Sequence[CodeBlock], project: Path) -> None:
    """Skip the tests of a recipe if the project already has a file that the recipe creates.

    A project that keeps the feature of a page, or has one with its name, cannot follow that page.
    """
    for block in blocks:
        target = TARGET.match(block.code)
        if target and target["change"] is None and (project / target["path"]).exists():
            pytest.skip(f"the project has its own {target['path']}")


def type_block(code: str, project: Path) -> None:
    """Write a block as a reader does: into a new file, or into an existing one."""
    target = TARGET.match(code)
    assert target, f"a block does not say where it belongs:\n{code}"
    path, lines = project / target["path"], code[target.end() :]
    if target["change"] is None:
        assert not path.exists(), f"{path} is there already"
        path.write_text(lines)
    elif target["change"] == "append":
        path.write_text(f"{path.read_text()}\n\n{lines}")
    elif target["change"].startswith("add to "):
        path.write_text(_with_rows(path.read_text(), target["change"].split()[-1], lines))
    else:
        assert target["change"] == "add", target["change"]
        exported = lines.split()[-1]
        text = path.read_text().replace("\nfrom", f"\n{lines}from", 1)
        path.write_text(text.replace("__all__ = [", f'__all__ = [\n    "{exported}",', 1))


def replace_file(code: str, project: Path) -> Path:
    """Write a block that is a whole file, whether the file exists or not."""
    target = TARGET.match(code)
    assert target, f"a block does not say where it belongs:\n{code}"
    path = project / target["path"]
    path.write_text(code[target.end() :])
    return path


def _with_rows(text: str, table: str, rows: str) -> str:
    if table.endswith("()"):
        return _with_calls(text, f"\ndef {table}".removesuffix(")"), rows)
    if enum := re.search(rf"^class {re.escape(table)}\(.*:\n(?:    .+\n)+", text, re.MULTILINE):
        return text[: enum.end()] + rows + text[enum.end() :]
    if "." in table:
        opening = rf"^(from {re.escape(table)} import \()\n"
    else:
        opening = rf"^( *{table}\b.* = \{{)(\}}?)\n"

    def add(line: re.Match[str]) -> str:
        closing = line[2] if line.re.groups > 1 else ""
        return f"{line[1]}\n{rows}" + (f"{closing}\n" if closing else "")

    text, found = re.subn(opening, add, text, flags=re.MULTILINE)
    assert found == 1, f"no table to add to: {table}"
    return text


def _with_calls(text: str, function: str, calls: str) -> str:
    before, found, body = text.partition(function)
    first = f"\n{calls.partition('(')[0]}("
    assert found, f"no function to add to:{function}"
    assert first in body, f"no call like{first} in{function}"
    return before + function + body.replace(first, f"\n{calls.rstrip()}{first}", 1)
