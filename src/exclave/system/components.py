"""Trust: reviewed. Checks that each component's module exists and shows the class that it names."""

from __future__ import annotations

from exclave.system.errors import nearest, quote
from exclave.system.model import Description, Exclave
from exclave.system.modules import Module, UnreadableModule, find, look
from exclave.system.table import Report


def check(report: Report, description: Description) -> None:
    """Report every component that cannot be loaded."""
    seen: dict[str, Module] = {}
    for exclave in description.components.values():
        _component(report, description, exclave, seen)


def _component(report: Report, description: Description, exclave: Exclave, seen: dict[str, Module]) -> None:
    component = exclave.component
    path = (*description.table(exclave.name), "component")
    file = find(description, component)
    shown = component.module.replace(".", "/") + ".py"
    if file is None:
        report.error(
            path,
            f"there is no file {quote(shown)} beside the description",
            f"create it with class {component.attribute}",
            value=True,
        )
        return
    try:
        module = seen[file] = seen.get(file) or look(file)
    except UnreadableModule as error:
        where = f"line {error.line}: " if error.line else ""
        report.error(
            path, f"{quote(shown)} cannot be loaded: {where}{error.reason}", f"correct {shown}", value=True
        )
        return
    if module.complete and component.attribute not in module.names:
        near = nearest(component.attribute, module.methods)
        fix = (
            f'did you mean "{component.module}:{near}"?'
            if near
            else f"write class {component.attribute}(Component) in {shown}"
        )
        report.error(path, f"{quote(shown)} has no class {component.attribute}", fix, value=True)
