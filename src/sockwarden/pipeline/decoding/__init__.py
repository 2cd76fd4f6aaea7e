"""Requests are decoded in a process of their own, without privileges: it reads what clients sent, byte for byte.

talks       the connections that there are, each as a conversation     child   the process: confined, then at work
wire        what it tells the watch                                     decoder the watch's hand on it
confinement what a process is left with that reads hostile bytes     shares  how much of its time each client may take
"""
