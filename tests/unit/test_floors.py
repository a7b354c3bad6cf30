"""The architecture, held by a walk over the source: floors, one home for each big dependency, sizes, docstrings."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "payloadfield"
PACKAGE = "payloadfield"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"units", "resources", "toml_text"}),
    frozenset({"mechanism", "geometry", "library"}),
    frozenset({"cells"}),
    frozenset({"study"}),
    frozenset({"backends"}),
    frozenset({"solver"}),
    frozenset({"store"}),
    frozenset({"compare"}),
    frozenset({"report"}),
    frozenset({"cli"}),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}

HOMES: dict[str, str | tuple[str, ...]] = {
    "numba": ("backends", "geometry/compiled"),
    "cupy": "backends/cuda",
    "h5py": "store",
    "click": "cli",
    "rich": "cli",
    "matplotlib": "report",
    "jinja2": "report/page",
    "pydantic": "study",
    "pint": "units",
    "dask": "compare/sweep",
    "pyarrow": "compare",
    "distributed": "compare/sweep",
    "dask_jobqueue": "compare/sweep",
    "trimesh": "geometry/mesh",
    "tifffile": "geometry/image",
    "nrrd": "geometry/image",
    "nibabel": "geometry/image",
    "anndata": "cells",
}
FORBIDDEN_MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle"})
FORBIDDEN_CALLS = frozenset({"eval", "exec", "compile"})
MAX_FILE_LINES = 500
LONG_FUNCTION_LINES = 40
LONG_FUNCTION_SHARE = 0.10

Sources = dict[str, str]  # path relative to src/payloadfield -> text


def read_sources() -> Sources:
    return {path.relative_to(SOURCE).as_posix(): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}


def module_name(path: str) -> str:
    parts = [PACKAGE, *path.removesuffix(".py").split("/")]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> str:
    """The folder or single file right under the package: payloadfield.study.schema -> study."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def absolute(node: ast.ImportFrom, path: str) -> str:
    """The module an import statement names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    parts = module_name(path).split(".")
    base = parts if path.endswith("__init__.py") else parts[:-1]
    base = base[: len(base) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)


def imported_by_call(node: ast.Call) -> list[str]:
    """importlib.import_module("x") and __import__("x"), where the name is written out."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    if name in ("import_module", "__import__") and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return [first.value]
    return []


def imports(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Every import of a file, also in functions and under TYPE_CHECKING: (line, full name with the name imported)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node, path)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, name) for name in imported_by_call(node))


def floor_violations(sources: Sources) -> list[str]:
    """Imports that go up or sideways, and code outside the floors."""
    found = []
    for path, text in sources.items():
        own = floor_of(module_name(path))
        if own in ("", "__main__"):
            continue
        if own not in LEVEL:
            found.append(f"{path}: '{own}' stands on no floor")
            continue
        for line, name in imports(path, text):
            target = floor_of(name)
            if name.split(".")[0] != PACKAGE or target in (own, "__version__"):
                continue
            if target not in LEVEL or LEVEL[target] >= LEVEL[own]:
                found.append(f"{path}:{line}: {own} imports {name}")
    return found


def home_violations(sources: Sources) -> list[str]:
    """Big dependencies imported outside their home."""
    found = []
    for path, text in sources.items():
        for line, name in imports(path, text):
            home = HOMES.get(name.split(".")[0], ())
            homes = (home,) if isinstance(home, str) else home
            if homes and not any(path == f"{each}.py" or path.startswith(f"{each}/") for each in homes):
                found.append(f"{path}:{line}: {name} belongs in {' or '.join(homes)}")
    return found


def import_graph(sources: Sources) -> dict[str, set[str]]:
    modules = {module_name(path) for path in sources}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for path, text in sources.items():
        own = module_name(path)
        for _, name in imports(path, text):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != own:
                graph[own].add(target)
    return graph


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    stack = list(graph[start])
    while stack:
        module = stack.pop()
        if module not in seen:
            seen.add(module)
            stack.extend(graph[module])
    return seen


def circular_imports(sources: Sources) -> list[str]:
    """Files that import themselves by way of others, function-level imports included."""
    graph = import_graph(sources)
    return [module for module in sorted(graph) if module in reachable(graph, module)]


def unsafe_code(sources: Sources) -> list[str]:
    """eval, exec, compile, pickle and friends."""
    found = []
    for path, text in sources.items():
        for line, name in imports(path, text):
            if name.split(".")[0] in FORBIDDEN_MODULES:
                found.append(f"{path}:{line}: imports {name}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS:
                found.append(f"{path}:{node.lineno}: {node.id}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", 1):
                found.append(f"{path}:{node.value.lineno}: allow_pickle")
    return found


def swallowed_errors(sources: Sources) -> list[str]:
    """`except:` and `except Exception` anywhere, and print outside the command line."""
    found = []
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.ExceptHandler)
                and getattr(node.type, "id", None if node.type else "Exception") == "Exception"
            ):
                found.append(f"{path}:{node.lineno}: catches every Exception")
            is_print = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            if is_print and not path.startswith("cli/"):
                found.append(f"{path}:{node.lineno}: prints")
    return found


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


def missing_docstrings(sources: Sources) -> list[str]:
    """Modules, public classes, functions and methods without a docstring."""
    found = []
    for path, text in sources.items():
        tree = ast.parse(text)
        if text.strip() and not ast.get_docstring(tree):
            found.append(f"{path}: module")
        for name, node in public_definitions(tree.body):
            setter = any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list)
            if not ast.get_docstring(node) and not setter:
                found.append(f"{path}:{node.lineno}: {name}")
    return found


def long_files(sources: Sources) -> list[str]:
    counts = {path: text.count("\n") for path, text in sources.items()}
    return [f"{path}: {count} lines" for path, count in counts.items() if count >= MAX_FILE_LINES]


def function_lengths(sources: Sources) -> list[tuple[int, str]]:
    """Lines of every function from `def` on, the docstring not counted: the length of the code."""
    lengths = []
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                has_doc = ast.get_docstring(node) is not None
                doc = (node.body[0].end_lineno or 0) - node.body[0].lineno + 1 if has_doc else 0
                lengths.append(((node.end_lineno or node.lineno) - node.lineno + 1 - doc, f"{path}: {node.name}"))
    return lengths


def too_many_long_functions(sources: Sources) -> list[str]:
    lengths = function_lengths(sources)
    long = [f"{where} ({n} lines)" for n, where in sorted(lengths, reverse=True) if n >= LONG_FUNCTION_LINES]
    return long if len(long) > LONG_FUNCTION_SHARE * len(lengths) else []


CHECKS = (
    floor_violations,
    home_violations,
    circular_imports,
    unsafe_code,
    swallowed_errors,
    missing_docstrings,
    long_files,
    too_many_long_functions,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_source_has_no(check) -> None:
    sources = read_sources()
    assert "errors.py" in sources
    assert check(sources) == []


DOC = '"""A file."""\n'
VIOLATIONS = {
    "import upwards": (floor_violations, {"geometry/grid.py": "from payloadfield.study import Study"}),
    "import upwards inside a function": (
        floor_violations,
        {"cells/place.py": "def f():\n    from payloadfield.solver import plan"},
    ),
    "import sideways": (floor_violations, {"geometry/grid.py": "import payloadfield.mechanism"}),
    "relative import upwards": (floor_violations, {"geometry/grid.py": "from ..cells import Cells"}),
    "import through the package": (floor_violations, {"geometry/grid.py": "from payloadfield import simulate"}),
    "import by name": (floor_violations, {"units.py": "import importlib\nimportlib.import_module('payloadfield.cli')"}),
    "a folder on no floor": (floor_violations, {"helpers/text.py": ""}),
    "numba in the solver": (home_violations, {"solver/step.py": "def f():\n    import numba.typed"}),
    "numba elsewhere in geometry": (home_violations, {"geometry/cut.py": "import numba"}),
    "h5py in the cli": (home_violations, {"cli/info.py": "from h5py import File"}),
    "cupy outside cuda": (home_violations, {"backends/base.py": "import cupy as cp"}),
    "two-way import": (circular_imports, {"cells/a.py": "from . import b", "cells/b.py": "from .a import x"}),
    "circle of three": (
        circular_imports,
        {"cells/a.py": "from . import b", "cells/b.py": "from . import c", "cells/c.py": "from .a import x"},
    ),
    "eval": (unsafe_code, {"mechanism/expr.py": "value = eval('1')"}),
    "exec": (unsafe_code, {"mechanism/expr.py": "exec('1')"}),
    "pickle": (unsafe_code, {"store/io.py": "def f():\n    from pickle import loads"}),
    "pickled arrays": (unsafe_code, {"store/io.py": "np.load('x', allow_pickle=True)"}),
    "except Exception": (swallowed_errors, {"cells/a.py": "try:\n    pass\nexcept Exception:\n    pass"}),
    "bare except": (swallowed_errors, {"cells/a.py": "try:\n    pass\nexcept:\n    pass"}),
    "print in the solver": (swallowed_errors, {"solver/step.py": "print('Error')"}),
    "function without docstring": (missing_docstrings, {"cells/a.py": DOC + "def place():\n    pass"}),
    "method without docstring": (missing_docstrings, {"cells/a.py": DOC + "class A:\n    'A.'\n    def f(self): pass"}),
    "module without docstring": (missing_docstrings, {"cells/a.py": "x = 1"}),
    "long file": (long_files, {"cells/a.py": "x = 1\n" * MAX_FILE_LINES}),
    "long functions": (too_many_long_functions, {"cells/a.py": "def f():\n" + "    x = 1\n" * LONG_FUNCTION_LINES}),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_check_catches(name: str) -> None:
    check, sources = VIOLATIONS[name]
    assert check(sources)


def test_checks_accept_what_the_floors_allow() -> None:
    sources = {
        "__init__.py": DOC,
        "errors.py": DOC,
        "units.py": DOC + "from payloadfield.errors import UnitsError\nimport pint",
        "cells/__init__.py": DOC + "from .place import place_cells",
        "cells/place.py": DOC + "from ..geometry.grid import VoxelGrid\nfrom payloadfield.units import parse_quantity",
        "geometry/grid.py": DOC,
        "backends/compiled.py": DOC + "import numba",
        "mechanism/load.py": DOC + "spec.loader.exec_module(module)\nexpression.compile_to('numba')",
    }
    assert [message for check in CHECKS for message in check(sources)] == []
