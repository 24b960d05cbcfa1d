"""`.env.example` is written from the settings, and generated keys are strong."""

import re
import stat
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from examples.catalogue.core.config import Settings, get_settings
from examples.catalogue.main import create_app
from examples.catalogue.project import project
from mscr.cli.env_example import GENERATED_SECRETS, render
from mscr.cli.env_file import add_missing_secrets
from mscr.cli.faults import Fault
from mscr.core.security.key_pairs import read_private_key, to_line
from mscr.core.security.signing_algorithm import SigningAlgorithm
from mscr.testing.api import PASSWORD, bearer
from mscr.testing.applications import running
from mscr.testing.databases import on_sqlite
from mscr.tests.support import command_line
from mscr.tests.support.command_line import Cli, assert_refused, run_here


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)


def test_every_setting_is_in_the_example_once() -> None:
    names = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=", render(Settings), re.MULTILINE)

    assert names == list(Settings.model_fields)


def test_required_secrets_are_empty_and_everything_else_is_commented_out() -> None:
    assignments = [line for line in render(Settings).splitlines() if re.match(r"[A-Z]", line)]

    assert assignments == [f"{name}=" for name in GENERATED_SECRETS]


@pytest.mark.usefixtures("no_environment")
def test_the_defaults_in_the_example_are_the_defaults(tmp_path: Path) -> None:
    keys = "SECRET_KEY=" + "a" * 32 + "\nJWT_SECRET_KEY=" + "b" * 32 + "\n"
    silent, spoken = tmp_path / "silent", tmp_path / "spoken"
    silent.write_text(keys)
    spoken.write_text(
        re.sub(r"^# ([A-Z][A-Z0-9_]*=)", r"\1", render(Settings), flags=re.MULTILINE) + keys
    )

    assert Settings.from_env_file(spoken) == Settings.from_env_file(silent)


def test_headings_descriptions_and_bounds_are_in_the_example() -> None:
    text = render(Settings)

    assert "# --- Database\n\n# postgresql://" in text
    assert re.search(r"^# .*One of DEBUG, INFO, .*\n# LOG_LEVEL=INFO$", text, re.MULTILINE)
    assert re.search(r"^# .* 1 to 64\.\n# WEB_CONCURRENCY=1$", text, re.MULTILINE)
    assert re.search(r"^# .* At least 32 characters\.\nSECRET_KEY=$", text, re.MULTILINE)
    assert re.search(r"^# .* At most 80 characters\.\n# APP_NAME=", text, re.MULTILINE)


def test_the_command_prints_the_example_without_a_configuration(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.settings |= {"SECRET_KEY": "", "DATABASE_URL": "nonsense"}

    assert cli.run("env-example").stdout == render(Settings)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the project's file with another path, which does not exist yet."""
    file = tmp_path / "folder" / ".env.example"
    monkeypatch.setattr(command_line, "project", replace(project, root=file.parent))
    return file


def test_an_outdated_example_fails_the_check_until_it_is_written(example: Path) -> None:
    example.parent.mkdir()

    assert_refused(run_here("env-example", "--check"), "env-example --write")
    example.write_text(render(Settings).replace("8000", "8001"))
    assert_refused(run_here("env-example", "--check"), "env-example --write")

    assert run_here("env-example", "--write").returncode == 0
    assert run_here("env-example", "--check").returncode == 0


def test_an_unwritable_example_is_one_line(example: Path) -> None:
    assert_refused(run_here("env-example", "--write"), str(example))


def test_generated_keys_are_fresh_and_strong_enough_for_production(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.settings |= {"SECRET_KEY": "", "JWT_SECRET_KEY": ""}

    first, second = cli.run("generate-keys").stdout, cli.run("generate-keys").stdout

    assert [line.partition("=")[0] for line in first.splitlines()] == list(GENERATED_SECRETS)
    assert len({*first.splitlines(), *second.splitlines()}) == 4
    cli.env_file.write_text(first)
    cli.settings |= {"ARGON2_MEMORY_KIB": "", "ARGON2_TIME_COST": ""}
    finished = cli.run("doctor", ENVIRONMENT="production")
    assert "ok      settings" in finished.stdout


@on_sqlite
@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize("place", [".env", "environment"])
@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
async def test_a_generated_key_pair_works_when_pasted(
    tmp_path: Path,
    database_url: str,
    algorithm: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """JW9: from the printed lines to a token that the published key verifies."""
    lines = run_here("generate-keys", "--algorithm", algorithm).stdout
    lines += f"DATABASE_URL={database_url}\n"
    if place == ".env":
        (tmp_path / ".env").write_text(lines)
        monkeypatch.setenv("ENV_FILE", str(tmp_path / ".env"))
    else:  # as container engines read env files, without unquoting or unescaping
        for line in lines.splitlines():
            if not line.startswith("#"):
                monkeypatch.setenv(*line.split("=", 1))

    async with running(create_app(get_settings.__wrapped__())) as client:
        body = {"email": "ada@example.com", "password": PASSWORD}
        registered = await client.post("/api/v1/auth/register", json=body)
        token = registered.json()["data"]["access_token"]
        me = await client.get("/api/v1/users/me", headers=bearer(token))
        [key] = (await client.get("/.well-known/jwks.json")).json()["keys"]

    assert me.status_code == 200
    audience = Settings.model_fields["JWT_AUDIENCE"].default
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=[algorithm], audience=audience)
    assert claims["sub"] == me.json()["data"]["public_id"]


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_generated_key_pairs_are_fresh_and_show_their_public_half_as_a_comment(
    tmp_path: Path, algorithm: str
) -> None:
    outputs = [
        Cli(tmp_path).run("generate-keys", "--algorithm", algorithm).stdout for _ in range(2)
    ]
    lines = [dict(line.split("=", 1) for line in o.splitlines() if "=" in line) for o in outputs]

    names = [*GENERATED_SECRETS, "JWT_ALGORITHM", "JWT_PRIVATE_KEY", "# JWT_PUBLIC_KEYS"]
    assert [list(found) for found in lines] == [names, names]
    assert lines[0]["JWT_PRIVATE_KEY"] != lines[1]["JWT_PRIVATE_KEY"]
    private = read_private_key(lines[0]["JWT_PRIVATE_KEY"], SigningAlgorithm(algorithm))
    assert to_line(private.public_key()) == lines[0]["# JWT_PUBLIC_KEYS"]


def test_another_algorithm_is_a_usage_error(tmp_path: Path) -> None:
    finished = Cli(tmp_path).run("generate-keys", "--algorithm", "none")

    assert (finished.returncode, finished.stdout) == (2, "")
    assert "'none' is not one of" in finished.stderr


@pytest.mark.usefixtures("no_environment")
def test_missing_secrets_are_added_and_every_other_byte_is_kept(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    kept = b"# mine\r\nAPP_NAME=Mine  \r\n\r\nexport LOG_LEVEL='INFO'"
    file.write_bytes(b"SECRET_KEY=\r\n" + kept)
    file.chmod(0o644)

    assert add_missing_secrets(file, Settings) == list(GENERATED_SECRETS)

    key = rb"SECRET_KEY=[0-9a-f]{64}\r\n"
    assert re.fullmatch(rb"%b%b\r\nJWT_%b" % (key, re.escape(kept), key), file.read_bytes())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert add_missing_secrets(file, Settings) == []


@pytest.mark.usefixtures("no_environment")
def test_no_shared_secret_is_generated_beside_a_key_pair(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("JWT_ALGORITHM=EdDSA\n")

    assert add_missing_secrets(file, Settings) == ["SECRET_KEY"]


@pytest.mark.usefixtures("no_environment")
def test_a_link_to_an_env_file_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "shared.env", tmp_path / ".env"
    target.write_text("APP_NAME=Mine\n")
    link.symlink_to(target)

    add_missing_secrets(link, Settings)

    assert link.is_symlink()
    assert "JWT_SECRET_KEY=" in target.read_text()


@pytest.mark.usefixtures("no_environment")
def test_a_folder_is_not_replaced_by_an_env_file(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="is not a file"):
        add_missing_secrets(tmp_path, Settings)


@pytest.mark.usefixtures("no_environment")
def test_a_secret_of_another_source_is_not_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Settings.model_config, "secrets_dir", tmp_path)
    (tmp_path / "secret_key").write_text("s" * 32)
    file = tmp_path / ".env"

    assert add_missing_secrets(file, Settings) == ["JWT_SECRET_KEY"]
    assert "\nSECRET_KEY=\n" in file.read_text()
