"""A server for tests that does not start raises an error with the reason, and leaves nothing."""

import os
import pwd
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from mscr.testing import postgres, scratch, server, valkey
from mscr.testing.postgres import INSTALLATION, WHEEL, PostgresServer
from mscr.testing.scratch import Account, ScratchDirectory
from mscr.testing.server import Server, ServerError
from mscr.testing.valkey import ValkeyServer


class Sleeper(Server):
    """A server that runs the shell script of `script`."""

    variable = "TEST_SLEEPER_URL"
    script = "exec sleep 60"
    ready = True

    def prepare(self) -> None:
        self.open_scratch()

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", self.script]

    def is_ready(self) -> bool:
        return self.ready


def test_a_server_has_a_directory_only_within_its_block() -> None:
    sleeper = Sleeper()

    with pytest.raises(ServerError, match="only within its `with` block"):
        sleeper.scratch.path.exists()
    with sleeper:
        sleeper.stop()
        sleeper.stop()
        sleeper.start()
        sleeper.start()


def test_a_server_that_exits_immediately_is_an_error_with_its_log() -> None:
    class Broken(Sleeper):
        script = "echo no memory; exit 3"
        ready = False

    with pytest.raises(ServerError, match=r"did not start\.\nno memory"), Broken():
        pass


def test_a_command_that_fails_is_an_error_with_its_log() -> None:
    with (
        Sleeper() as sleeper,
        pytest.raises(ServerError, match=r"/bin/sh failed\.\nno space"),
    ):
        sleeper.run(["/bin/sh", "-c", "echo no space; exit 1"])


def test_a_missing_program_is_an_error_that_names_the_account() -> None:
    class Missing(Sleeper):
        def command(self) -> list[str]:
            return ["/missing/program"]

    with pytest.raises(ServerError, match=r"as the user we are: .*/missing/program"), Missing():
        pass


def test_a_server_that_ignores_sigint_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Sleeper):
        script = "trap '' INT; echo deaf; exec sleep 60"

        def is_ready(self) -> bool:
            return "deaf" in self._log_tail()

    monkeypatch.setattr(server, "STOP_TIMEOUT", timedelta(milliseconds=50))
    with Deaf() as deaf:
        process = deaf._process
        assert process is not None

    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("kind", "module"), [(PostgresServer, postgres), (ValkeyServer, valkey)])
def test_a_server_that_is_not_installed_is_an_error_that_names_the_package(
    kind: type[PostgresServer | ValkeyServer],
    module: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(kind.variable, raising=False)
    monkeypatch.setattr(module, "wheel_directory", lambda _: None)

    with pytest.raises(ServerError, match="is not installed"), kind():
        pass


def test_root_starts_postgresql_as_nobody_and_others_as_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert PostgresServer()._choose_account() == Account()

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    account = PostgresServer()._choose_account()

    assert account == Account(nobody.pw_uid, nobody.pw_gid, extra_groups=())
    assert str(account) == f"user {nobody.pw_uid}"
    monkeypatch.setattr(pwd, "getpwnam", {}.__getitem__)
    with pytest.raises(ServerError, match="there is none"):
        PostgresServer()._choose_account()


def test_programs_that_their_user_cannot_reach_are_copied(tmp_path: Path) -> None:
    program = tmp_path / WHEEL / INSTALLATION / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_text("a program")
    server = PostgresServer()
    server.open_scratch()

    copied = server._copy(tmp_path / WHEEL / INSTALLATION)

    assert (copied / "bin" / "postgres").read_text() == "a program"
    assert copied.is_relative_to(server.scratch.path)
    server.close()


def test_take_makes_the_account_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned = []
    (tmp_path / "inner").touch()
    monkeypatch.setattr(os, "chown", lambda path, *_: owned.append(path))

    Account().take(tmp_path)
    Account(1, 1).take(tmp_path)

    assert owned == [tmp_path, tmp_path / "inner"]


def test_a_directory_is_on_disk_if_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "MEMORY", tmp_path / "none")

    directory = ScratchDirectory("a", Account())

    assert directory.path.is_dir()
    assert not directory.path.is_relative_to(tmp_path)
    directory.remove()
    assert not directory.path.exists()


def test_a_path_too_long_for_a_socket_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MAXIMUM_PARENT_LENGTH", 1)

    with pytest.raises(PermissionError, match="no temporary directory is open to the user we are"):
        ScratchDirectory("a", Account())
