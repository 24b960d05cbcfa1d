"""Check that comments, docstrings, messages and pages are plain English: `make check` runs this.

It finds constructions that cannot be searched and have to be read twice: sentences that begin with
`Of`, `What`, `Which`, `Whoever` or a lone `Or`; the word `whoever`; and programs that `tell`. It
checks messages in the kit only. The table [tool.mscr.prose] of pyproject.toml has the folders,
paths to omit, and exceptions: parts of sentences that read well nevertheless.
"""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from mscr.checks.houses import KIT

_BEGINNING: Final = re.compile(r"(?:Of|What|Which|Whoever|Or)\b(?!.*\?$)")
_WORD: Final = re.compile(r"\b(?:whoever|tell|tells|told|telling)\b", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z])|\n\s*\n")
_CODE: Final = re.compile(r"``?[^`\n]*``?")
_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
# The beginning of a new passage of Markdown: a list's entry, a heading, a quotation.
_MARK: Final = re.compile(r"\s*(?:[-*>]|#+|\d+\.) +")
_EMPHASIS: Final = re.compile(r"\*\*|__|(?<!\w)[*_]|[*_](?!\w)")


_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Finding(NamedTuple):
    path: Path
    line: int
    sentence: str

    def __str__(self) -> str:
        if beginning := _BEGINNING.match(self.sentence):
            rule = f"begin no sentence with {beginning[0]}"
        else:
            rule = f"avoid {_WORD.findall(self.sentence)[0]}"
        return f"{self.path}:{self.line}: {rule}: {self.sentence[:120]}"


def findings(root: Path, folders: Iterable[str], omit: Sequence[str] = ()) -> Iterator[Finding]:
    """Find the sentences of Python files and Markdown pages in these folders, and on top.

    Paths that begin with an entry of `omit` are left out.
    """
    for path in sorted(_files(root, folders)):
        if path.relative_to(root).as_posix().startswith(tuple(omit)):
            continue
        text = path.read_text(encoding="utf-8")
        in_kit = path.is_relative_to(root / KIT)
        passages = _python(text, messages=in_kit) if path.suffix == ".py" else _markdown(text)
        for line, passage in passages:
            for sentence in _SENTENCE.split(passage):
                plain = " ".join(_EMPHASIS.sub("", sentence).split())
                if _BEGINNING.match(plain) or _WORD.search(plain):
                    yield Finding(path.relative_to(root), line, plain)


def _files(root: Path, folders: Iterable[str]) -> Iterator[Path]:
    yield from root.glob("*.md")
    for folder in folders:
        yield from (p for s in ("py", "md") for p in (root / folder).rglob(f"*.{s}"))


def _markdown(text: str) -> Iterator[tuple[int, str]]:
    passage: list[str] = []
    fenced = False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        is_fence = _FENCE.match(line) is not None
        mark = _MARK.match(line)
        is_row = line.startswith("|")
        if passage and (is_fence or mark or is_row or not line.strip()):
            yield number - len(passage), " ".join(passage)
            passage = []
        fenced ^= is_fence
        if fenced or is_fence or not line.strip():
            continue
        plain = _CODE.sub("x", line[mark.end() :] if mark else line)
        if is_row:
            yield from ((number, cell.strip()) for cell in plain.split("|"))
        else:
            passage.append(plain)


def _python(source: str, *, messages: bool) -> Iterator[tuple[int, str]]:
    """Yield comments and docstrings, or all texts if `messages` are prose, too."""
    yield from _comments(source)
    nodes: list[Any] = list(ast.walk(ast.parse(source)))
    docstrings = [node.body[0].value for node in nodes if _is_documented(node)]
    for node in nodes if messages else docstrings:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, _CODE.sub("x", node.value)


def _is_documented(node: Any) -> bool:
    return isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments of consecutive lines as one passage."""
    found = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    blocks = groupby(enumerate(found), lambda each: (each[1].start[0] - each[0], each[1].start[1]))
    for _, lines in blocks:
        tokens = [token for _, token in lines]
        text = " ".join(token.string.lstrip("# ") for token in tokens)
        yield tokens[0].start[0], _CODE.sub("x", text)


def find_faults(root: Path) -> list[str]:
    """Return a line for each finding that is no exception, and for each needless exception."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    prose = settings["tool"].get("mscr", {}).get("prose")
    if prose is None:
        return ["pyproject.toml: [tool.mscr.prose] is missing: name folders, omit and exceptions"]
    found = list(findings(root, prose["folders"], prose["omit"]))
    exceptions: Sequence[str] = prose["exceptions"]
    needless = [e for e in exceptions if not any(e in each.sentence for each in found)]
    return [str(each) for each in found if not any(e in each.sentence for e in exceptions)] + [
        f"pyproject.toml: no sentence has the exception {e!r}: remove it" for e in needless
    ]
