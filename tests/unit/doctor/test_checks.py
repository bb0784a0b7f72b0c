"""Doctor's checks, on made-up and on real ports."""

import os
import pty
import sys
from pathlib import Path

import pytest

from dermalink.doctor import ports, system
from dermalink.doctor.findings import Level


def test_the_python_that_runs_this_is_fine_and_an_old_or_untried_one_is_not() -> None:
    assert system.check_python(sys.version_info[:3]).level is Level.OK
    assert system.check_python((3, 10, 9)).level is Level.ERROR
    assert system.check_python((3, 14, 0)).level is Level.WARNING


def test_packages_are_named_with_their_versions() -> None:
    (finding,) = system.check_packages()
    assert finding.level is Level.OK
    assert "pyserial 3.5" in finding.found
    assert "pytest" not in finding.found


def test_a_missing_package_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "requires", lambda _: ["no-such-package>=1", 'other; extra == "x"'])
    findings = list(system.check_packages())
    assert findings[0].level is Level.ERROR
    assert "no-such-package" in findings[0].found
    assert "other" not in findings[0].found


def test_cobs_says_whether_it_is_c_or_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from cobs import cobs

    monkeypatch.setattr(cobs, "_using_extension", True)
    assert system.check_cobs().level is Level.OK
    monkeypatch.setattr(cobs, "_using_extension", False)
    assert system.check_cobs().level is Level.WARNING


def test_a_folder_that_does_not_exist_is_judged_by_the_one_that_does(tmp_path: Path) -> None:
    assert system.check_folder("state", tmp_path / "a" / "b").level is Level.OK
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert system.check_folder("state", tmp_path / "file" / "b").level is Level.ERROR


def test_a_free_port_a_missing_one_and_one_that_may_not_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "port"
    port.touch()
    assert ports.check_port(str(port)).level is Level.OK
    assert ports.check_port(str(tmp_path / "none")).level is Level.ERROR
    monkeypatch.setattr(os, "access", lambda *_: False)
    finding = ports.check_port(str(port))
    assert finding.level is Level.ERROR
    assert "group" in finding.found
    assert finding.advice


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list who has what open")
def test_who_holds_a_port_is_named() -> None:
    near, far = pty.openpty()
    try:
        device = Path(os.ttyname(far))
        assert os.getpid() in [holder.pid for holder in ports.holders_of(device)]
        assert ports.check_port(str(device)).level is Level.OK  # this process itself does not count
    finally:
        os.close(near)
        os.close(far)
    assert ports.holders_of(device) == []


def test_a_port_held_by_another_program_is_a_warning_with_its_name(tmp_path: Path) -> None:
    port, proc = tmp_path / "port", tmp_path / "proc"
    port.touch()
    (proc / "77" / "fd").mkdir(parents=True)
    (proc / "77" / "fd" / "5").symlink_to(port)
    (proc / "77" / "comm").write_text("ModemManager\n")
    (proc / "self").mkdir()
    assert ports.holders_of(port, proc) == [ports.Holder(77, "ModemManager")]
    (finding,) = ports.check_probers(proc)
    assert finding.level is Level.WARNING
    assert finding.subject == "ModemManager"


@pytest.mark.parametrize(
    ("url", "device"),
    [
        ("serial:/dev/ttyACM0", "/dev/ttyACM0"),
        ("serial:/dev/ttyACM0?baud=9600", "/dev/ttyACM0"),
        ("serial:COM3", "COM3"),
        ("serial:socket://localhost:1", None),
        ("tcp:127.0.0.1:1", None),
        (None, None),
    ],
)
def test_the_port_that_a_url_names(url: str | None, device: str | None) -> None:
    assert ports.device_of(url) == device
