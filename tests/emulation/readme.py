"""The tables of kernels/README.md, written from the sources: python -m tests.emulation.readme"""

from payloadfield.backends.cuda.declarations import kernel_files, read_kernels
from payloadfield.backends.cuda.signature import Build
from payloadfield.backends.cuda.traffic import traffic_text
from payloadfield.resources import find_folder

MARK = "<!-- from here on written by tests/emulation/readme.py from the sources -->\n"
PATH = find_folder("kernels") / "README.md"


def write_tables():
    """Every kernel with equation, arguments, bytes and twin."""
    lines = []
    for file in kernel_files():
        lines += [f"## {file}.cu", ""]
        for kernel in read_kernels(file).values():
            lines += write_kernel(kernel)
    return "\n".join(lines)


def write_kernel(kernel):
    """One kernel."""
    text = f"{kernel.text} Runs over {kernel.over}; twin `{kernel.twin}`; moves {traffic_text(kernel, Build())} bytes."
    if kernel.shared:
        text += f" Dynamic shared memory: {kernel.shared}."
    rows = []
    for p in kernel.parameters:
        shape, ctype = ", ".join(p.shape) or "scalar", f"{p.ctype}, written" if p.is_written else p.ctype
        rows.append(f"| `{p.name}` | {ctype} | {shape} | {p.unit} | {p.note} |")
    head = ["| argument | type | shape | unit | note |", "|---|---|---|---|---|"]
    return [f"### {kernel.name}", "", f"    {kernel.equation}", "", text, "", *head, *rows, ""]


if __name__ == "__main__":
    PATH.write_text(PATH.read_text().partition(MARK)[0] + MARK + "\n" + write_tables())
