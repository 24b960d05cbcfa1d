"""The kit and the examples must work without the application, which `make check` verifies."""

from dataclasses import replace
from pathlib import Path

import pytest

from examples.catalogue.project import project
from mscr.checks.kit_alone import check


def build(root: Path) -> None:
    """Create a project that has an application, a kit and an example."""
    for name in ("app/__init__", "app/a", "mscr/__init__", "examples/__init__"):
        file = root / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (root / "pyproject.toml").write_text("[tool.mypy]\nstrict = true\n")


def check_kit(root: Path, text: str, *, room: str = "core") -> int:
    """Check a kit of one module."""
    build(root)
    (root / "mscr" / room).mkdir(exist_ok=True)
    (root / "mscr" / room / "__init__.py").touch()
    (root / "mscr" / room / "a.py").write_text(text)
    return check(replace(project, root=root))


def check_example(root: Path, text: str, *, name: str = "a") -> int:
    """Check an example of one module."""
    build(root)
    (root / "examples" / f"{name}.py").write_text(text)
    return check(replace(project, root=root), examples=["examples"])


def check_tests(root: Path, of_kit: str, of_example: str) -> int:
    """Check a kit and an example with one module of tests each."""
    build(root)
    (root / "pages").mkdir()
    for name, text in (("mscr/tests", of_kit), ("examples/tests", of_example)):
        (root / name).mkdir()
        (root / name / "__init__.py").touch()
        (root / name / "conftest.py").touch()
        (root / name / "test_auth.py").write_text(text)
    return check(replace(project, root=root), examples=["examples"], read=["pages"])


def test_a_self_contained_kit_passes(tmp_path: Path) -> None:
    assert check_kit(tmp_path, "import mscr\n") == 0


def test_a_kit_that_imports_the_application_fails(tmp_path: Path) -> None:
    assert check_kit(tmp_path, "def get() -> None:\n    from app import a\n") != 0
    assert check_kit(tmp_path, "import app.a\n") != 0


def test_only_the_support_of_tests_may_import_pytest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check_kit(tmp_path / "a", "import pytest\n", room="testing") == 0
    assert check_kit(tmp_path / "b", "import pytest\n") != 0

    assert "only mscr.testing may import it" in capfd.readouterr().err


def test_an_example_that_imports_the_application_fails(tmp_path: Path) -> None:
    assert check_example(tmp_path, "import mscr\n") == 0
    assert check_example(tmp_path, "import app.a\n") != 0


def test_only_the_tests_of_an_example_may_import_pytest(tmp_path: Path) -> None:
    assert check_example(tmp_path, "import pytest\n", name="tests") == 0
    assert check_example(tmp_path, "import pytest\n") != 0


def test_the_tests_run_without_the_application(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reads = """
from pathlib import Path

def test_on_sqlite() -> None:
    assert Path({!r}).is_dir()

def test_on_postgresql() -> None:
    raise AssertionError
"""

    assert check_tests(tmp_path / "a", reads.format("pages"), reads.format("mscr")) == 0
    assert "2 passed, 2 deselected" in capfd.readouterr().out
    assert check_tests(tmp_path / "b", reads.format("pages"), reads.format("app")) != 0
    assert "1 failed, 1 passed, 2 deselected" in capfd.readouterr().out


def test_a_project_without_tests_of_the_kit_passes(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "mscr/tests").mkdir()
    (tmp_path / "mscr/tests/__init__.py").touch()
    (tmp_path / "mscr/tests/conftest.py").touch()

    assert check(replace(project, root=tmp_path)) == 0


def test_a_test_that_imports_the_application_fails_even_if_it_is_not_selected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The type checker does not see this import."""
    hidden = "__import__('app.a')\n\ndef test_on_postgresql() -> None: ...\n"

    assert check_tests(tmp_path, hidden, "def test_on_sqlite() -> None: ...\n") != 0

    assert "No module named 'app'" in capfd.readouterr().out
