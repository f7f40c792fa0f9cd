import pytest
from builder import BuildError, build


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "Makefile"
    path.write_text("all:\n\techo built\n")
    return str(path)


def test_it_builds_and_cleans_up(fake_smolvm, source):
    fake_smolvm.guest_command("make", "all", stdout="built\n")
    assert build(source, token="s3cret") == "built\n"
    assert fake_smolvm.machines == {}
    done = [call.command.removeprefix("machine ") for call in fake_smolvm.calls]
    assert done == ["create", "start", "cp", "exec", "stop", "delete"]
    fake_smolvm.calls.assert_called_once_with(
        "smolvm", "machine", "create", "-e", "TOKEN=s3cret", "build"
    )


def test_it_sees_the_file_that_it_builds(fake_smolvm, source):
    def make(argv, env, workdir, stdin):
        if argv[0] != "make":
            return None
        makefile = fake_smolvm.machine("build").read_text("/src/Makefile")
        return 0, f"{env['TOKEN']} {workdir} {makefile.splitlines()[0]}".encode(), b""

    fake_smolvm.guest_command(call=make)
    assert build(source, token="s3cret") == "s3cret /src all:"


def test_it_cleans_up_after_a_failure(fake_smolvm, source):
    fake_smolvm.guest_command("make", "all", exit=3)
    with pytest.raises(BuildError, match="exit code 3"):
        build(source, token="s3cret")
    fake_smolvm.calls.filter("machine delete", machine="build").assert_called_once()


@pytest.mark.parametrize("scenario", ["no-kvm", "start-race", "agent-never-ready"])
def test_a_machine_that_does_not_start_is_an_error(fake_smolvm, source, scenario):
    fake_smolvm.scenario(scenario)
    with pytest.raises(BuildError, match="start machine"):
        build(source, token="s3cret")
