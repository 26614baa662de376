from exclave import Component


class Nic(Component):
    pass
