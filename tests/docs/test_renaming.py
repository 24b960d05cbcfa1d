"""`python cli.py rename-project` in a copy of the project."""

from pathlib import Path

from app.core.config import PROJECT_ROOT, Settings
from tests.docs.project_copy import ProjectCopy

OLD_NAME = Settings.model_fields["APP_NAME"].default
NAME = "Blue Shop"
CHECK = """
ruff format --check app tests && ruff check app tests && codespell README.md deploy app
python cli.py env-example --check && python cli.py openapi --check
"""
# These also read the name in mails.
TESTS = "tests/test_registration_by_mail.py tests/test_project.py"


def test_a_renamed_project_passes_its_checks_and_has_the_old_name_nowhere(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "project", PROJECT_ROOT)

    copy.run(f"python cli.py rename-project '{NAME}' --yes")

    copy.run(CHECK)
    assert f'"title": "{NAME}"' in (copy.path / "openapi.json").read_text()
    assert (copy.path / "README.md").read_text().startswith(f"# {NAME}\n")
    assert [file for file in files_of(copy.path) if OLD_NAME in file.read_text()] == []
    # One database is enough, and SQLite is the faster one.
    assert " passed" in copy.run(f"pytest -q -k 'not postgresql' {TESTS}")


def files_of(project: Path) -> list[Path]:
    """Return the files that hold a project's name."""
    found = [*project.glob("app/**/*.py"), *project.glob("tests/*.py"), *project.glob("deploy/*")]
    named = (".env.example", "README.md", "openapi.json", "pyproject.toml")
    return [*(file for file in found if file.is_file()), *(project / name for name in named)]
