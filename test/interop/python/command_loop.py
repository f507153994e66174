"""Lets a test drive a Python process by lines of JSON: a command a line on standard input, answers and
events a line on standard output. Commands of one lane run in order, those of different lanes at once.
At the end of standard input the process closes what it opened, says so and exits with 0."""

import json
import os
import queue
import sys
import threading
import traceback

# The package prints to standard output; that goes to standard error, and only ours to the pipe.
_out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
_out_lock = threading.Lock()


def emit(event):
    line = json.dumps(event)
    with _out_lock:
        _out.write(line + "\n")
        _out.flush()


def message_dict(message):
    return None if message is None else message.to_dict()


class _Lane:
    def __init__(self, handlers):
        self._handlers = handlers
        self._commands = queue.Queue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def put(self, command):
        self._commands.put(command)

    def end(self):
        self._commands.put(None)
        self._thread.join()

    def _run(self):
        for command in iter(self._commands.get, None):
            try:
                result = self._handlers[command["do"]](command)
                emit({"answer": command["id"], "result": result})
            except Exception as error:
                emit({"answer": command["id"], "failure": {"type": type(error).__name__, "text": str(error)}})
                traceback.print_exc()


def run(handlers, close):
    """`handlers`: name of a command to a function of the command; `close` runs at the end of input."""
    lanes = {}
    emit({"event": "ready", "python": sys.version.split()[0]})
    for line in sys.stdin:
        command = json.loads(line)
        lane = command.get("lane", "")
        if lane not in lanes:
            lanes[lane] = _Lane(handlers)
        lanes[lane].put(command)
    for lane in lanes.values():
        lane.end()
    close()
    emit({"event": "closed"})
