"""Options that a command derives from a schema: values of every type, and faults in one line."""

from datetime import date
from decimal import Decimal
from enum import Enum as PyEnum
from typing import Any

import pytest
import typer
from pydantic import MISSING, Field
from typer.testing import CliRunner, Result

from mscr.cli.command_line import USAGE_ERROR
from mscr.cli.faults import Fault
from mscr.cli.schema_options import (
    prompted,
    require_options,
    schema_command,
    texts_of,
    validated,
)
from mscr.schemas.base import Email, RequestSchema


class Plan(str, PyEnum):
    FREE = "free"
    PAID = "paid"


class Registration(RequestSchema):
    email: Email
    password: str
    born_on: date
    plan: Plan = Plan.FREE
    seats: int | None = Field(None, description="How many may use it.")
    wants_news: bool = False
    tags: list[str] = Field([])
    rate: Decimal | MISSING = MISSING


REQUIRED = ("--email=ada@example.com", "--born-on=1815-12-10")


def app(seen: list[Registration]) -> typer.Typer:
    commands = typer.Typer(add_completion=False)
    options = schema_command(lambda: Registration, without=frozenset({"password"}))

    @commands.command(cls=options)
    def add(context: typer.Context, prompt: bool = False) -> None:
        texts = texts_of(context)
        if prompt:
            texts = prompted(Registration, texts)
        else:
            require_options(Registration, texts, by="--no-prompt")
        seen.append(validated(Registration, texts, password="a secret"))

    return commands


def run(*arguments: str, typed: str = "") -> tuple[Result, dict[str, Any]]:
    seen: list[Registration] = []
    result = CliRunner().invoke(app(seen), arguments, input=typed)
    return result, seen[0].model_dump() if seen else {}


def test_a_value_has_the_type_of_its_field() -> None:
    _, found = run(
        *REQUIRED, "--plan=paid", "--seats=3", "--wants-news=true", '--tags=["a"]', "--rate=1.5"
    )

    assert found == {
        "email": "ada@example.com",
        "password": "a secret",
        "born_on": date(1815, 12, 10),
        "plan": Plan.PAID,
        "seats": 3,
        "wants_news": True,
        "tags": ["a"],
        "rate": Decimal("1.5"),
    }


def test_absent_options_have_the_defaults_of_their_fields() -> None:
    _, found = run(*REQUIRED)

    assert (found["plan"], found["seats"], found["tags"]) == (Plan.FREE, None, [])
    assert "rate" not in found


def test_help_lists_each_field_and_whether_it_is_optional() -> None:
    result, _ = run("--help")

    lines = {" ".join(line.strip("│ ").split()) for line in result.output.splitlines()}
    assert any(line.startswith("--email") and "optional" not in line for line in lines)
    assert any("How many may use it (optional)." in line for line in lines)
    assert "--password" not in result.output


def test_a_required_option_that_is_absent_is_named() -> None:
    result, found = run("--email=ada@example.com")

    assert (result.exit_code, found) == (USAGE_ERROR, {})
    assert "--born-on" in result.output


def test_absent_values_are_prompted_for_and_optional_ones_may_stay_empty() -> None:
    result, found = run("--prompt", "--plan=paid", typed="ada@example.com\n1815-12-10\n3\n\n\n\n")

    assert "Born on: " in result.output
    assert "Seats (optional): " in result.output
    assert (found["email"], found["seats"], found["wants_news"]) == ("ada@example.com", 3, False)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--seats=many", "seats: Input should be a valid integer"),
        ("--born-on=tomorrow", "born_on: Input should be a valid date"),
        ("--wants-news=1", "wants_news: Input should be a valid boolean"),
        ("--plan=gold", "plan: Input should be 'free' or 'paid'"),
        ("--tags=a", "tags: Input should be a valid array"),
    ],
)
def test_a_value_of_another_type_is_one_line_with_its_field(option: str, line: str) -> None:
    result, _ = run(*REQUIRED, option)

    assert isinstance(result.exception, Fault | SystemExit)
    assert line in f"{result.output} {result.exception}"


@pytest.mark.parametrize("name", ["email", "password"])
def test_an_input_that_is_not_utf_8_is_named(name: str) -> None:
    with pytest.raises(Fault, match=f"{name}: the input is not UTF-8 text"):
        validated(Registration, {}, **{name: "\udcff"})


def test_several_faults_are_in_one_line() -> None:
    with pytest.raises(Fault) as refused:
        validated(Registration, {"seats": "many"}, password="a secret")

    assert str(refused.value).count(";") == 2
    assert "a secret" not in str(refused.value)
