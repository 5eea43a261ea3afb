"""Where the bridge's CPU time goes, stage by stage: `make profile`, on the bench's own load.

py-spy looks at the stacks from outside, the kernel counts the time of each thread; a stage's share of a thread's
samples is its share of that thread's time. py-spy must not pause the bridge: a thread that waited is runnable for a
while when it goes on after a pause, and is taken for one that works (seen with 0.4.3: the helpers, which do nothing,
were in every second sample; with `--nonblocking` in 11 of 2,400).
"""
