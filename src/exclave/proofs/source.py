"""The source under proof: private instances of the modules of the core, and its hash.

Trust: reviewed.
Purpose: run the very text of the core, or a mutant of it, apart from the core that is installed.
Rules:
1. The text is compiled as it is; in an instance for proving, predicates are replaced by their summaries.
2. The hash covers the core and the three modules of the vocabulary, and nothing else.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import exclave
from exclave.proofs.explorer import summarised

PACKAGE: Final = Path(exclave.__file__).parent
CORE: Final = "exclave.nucleus.core"
VOCABULARY: Final = ("exclave.abi.types", "exclave.abi.rights", "exclave.abi.refusal")
SPECIFICATION: Final = "exclave.proofs.spec"


def file_of(module: str) -> Path:
    """Return the source file of a module of this package."""
    place = PACKAGE.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def core_modules() -> tuple[str, ...]:
    """Return the names of the modules of the core, in order."""
    return tuple(f"{CORE}.{path.stem}" for path in sorted((PACKAGE / "nucleus/core").glob("*.py")))


def proved_files() -> dict[str, str]:
    """Return the text of everything that the hash covers, by its path inside the package."""
    files = [file_of(module.removesuffix(".__init__")) for module in (*VOCABULARY, *core_modules())]
    return {str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(files)}


def digest_of(files: Mapping[str, str]) -> str:
    """Return the SHA-256 of names and texts, in hexadecimal."""
    total = hashlib.sha256()
    for name, text in sorted(files.items()):
        for part in (name, text):
            data = part.encode()
            total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def source_digest() -> str:
    """Return the hash of the source of the core that is installed."""
    return digest_of(proved_files())


def theorems_digest() -> str:
    """Return the hash of the prover, its theorems and the solver: what a cached result depends on besides."""
    import z3

    files = {str(path): path.read_text() for path in sorted((PACKAGE / "proofs").rglob("*.py"))}
    return digest_of({**files, "solver": z3.get_version_string(), "python": sys.version})


_compiled: dict[tuple[str, str], CodeType] = {}


class Instance:
    """Private modules, loaded by name on demand.

    Args:
        symbolic: replace each predicate (a function that returns bool) of the core by its summary.
        patches: other text for some modules, by module name.
        extra: module prefixes that are private besides the core and the vocabulary.
    """

    def __init__(
        self,
        *,
        symbolic: bool,
        patches: Mapping[str, str] | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self._symbolic = symbolic
        self._patches = patches or {}
        self._extra = extra
        self._modules: dict[str, ModuleType] = {}
        self._builtins = {**vars(builtins), "__import__": self._import}

    def module(self, name: str) -> ModuleType:
        """Return the private module of that name."""
        if name in self._modules:
            return self._modules[name]
        path = file_of(name)
        specification = importlib.machinery.ModuleSpec(
            name, importlib.machinery.SourceFileLoader(name, str(path)), origin=str(path)
        )
        module = importlib.util.module_from_spec(specification)
        self._modules[name] = module
        vars(module)["__builtins__"] = self._builtins
        vars(module)["__file__"] = str(path)
        text = self._patches.get(name)
        _Loader(name, path, path.read_text() if text is None else text).exec_module(module)
        if self._symbolic:
            self._summarise(module)
        return module

    def function(self, module: str, name: str) -> Callable[..., object]:
        """Return a function of a private module."""
        found = getattr(self.module(module), name)
        if not callable(found):
            raise TypeError(f"{module}.{name} is no function")
        return found  # type: ignore[no-any-return]

    def _import(
        self,
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and fromlist and self._is_private(name):
            package = self.module(name)
            for one in fromlist:
                if not hasattr(package, one) and file_of(f"{name}.{one}").exists():
                    setattr(package, one, self.module(f"{name}.{one}"))
            return package
        if level == 0 and fromlist:
            return importlib.import_module(name)
        if level != 0:
            raise ImportError(f"relative import of {name}")
        return importlib.import_module(name.partition(".")[0])

    def _is_private(self, name: str) -> bool:
        prefixes = (CORE, *VOCABULARY, *self._extra)
        return any(name == one or name.startswith(f"{one}.") for one in prefixes)

    def _summarise(self, module: ModuleType) -> None:
        for name, one in list(vars(module).items()):
            if not inspect.isfunction(one) or one.__module__ != module.__name__:
                continue
            is_predicate = one.__annotations__.get("return") == "bool" and "s" in one.__annotations__
            if is_predicate and module.__name__.startswith((CORE, f"{SPECIFICATION}.terms")):
                setattr(module, name, summarised(one))


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a text under the name of a file, and keeps no bytecode."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        super().__init__(name, str(path))
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        known = _compiled.get((fullname, self._text))
        if known is None:
            known = compile(self._text, self.path, "exec", dont_inherit=True)
            _compiled[fullname, self._text] = known
        return known


def original() -> dict[str, Callable[..., object]]:
    """Return the operations of the core that is installed, by name."""
    from exclave.nucleus.core.operations import OPS

    return {name: one.function for name, one in OPS.items()}


def home_of() -> dict[str, tuple[str, str]]:
    """Return the module and function of each operation."""
    return {name: (one.__module__, one.__name__) for name, one in original().items()}
