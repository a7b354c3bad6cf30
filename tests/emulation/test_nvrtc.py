"""Every source with every mechanism compiles for every architecture, without spills and without growing.

After a change on purpose: python -m tests.emulation.test_nvrtc
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from benchmarks.ours import make_module_study
from tests.emulation import nvrtc

from payloadfield.backends.cuda.declarations import kernel_files, read_file, read_kernels
from payloadfield.backends.cuda.loader import MECHANISM_FILES, compile_options, make_source
from payloadfield.backends.cuda.signature import Build
from payloadfield.mechanism import generate, load_mechanism

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("resources.json")
MECHANISMS = {
    "adc": ("adc",),
    "bridges": ("adc", {"bridges": True, "sources": True}),
    "benchmark": (str(ROOT / "benchmarks" / "reference" / "mechanism.toml"),),
    "two_fields": (str(ROOT / "examples" / "two_fields" / "mechanism.toml"),),
}
LARGE = "adc", dict.fromkeys(("bridges", "vesicles", "efflux", "fate", "sources"), True)
BUILDS = {"mixed": Build(), "float64": Build("double", "double"), "float32": Build("float", "float")}
ALLOWED_SPILLS = {"cell_factor": 2400, "cell_rates": 1200, "cell_solve": 200}
"""Bytes that a thread may store and load with all modules at once, beyond the 255 registers that there are."""
KERNEL = re.compile(r'extern "C" __global__ void __launch_bounds__\([^)]*\)')
SHARED_MEMORY = 48 * 1024
"""Bytes of static shared memory that every architecture grants a block."""


def sources(build):
    """(label, file, text) of every source, those around generated functions once for each mechanism."""
    plain = [(file, file, make_source(file, build)) for file in kernel_files() if file not in MECHANISM_FILES]
    generated = {name: generate(load_mechanism(*path), "cuda").source for name, path in MECHANISMS.items()}
    return plain + [
        (f"{name}/{file}", file, make_source(file, build, code))
        for name, code in generated.items()
        for file in MECHANISM_FILES
    ]


@cache
def compile_all(build_name, archs):
    """{label/kernel: {arch: Resources}} of all sources; two at a time."""
    each = sources(BUILDS[build_name])
    jobs = [(label, text, arch, compile_options(file)) for arch in archs for label, file, text in each]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda job: nvrtc.resources_of(job[1], job[0].replace("/", "_"), *job[2:]), jobs)
        results = list(found)
    table = {}
    for (label, _, arch, _), kernels in zip(jobs, results, strict=True):
        for name, resources in kernels.items():
            table.setdefault(f"{label}/{name}", {})[str(arch)] = resources
    return table


@pytest.fixture(scope="module")
def compiled():
    return compile_all("mixed", tuple(nvrtc.architectures()))


def test_architectures_from_75_to_120_are_compiled_for(compiled):
    assert {75, 80, 86, 89, 90, 100, 120} <= set(nvrtc.architectures())
    expected = {f"{label}/{name}" for label, file, _ in sources(Build()) for name in read_kernels(file)}
    assert set(compiled) == expected
    assert all(set(by_arch) == {str(arch) for arch in nvrtc.architectures()} for by_arch in compiled.values())


def test_no_kernel_spills_or_has_a_stack(compiled):
    bad = {(k, a): r for k, by_arch in compiled.items() for a, r in by_arch.items() if r.spills or r.stack}
    assert bad == {}


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_other_precisions_compile_without_spills_too(precision):
    for by_arch in compile_all(precision, (90,)).values():
        assert all(r.spills == 0 and r.stack == 0 for r in by_arch.values())


@pytest.mark.validate
@pytest.mark.parametrize("build", list(BUILDS))
@pytest.mark.parametrize("arch", [75, 90, 120])
def test_a_large_mechanism_compiles_without_spills(arch, build):
    """48 slots a cell: bridges, vesicles, efflux and fates, by source."""
    code = generate(load_mechanism(*LARGE), "cuda")
    assert code.module.N_STATES > 40 and code.module.N_CONTACTS > 8
    for file in MECHANISM_FILES:
        found = nvrtc.resources_of(
            make_source(file, BUILDS[build], code.source), f"large_{file}", arch, compile_options(file)
        )
        assert found and not any(r.spills or r.stack for r in found.values()), found


@pytest.mark.validate
@pytest.mark.parametrize(("arch", "build"), [(75, "mixed"), (90, "mixed"), (120, "mixed"), (90, "float32")])
def test_all_modules_at_once_spill_no_more_than_is_stated(arch, build):
    """As many slots as there can be: some kernels of the cells spill, those of the voxels do not."""
    code = generate(make_module_study(8, is_full=True).mechanism, "cuda")
    assert code.module.N_STATES > 70 and code.module.N_FIELDS > 20
    for file in MECHANISM_FILES:
        text = make_source(file, BUILDS[build], code.source)
        for name, found in nvrtc.resources_of(text, f"all_{file}", arch, compile_options(file)).items():
            assert found.spills <= ALLOWED_SPILLS.get(name, 0), (name, found)


def test_registers_and_shared_memory_have_not_doubled(compiled):
    record = json.loads(RECORD.read_text())
    assert set(record) == set(compiled)
    for kernel, by_arch in compiled.items():
        assert all(r.shared <= SHARED_MEMORY for r in by_arch.values())
        for arch in set(record[kernel]) & set(by_arch):
            registers, shared = record[kernel][arch]
            assert by_arch[arch].registers < 2 * registers, (kernel, arch)
            assert by_arch[arch].shared <= 2 * shared, (kernel, arch)


def test_cells_are_compiled_without_fused_multiply_adds():
    """In assembly: what the bits of a state depend on is what is written, not what stands around it."""
    text = 'extern "C" __global__ void f(double* a, double b) { a[0] = a[1] * b + a[2]; }'
    assert "fma.rn.f64" in nvrtc.assembly_of(text, compile_options("vectors"))
    for file in (*MECHANISM_FILES, "contacts"):
        plain = nvrtc.assembly_of(text, compile_options(file))
        assert "fma" not in plain and "mul" in plain and "add.rn.f64" in plain


IN_TURN = r"st\.volatile\.global\.f64.*?membar\.gl.*?atom\.global\.add.*?membar\.gl.*?ld\.volatile\.global\.f64"
"""What a block leaves is seen by all before it counts as done, and read from where all see it, after the count."""


def sums_of(text, options):
    """{kernel: (its calls of block_total, how often assembly does what one takes in turn)}."""
    calls = {part.partition("(")[0].split()[-1]: part.count("block_total(") for part in KERNEL.split(text)[1:]}
    parts = re.split(r"\.entry ", nvrtc.assembly_of(text, options))[1:]
    done = {re.match(r"\w+", part)[0]: len(re.findall(IN_TURN, part, re.DOTALL)) for part in parts}
    return {kernel: (n, done[kernel]) for kernel, n in calls.items() if n}


def test_sums_over_blocks_are_fenced_counted_and_read_past_the_cache_in_assembly():
    """No host shows it: there blocks run one after the other, and a fence is nothing."""
    texts = {file: make_source(file, Build()) for file in kernel_files() if "block_total(" in read_file(f"{file}.cu")}
    found = {k: v for file, text in texts.items() for k, v in sums_of(text, compile_options(file)).items()}
    assert {"square", "apply_dot", "end_cycle", "bath_dot"} < set(found) and found["advance_last"] == (2, 2)
    assert {kernel: pair for kernel, pair in found.items() if pair[0] != pair[1]} == {}


@pytest.mark.parametrize("lacking", ["volatile ", "__threadfence();"])
def test_a_sum_over_blocks_without_its_fences_or_by_the_cache_is_seen(lacking):
    """A control."""
    text = make_source("sums", Build())
    assert sums_of(text.replace(lacking, ""), compile_options("sums"))["square"] == (1, 0)


def test_a_spill_is_seen():
    """A kernel with more values alive than there are registers."""
    body = "".join(f"double v{k} = a[{k} * n];" for k in range(200)) + "__syncthreads();"
    body += "".join(f"a[{k} * n] = v{k} * v{(k * 7 + 3) % 200};" for k in range(200))
    text = f'extern "C" __global__ void __launch_bounds__(256) crowd(double* a, int n) {{ {body} }}'
    assert nvrtc.compile_source(text, "crowd", 90)["crowd"].spills > 0


def test_an_error_in_a_source_is_told_with_its_line():
    with pytest.raises(RuntimeError, match=r"(?s)broken.cu for sm_90.*undefined"):
        nvrtc.compile_source('extern "C" __global__ void broken() { missing(); }', "broken", 90)


def write_record():
    """Keep what is compiled now: {kernel: {architecture: [registers, bytes of shared memory]}}, one line a kernel."""
    table = compile_all("mixed", tuple(nvrtc.architectures()))
    rows = {k: {a: [r.registers, r.shared] for a, r in by_arch.items()} for k, by_arch in sorted(table.items())}
    lines = ",\n".join(f"{json.dumps(kernel)}: {json.dumps(row)}" for kernel, row in rows.items())
    RECORD.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    write_record()
