"""The second opinion: every query that was answered `unsat`, asked again of cvc5.

Trust: reviewed.
Purpose: not to rest on one solver alone; optional, and slow.
"""

from __future__ import annotations

import z3


def available() -> bool:
    """Say whether cvc5 is installed."""
    try:
        import cvc5
    except ImportError:
        return False
    return hasattr(cvc5, "InputParser")


def confirm(solver: z3.Solver) -> bool:
    """Say whether cvc5, asked about the same assertions, answers `unsat` as well."""
    import cvc5

    other = cvc5.Solver()
    other.setOption("tlimit-per", "60000")
    parser = cvc5.InputParser(other)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, "(set-logic ALL)\n" + solver.to_smt2(), "query")
    symbols = parser.getSymbolManager()
    answer = ""
    while not (command := parser.nextCommand()).isNull():
        answer = str(command.invoke(other, symbols)).strip() or answer
    return answer == "unsat"
