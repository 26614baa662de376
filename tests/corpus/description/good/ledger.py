from exclave import Component


class Ledger(Component):
    pass
