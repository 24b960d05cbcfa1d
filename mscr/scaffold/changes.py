"""A set of changes to the files of a project, computed completely before the first is written."""

import difflib
import subprocess
from collections.abc import Iterator
from pathlib import Path


class Changes:
    """New texts of files, and files to delete, below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._new: dict[str, str | None] = {}
        self.written: list[str] = []

    def read(self, path: str) -> str | None:
        """Return the text after the changes so far, or None if there is no such file."""
        return self._new[path] if path in self._new else _read(self.root / path)

    def write(self, path: str, text: str) -> None:
        self._new[path] = text

    def delete(self, path: str) -> None:
        self._new[path] = None

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        """Yield each changed file with its new text, or None if it is deleted."""
        for path, text in sorted(self._new.items()):
            if text != _read(self.root / path):
                yield path, text

    def diff(self) -> str:
        return "".join(_diff(path, _read(self.root / path), text) for path, text in self)

    def uncommitted(self) -> list[str]:
        """Return the files that would lose changes which Git does not have, if Git is used."""
        paths = [path for path, _ in self if (self.root / path).exists()]
        try:
            status = subprocess.run(  # noqa: S603  # the user's own Git, without a shell
                ["git", "status", "--porcelain", "--untracked-files=all", "--", *paths],  # noqa: S607  # as above
                cwd=self.root,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            return []
        # Outside of a repository, Git fails and prints nothing here.
        lines = status.stdout.splitlines()
        return [path for path in paths if any(line.endswith(path) for line in lines)]

    def apply(self, root: Path | None = None) -> None:
        """Write the files, below another folder if one is given."""
        changed = list(self)
        self.written = [path for path, _ in changed]
        for path, text in changed:
            file = (root or self.root) / path
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _diff(path: str, old: str | None, new: str | None) -> str:
    before, after = (
        ("/dev/null", []) if text is None else (f"{side}/{path}", text.splitlines(keepends=True))
        for side, text in (("a", old), ("b", new))
    )
    return "".join(difflib.unified_diff(before[1], after[1], before[0], after[0]))
