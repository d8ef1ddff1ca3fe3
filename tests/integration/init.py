"""PID 1 of a pid namespace, as systemd with a socket unit: holds a listener, runs a command, and passes the listener to
a session when told to. init.py COMMANDS(a fifo) PORT SESSION(an executable) ARGUMENTS..."""

import os
import signal
import socket
import subprocess
import sys

fifo, port, session, *command = sys.argv[1:]
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", int(port)))
listener.listen()
daemon = subprocess.Popen(command)
held = None
status = 0
while True:
    with open(fifo) as commands:
        word = commands.read().strip()
    if word == "session":
        held = subprocess.Popen([session, "-i", str(listener.fileno())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                pass_fds=[listener.fileno()])
        held.stdout.readline()
    elif word == "end":
        held.kill()
        held.wait()
    elif word == "stop":
        daemon.send_signal(signal.SIGTERM)
        status = daemon.wait()
        break
os._exit(status & 0xFF)
