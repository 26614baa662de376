"""Trust: hostile.

What the thief tries, one file per thing attacked. The same sources are imported here, to know what should
stop each attempt, and sent through the hole into the app's process, to be carried out there.
"""
