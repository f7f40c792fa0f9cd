import subprocess


def bring_up(name, *, artifact=None):
    argv = ["smolvm", "machine", "create", "--cpus", "2"]
    if artifact:
        argv += ["--from", artifact, "--net", "--allow-cidr", "10.0.0.0/8"]
    subprocess.run([*argv, name], check=True)


def test_lines_of_today(fake_smolvm, argv_snapshot):
    bring_up("box")
    fake_smolvm.run("machine", "delete", "-f", "box", check=True)
    assert argv_snapshot == fake_smolvm.calls


def test_lines_that_mean_something_else(argv_snapshot):
    # A list of argvs will do as well: nothing needs to run.
    create = ["smolvm", "machine", "create", "--from", "app.smolmachine", "--net"]
    assert argv_snapshot == [[*create, "--allow-cidr", "10.0.0.0/8", "box"]]


def test_lines_of_a_later_version(argv_snapshot):
    assert argv_snapshot == [
        ["smolvm", "machine", "create", "--cpus", "2", "--name", "box"],
        ["smolvm", "machine", "delete", "-f", "--name", "box"],
    ]
