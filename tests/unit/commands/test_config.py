from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fake

CONFIG = """
[machines.registries."docker.io"]
username = "me"
password = "a secret"

[images.defaults]
registry = "my.registry"

[images.registries."ghcr.io"]
username = "me"
password_env = "TOKEN"
mirror = "mirror.example.com"
"""


def configure(fake: Fake, text: str) -> None:
    folder = fake.home / ".config/smolvm"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)


def test_a_file_where_the_real_one_has_it_is_read(fake: Fake) -> None:
    configure(fake, CONFIG)
    shown = fake("config", "show").out
    assert "  Status: configured\n" in shown
    assert "    Default: docker.io\n    Configured: 1\n      docker.io: auth (direct)\n" in shown
    assert (
        "    Default: my.registry\n    Configured: 1\n"
        "      ghcr.io: auth (env var) -> mirror.example.com\n"
    ) in shown
    listed = fake("config", "registries", "show").out
    assert "    password: <configured>\n" in listed
    assert "    password_env: TOKEN (NOT SET)\n" in listed
    assert "a secret" not in shown + listed


def test_what_the_fake_writes_is_never_the_real_ones(fake: Fake) -> None:
    first = fake("config", "registries", "init")
    assert first.out.startswith(
        "Created example configuration at $HOME/.config/smolvm/config.toml\n"
    )
    assert not (fake.home / ".config").exists()
    assert fake("config", "registries", "init").err.startswith("Configuration file already exists")
    assert fake("config", "registries", "show").out.startswith("No registries configured.\n")


def test_a_file_that_is_named_is_written(fake: Fake) -> None:
    fake.env["SMOLVM_CONFIG"] = "mine.toml"
    assert fake("config", "registries", "path").out == "mine.toml\n"
    fake("config", "registries", "init")
    assert (fake.cwd / "mine.toml").is_file()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = ", "TOML parse error at line 1, column 5\n  |\n1 | x = \n  |     ^\n"),
        (
            "[cloud]\napi_key = 5\n",
            "TOML parse error at line 2, column 11\n  |\n2 | api_key = 5\n  |           ^\n",
        ),
    ],
)
def test_a_wrong_file_counts_as_none_where_the_real_one_has_it_so(
    fake: Fake, text: str, says: str
) -> None:
    configure(fake, text)
    assert fake("config", "registries", "show").out.startswith("No registries configured.\n")
    refused = fake("pack", "inspect", "app")
    assert refused.code == 1
    assert refused.err.startswith(
        "Error: config operation failed: parse config at $HOME/.config/smolvm/config.toml: " + says
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("\ufeff[machines.defaults]\nregistry = 'x'\n", ""),
        (f"[cloud]\ntoken_expires_at = {'9' * 5000}\n", "number too large"),
        (f"[machines]\nx = {'[' * 5000}\n", "recursion limit exceeded"),
    ],
    ids=["byte-order mark", "digits", "nested"],
)
def test_an_odd_file_is_read_or_refused(fake: Fake, text: str, fault: str) -> None:
    configure(fake, text)
    assert fake("config", "show").code == 0
    refused = fake("pack", "inspect", "app")
    assert ("TOML parse error" in refused.err) == bool(fault)
    assert fault in refused.err


@pytest.mark.parametrize("colours", [{}, {"NO_COLOR": ""}, {"NO_COLOR": "1"}])
def test_a_warning_is_coloured_unless_that_is_not_wanted(
    fake: Fake, colours: dict[str, str]
) -> None:
    fake.env |= colours
    for said in (
        fake("machine", "run", "--docker-config").err,
        fake("machine", "run", "--docker-config", "-d", "-i", "ubuntu:1").err,
    ):
        first, second = said.splitlines()[:2]
        plain = first.endswith("Z  WARN Docker config directory not found")
        assert plain or first.endswith("\x1b[33m WARN\x1b[0m Docker config directory not found")
        assert plain == (colours == {"NO_COLOR": "1"})
        assert second.startswith(("Error: config operation failed: machine run", "warning: -i/-t"))


def test_where_a_docker_config_is_looked_for(fake: Fake) -> None:
    for chosen, found in (("/no/such", False), ("", False), (str(fake.cwd), True)):
        fake.env["DOCKER_CONFIG"] = chosen
        said = fake("machine", "run", "--docker-config").err
        assert ("Docker config directory not found" in said) != found
    del fake.env["DOCKER_CONFIG"]
    (fake.home / ".docker").mkdir()
    assert "not found" not in fake("machine", "run", "--docker-config").err


@pytest.mark.parametrize(
    ("editor", "code", "said"),
    [
        ("true", 0, "Configuration valid: 0 machine registries, 0 image registries configured\n"),
        ("false", 1, "edit config: editor 'false' exited with non-zero status\n"),
        ("no-such-program", 1, "io operation failed: No such file or directory (os error 2)\n"),
    ],
)
def test_edit_opens_the_editor(fake: Fake, editor: str, code: int, said: str) -> None:
    fake.env["EDITOR"] = editor
    answer = fake("config", "registries", "edit")
    assert answer.code == code
    assert (answer.out + answer.err).endswith(said)
