"""Configuration: the example file, and keys."""
# ruff: noqa: PLC0415

from typing import Annotated

import typer

from app.cli.console import say
from app.cli.faults import Fault
from app.core.security.signing_algorithm import SigningAlgorithm

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
def generate_keys(
    algorithm: Annotated[
        SigningAlgorithm, typer.Option(help="What access tokens are to be signed with.")
    ] = SigningAlgorithm.HS256,
) -> None:
    """Print new secrets, and a key pair where one is needed, as lines for .env."""
    from app.cli.env_file import GENERATED_SECRETS, new_secret
    from app.core.security.key_pairs import new_private_key, to_line

    for name in GENERATED_SECRETS:
        say(f"{name}={new_secret()}")
    if algorithm is SigningAlgorithm.HS256:
        return
    private_key = new_private_key(algorithm)
    say(f"JWT_ALGORITHM={algorithm.value}")
    say(f"JWT_PRIVATE_KEY={to_line(private_key)}")
    say("# Its public half, to be accepted and published before and after it signs:")
    say(f"# JWT_PUBLIC_KEYS={to_line(private_key.public_key())}")
