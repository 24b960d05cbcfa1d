"""Configuration: the example file, and keys."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from app.cli.console import say
from app.cli.faults import Fault

commands = typer.Typer()


@commands.command("env-example")
def env_example(
    write: Annotated[bool, typer.Option("--write", help="Write the file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail when the file differs.")] = False,
) -> None:
    """Print .env.example, made from the settings class."""
    from app.cli.env_example import EXAMPLE, render

    text = render()
    if check:
        if not EXAMPLE.exists() or EXAMPLE.read_text(encoding="utf-8") != text:
            raise Fault(
                f"{EXAMPLE.name} is out of date", "write it: python cli.py env-example --write"
            )
        say(f"{EXAMPLE.name} says what the settings say")
    elif write:
        EXAMPLE.write_text(text, encoding="utf-8", newline="\n")
        say(f"wrote {EXAMPLE.name}")
    else:
        print(text, end="")


@commands.command("generate-keys")
def generate_keys() -> None:
    """Print new secrets, as lines for .env."""
    from app.cli.env_file import GENERATED_SECRETS, new_secret

    for name in GENERATED_SECRETS:
        say(f"{name}={new_secret()}")
