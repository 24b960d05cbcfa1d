"""Detect edits of released migrations: databases that have run one never run it again.

The record has the SHA-256 of each released migration. It is written when a release is made.
"""

import hashlib
from pathlib import Path
from typing import Final

RECORD: Final = "released.txt"
_LINE_SEPARATOR: Final = "  "  # as sha256sum writes


def record_released(folder: Path) -> list[str]:
    """Record the migrations of `folder` that are not recorded yet. Return their names.

    Call it only when `find_changes` finds nothing: a released migration keeps its hash.
    """
    recorded, present = read_record(folder), _present(folder)
    new = sorted(present.keys() - recorded.keys())
    lines = [
        f"{hash_}{_LINE_SEPARATOR}{name}" for name, hash_ in sorted((recorded | present).items())
    ]
    (folder / RECORD).write_text(
        "".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n"
    )
    return new


def find_changes(folder: Path) -> list[str]:
    """Return a line for each recorded migration that was edited, renamed or removed."""
    present = _present(folder)
    names = {hash_: name for name, hash_ in present.items()}
    changes = []
    for name, hash_ in read_record(folder).items():
        if name not in present:
            fate = f"was renamed to {names[hash_]}" if hash_ in names else "is missing"
            changes.append(f"{name} {fate}")
        elif present[name] != hash_:
            changes.append(f"{name} was edited")
    return changes


def read_record(folder: Path) -> dict[str, str]:
    """Return the hashes of the released migrations, by file name. Raise `ValueError` if damaged."""
    file = folder / RECORD
    if not file.is_file():
        return {}
    recorded = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        hash_, _, name = line.partition(_LINE_SEPARATOR)
        if len(hash_) != hashlib.sha256().digest_size * 2 or not name:
            raise ValueError(f"{RECORD} has a line that is not a hash and a name")
        recorded[name] = hash_
    return recorded


def _present(folder: Path) -> dict[str, str]:
    return {file.name: _hash(file) for file in sorted(folder.glob("*.py"))}


def _hash(file: Path) -> str:
    # A checkout on Windows may have CRLF line ends.
    content = file.read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()
