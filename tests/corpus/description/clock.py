from exclave import Component


class Clock(Component):
    pass
