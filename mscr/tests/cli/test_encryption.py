"""`rotate-encryption`, run as an operator does, in a project with encrypted columns."""

import secrets
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from examples.catalogue.db.session import Database
from mscr.core.security import keys
from mscr.core.security.encryption import DecryptionError, EncryptionService
from mscr.testing.commands import start
from mscr.testing.databases import on_postgresql
from mscr.tests.cli.test_database import PRODUCTION
from mscr.tests.data.test_encryption_rotation import stored, waits_for_a_lock
from mscr.tests.support.command_line import Cli, assert_refused
from mscr.tests.support.safes import Safe, house_of, make_safe, opened

COMMAND = "rotate-encryption"
SAFES = 5


class HouseCli(Cli):
    """The commands of a project with encrypted columns, whose SECRET_KEY has just been replaced."""

    def __init__(self, folder: Path, database_url: str) -> None:
        super().__init__(folder, database_url)
        self.old_key = self.settings["SECRET_KEY"]
        self.new_key = secrets.token_hex(32)
        self.settings |= {"SECRET_KEY": self.new_key, "SECRET_KEY_PREVIOUS": self.old_key}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "mscr.tests.support.cli_with_safes", *arguments]


def service(key: str) -> EncryptionService:
    """Return the service of a process that has this SECRET_KEY only."""
    return EncryptionService(keys.derive_keys(SecretStr(key), [], keys.ENCRYPTION))


@pytest.fixture
async def cli(tmp_path: Path, database_url: str, database: Database) -> HouseCli:
    """Return a command line whose database has values encrypted with the old key."""
    cli = HouseCli(tmp_path, database_url)
    async with house_of(database) as house:
        encryption = service(cli.old_key)
        house.add_all(make_safe(encryption, f"canary-{n}", hint="Mum") for n in range(SAFES))
        await house.commit()
    return cli


async def readable(database: Database, key: str) -> int:
    """Count the values that this key alone can decrypt."""
    count = 0
    for safe in await stored(database):
        try:
            count += opened(service(key), safe).startswith("canary")
        except DecryptionError:
            continue
    return count


def test_a_project_without_encrypted_values_has_nothing_to_rotate(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """DR2: the only encrypted column of the kit is that of jobs, and none waits."""
    finished = Cli.migrated(tmp_path, sqlite_template).run(COMMAND)

    assert finished.returncode == 0
    assert finished.stdout == "jobs.data: 0 re-encrypted, 0 already under the newest key\n"


async def test_the_old_key_can_be_discarded_afterwards(cli: HouseCli, database: Database) -> None:
    """DR2."""
    finished = cli.run(COMMAND, "--batch", "2")

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == [
        "jobs.data: 0 re-encrypted, 0 already under the newest key",
        "safes.combination: 5 re-encrypted, 0 already under the newest key",
        "safes.hint: 5 re-encrypted, 0 already under the newest key",
    ]
    assert await readable(database, cli.new_key) == SAFES
    again = cli.run(COMMAND, SECRET_KEY_PREVIOUS="")
    assert again.returncode == 0
    assert "safes.combination: 0 re-encrypted, 5 already" in again.stdout


async def test_an_undecryptable_value_is_named_and_fails_the_command(
    cli: HouseCli, database: Database
) -> None:
    """DR2."""
    async with house_of(database) as house:
        lost = make_safe(service(secrets.token_hex(32)), "canary-lost")
        house.add(lost)
        await house.commit()

    finished = cli.run(COMMAND)

    assert finished.returncode == 1
    assert "safes.combination: 5 re-encrypted" in finished.stdout
    named, last = finished.stderr.splitlines()
    assert named == (f"safes.combination of {lost.public_id}: unknown key or damaged ciphertext")
    assert last.startswith("Error: values that could not be decrypted and were left unchanged: 1;")
    assert "keep SECRET_KEY_PREVIOUS" in last
    assert await readable(database, cli.new_key) == SAFES
    assert (await stored(database))[-1].combination == lost.combination


async def test_neither_values_nor_keys_are_printed(cli: HouseCli, database: Database) -> None:
    """ER3."""
    ciphertexts = [safe.combination for safe in await stored(database)]

    finished = cli.run(COMMAND, SECRET_KEY_PREVIOUS="")

    assert finished.returncode == 1
    output = finished.stdout + finished.stderr
    assert output.count("unknown key") == 2 * SAFES
    for secret in ("canary", cli.old_key, cli.new_key, *ciphertexts):
        assert secret not in output


def test_an_encrypted_column_without_public_ids_is_named_in_one_line(tmp_path: Path) -> None:
    """DR2: checked before any rotation, because a value's place includes its row's public id."""

    class VaultCli(Cli):
        def command(self, *arguments: str) -> list[str]:
            return [sys.executable, "-m", "mscr.tests.support.cli_with_vaults", *arguments]

    finished = VaultCli(tmp_path).run(COMMAND)

    assert_refused(finished, "vaults.secret", "no public_id", "PublicIdMixin")


async def test_rotation_in_production_requires_consent(cli: HouseCli, database: Database) -> None:
    """DR2."""
    assert_refused(cli.run(COMMAND, **PRODUCTION), "production", "--yes")
    assert await readable(database, cli.old_key) == SAFES

    assert cli.run(COMMAND, "--yes", **PRODUCTION).returncode == 0
    assert await readable(database, cli.new_key) == SAFES


@on_postgresql
async def test_a_killed_run_leaves_whole_batches_and_the_next_one_finishes(
    cli: HouseCli, database: Database, database_url: str
) -> None:
    """DR2: kill -9 in the second batch, which waits for a locked row."""
    async with house_of(database) as house:
        [*_, locked, _] = await stored(database)
        await house.execute(select(Safe).where(Safe.id == locked.id).with_for_update())
        with start(cli.command(COMMAND, "--batch", "2"), cli.environment()) as process:
            await waits_for_a_lock(database_url)
            process.kill()
    assert await readable(database, cli.new_key) == 2
    assert await readable(database, cli.old_key) == SAFES - 2

    finished = cli.run(COMMAND, "--batch", "2")

    assert "safes.combination: 3 re-encrypted, 2 already" in finished.stdout
    assert await readable(database, cli.new_key) == SAFES
