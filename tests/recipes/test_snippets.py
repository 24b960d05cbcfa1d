"""The guide's shorter snippets work in this project as written."""

import json
import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

from app.core.config import PROJECT_ROOT
from mscr.testing.commands import finish, start
from tests.docs.project_copy import ProjectCopy
from tests.recipes.conftest import BACKENDS, Databases

SNIPPETS: Final = Path(__file__).parent / "snippets"
TREE: Final = Path(__file__).with_name("file_structure.txt")
# {{name}} is replaced by the whole snippet, {{name 0}} by its first paragraph, and {{name 0 1}} by
# the second line of that paragraph.
PLACE: Final = re.compile(
    r"(?P<indent>^ +)?\{\{(?P<name>\w+) ?(?P<part>\d?) ?(?P<line>\d?)\}\}", re.MULTILINE
)
# The project has its own User and Item.
RENAMED: Final = {r"\bUser\b": "Author", r"\bItem\b": "Article", r"\busers\.id\b": "authors.id"}


def paste(place: re.Match[str]) -> str:
    snippet = (SNIPPETS / f"{place['name']}.txt").read_text().rstrip()
    if place["part"]:
        snippet = snippet.split("\n\n")[int(place["part"])]
    if place["line"]:
        snippet = snippet.splitlines()[int(place["line"])].partition("  #")[0]
    for name, other in RENAMED.items():
        snippet = re.sub(name, other, snippet)
    return textwrap.indent(snippet, place["indent"] or "")


@pytest.fixture(scope="session", params=BACKENDS)
def came_of(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return the results of the snippets, which run in a separate process: they define models."""
    module = tmp_path_factory.mktemp("snippets") / "reader.py"
    module.write_text(PLACE.sub(paste, (SNIPPETS / "around.txt").read_text()))
    url = databases.create(request.param)
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(PROJECT_ROOT)}
    ran = finish(start([sys.executable, str(module)], environment))
    assert ran.status == 0, ran.output
    results: dict[str, Any] = json.loads(ran.output.splitlines()[-1])
    return results


def test_a_session_is_created_as_in_the_guide(came_of: dict[str, Any]) -> None:
    """With `create_async_engine(settings.DATABASE_URL)` and the project's own AsyncSessionLocal."""
    assert (came_of["guide's session"], came_of["project's session"]) == (42, 42)


def test_the_race_for_a_unique_value_has_one_winner(came_of: dict[str, Any]) -> None:
    """RC1: check first, then catch the violation of the constraint."""
    assert came_of["parallel"] == ["Email exists"] * 9 + ["TokenResponse"]


def test_a_repository_flushes_and_only_a_service_commits(came_of: dict[str, Any]) -> None:
    has_id, is_gone_without_a_commit = came_of["flush"]

    assert has_id
    assert is_gone_without_a_commit


def test_a_model_has_the_fields_of_its_mixins(came_of: dict[str, Any]) -> None:
    assert came_of["fields"] == [True] * 6


def test_relationships_and_optional_columns_work_as_typed(came_of: dict[str, Any]) -> None:
    assert came_of["relationships"] == [["War and Peace", None, "tolstoy"]]


def test_a_model_can_declare_its_two_ids_itself(came_of: dict[str, Any]) -> None:
    assert came_of["ids"] == [True]


def test_boolean_queries_find_the_right_rows(came_of: dict[str, Any]) -> None:
    assert came_of["booleans"] == {
        "living": ["inactive", "present"],
        "active": ["deleted", "present"],
    }


def test_an_enum_is_serialized_and_compared_as_a_string(came_of: dict[str, Any]) -> None:
    assert came_of["enum"] == ['"draft"', True]


def test_the_aliases_are_those_of_the_guide(came_of: dict[str, Any]) -> None:
    assert came_of["aliases"] == [True, True]


def test_a_route_may_return_the_current_user_without_an_annotation(
    came_of: dict[str, Any],
) -> None:
    routes = came_of["routes"]

    assert routes["profile"]["success"] is True
    assert routes["profile"]["data"]["sub"] == routes["me"]["data"]["public_id"]


def test_the_integer_id_of_the_current_user_is_an_integer(came_of: dict[str, Any]) -> None:
    assert came_of["routes"]["number"]["data"] == {"is_integer": True}


def test_the_guides_routes_refuse_anonymous_clients(came_of: dict[str, Any]) -> None:
    assert came_of["routes"]["refused"] == [401, 401]


def paths_of_the_tree() -> list[str]:
    folders: list[str] = []
    paths = []
    for entry in TREE.read_text().splitlines():
        name = entry.lstrip("│├└─ ").split()[0]
        depth = (len(entry) - len(entry.lstrip("│├└─ "))) // 4
        folders[depth:] = [name.rstrip("/")] if name.endswith("/") else []
        paths.append("/".join([*folders[:depth], name]))
    return paths


@pytest.mark.parametrize("path", paths_of_the_tree())
def test_every_file_of_the_guides_tree_exists(path: str) -> None:
    assert (PROJECT_ROOT / path).exists()


def test_the_commands_for_tests_work(tmp_path: Path, databases: Databases) -> None:
    project = ProjectCopy(tmp_path / "project", PROJECT_ROOT)

    # A subset of the tests does not reach the coverage required of the whole suite.
    output = project.run(
        "pytest --cov=app --cov-report=html --cov-fail-under=0 "
        "tests/test_auth.py::test_login_success -v",
        TEST_POSTGRES_URL=databases.create("postgresql"),  # reuse this server
    )

    assert "passed" in output
    assert (project.path / "htmlcov" / "index.html").is_file()
