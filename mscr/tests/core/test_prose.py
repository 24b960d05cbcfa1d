"""`mscr.checks.prose` finds sentences that cannot be searched, wherever they stand."""

from pathlib import Path

import pytest

from mscr.checks.prose import find_faults, findings

PYPROJECT = '[tool.mscr.prose]\nfolders = ["app"]\nomit = ["app/x/"]\nexceptions = [{}]\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(""))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""What the API takes."""', 1),
        ('def f():\n    """Return it. Of the others, none counts."""', 2),
        ("x = 1  # Whoever asks gets it", 1),
        ("# The first line,\n# and the second. Or nothing is found.\nx = 1", 1),
    ],
)
def test_a_sentence_of_python_is_found_at_its_line(root: Path, source: str, line: int) -> None:
    (root / "app/module.py").write_text(source)
    assert [(each.path.as_posix(), each.line) for each in findings(root, ["app"])] == [
        ("app/module.py", line)
    ]


@pytest.mark.parametrize(
    "source", ['message = f"{x} tells the caller"', 'message = "Which of them is it"']
)
def test_messages_are_checked_in_the_kit_only(root: Path, source: str) -> None:
    (root / "mscr").mkdir()
    for folder in ("app", "mscr"):
        (root / folder / "module.py").write_text(source)
    assert [each.path.parent.name for each in findings(root, ["app", "mscr"])] == ["mscr"]


def test_a_project_without_the_table_is_named(root: Path) -> None:
    (root / "pyproject.toml").write_text("[tool]\n")
    assert find_faults(root)[0].startswith("pyproject.toml: [tool.mscr.prose] is missing")


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("# What holds", 1),
        ("Text.\n\n- **Of** two, one.\n", 3),
        ("```bash\necho\n```\n\nOr nothing.", 5),
        ("| name | what |\n|---|---|\n| `a` | Which one |", 3),
    ],
)
def test_a_sentence_of_a_page_is_found_at_its_line(root: Path, page: str, line: int) -> None:
    (root / "page.md").write_text(page)
    assert [each.line for each in findings(root, [])] == [line]


@pytest.mark.parametrize(
    "source",
    [
        '"""Return what was sent, or nothing."""',
        "# What is an owner?\nx = 1",
        '"""Call `Whoever` or `tell()`."""',
        'word = "whoever"',
    ],
)
def test_other_sentences_and_code_are_left_alone(root: Path, source: str) -> None:
    (root / "app/module.py").write_text(source)
    assert list(findings(root, ["app"])) == []


def test_a_page_s_code_is_left_alone(root: Path) -> None:
    (root / "page.md").write_text("Run\n```\nWhat\n```\nthis.")
    assert list(findings(root, [])) == []


def test_an_omitted_folder_is_left_alone(root: Path) -> None:
    (root / "app/x").mkdir()
    (root / "app/x/module.py").write_text('"""Of no use."""')
    assert find_faults(root) == []


def test_each_finding_is_a_line_with_the_rule(root: Path) -> None:
    (root / "app/module.py").write_text('"""Of no use. A log tells it."""')
    assert find_faults(root) == [
        "app/module.py:1: begin no sentence with Of: Of no use.",
        "app/module.py:1: avoid tells: A log tells it.",
    ]


def test_an_exception_is_allowed(root: Path) -> None:
    (root / "app/module.py").write_text('"""Of no use."""')
    (root / "pyproject.toml").write_text(PYPROJECT.format('"Of no use"'))
    assert find_faults(root) == []


def test_an_exception_that_nothing_needs_any_more_is_named(root: Path) -> None:
    (root / "pyproject.toml").write_text(PYPROJECT.format('"Of no use"'))
    assert find_faults(root) == [
        "pyproject.toml: no sentence has the exception 'Of no use': remove it"
    ]
