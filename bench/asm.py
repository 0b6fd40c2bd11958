# SPDX-License-Identifier: BSD-3-Clause
"""The hot loops of a compiled kernel: innermost loops with many vector multiply-adds.

python -m bench.asm fastcone/_kernels/nnls/descent_v4.*.so
"""

import re
import subprocess
import sys

LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
FMA = re.compile(r"vfn?m(add|sub)\d+p[sd]")
SPILL = re.compile(r"%[xyz]mm\d+,.*\(%rsp")


def loops(lines):
    """Address ranges from a backward jump's target to the jump, without another jump inside."""
    position = {address: i for i, (address, _, _) in enumerate(lines)}
    for i, (_, op, args) in enumerate(lines):
        target = args.split()[0] if args else ""
        if op.startswith("j") and target in position and position[target] < i:
            body = lines[position[target] : i + 1]
            if not any(o.startswith("j") for _, o, _ in body[:-1]):
                yield body


def main(path):
    command = ["objdump", "-d", "--no-show-raw-insn", path]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [m.groups() for m in map(LINE.match, text.splitlines()) if m]
    for body in loops(lines):
        fused = sum(bool(FMA.match(op)) for _, op, _ in body)
        if fused < 8:
            continue
        spills = sum(bool(SPILL.search(args)) for _, _, args in body)
        print(f"loop of {len(body)} instructions: {fused} multiply-adds, {spills} spills")
        for address, op, args in body:
            print(f"  {address}: {op:<14} {args}")


if __name__ == "__main__":
    main(sys.argv[1])
