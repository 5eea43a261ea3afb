"""How fast, how quick, how large: ours and other people's bridges on one hub and one broker, seen from outside.

`make bench` prints one table. What is measured never comes from a bridge's own counters: messages are counted at the
broker, CPU time and memory are the kernel's, latency is the hub's time stamp against the clock of a subscriber.
"""
