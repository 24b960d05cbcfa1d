"""Sources of settings: their order, and errors for an unusable source."""

import os
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from mscr.core.settings_sources import MAX_BYTES, customized_sources, refuse_unreadable


class Example(BaseSettings):
    """One setting of each kind."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    NAME: str = "default"
    NUMBER: int = 1
    SWITCH: bool = False
    SECRET: SecretStr | None = None
    NAMES: Annotated[list[str], NoDecode] = []

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *args: PydanticBaseSettingsSource, **sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return customized_sources(settings_cls, *args, *sources.values())

    @field_validator("NAMES", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        return refuse_unreadable(value)


def example(**options: Any) -> Example:
    """Call the class. Type checkers that follow PEP 681 would allow only fields as arguments."""
    return Example(**options)


Environment = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def environment(monkeypatch: Environment) -> Environment:
    for name in Example.model_fields:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return monkeypatch


def fault(error: ValidationError) -> str:
    [only] = error.errors(include_input=False, include_url=False, include_context=False)
    return f"{only['loc'][0]}: {only['msg'].removeprefix('Value error, ')}"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_order_of_sources(tmp_path: Path, environment: Environment) -> None:
    env_file = write(tmp_path / ".env", "NAME=in .env\n")
    credentials, secrets = tmp_path / "credentials", tmp_path / "secrets"
    for folder in (credentials, secrets):
        folder.mkdir()
        write(folder / "name", f"in {folder.name}\n")
    environment.setenv("NAME_FILE", str(write(tmp_path / "value", "in a file\n")))
    environment.setenv("CREDENTIALS_DIRECTORY", str(credentials))

    def name(**arguments: Any) -> str:
        return example(_secrets_dir=secrets, **arguments).NAME

    assert name(_env_file=env_file, NAME=" argument ") == "argument"
    assert name(_env_file=env_file) == "in a file"
    environment.delenv("NAME_FILE")
    environment.setenv("NAME", "in the environment")
    assert name(_env_file=env_file) == "in the environment"
    environment.delenv("NAME")
    assert name(_env_file=env_file) == "in .env"
    write(env_file, f"NAME_FILE={write(tmp_path / 'other', 'beside .env')}\n")
    assert name(_env_file=env_file) == "beside .env"
    assert name() == "in credentials"
    environment.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "missing"))
    assert name() == "in secrets"
    assert Example().NAME == "default"


@pytest.mark.parametrize("around", [" ", "\t", "\r\n", "\u00a0", "\u200b", "\ufeff", " \ufeff \n"])
def test_whitespace_around_a_value_is_removed_whatever_its_source(
    tmp_path: Path, environment: Environment, around: str
) -> None:
    values = {"NAME": "a b", "NUMBER": "7", "SWITCH": "true", "SECRET": "pass word"}
    surrounded = {name: f"{around}{value}{around}" for name, value in values.items()}
    (tmp_path / "secrets").mkdir()
    for name, value in surrounded.items():
        (tmp_path / "secrets" / name).write_text(value, newline="")
        environment.setenv(name, value)
    dotenv = "".join(f'{name}="{value}"\n' for name, value in surrounded.items())
    env_file = write(tmp_path / ".env", dotenv)

    from_environment = Example()
    for name in surrounded:
        environment.delenv(name)
    from_dotenv = example(_env_file=env_file)
    from_secrets = example(_secrets_dir=tmp_path / "secrets")
    for name in surrounded:
        environment.setenv(f"{name}_FILE", f"{around}{tmp_path / 'secrets' / name}{around}")
    from_files = Example()

    for found in (from_environment, from_dotenv, from_secrets, from_files):
        assert (found.NAME, found.NUMBER, found.SWITCH) == ("a b", 7, True)
        assert found.SECRET is not None
        assert found.SECRET.get_secret_value() == "pass word"


def test_a_blank_value_counts_as_unset(tmp_path: Path, environment: Environment) -> None:
    environment.setenv("NUMBER", "  ")
    environment.setenv("NAME_FILE", " ")

    settings = example(_env_file=write(tmp_path / ".env", "NUMBER=3\nNAME='  '\n"))

    assert (settings.NUMBER, settings.NAME) == (3, "default")


def test_a_name_and_its_file_in_one_source_are_refused(
    tmp_path: Path, environment: Environment
) -> None:
    file = write(tmp_path / "value", "x")
    environment.setenv("SECRET", "canary")
    environment.setenv("SECRET_FILE", str(file))
    with pytest.raises(ValidationError) as in_environment:
        Example()
    assert fault(in_environment.value) == "SECRET: SECRET_FILE is also set; keep one of them"

    environment.delenv("SECRET")
    environment.delenv("SECRET_FILE")
    with pytest.raises(ValidationError) as in_dotenv:
        example(_env_file=write(tmp_path / ".env", f"NAMES=a,b\nNAMES_FILE={file}\n"))
    assert fault(in_dotenv.value) == "NAMES: NAMES_FILE is also set; keep one of them"


def test_the_error_of_an_unusable_file_is_one_line(
    tmp_path: Path, environment: Environment
) -> None:
    latin = tmp_path / "latin"
    latin.write_bytes("känary".encode("latin-1"))
    wide = tmp_path / "wide"
    wide.write_text("canary", encoding="utf-16")
    os.mkfifo(tmp_path / "pipe")
    unusable = {
        "/no/such/file": "cannot read /no/such/file: No such file or directory",
        str(tmp_path): f"{tmp_path} is not a file",
        f"{tmp_path}/pipe": f"{tmp_path}/pipe is not a file",
        "/dev/null": "/dev/null is not a file",
        str(latin): f"{latin} is not UTF-8 text",
        str(wide): f"{wide} is not UTF-8 text",
        str(write(tmp_path / "empty", "")): f"{tmp_path}/empty is empty",
        str(write(tmp_path / "blank", " \n")): f"{tmp_path}/blank is empty",
        str(write(tmp_path / "large", "canary" * MAX_BYTES)): (
            f"{tmp_path}/large is larger than {MAX_BYTES} bytes"
        ),
        "x" * 300: f"cannot read {'x' * 300}: File name too long",
    }

    for path, line in unusable.items():
        environment.setenv("SECRET_FILE", path)
        with pytest.raises(ValidationError) as refused:
            Example()
        assert fault(refused.value) == f"SECRET: {line} (SECRET_FILE)"


def test_a_directory_of_secrets_has_the_same_rules(
    tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "unknown").write_bytes(b"\xff")
    environment.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    with pytest.raises(ValidationError) as refused:
        Example()

    assert fault(refused.value) == f"SECRET: {tmp_path}/secret is not a file"


def test_a_symlink_to_a_mounted_secret_is_followed(
    tmp_path: Path, environment: Environment
) -> None:
    """Kubernetes mounts secrets as such links."""
    (tmp_path / "mounted" / "..data").mkdir(parents=True)
    write(tmp_path / "mounted" / "..data" / "NAME", "in a pod")
    (tmp_path / "mounted" / "NAME").symlink_to(Path("..data", "NAME"))
    environment.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "mounted"))

    assert Example().NAME == "in a pod"
