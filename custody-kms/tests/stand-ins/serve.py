"""Runs a module of Python as a program, for as long as somebody holds the other end of its input.

    python serve.py MODULE [ARGUMENT...]

Nothing is ever written there. It ends when whoever started this program lets go of it: on purpose,
or because it was killed and could not stop what it had started.
"""

import os
import runpy
import sys
import threading


def follow():
    os.read(0, 1)
    os._exit(0)


threading.Thread(target=follow, daemon=True).start()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
