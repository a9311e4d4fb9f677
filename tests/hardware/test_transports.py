"""Commands and files reach a device by a real ssh server, and every fault of the way has its own error."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.errors import HardwareError
from hardware.transports import AdbTransport, LinkError, LocalTransport, SshTransport, Transport, patiently
from tests.hardware.conftest import Server


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    if request.param == "local":
        yield LocalTransport()
        return
    server: Server = request.getfixturevalue("sshd")
    ssh = SshTransport("127.0.0.1", server.port, server.options)
    yield ssh
    ssh.close()


def test_output_exit_code_and_input_come_through(transport: Transport) -> None:
    found = transport.run("cat; echo bad >&2; exit 7", given=b"\x00\xff\n'\"$HOME")
    assert (found.code, found.out, found.error) == (7, b"\x00\xff\n'\"$HOME", "bad")
    assert transport.check(["printf", "%s|", "a b", "$HOME", "'"]) == b"a b|$HOME|'|"
    with pytest.raises(HardwareError, match="No such file"):
        transport.check(["ls", "/no/such/folder"])


@settings(max_examples=5, deadline=None)
@given(data=st.binary(max_size=5000))
def test_files_arrive_as_they_were_sent(data: bytes) -> None:
    path = f"/tmp/nas-test-{os.getpid()}.bin"
    local = LocalTransport()
    try:
        local.push(data, path)
        assert local.pull(path) == data
    finally:
        Path(path).unlink(missing_ok=True)


def test_a_large_file_arrives_whole(transport: Transport, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    transport.push(data, str(tmp_path / "a file"))
    assert transport.pull(str(tmp_path / "a file")) == data
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_a_command_out_of_its_time_is_ended_on_the_device(transport: Transport, tmp_path: Path) -> None:
    marker = f"31{os.getpid()}.5"
    with pytest.raises(HardwareError, match=r"not done within 0\.5 s"):
        transport.run(["sleep", marker], seconds=0.5)
    time.sleep(0.2)
    assert subprocess.run(["pgrep", "-f", f"sleep {marker}"], capture_output=True).stdout == b""


def test_a_changed_host_key_is_refused_and_not_tried_again(sshd: Server) -> None:
    options = [o for o in sshd.options if "KnownHosts" not in o] + [f"UserKnownHostsFile={sshd.folder}/wrong"]
    ssh = SshTransport("127.0.0.1", sshd.port, options)
    tries: list[str] = []
    with pytest.raises(HardwareError, match="host's key") as caught:
        patiently(lambda: ssh.run("true"), told=tries.append)
    assert not isinstance(caught.value, LinkError)
    assert tries == []


def test_a_key_that_is_not_accepted_and_a_name_that_is_unknown(sshd: Server) -> None:
    options = [o for o in sshd.options if "IdentityFile" not in o] + [f"IdentityFile={sshd.folder}/other"]
    with pytest.raises(HardwareError, match="no key of yours is accepted"):
        SshTransport("127.0.0.1", sshd.port, options).run("true")
    with pytest.raises(HardwareError, match="no such host"):
        SshTransport("no-such-host.invalid").run("true")


def test_a_refused_connection_is_tried_again_until_the_patience_ends() -> None:
    tries: list[str] = []
    with pytest.raises(LinkError, match="gave up after 1 s"):
        patiently(lambda: SshTransport("127.0.0.1", 1).run("true"), 1.0, tries.append)
    assert len(tries) >= 2


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch /tmp/x"])
def test_hosts_and_serials_that_are_options_are_refused(host: str) -> None:
    with pytest.raises(HardwareError, match="legal"):
        SshTransport(host)
    with pytest.raises(HardwareError, match="legal"):
        AdbTransport(host)


@pytest.mark.parametrize(
    ("said", "error", "match"),
    [
        ("adb: device '1' not found", LinkError, "not found"),
        ("error: device offline", LinkError, "offline"),
        ("error: device unauthorized.", HardwareError, "allow this computer"),
        ("adb: more than one device/emulator", HardwareError, "name one by its serial"),
    ],
)
def test_what_adb_says_of_itself(said: str, error: type[HardwareError], match: str) -> None:
    found = AdbTransport("1").fault(1, said)
    assert type(found) is error
    assert match in str(found)


def test_what_a_command_says_is_not_taken_for_adb() -> None:
    assert AdbTransport("1").fault(1, "cat: x: No such file or directory") is None
    assert AdbTransport("1").fault(0, "") is None
