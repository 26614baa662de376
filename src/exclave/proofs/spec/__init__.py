"""The theorems, in plain Python.

Trust: reviewed.
Purpose: say what is proved; each function checks one row of concrete states, and is proved for all rows.
Rules:
1. A theorem has one English sentence and concludes in its last line; before it, it returns where it has
   nothing to say.
2. Nothing here knows the solver: the same functions check a running nucleus.
"""
