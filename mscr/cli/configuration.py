"""Commands about configuration: the example file, and keys."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from mscr.cli.command_line import project_of
from mscr.cli.console import say
from mscr.cli.faults import Fault
from mscr.core.security.signing_algorithm import SigningAlgorithm

commands = typer.Typer()


@commands.command("env-example")
def env_example(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Write the file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if the file differs.")] = False,
) -> None:
    """Print .env.example, generated from the settings class."""
    from mscr.cli.env_example import example_file, render

    project = project_of(context)
    example, text = example_file(project), render(project.settings)
    if check:
        if not example.exists() or example.read_text(encoding="utf-8") != text:
            raise Fault(
                f"{example.name} is out of date", "write it: python cli.py env-example --write"
            )
        say(f"{example.name} is up to date")
    elif write:
        example.write_text(text, encoding="utf-8", newline="\n")
        say(f"wrote {example.name}")
    else:
        print(text, end="")


@commands.command("generate-keys")
def generate_keys(
    algorithm: Annotated[
        SigningAlgorithm, typer.Option(help="Algorithm that signs access tokens.")
    ] = SigningAlgorithm.HS256,
) -> None:
    """Print new secrets, and a key pair if the algorithm needs one, as lines for .env."""
    from mscr.cli.env_example import GENERATED_SECRETS
    from mscr.cli.env_file import new_secret
    from mscr.core.security.key_pairs import new_private_key, to_line

    for name in GENERATED_SECRETS:
        say(f"{name}={new_secret()}")
    if algorithm is SigningAlgorithm.HS256:
        return
    private_key = new_private_key(algorithm)
    say(f"JWT_ALGORITHM={algorithm.value}")
    say(f"JWT_PRIVATE_KEY={to_line(private_key)}")
    say("# Its public key, to accept and publish before and after it signs:")
    say(f"# JWT_PUBLIC_KEYS={to_line(private_key.public_key())}")
