# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C while a region opens or closes, disguised generators, notebooks."""

import functools
import threading

import pytest

from fastcone.green import CpuTimeMeter, MemoryWatch, Profiler, load_ipython_extension


class Interrupted(CpuTimeMeter):
    """A meter during whose waits Ctrl-C arrives, at one end of a region."""

    poll_interval_s = 30.0
    at = None

    def settle(self, *, opening):
        if self.at == opening:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [True, False])
@pytest.mark.parametrize("outer", [True, False])
def test_ctrl_c_while_a_region_opens_or_closes_leaves_none_open(at, outer):
    meter = Interrupted()
    p = Profiler(meter)

    def interrupt():
        meter.at = at
        with pytest.raises(KeyboardInterrupt), p.region("r"):
            pass
        meter.at = None

    if outer:
        with p.region("outer"):
            interrupt()
    else:
        interrupt()
    assert MemoryWatch._open == []
    for thread in threading.enumerate():
        if thread.name == "fastcone-green":
            thread.join(5)
            assert not thread.is_alive()
    with p.region("r"):
        pass
    assert p.report().regions["r"].count == 1
    assert p.report().regions["r"].energy.flags == ()


def numbers(start=0):
    yield start


async def wait():
    pass


class Waits:
    async def __call__(self):
        pass


@functools.wraps(numbers)
def wrapped():
    return numbers()


@pytest.mark.parametrize(
    "function",
    [numbers, wait, functools.partial(numbers, 1), functools.partial(wait), Waits(), wrapped],
)
def test_what_gives_a_generator_or_coroutine_is_refused_in_any_disguise(function):
    with pytest.raises(TypeError, match="put the region inside"):
        Profiler(CpuTimeMeter()).region("r")(function)


@pytest.mark.parametrize("function", [functools.partial(sum, [1, 2]), lambda: 3, int])
def test_other_callables_are_measured(function):
    p = Profiler(CpuTimeMeter())
    p.region("r")(function)()
    assert p.report().regions["r"].count == 1


class Shell:
    """What a notebook offers to an extension."""

    def __init__(self):
        self.names = {}

    def register_magic_function(self, function, kind, name):
        self.magic = (kind, name)
        self.green = function

    def run_cell(self, cell):
        exec(cell, self.names)

    def push(self, names):
        self.names.update(names)


def test_a_cell_of_a_notebook_is_measured_under_its_name(capsys):
    shell = Shell()
    load_ipython_extension(shell)
    assert shell.magic == ("line_cell", "green")
    shell.green("train", "x = sum(range(1000))")
    shell.green("y = x + 1")
    assert shell.names["y"] == 499501
    assert list(shell.names["green_report"].regions) == ["train", "line"]
    assert "train" in capsys.readouterr().out
