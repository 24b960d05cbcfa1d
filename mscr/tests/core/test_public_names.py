"""The list of the kit's public names, which `make check` verifies."""

from dataclasses import replace
from pathlib import Path

import pytest

from examples.catalogue.project import project
from mscr.checks.houses import Houses
from mscr.checks.public_names import (
    HEADING,
    find_faults,
    find_unused,
    listed_names,
    main,
    public_names,
    render,
)


def build(root: Path, **modules: str) -> Houses:
    for name, text in modules.items():
        folder = root / name.split("__")[0] / name.split("__")[1]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        (folder / "a.py").write_text(text)
    return Houses(root, "app")


def test_names_that_the_application_imports_or_pages_show_are_public(tmp_path: Path) -> None:
    houses = build(
        tmp_path,
        app__core="from mscr.core.a import Imported\nfrom mscr.http import a",
        mscr__core='class Imported:\n    """Hold things. More."""\nclass Other: ...',
        mscr__http="from mscr.core.a import Other",
    )
    (tmp_path / "AGENTS.md").write_text("from mscr.core.a import (\n    Shown as _,\n)\n")

    public = public_names(houses, tmp_path)

    assert public == {"mscr.core.a.Imported", "mscr.core.a.Shown", "mscr.http.a"}
    assert "- `mscr.core.a.Imported`: Hold things." in render(public, {}, houses)


def test_a_name_that_moved_keeps_its_text(tmp_path: Path) -> None:
    houses = build(tmp_path, mscr__core="class Moved: ...")

    rendered = render({"mscr.core.a.Moved"}, {"mscr.http.a.Moved": "Kept."}, houses)

    assert "- `mscr.core.a.Moved`: Kept." in rendered


def test_a_name_that_is_missing_or_gone_is_a_fault() -> None:
    listed = listed_names(f"- `mscr.before.A`: Not of the list.\n{HEADING}\n- `mscr.b.B`: Here.\n")

    assert listed == {"mscr.b.B": "Here."}
    [fault] = find_faults(listed, {"mscr.c.C"})
    assert fault.startswith("mscr.c.C is not public")
    assert find_unused(listed, {"mscr.c.C"}) == ["mscr/README.md lists mscr.b.B"]


def test_an_application_need_not_use_every_public_name() -> None:
    assert find_faults({"mscr.b.B": "Here.", "mscr.c.C": "Here."}, {"mscr.c.C"}) == []


def test_a_name_without_a_text_gets_its_docstring_or_the_comment_above_it(tmp_path: Path) -> None:
    houses = build(
        tmp_path,
        mscr__http="# Above all.\nFIRST = 1",
        mscr__core='''"""About a module. More."""
import os
# Far away.
NEAR = 1
# The amount.
# Really.
COUNT: int = 1
NONE = os
''',
    )
    names = {f"mscr.core.a{name}" for name in ("", ".NEAR", ".COUNT", ".NONE", ".os")}

    rendered = render(names | {"mscr.http.a.FIRST"}, {}, houses)

    assert [line for line in rendered.splitlines() if line.startswith("- ")] == [
        "- `mscr.http.a.FIRST`: Above all.",
        "- `mscr.core.a`: About a module.",
        "- `mscr.core.a.COUNT`: The amount.",
        "- `mscr.core.a.NEAR`: Far away.",
        "- `mscr.core.a.NONE`: ?",
        "- `mscr.core.a.os`: ?",
    ]


def test_the_command_fails_until_the_list_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tmp_path, app__core="from mscr.core.a import B", mscr__core="class B: ...\nclass C: ...")
    readme = tmp_path / "mscr" / "README.md"
    readme.write_text(f"Kept.\n\n{HEADING}\n- `mscr.core.a.C`: Not used.\n")
    copied = replace(project, root=tmp_path, package="app")

    with pytest.raises(SystemExit, match=r"^mscr\.core\.a\.B is not public[^\n]+$"):
        main(copied, [])
    with pytest.raises(SystemExit, match=r"lists mscr\.core\.a\.C\n.+--write$"):
        main(copied, ["--template"])
    main(copied, ["--write"])
    main(copied, ["--template"])

    assert readme.read_text().startswith("Kept.\n")
    assert capsys.readouterr().out == "mscr/README.md lists 1 public names.\n"


def test_names_that_an_example_imports_are_public_too(tmp_path: Path) -> None:
    build(
        tmp_path,
        app__core="from mscr.core.a import B",
        mscr__core="class B: ...\nclass C: ...",
        examples__core="from mscr.core.a import C",
    )
    readme = tmp_path / "mscr" / "README.md"
    readme.write_text(f"{HEADING}\n- `mscr.core.a.B`: Used.\n")
    copied = replace(project, root=tmp_path, package="app")

    with pytest.raises(SystemExit, match=r"^mscr\.core\.a\.C is not public"):
        main(copied, [], examples=["examples"])
