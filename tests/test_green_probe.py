# SPDX-License-Identifier: BSD-3-Clause
"""A meter that cannot start says why, and gives absent, never zero."""

import errno

from test_green_fakes import energy, probe, profiler

from fastcone.green import PowercapMeter


def test_permission_denied_is_told_with_the_path(tree, package):
    package.fault = PermissionError(errno.EACCES, "Permission denied")
    found = probe(tree)
    assert not found.ok
    assert "EACCES" in found.reason
    assert str(package.path / "energy_uj") in found.reason


def test_an_unreadable_meter_gives_absent_not_zero(tree, package):
    package.fault = PermissionError(errno.EACCES, "Permission denied")
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
    reading = energy(p)
    assert (reading.kind, reading.joules, reading.hi) == ("absent", None, None)
    assert "EACCES" in str(reading)


def test_one_unreadable_package_of_two_makes_the_machine_absent(tree, package):
    tree.zone("intel-rapl:1", "package-1").fault = PermissionError(errno.EACCES, "")
    assert not probe(tree).ok


def test_an_unreadable_dram_is_left_out_of_the_scope_and_told(tree, package):
    tree.zone("intel-rapl:0:0", "dram").fault = PermissionError(errno.EACCES, "")
    found = probe(tree)
    assert found.ok
    assert "dram-0 left out" in found.reason
    p = profiler(tree)
    with p.region("r"):
        tree.advance(1.0)
    assert energy(p).scope == "package-0"


def test_a_zone_that_cannot_be_looked_into_is_told_beside_those_that_can(tree, package):
    (tree.root / "intel-rapl:7").symlink_to(tree.devices / "gone")
    found = probe(tree)
    assert found.ok
    assert "intel-rapl:7 leads nowhere" in found.reason


def test_dangling_link_is_told_apart_as_a_masked_container(tree, package):
    tree.vanish("intel-rapl:0")
    found = probe(tree)
    assert not found.ok
    assert "ENOENT" in found.reason
    assert "container" in found.reason


def test_no_zones_no_root_and_psys_alone_each_have_their_reason(tree):
    assert "holds no power zones" in probe(tree).reason
    missing = PowercapMeter(root="/no/such/folder").probe()
    assert not missing.ok
    assert "ENOENT" in missing.reason
    tree.zone("intel-rapl:1", "psys")
    found = probe(tree)
    assert not found.ok
    assert found.reason.startswith("no package zone")
    assert "psys" in found.reason


def test_another_platform_is_named(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert "darwin" in PowercapMeter(root="/no/such/folder").probe().reason


def test_reasons_do_not_depend_on_the_language_of_the_machine(tree, package):
    package.fault = PermissionError(errno.EACCES, "Keine Berechtigung")
    reason = probe(tree).reason
    assert "EACCES" in reason
    assert "Berechtigung" not in reason


def test_a_counter_without_a_number_is_told(tree, package):
    (package.path / "energy_uj").write_text("")
    found = probe(tree)
    assert not found.ok
    assert "does not hold a number" in found.reason
