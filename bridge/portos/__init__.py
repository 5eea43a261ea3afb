"""The source: all that knows Portos, from the login to the last byte of a notification.

`auth` gets tokens, `source` opens one hub connection at a time over `negotiate` and `signalr`, `notifications` and
`versions` are the pure part: what a notification says, and whether it was there before.
"""
