"""The code blocks of a Markdown file."""

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CodeBlock:
    language: str
    code: str


def code_blocks(path: Path) -> list[CodeBlock]:
    return [CodeBlock(m["language"], m["code"]) for m in BLOCK.finditer(path.read_text())]
